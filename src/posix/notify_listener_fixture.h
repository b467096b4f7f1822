// A service manager's end of sd_notify(3), for tests: a bound datagram socket and what came to it.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "posix/unique_fd.h"

namespace holdfast::posix {

/// A service manager's end: bound to a path or an abstract name.
class NotifyListener {
 public:
  explicit NotifyListener(std::string name) : name_(std::move(name)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const bool abstract = name_[0] == '@';
    if (abstract) address.sun_path[0] = '\0';
    fd_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const std::size_t size = offsetof(sockaddr_un, sun_path) + name_.size() + (abstract ? 0U : 1U);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address),
                     static_cast<socklen_t>(size)),
              0);
  }
  ~NotifyListener() {
    if (name_[0] == '/') ::unlink(name_.c_str());
  }
  NotifyListener(const NotifyListener&) = delete;
  NotifyListener& operator=(const NotifyListener&) = delete;

  /// The next datagram; nullopt when there is none.
  std::optional<std::string> next() const {
    std::array<char, 4096> text{};
    const ssize_t size = ::recv(fd_.get(), text.data(), text.size(), 0);
    if (size < 0) return std::nullopt;
    return std::string(text.data(), static_cast<std::size_t>(size));
  }

 private:
  std::string name_;
  UniqueFd fd_;
};

inline std::string unique_name(const char* what) {
  return std::string("holdfast-") + what + "-" + std::to_string(::getpid());
}

inline std::string socket_path(const char* what) {
  return (std::filesystem::temp_directory_path() / unique_name(what)).string();
}

}  // namespace holdfast::posix
