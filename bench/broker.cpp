// Starts and stops a private mosquitto (see broker.h).
#include "bench/broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <thread>

namespace holdfast::bench {
namespace {

constexpr auto kStartTime = std::chrono::seconds(10);

/// The broker under way, so that fail() can end it from any thread.
std::atomic<pid_t> running_broker{0};

void end_broker(pid_t pid) {
  if (pid <= 0) return;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

/// A TCP socket, and 127.0.0.1:port as what the system calls want.
class Loopback {
 public:
  explicit Loopback(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  ~Loopback() { ::close(fd_); }
  Loopback(const Loopback&) = delete;
  Loopback& operator=(const Loopback&) = delete;

  bool bind() { return ::bind(fd_, generic(), sizeof address_) == 0; }
  bool connect() { return ::connect(fd_, generic(), sizeof address_) == 0; }
  std::uint16_t bound_port() {
    socklen_t size = sizeof address_;
    return ::getsockname(fd_, generic(), &size) == 0 ? ntohs(address_.sin_port) : std::uint16_t{0};
  }

 private:
  sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address_); }
  int fd_;
  sockaddr_in address_{};
};

/// Debian has the broker in /usr/sbin, which is not on every user's path.
std::string mosquitto_program() {
  for (const char* path : {"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return "mosquitto";
}

}  // namespace

void fail(const std::string& words) {
  std::fprintf(stderr, "bench: %s\n", words.c_str());
  end_broker(running_broker.exchange(0));
  std::_Exit(2);
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "holdfast-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) fail("cannot make a directory like " + pattern);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::uint16_t free_port() {
  Loopback socket(0);
  if (!socket.bind()) fail("no free port on 127.0.0.1");
  return socket.bound_port();
}

Broker::Broker(std::uint16_t port) {
  const std::string config = (directory_.path() / "mosquitto.conf").string();
  std::ofstream(config) << "listener " << port << " 127.0.0.1\n"
                        << "allow_anonymous true\npersistence false\nlog_dest none\n"
                        << "max_inflight_messages 2000\nmax_queued_messages 0\n"
                        << "set_tcp_nodelay true\n";
  std::string program = mosquitto_program();
  std::string option = "-c";
  std::string file = config;
  std::array<char*, 4> arguments{program.data(), option.data(), file.data(), nullptr};
  if (::posix_spawnp(&pid_, program.c_str(), nullptr, nullptr, arguments.data(), environ) != 0) {
    fail("cannot start mosquitto; install it: apt-get install mosquitto");
  }
  running_broker = pid_;
  const auto deadline = std::chrono::steady_clock::now() + kStartTime;
  while (!Loopback(port).connect()) {
    if (std::chrono::steady_clock::now() > deadline) fail("mosquitto does not accept connections");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Broker::~Broker() {
  running_broker = 0;
  end_broker(pid_);
}

}  // namespace holdfast::bench
