// Runs a program and sees to it that it goes on: behind `holdfast watch`.
//
// Purpose:  health::ProgramWatch decides; here are the process, its output, its heartbeats, its
// port,
//           the signals, and the word to the agent.
// Threads:  one, the only one of the process. It takes over the process: signals, orphans, and, at
//           the end, whatever is left of the program.
// Bounds:   4 KiB of output on its way; the program waits while ours is not read.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "health/program_watch.h"
#include "holdfast/result.h"
#include "posix/tcp_listener.h"

namespace holdfast::runtime {

using WatchRules = health::ProgramRules;
using LifeSign = health::LifeSign;

struct WatchOptions {
  std::vector<std::string> command;
  WatchRules rules = {};
  posix::TcpPlace port = {};     ///< Where it answers, if that is a sign of its life.
  std::filesystem::path socket;  ///< The agent's, which hears of it while it is there.
  std::string name;              ///< Of the heartbeat at the agent.
};

/// "8080", "127.0.0.1:8080", "[::1]:8080".
[[nodiscard]] Result<posix::TcpPlace> parse_watched_port(std::string_view text);

/// A heartbeat's name for a program: that of its file.
[[nodiscard]] std::string heartbeat_name_of(const std::string& program);

/// Returns when the program is not started again, with its exit code (128 and the signal that ended
/// it), or 126 and 127 where it cannot be run. `say` gets what happens, a line each.
[[nodiscard]] int watch_program(const WatchOptions& options,
                                const std::function<void(const std::string&)>& say);

}  // namespace holdfast::runtime
