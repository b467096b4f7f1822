#include "posix/passed_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>

namespace holdfast::posix {

namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

/// Minus one for what is no number.
long number(std::string_view text) {
  long value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return !text.empty() && error == std::errc() && stop == end ? value : -1;
}

int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

/// Of a Unix stream socket that listens at a file; else empty.
std::filesystem::path path_of(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  if (option(fd, SO_TYPE) != SOCK_STREAM || option(fd, SO_ACCEPTCONN) != 1 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      address.sun_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) {
    return {};
  }
  const char* path = address.sun_path;  // an abstract one begins with a zero
  return std::string(path, ::strnlen(path, size - offsetof(sockaddr_un, sun_path)));
}

std::string_view next_name(std::string_view& names) {
  const std::size_t end = std::min(names.find(':'), names.size());
  const std::string_view name = names.substr(0, end);
  names.remove_prefix(std::min(end + 1, names.size()));
  return name;
}

}  // namespace

PassedSockets::PassedSockets(std::string_view pid, std::string_view count, std::string_view names,
                             long own_pid, int first) {
  if (number(pid) != own_pid) return;
  const long wanted = std::min(number(count), static_cast<long>(kPassedSockets));
  for (int i = 0; i < wanted; ++i) {
    const std::string_view name = next_name(names);
    const int fd = first + i;
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) continue;  // not open
    passed_.push_back({UniqueFd(fd), std::string(name.empty() ? "unknown" : name), path_of(fd)});
  }
}

PassedSockets PassedSockets::from_environment() {
  PassedSockets passed(environment("LISTEN_PID"), environment("LISTEN_FDS"),
                       environment("LISTEN_FDNAMES"), static_cast<long>(::getpid()));
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return passed;
}

// By the file, since one may be written /run/… and the other /var/run/… (and libstdc++'s
// equivalent() refuses sockets). Where there is none, nobody would come.
bool PassedSockets::leads(const std::filesystem::path& path, const Passed& passed) {
  struct stat ours {};
  struct stat theirs {};
  return !passed.path.empty() && ::stat(path.c_str(), &ours) == 0 &&
         ::stat(passed.path.c_str(), &theirs) == 0 && ours.st_dev == theirs.st_dev &&
         ours.st_ino == theirs.st_ino;
}

PassedSockets::Given PassedSockets::listening_at(const std::filesystem::path& path) const {
  for (const Passed& one : passed_) {
    if (!leads(path, one)) continue;
    UniqueFd fd(::fcntl(one.fd.get(), F_DUPFD_CLOEXEC, 0));
    const int flags = fd ? ::fcntl(fd.get(), F_GETFL) : -1;
    if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) continue;
    return {std::move(fd), one.name};
  }
  return {};
}

std::vector<std::string> PassedSockets::others(const std::filesystem::path& path) const {
  std::vector<std::string> words;
  for (const Passed& one : passed_) {
    if (leads(path, one)) continue;
    words.push_back(one.name + (one.path.empty() ? " (no Unix stream socket)"
                                                 : " (" + one.path.string() + ")"));
  }
  return words;
}

}  // namespace holdfast::posix
