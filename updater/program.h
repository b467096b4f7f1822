// One program of a job: both its outputs drained, its time bounded, all that it leaves behind
// ended.
//
// Purpose:  no child can hang a job: not one that prints more than a pipe holds, not one that never
//           ends, not one that goes on in the background, not one that makes ever more of its kind.
// Threads:  one, the only one of the process (posix/child.h). Never blocks.
// Errors:   of the start, as in posix/child.h.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"
#include "posix/unique_fd.h"

namespace holdfast::updater {

/// From the wish that it ends to its end by force.
inline constexpr Duration kKillAfter = std::chrono::seconds(10);
/// Of each output the end is kept.
inline constexpr std::size_t kTailMax = 1024;

class Program {
 public:
  struct Order {
    std::vector<std::string> argv;
    std::vector<std::pair<std::string, std::string>> variables = {};
    std::string user = {};  ///< To run as, by setpriv(1); empty: our own.
    Duration timeout{};
  };
  struct End {
    int code = 0;  ///< 128 and the signal that ended it.
    bool timed_out = false;
    bool stopped = false;           ///< By stop().
    std::string output;             ///< The end of it,
    std::string errors;             ///< and of its standard error,
    std::uint64_t error_lines = 0;  ///< of which there were so many lines.
    [[nodiscard]] bool good() const { return code == 0 && !timed_out && !stopped; }
    /// "exit code 3", "did not end within 60 s", for people.
    [[nodiscard]] std::string words() const;
  };

  [[nodiscard]] static Result<std::unique_ptr<Program>> start(const Order& order, BootTime now);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Reads what there is; its end, once it has ended and nothing of it is left.
  [[nodiscard]] std::optional<End> step(BootTime now);
  /// Asks it to end; later by force.
  void stop(BootTime now);
  /// What to wait for; -1: closed.
  [[nodiscard]] int output_fd() const { return output_.fd.get(); }
  [[nodiscard]] int errors_fd() const { return errors_.fd.get(); }

 private:
  struct Pipe {
    posix::UniqueFd fd;
    std::string tail;
    std::uint64_t lines = 0;
    bool in_line = false;
    void drain();
  };
  Program() = default;
  void terminate(BootTime now);

  pid_t child_ = -1;
  Pipe output_;
  Pipe errors_;
  Duration timeout_{};
  BootTime deadline_ = kNever;
  BootTime kill_at_ = kNever;
  std::optional<int> code_;
  bool timed_out_ = false;
  bool stopped_ = false;
};

/// For a program that has nothing else to do: runs another one, without questions, to its end.
/// Whoever runs us bounds its time. REQUIRES: posix::adopt_orphans().
[[nodiscard]] Program::End run_to_end(std::vector<std::string> argv);

}  // namespace holdfast::updater
