// The topic prefix of an endpoint: what stands before every topic at its broker, and nowhere else.
//
// Purpose:  whoever publishes and subscribes knows one name for a thing, whatever it is called at
//           the endpoint in use. Applied where requests leave the core and messages enter it.
// Rules:    topics that begin with $ belong to the broker and are left alone; in a shared
//           subscription the prefix stands before the filter itself.
// Threads:  pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/message.h"
#include "holdfast/types.h"

namespace holdfast::flow {

/// A topic or filter as the broker knows it.
[[nodiscard]] std::string with_prefix(std::string_view prefix, std::string_view topic);
/// The way back; a topic that does not begin so is left as it is.
[[nodiscard]] std::string without_prefix(std::string_view prefix, std::string_view topic);

/// The message as it is sent; itself where there is no prefix.
[[nodiscard]] MessagePtr with_prefix(std::string_view prefix, MessagePtr message);
/// A message that came, as it is given on.
void take_prefix(std::string_view prefix, InboundMessage& message);

}  // namespace holdfast::flow
