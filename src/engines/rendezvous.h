// A private meeting point inside the process: where a library connects instead of a network.
//
// Purpose:  a library can only dial. It dials a Unix socket in a fresh directory that only we may
//           enter, and the accepted end is ours. The path goes through a directory descriptor, so
//           that its length never matters, and is removed as soon as the two have met. No path is
//           used twice: a library that dials late must not meet the wrong attempt.
// Threads:  loop thread; nothing here waits.
// Errors:   io, permission, no_space with the path; protocol when a stranger knocked first.
#pragma once

#include <string>

#include "holdfast/result.h"
#include "posix/unique_fd.h"

namespace holdfast::engines {

class Rendezvous {
 public:
  /// Listens under RUNTIME_DIRECTORY, XDG_RUNTIME_DIR, /run or /tmp, whichever works first.
  [[nodiscard]] static Result<Rendezvous> open();

  Rendezvous(Rendezvous&& other) noexcept;
  Rendezvous& operator=(Rendezvous&&) = delete;
  ~Rendezvous();

  /// What to connect to: "/proc/self/fd/N/M".
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Readable when somebody has connected.
  [[nodiscard]] int listener() const noexcept { return listener_.get(); }

  /// The other end, after a connect to path() has succeeded; non-blocking. Connections of other
  /// processes are closed unread.
  [[nodiscard]] Result<posix::UniqueFd> accept();

 private:
  Rendezvous() = default;
  [[nodiscard]] static Result<Rendezvous> open_under(const std::string& parent);
  void remove() noexcept;

  std::string directory_;  ///< Empty once removed.
  std::string name_;       ///< Of the socket in it.
  std::string path_;
  posix::UniqueFd directory_fd_;
  posix::UniqueFd listener_;
};

}  // namespace holdfast::engines
