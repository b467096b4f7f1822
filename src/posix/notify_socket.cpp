#include "posix/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "posix/os_error.h"

namespace holdfast::posix {

namespace {

constexpr std::size_t kDatagramMax = 4096;
constexpr int kDatagramsAtOnce = 64;  // a flood must not keep its reader

bool heard(const msghdr& message, pid_t group) {
  for (cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr;
       one = CMSG_NXTHDR(const_cast<msghdr*>(&message), one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_CREDENTIALS) continue;
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(one), sizeof sender);
    return sender.uid == 0 || sender.uid == ::geteuid() || ::getpgid(sender.pid) == group;
  }
  return false;
}

}  // namespace

Result<NotifySocket> NotifySocket::open() {
  NotifySocket made;
  made.fd_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  const int on = 1;
  // An address without a name asks the kernel for one.
  if (!made.fd_ || ::setsockopt(made.fd_.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::bind(made.fd_.get(), generic, sizeof(sa_family_t)) != 0 ||
      ::getsockname(made.fd_.get(), generic, &size) != 0) {
    return make_os_error(errno, "cannot make a socket for heartbeats");
  }
  made.name_.assign(address.sun_path, size - offsetof(sockaddr_un, sun_path));
  made.name_[0] = '@';
  return made;
}

std::vector<std::string> NotifySocket::receive(pid_t group) const {
  std::vector<std::string> assignments;
  for (int i = 0; i < kDatagramsAtOnce; ++i) {
    std::array<char, kDatagramMax> text{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
    iovec place{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &place;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (size < 0) break;
    if (!heard(message, group)) continue;
    std::string_view rest(text.data(), static_cast<std::size_t>(size));
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      assignments.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return assignments;
}

}  // namespace holdfast::posix
