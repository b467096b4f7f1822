#include "engines/rendezvous.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "posix/os_error.h"

namespace holdfast::engines {
namespace {

constexpr int kBacklog = 4;

Error os_failure(const std::string& what) { return posix::make_os_error(errno, what); }

std::vector<std::string> parents() {
  std::vector<std::string> result;
  for (const char* name : {"RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value != '/') continue;
    // systemd lists several directories with colons between.
    const std::string all = value;
    result.push_back(all.substr(0, all.find(':')));
  }
  result.insert(result.end(), {"/tmp", "/run", "/dev/shm"});
  return result;
}

/// True for a connection made by this very process.
bool is_ours(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getpid();
}

}  // namespace

Rendezvous::Rendezvous(Rendezvous&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      name_(std::move(other.name_)),
      path_(std::move(other.path_)),
      directory_fd_(std::move(other.directory_fd_)),
      listener_(std::move(other.listener_)) {}

Rendezvous::~Rendezvous() { remove(); }

Result<Rendezvous> Rendezvous::open() {
  Error last{Errc::io, "no directory for a private socket", 0};
  for (const std::string& parent : parents()) {
    Result<Rendezvous> made = open_under(parent);
    if (made) return made;
    last = made.error();
  }
  return last;
}

Result<Rendezvous> Rendezvous::open_under(const std::string& parent) {
  std::string name = parent + "/holdfast-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) return os_failure(name);  // mode 0700
  Rendezvous made;
  made.directory_ = name;
  made.directory_fd_ = posix::UniqueFd(::open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (made.directory_fd_.get() < 0) return os_failure(name);
  // Descriptors are used again, so the name must not be.
  static std::atomic<std::uint64_t> made_before{0};
  made.name_ = std::to_string(++made_before);
  made.path_ = "/proc/self/fd/" + std::to_string(made.directory_fd_.get()) + "/" + made.name_;

  made.listener_ = posix::UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (made.listener_.get() < 0) return os_failure("private socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  made.path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);  // as bind() wants it
  if (bind(made.listener_.get(), generic, sizeof(address)) != 0) return os_failure(made.path_);
  if (listen(made.listener_.get(), kBacklog) != 0) return os_failure(made.path_);
  return made;
}

Result<posix::UniqueFd> Rendezvous::accept() {
  for (int i = 0; i <= kBacklog; ++i) {
    posix::UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.get() < 0) return os_failure("private socket");
    if (!is_ours(fd.get())) continue;
    remove();
    return fd;
  }
  return Error{Errc::protocol, "another process connects to our private socket", 0};
}

void Rendezvous::remove() noexcept {
  if (directory_.empty()) return;
  if (directory_fd_.get() >= 0) unlinkat(directory_fd_.get(), name_.c_str(), 0);
  rmdir(directory_.c_str());
  directory_.clear();
  listener_ = posix::UniqueFd();
  directory_fd_ = posix::UniqueFd();
}

}  // namespace holdfast::engines
