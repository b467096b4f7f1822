#include "posix/journal_socket.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace holdfast::posix {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy_n(path.data(), std::min(path.size(), sizeof(address.sun_path) - 1), address.sun_path);
  return address;
}

}  // namespace

JournalSocket::JournalSocket(std::string path)
    : path_(std::move(path)),
      fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}

// Not connected: journald makes its socket anew when it starts.
JournalSocket::Sent JournalSocket::send(std::string_view fields) const {
  const sockaddr_un address = address_of(path_);
  const ssize_t sent = ::sendto(fd_.get(), fields.data(), fields.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (sent >= 0) return Sent::taken;
  const bool busy = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == EINTR;
  return busy ? Sent::busy : Sent::absent;
}

bool JournalSocket::present() const {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const sockaddr_un address = address_of(path_);
  return probe &&
         ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace holdfast::posix
