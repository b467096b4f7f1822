// Why the machine was started, in a file beside the outbox, and what its end will have been.
//
// Purpose:  health::BootRecord decides; here are its file, its evidence and its words.
// Threads:  note(), forget_note() and stopped() from any; the rest the program's own.
// Errors:   a record that cannot be read or written is logged: then the reason is not known.
// Disk:     as in start_record.h: never holds up a stop.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "health/boot_record.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "runtime/patient_file.h"

namespace holdfast::runtime {

class BootKeeper {
 public:
  /// `root`: of the folders in which the machine shows how it was started.
  explicit BootKeeper(LogHandler log, std::filesystem::path root = "/");

  /// A start, once the outbox directory is ours. Gives the reason in `config.boot`.
  void started(Config& config);
  /// The machine is about to go down for this reason, or, after all, not.
  void note(BootReason reason, std::string_view detail);
  void forget_note();
  /// This run ends in order. Asks the service manager whether the machine goes down, too.
  void stopped();

 private:
  void keep(Milliseconds patience);

  LogHandler log_;
  std::filesystem::path root_;
  PatientFile file_;
  std::mutex mutex_;
  std::optional<health::BootRecord> record_;  // from started() on
};

/// "power_loss: the machine went down …"
[[nodiscard]] std::string boot_words(const BootState& boot);

/// The user property of the birth message that has the reason.
inline constexpr const char* kBootProperty = "hf-boot";

/// Adds the reason to the birth message, as a user property of MQTT 5.
void stamp_birth(Config& config);

}  // namespace holdfast::runtime
