// The first look at a message, in the caller's thread: may it enter?
//
// Pure and O(size of the message): decides everything that needs no knowledge of queues or disk.
#pragma once

#include "base/message.h"
#include "holdfast/config.h"
#include "holdfast/types.h"

namespace holdfast::device {

struct Admission {
  RejectReason rejected = RejectReason::none;
  StoredMessage message;  ///< Made from the application's when not rejected; id still 0.
};

/// What the first look finds wrong, if anything.
[[nodiscard]] RejectReason check(const Message& message, const Config& config);

[[nodiscard]] Admission admit(Message message, const Config& config);

}  // namespace holdfast::device
