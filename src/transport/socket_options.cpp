#include "transport/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

namespace holdfast::transport {

namespace {

constexpr int kProbes = 3;

template <class T>
void set(int fd, int level, int option, T value) {
  static_cast<void>(::setsockopt(fd, level, option, &value, sizeof(value)));
}

}  // namespace

KeepAlive keep_alive_for(Duration silent_after) {
  // One day is far beyond any sense and keeps the arithmetic in range.
  const Duration bounded = std::clamp<Duration>(silent_after, Duration(0), std::chrono::hours(24));
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(bounded).count();
  KeepAlive options;
  options.idle_s = std::max(1, static_cast<int>(ms / 2000));
  options.interval_s = std::max(1, static_cast<int>(ms / 10000));
  options.count = kProbes;
  options.user_timeout_ms = static_cast<unsigned>(ms * 2 / 3);
  return options;
}

void set_socket_options(int fd, Duration silent_after) {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (silent_after <= Duration(0)) return;
  const KeepAlive options = keep_alive_for(silent_after);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, options.idle_s);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, options.interval_s);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, options.count);
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options.user_timeout_ms);
}

}  // namespace holdfast::transport
