// The updater that is updated: its successor on trial, under the eyes of the one before.
//
// Purpose:  a new updater that cannot run, hangs, or does not judge itself well does not strand the
//           device: who started it is there, and takes it back.
// Method:   the old one lets go of the journal and runs the new one as its child, which carries out
//           the proof, and either commits or takes back. If it ends without having decided, or does
//           not in time, the old one goes on from the journal: that counts as a cut of the proof,
//           of which there may be a few.
// Threads:  one; blocks.
#pragma once

#include <filesystem>
#include <string>

#include "base/time.h"
#include "posix/service_manager.h"

namespace holdfast::updater {

/// Set for a successor on trial: it ends once it has decided.
inline constexpr const char* kTrialVariable = "HOLDFAST_TRIAL";

struct Successor {
  std::filesystem::path program;
  Duration within{};  ///< To decide.
};

enum class TrialEnd { decided, failed, stopped };

/// Runs it with this configuration. `stop_fd`: readable when we are to end.
[[nodiscard]] TrialEnd try_successor(const Successor& successor, const std::string& config,
                                     int stop_fd, const posix::ServiceManager& manager);

/// Another program than the one that runs here; false also where it cannot be told.
[[nodiscard]] bool is_another_program(const std::filesystem::path& program);

}  // namespace holdfast::updater
