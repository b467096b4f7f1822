// The client's side of the local API, for the command line and for tests.
//
// Purpose:  lines out, lines in, over one Unix socket, with a poll that can watch one more
//           descriptor, such as standard input. Never blocks but in pump() and receive().
// Threads:  one at a time.
// Errors:   not_found, closed, permission, io from connect(); closed when the agent has ended the
//           connection; timeout from receive().
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "holdfast/types.h"
#include "posix/unique_fd.h"

namespace holdfast::runtime {

class LocalClient {
 public:
  /// The message names the path and what to do.
  [[nodiscard]] static Result<LocalClient> connect(const std::filesystem::path& path);

  /// Queues whole lines, each with its newline; pump() sends them.
  void send(std::string_view lines);
  [[nodiscard]] std::size_t unsent() const noexcept { return output_.size() - sent_; }

  /// For whoever waits in another way, and then pumps with a timeout of 0.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// Waits until something can be sent or received, or `also` is readable, or the time is over
  /// (negative: for ever); then sends and receives what goes at once. True when `also` is readable.
  [[nodiscard]] Result<bool> pump(Milliseconds timeout, int also = -1);

  /// The next line received, without its newline. What came before the end can still be read after
  /// pump() has reported it.
  [[nodiscard]] std::optional<std::string> next_line();

  /// pump() until there is a line.
  [[nodiscard]] Result<std::string> receive(Milliseconds timeout);

 private:
  explicit LocalClient(posix::UniqueFd fd) : fd_(std::move(fd)) {}
  Status send_some();
  Status receive_some();

  posix::UniqueFd fd_;
  std::string output_;
  std::size_t sent_ = 0;
  std::string input_;
  std::size_t taken_ = 0;
};

}  // namespace holdfast::runtime
