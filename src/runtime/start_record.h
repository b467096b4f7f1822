// The program's starts, in a file beside the outbox, and whether this one is in safe mode.
//
// Purpose:  health::CrashLoop decides; here are its file, its clock and its words.
// Threads:  stopped() and leave() from any; the rest the program's own.
// Errors:   a record that cannot be read or written is logged: then a crash loop is not noticed.
// Disk:     a disk that hangs holds up a start, as it does the outbox; it never holds up a stop,
// since
//           a thread of its own writes then and may be left behind.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/time.h"
#include "env/clock.h"
#include "health/crash_loop.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "posix/unique_fd.h"
#include "runtime/patient_file.h"

namespace holdfast::runtime {

class StartRecord {
 public:
  explicit StartRecord(LogHandler log);

  /// A start, once the outbox directory is ours. After a crash loop, gives the reason in
  /// `config.safe_mode_reason`. If opening the outbox is what crashes, moves it aside.
  void started(Config& config);
  /// The outbox is open.
  void opened();
  /// This run ends in order, whatever comes now.
  void stopped();

  /// Safe mode is over: stop the device and open it anew.
  [[nodiscard]] bool look();
  /// How long look() has nothing to say, in poll(2)'s milliseconds; -1: until wake_fd() is
  /// readable.
  [[nodiscard]] int patience_ms() const;
  [[nodiscard]] int wake_fd() const noexcept { return wake_.get(); }
  /// Somebody wants it to be over.
  void leave();

 private:
  /// With mutex_ held: what the run before has left.
  [[nodiscard]] std::string text_before(const Config& config);
  [[nodiscard]] std::string text_now() const;
  void move_outbox_aside(Config& config);
  void keep(std::string text, Milliseconds patience);

  LogHandler log_;
  posix::UniqueFd wake_;
  std::unique_ptr<env::Clock> clock_;
  std::string boot_id_;
  mutable std::mutex mutex_;
  std::optional<health::CrashLoop> loop_;  // from started() on
  bool leave_ = false;
  PatientFile file_;
};

}  // namespace holdfast::runtime
