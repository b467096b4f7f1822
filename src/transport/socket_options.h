// The options that make the kernel notice a dead path without waking this process.
#pragma once

#include "base/time.h"

namespace holdfast::transport {

/// What is derived from "a dead peer is noticed within silent_after" (RFC 9293, RFC 5482):
/// probes begin after half of it and follow each tenth; unacknowledged data or probes end the
/// connection with ETIMEDOUT after two thirds.
struct KeepAlive {
  int idle_s = 0;
  int interval_s = 0;
  int count = 0;
  unsigned user_timeout_ms = 0;
};
[[nodiscard]] KeepAlive keep_alive_for(Duration silent_after);

/// Sets TCP_NODELAY, and what keep_alive_for() says unless silent_after is zero. A kernel that
/// refuses one of them only notices later; that is no failure.
void set_socket_options(int fd, Duration silent_after);

}  // namespace holdfast::transport
