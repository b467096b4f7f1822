// The service manager that started this process, told as sd_notify(3) says, without libsystemd.
//
// Purpose:  readiness, status words and signs of life for systemd and whatever speaks its protocol.
// Threads:  any.
// Errors:   nothing here blocks or fails loudly: a process must run without a service manager, too.
// Sources:  sd_notify(3), sd_watchdog_enabled(3), unix(7).
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

/// What one datagram tells; unset fields are left out.
struct Notice {
  bool ready = false;
  bool reloading = false;  ///< Comes with the time, which the manager compares.
  bool stopping = false;
  bool alive = false;                 ///< The watchdog's sign of life.
  std::optional<std::string> status;  ///< Words for people, one line.
  std::optional<Duration> extend;     ///< From now on the start or stop under way needs this long.
  std::optional<Duration> watchdog;   ///< From now on the watchdog waits this long.

  [[nodiscard]] bool empty() const noexcept;
};

inline constexpr std::size_t kStatusMax = 400;  ///< Bytes of a status; the rest is cut off.

/// The datagram's text. What is not printable ASCII in the status becomes '?': a peer's words must
/// not add a line of their own, and systemd refuses what is not UTF-8.
[[nodiscard]] std::string format_notice(const Notice& notice, Duration monotonic);

class ServiceManager {
 public:
  /// `socket`: an absolute path, or '@' and an abstract name; with anything else nobody listens.
  /// `watchdog`: how often it wants a sign of life at least; zero: it does not.
  explicit ServiceManager(const std::string& socket, Duration watchdog = Duration::zero());

  /// As $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID say.
  [[nodiscard]] static ServiceManager from_environment();

  [[nodiscard]] bool listens() const noexcept { return static_cast<bool>(fd_); }
  [[nodiscard]] Duration watchdog() const noexcept { return watchdog_; }

  /// False when it has no room for it now: tell it again later. True also when nobody listens.
  [[nodiscard]] bool tell(const Notice& notice) const;

 private:
  sockaddr_un address_{};
  socklen_t address_size_ = 0;
  UniqueFd fd_;
  Duration watchdog_;
};

/// The watchdog's time of this process from the values of $WATCHDOG_USEC and $WATCHDOG_PID; zero
/// when there is none, it is for another process, or a value is no number.
[[nodiscard]] Duration parse_watchdog(std::string_view usec, std::string_view pid, long own_pid);

}  // namespace holdfast::posix
