// A mosquitto of our own for a benchmark: on loopback, on a free port, gone at the end.
//
// Threads:   one thread at a time.
// Ownership: the Broker owns the process and its directory of temporary files; both end with it.
// Errors:    a benchmark cannot go on without its broker, so failures print a line and exit(2).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace holdfast::bench {

/// A directory under $TMPDIR (or the system's own) that is removed with all it holds.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// A port of 127.0.0.1 that nobody listens on at this moment.
[[nodiscard]] std::uint16_t free_port();

class Broker {
 public:
  /// Starts mosquitto on `port` and returns once it accepts connections.
  explicit Broker(std::uint16_t port);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

 private:
  TemporaryDirectory directory_;
  pid_t pid_ = -1;
};

/// Prints "bench: WORDS" and exits with code 2.
[[noreturn]] void fail(const std::string& words);

}  // namespace holdfast::bench
