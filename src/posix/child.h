// A program as a child process in a process group of its own, and all that it leaves behind.
//
// Threads:  one, with no other thread in the process: there is a fork(2) in it.
// Errors:   not_found and permission as execvp(3) has them; the message names the program.
// Sources:  execvp(3), setpgid(2), prctl(2): PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"

namespace holdfast::posix {

struct ChildPlan {
  std::vector<std::string> command;  ///< Looked for in $PATH.
  /// Replaces our own variables of these names. The value "$PID" stands for the child's.
  std::vector<std::pair<std::string, std::string>> variables = {};
  int output = -1;  ///< Its standard output; below 0: ours.
  int errors = -1;  ///< Its standard error; below 0: ours.
};

/// Whoever is left behind by a child, whatever it did to get away, becomes ours.
void adopt_orphans();

/// The new process. It gets no signal blocked or ignored, /dev/null in place of a terminal to read
/// from, and a SIGTERM when we are killed.
[[nodiscard]] Result<pid_t> start_child(const ChildPlan& plan);

/// Collects all that have ended. The exit code of `child`, or 128 and its signal, if it has.
[[nodiscard]] std::optional<int> reap(pid_t child);

/// Kills whatever is left of a child that has ended: its process group, and those that became ours.
/// True once nothing is left; those that get away by becoming ours later need another call.
[[nodiscard]] bool kill_left_behind(pid_t child);

}  // namespace holdfast::posix
