// A relay between a device and a broker that can fall silent: it stops accepting, reading and
// writing, and sends neither FIN nor RST, as a dead mobile link or a wedged NAT box does.
//
// Purpose:  the black hole of the demo where network namespaces are not to be had.
// Use:      hf_relay BROKER_PORT   listens on a free port of 127.0.0.1 and prints "listening PORT".
//           Commands, a line each on standard input: "silence", "speak". End of input ends it.
// Limits:   loopback only; kBuffer bytes in each direction of each connection.
// Threads:  one, poll(2).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kBuffer = std::size_t{64} * 1024;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// The sockets API takes the general type; this is the one place where it is given.
const sockaddr* general(const sockaddr_in& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

// Bytes on their way from one socket to the other.
struct Direction {
  int from = -1;
  int to = -1;
  std::vector<char> held;  // read, not yet written
  bool ended = false;      // FIN read
  bool passed = false;     // and handed on

  [[nodiscard]] bool wants_read() const { return !ended && held.size() < kBuffer; }
  [[nodiscard]] bool wants_write() const { return !held.empty(); }

  // False when the connection is broken.
  bool read() {
    std::array<char, 16384> chunk;
    const ssize_t n = ::recv(from, chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    ended = n == 0;
    held.insert(held.end(), chunk.begin(), chunk.begin() + n);
    return true;
  }

  bool write() {
    if (!held.empty()) {
      const ssize_t n = ::send(to, held.data(), held.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      held.erase(held.begin(), held.begin() + n);
    }
    if (ended && held.empty() && !passed) {
      passed = true;
      ::shutdown(to, SHUT_WR);
    }
    return true;
  }
};

class Pair {
 public:
  Pair(int client, int broker) : client_(client), broker_(broker) {
    up_.from = down_.to = client;
    up_.to = down_.from = broker;
  }
  ~Pair() {
    ::close(client_);
    ::close(broker_);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void watch(std::vector<pollfd>& fds) const {
    fds.push_back({client_, events(up_, down_), 0});
    fds.push_back({broker_, events(down_, up_), 0});
  }

  // False when it is over.
  bool serve(const pollfd& client, const pollfd& broker) {
    constexpr short kRead = POLLIN | POLLHUP | POLLERR;
    if ((client.revents & kRead) != 0 && up_.wants_read() && !up_.read()) return false;
    if ((broker.revents & kRead) != 0 && down_.wants_read() && !down_.read()) return false;
    if (!up_.write() || !down_.write()) return false;
    if (((client.revents | broker.revents) & POLLERR) != 0) return false;
    return !(up_.passed && down_.passed);
  }

 private:
  static short events(const Direction& out, const Direction& in) {
    int wanted = 0;
    if (out.wants_read()) wanted |= POLLIN;
    if (in.wants_write()) wanted |= POLLOUT;
    return static_cast<short>(wanted);
  }

  int client_;
  int broker_;
  Direction up_;    // client to broker
  Direction down_;  // broker to client
};

class Relay {
 public:
  explicit Relay(std::uint16_t broker_port) : broker_port_(broker_port) {}

  // The port it listens on; 0 when that failed.
  std::uint16_t listen() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    if (listener_ < 0 || ::bind(listener_, general(address), size) != 0 ||
        ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, static_cast<sockaddr*>(static_cast<void*>(&address)), &size) !=
            0) {
      return 0;
    }
    return ntohs(address.sin_port);
  }

  void run() {
    for (;;) {
      std::vector<pollfd> fds{{STDIN_FILENO, POLLIN, 0}};
      if (!silent_) {
        fds.push_back({listener_, POLLIN, 0});
        for (const Pair& pair : pairs_) pair.watch(fds);
      }
      if (::poll(fds.data(), fds.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return;
      }
      // Connections first: an order to fall silent then finds nothing of this turn left to do.
      if (fds.size() > 1) serve(fds);
      if (fds[0].revents != 0 && !obey()) return;
    }
  }

 private:
  void serve(const std::vector<pollfd>& fds) {
    std::size_t at = 2;
    for (auto pair = pairs_.begin(); pair != pairs_.end(); at += 2) {
      const bool alive = pair->serve(fds[at], fds[at + 1]);
      pair = alive ? std::next(pair) : pairs_.erase(pair);
    }
    if (fds[1].revents != 0) accept();
  }

  void accept() {
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int broker = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(broker_port_);
    if (broker < 0 || ::connect(broker, general(address), sizeof(address)) != 0) {
      // The nearest a relay comes to "connection refused": an immediate RST.
      const linger hard{1, 0};
      ::setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
      ::close(client);
      if (broker >= 0) ::close(broker);
      return;
    }
    const int on = 1;
    ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::setsockopt(broker, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    pairs_.emplace_back(client, broker);
  }

  // Reads commands; false at the end of input.
  bool obey() {
    std::array<char, 256> chunk;
    const ssize_t n = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (n <= 0) return n < 0 && errno == EINTR;
    input_.append(chunk.data(), static_cast<std::size_t>(n));
    for (std::size_t end; (end = input_.find('\n')) != std::string::npos;) {
      const std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (line == "silence") silent_ = true;
      if (line == "speak") silent_ = false;
      std::printf("ok %s\n", line.c_str());
      std::fflush(stdout);
    }
    return true;
  }

  std::uint16_t broker_port_;
  int listener_ = -1;
  bool silent_ = false;
  std::string input_;
  std::list<Pair> pairs_;
};

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  const unsigned long port = argc == 2 ? std::strtoul(argv[1], nullptr, 10) : 0;
  if (port == 0 || port > 65535) {
    std::fprintf(stderr, "usage: hf_relay BROKER_PORT\n");
    return 2;
  }
  Relay relay(static_cast<std::uint16_t>(port));
  const std::uint16_t own = relay.listen();
  if (own == 0) {
    std::perror("hf_relay: cannot listen on 127.0.0.1");
    return 1;
  }
  std::printf("listening %u\n", unsigned{own});
  std::fflush(stdout);
  relay.run();
  return 0;
}
