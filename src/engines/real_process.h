// A program that a test starts and that ends with it, whatever becomes of the test. Test code only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace holdfast::engines::test {

/// A TCP port of 127.0.0.1 that nobody has at this moment.
[[nodiscard]] std::uint16_t free_port();

/// Where the program is: looked for in PATH and where system daemons are; empty: not installed.
[[nodiscard]] std::string find_program(std::string_view name);

/// A new private directory in the system's place for temporary files.
[[nodiscard]] std::filesystem::path make_directory();

class RealProcess {
 public:
  RealProcess() = default;
  ~RealProcess() { kill(); }
  RealProcess(const RealProcess&) = delete;
  RealProcess& operator=(const RealProcess&) = delete;

  /// Starts arguments[0] with these variables ("NAME=value") added to ours. What it says goes to
  /// the file `output`. Throws when it cannot.
  void start(const std::vector<std::string>& arguments, const std::vector<std::string>& variables,
             const std::filesystem::path& output);
  /// Waits until it has said these words since it was started. Throws, with the last it said, when
  /// it ended before or `limit` went by.
  void wait_for(std::string_view words, Duration limit) const;
  /// Waits for its end: its exit status, or -1 when it was killed or does not end in time.
  [[nodiscard]] int wait_for_end(Duration limit);
  /// Ends it at once, and waits until it is gone.
  void kill();
  /// Asks it to end, and kills it when it has not done so in time.
  void terminate(Duration limit);
  [[nodiscard]] std::string said() const;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  mutable pid_t pid_ = -1;
  std::filesystem::path output_;
};

}  // namespace holdfast::engines::test
