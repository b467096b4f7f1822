// When a message was published, carried through the broker in a user property of the lab's own:
// what came before a device connected was stored for it, and is sent at another pace.
#pragma once

#include <optional>

#include "base/time.h"
#include "lab/mqtt/packet.h"

namespace holdfast::lab::iot {

void stamp(mqtt::Publish& message, WallTime now);
/// Takes the stamp off; nullopt when there is none (a will).
[[nodiscard]] std::optional<WallTime> take_stamp(mqtt::Publish& message);

}  // namespace holdfast::lab::iot
