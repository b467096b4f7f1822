// See local_socket.h.
#include "runtime/local_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "posix/os_error.h"

namespace holdfast::runtime {
namespace {

constexpr int kAcceptQueue = 64;
constexpr std::size_t kGroupsMax = 256;

Result<sockaddr_un> address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof(address.sun_path)) {
    return Error{Errc::invalid_argument, text + ": a socket's path has 1 to " +
                                             std::to_string(sizeof(address.sun_path) - 1) +
                                             " bytes; give another path"};
  }
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Error failed(const std::filesystem::path& path, std::string_view what, int os_error) {
  Error error = posix::make_os_error(os_error, "cannot " + std::string(what) + " " + path.native());
  error.message += "; check the path and its permissions";
  return error;
}

posix::UniqueFd new_socket() {
  return posix::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

pid_t pid_behind(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

/// Makes room for our own file: fails unless there is none, or only a dead process' socket.
Status clear_path(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) {
    if (errno == ENOENT) return {};
    return failed(path, "look at", errno);
  }
  if (!S_ISSOCK(about.st_mode)) {
    return Error{Errc::io,
                 path.native() + " exists and is not a socket; remove it or give another path"};
  }
  const posix::UniqueFd probe = new_socket();
  if (!probe) return failed(path, "make a socket for", errno);
  if (::connect(probe.get(), generic(address), sizeof(address)) == 0 || errno == EAGAIN) {
    const pid_t pid = pid_behind(probe.get());
    return Error{Errc::in_use,
                 path.native() + " is in use" +
                     (pid > 0 ? " by process " + std::to_string(pid) : std::string()) +
                     "; stop it or give another path"};
  }
  if (errno != ECONNREFUSED) return failed(path, "probe", errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed(path, "replace", errno);
  return {};
}

}  // namespace

Result<ListeningSocket> listen_at(const std::filesystem::path& path) {
  Result<sockaddr_un> address = address_of(path);
  if (!address) return std::move(address).error();
  const std::filesystem::path folder = path.parent_path();
  if (!folder.empty() && ::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    return failed(folder, "create", errno);
  }
  if (Status clear = clear_path(path, *address); !clear) return std::move(clear).error();
  ListeningSocket socket{new_socket(), path};
  if (!socket.fd) return failed(path, "make a socket for", errno);
  if (::bind(socket.fd.get(), generic(*address), sizeof(*address)) != 0) {
    return failed(path, "bind", errno);
  }
  // Nobody can connect before listen(), so the mode is right from the first moment that matters.
  struct stat about {};
  if (::chmod(path.c_str(), 0660) != 0 || ::lstat(path.c_str(), &about) != 0) {
    const int why = errno;
    ::unlink(path.c_str());
    return failed(path, "set the mode of", why);
  }
  socket.device = about.st_dev;
  socket.inode = about.st_ino;
  socket.group = about.st_gid;
  if (::listen(socket.fd.get(), kAcceptQueue) != 0) {
    const int why = errno;
    remove_socket_file(socket);
    return failed(path, "listen on", why);
  }
  return socket;
}

Result<ListeningSocket> adopt(posix::UniqueFd fd, const std::filesystem::path& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return failed(path, "look at", errno);
  ListeningSocket socket{std::move(fd), path};
  socket.group = about.st_gid;
  socket.passed = true;
  return socket;
}

void remove_socket_file(const ListeningSocket& socket) noexcept {
  if (socket.passed) return;
  struct stat about {};
  if (::lstat(socket.path.c_str(), &about) != 0) return;
  if (about.st_dev == socket.device && about.st_ino == socket.inode) ::unlink(socket.path.c_str());
}

Result<posix::UniqueFd> connect_to(const std::filesystem::path& path) {
  Result<sockaddr_un> address = address_of(path);
  if (!address) return std::move(address).error();
  posix::UniqueFd fd = new_socket();
  if (!fd) return failed(path, "make a socket for", errno);
  if (::connect(fd.get(), generic(*address), sizeof(*address)) == 0) return fd;
  const int why = errno;
  const Errc code = why == ENOENT                          ? Errc::not_found
                    : why == ECONNREFUSED || why == EAGAIN ? Errc::closed
                                                           : posix::errc_of(why);
  return Error{code, path.native() + ": " + posix::os_words(why), why};
}

Peer peer_of(int fd, gid_t group) {
  ucred who{};
  socklen_t size = sizeof(who);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return {};
  Peer peer;
  peer.pid = who.pid;
  peer.user = who.uid;
  peer.groups.push_back(who.gid);
  std::array<gid_t, kGroupsMax> groups{};
  socklen_t bytes = sizeof(groups);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0) {
    peer.groups.insert(peer.groups.end(), groups.begin(), groups.begin() + bytes / sizeof(gid_t));
  }
  peer.owner = who.uid == 0 || who.uid == ::geteuid();
  peer.allowed =
      peer.owner || std::find(peer.groups.begin(), peer.groups.end(), group) != peer.groups.end();
  return peer;
}

bool hung_up(int fd) noexcept {
  pollfd watched{fd, 0, 0};
  return ::poll(&watched, 1, 0) > 0 && (watched.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace holdfast::runtime
