// See local_client.h.
#include "runtime/local_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "posix/os_error.h"
#include "runtime/local_socket.h"

namespace holdfast::runtime {
namespace {

using Steady = std::chrono::steady_clock;

Error ended(std::string_view how) {
  return {Errc::closed, "the agent ended the connection" + std::string(how) + "; see its log"};
}

int poll_timeout(Milliseconds timeout) {
  if (timeout.count() < 0) return -1;
  return static_cast<int>(
      std::min<Milliseconds::rep>(timeout.count(), std::numeric_limits<int>::max()));
}

}  // namespace

Result<LocalClient> LocalClient::connect(const std::filesystem::path& path) {
  Result<posix::UniqueFd> fd = connect_to(path);
  if (fd) return LocalClient(std::move(fd).value());
  Error error = std::move(fd).error();
  error.message = "cannot reach the agent at " + error.message +
                  (error.code == Errc::permission ? "; join the group of the socket file"
                                                  : "; start holdfastd or give its --socket");
  return error;
}

void LocalClient::send(std::string_view lines) {
  if (sent_ > limits::kLocalLine) {
    output_.erase(0, sent_);
    sent_ = 0;
  }
  output_ += lines;
}

Result<bool> LocalClient::pump(Milliseconds timeout, int also) {
  std::array<pollfd, 2> watched{};
  watched[0] = {fd_.get(), static_cast<short>(unsent() > 0 ? POLLIN | POLLOUT : POLLIN), 0};
  watched[1] = {also, POLLIN, 0};  // poll() passes over negative descriptors
  const int ready = ::poll(watched.data(), watched.size(), poll_timeout(timeout));
  if (ready < 0 && errno != EINTR) return posix::make_os_error(errno, "cannot wait");
  if (ready <= 0) return false;
  if ((watched[0].revents & POLLOUT) != 0) {
    // A broken pipe is reported after the agent's last words have been read.
    const Status sent = send_some();
    if (!sent && (watched[0].revents & POLLIN) == 0) return sent.error();
  }
  if ((watched[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
    if (Status received = receive_some(); !received) return std::move(received).error();
  }
  return (watched[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

Status LocalClient::send_some() {
  while (unsent() > 0) {
    const ssize_t put =
        ::send(fd_.get(), output_.data() + sent_, unsent(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return {};
    if (put < 0) return ended(" while being sent to");
    sent_ += static_cast<std::size_t>(put);
  }
  output_.clear();
  sent_ = 0;
  return {};
}

Status LocalClient::receive_some() {
  std::array<char, 64 * limits::kKiB> block;  // NOLINT: written before it is read
  while (true) {
    const ssize_t got = ::recv(fd_.get(), block.data(), block.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return {};
    if (got <= 0) return ended("");
    input_.append(block.data(), static_cast<std::size_t>(got));
    if (static_cast<std::size_t>(got) < block.size()) return {};
    if (input_.size() - taken_ > 2 * limits::kLocalBacklog) return {};  // first use what is here
  }
}

std::optional<std::string> LocalClient::next_line() {
  const std::size_t end = input_.find('\n', taken_);
  if (end == std::string::npos) {
    input_.erase(0, taken_);
    taken_ = 0;
    return std::nullopt;
  }
  std::string line = input_.substr(taken_, end - taken_);
  taken_ = end + 1;
  return line;
}

Result<std::string> LocalClient::receive(Milliseconds timeout) {
  const auto deadline = Steady::now() + timeout;
  while (true) {
    if (std::optional<std::string> line = next_line()) return *std::move(line);
    Milliseconds left{-1};
    if (timeout.count() >= 0) {
      left = std::chrono::ceil<Milliseconds>(deadline - Steady::now());
      if (left.count() <= 0) {
        return Error{Errc::timeout, "the agent did not answer in time; see its log"};
      }
    }
    if (Result<bool> pumped = pump(left); !pumped) {
      if (std::optional<std::string> line = next_line()) return *std::move(line);
      return std::move(pumped).error();
    }
  }
}

}  // namespace holdfast::runtime
