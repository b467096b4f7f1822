#include "posix/service_manager.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace holdfast::posix {

namespace {

using std::chrono::microseconds;

std::string usec(Duration time) {
  return std::to_string(std::chrono::duration_cast<microseconds>(time).count());
}

Duration monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

/// Zero for what is no positive number.
std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end ? std::max<std::int64_t>(value, 0) : 0;
}

std::string one_line(std::string_view words) {
  std::string line(words.substr(0, kStatusMax));
  for (char& c : line) {
    if (c < ' ' || c > '~') c = '?';
  }
  return line;
}

}  // namespace

bool Notice::empty() const noexcept {
  return !ready && !reloading && !stopping && !alive && !status && !extend && !watchdog;
}

std::string format_notice(const Notice& notice, Duration monotonic) {
  std::string text;
  if (notice.reloading) text += "RELOADING=1\nMONOTONIC_USEC=" + usec(monotonic) + "\n";
  if (notice.ready) text += "READY=1\n";
  if (notice.stopping) text += "STOPPING=1\n";
  if (notice.status) text += "STATUS=" + one_line(*notice.status) + "\n";
  if (notice.watchdog) text += "WATCHDOG_USEC=" + usec(*notice.watchdog) + "\n";
  if (notice.alive) text += "WATCHDOG=1\n";
  if (notice.extend) text += "EXTEND_TIMEOUT_USEC=" + usec(*notice.extend) + "\n";
  return text;
}

Duration parse_watchdog(std::string_view usec, std::string_view pid, long own_pid) {
  if (!pid.empty() && number(pid) != own_pid) return Duration::zero();
  constexpr std::int64_t kLongest =
      std::chrono::duration_cast<microseconds>(Duration::max()).count();
  return microseconds(std::min(number(usec), kLongest));
}

ServiceManager::ServiceManager(const std::string& socket, Duration watchdog) : watchdog_(watchdog) {
  const bool abstract = socket.starts_with('@');
  // A path needs its end marked; an abstract name is as long as the address says.
  const std::size_t room = sizeof(address_.sun_path) - (abstract ? 0 : 1);
  if (socket.size() < 2 || socket.size() > room || (!abstract && socket[0] != '/')) return;
  address_.sun_family = AF_UNIX;
  std::copy(socket.begin(), socket.end(), address_.sun_path);
  if (abstract) address_.sun_path[0] = '\0';
  address_size_ =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() + (abstract ? 0 : 1));
  fd_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

ServiceManager ServiceManager::from_environment() {
  return ServiceManager(std::string(environment("NOTIFY_SOCKET")),
                        parse_watchdog(environment("WATCHDOG_USEC"), environment("WATCHDOG_PID"),
                                       static_cast<long>(::getpid())));
}

bool ServiceManager::tell(const Notice& notice) const {
  if (!fd_ || notice.empty()) return true;
  const std::string text = format_notice(notice, monotonic_now());
  // Not connected: the manager may have made its socket anew meanwhile.
  const ssize_t sent = ::sendto(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                                reinterpret_cast<const sockaddr*>(&address_), address_size_);
  return sent >= 0 || !(errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM);
}

}  // namespace holdfast::posix
