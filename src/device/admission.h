// The first look at a message, in the caller's thread: may it enter?
//
// Pure and O(size of the message): decides everything that needs no knowledge of queues or disk.
#pragma once

#include <string_view>

#include "base/message.h"
#include "flow/topic.h"
#include "holdfast/config.h"
#include "holdfast/types.h"

namespace holdfast::device {

struct Admission {
  RejectReason rejected = RejectReason::none;
  StoredMessage message;  ///< Made from the application's when not rejected; id still 0.
};

/// What a topic or filter may have at most, so that every endpoint's prefix fits beside it. Those
/// that begin with $ get none (flow/prefix.h).
[[nodiscard]] flow::TopicLimits topic_limits(const Config& config, std::string_view topic);

/// What the first look finds wrong, if anything.
[[nodiscard]] RejectReason check(const Message& message, const Config& config);

[[nodiscard]] Admission admit(Message message, const Config& config);

}  // namespace holdfast::device
