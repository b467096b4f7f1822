// Why the machine was started: judged once in each boot, and kept as one small text that outlives
// it.
//
// Purpose:  who looks after a device from afar must know whether its power fails, its kernel
//           crashes, its watchdog bites, or somebody has just restarted it.
// Method:   what the machine shows (its watchdog's boot status, records of panics) against what the
//           run before has left: whether it was ended in order, and what it knew of the coming end.
//           A record of a panic counts once: those that there were before are remembered.
// Order:    a new panic says most. A noted end goes before the watchdog's word, since many boards
//           restart by means of their watchdog. An end without a word is a loss of power.
// Threads:  one at a time. The caller brings the evidence and keeps text() on disk: at the start,
//           at each note() and at the end.
// Damage:   a text that makes no sense counts as none: then nothing is known of earlier boots.
// Sources:  Linux's Documentation/watchdog/watchdog-api.rst (boot status), Documentation/
//           admin-guide/ramoops.rst and ABI/testing/pstore (records).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/types.h"

namespace holdfast::health {

/// Records of panics that are looked at, and remembered.
inline constexpr std::size_t kPanicsMax = 32;
inline constexpr std::size_t kPanicNameMax = 160;
inline constexpr std::size_t kBootDetailMax = 256;
/// text() is no longer than this.
inline constexpr std::size_t kBootTextMax = 8192;

/// A record that a kernel has left of its panic.
struct PanicRecord {
  std::string name;   ///< Tells it from others: its path and when it was written.
  std::string words;  ///< Of the panic, as in "Attempted to kill init!"; empty: not found in it.
};

/// What the machine shows of how it was started.
struct BootEvidence {
  std::string boot_id;          ///< In hexadecimal digits.
  bool watchdog_reset = false;  ///< A watchdog's boot status says so, and the following, too.
  bool overheat_reset = false;  ///< ... it was too hot.
  bool power_bad = false;       ///< ... the supply's voltage was too low or too high.
  std::string watchdog = {};    ///< The name of that watchdog.
  std::vector<PanicRecord> panics = {};
};

class BootRecord {
 public:
  /// A start: `text` is what an earlier run has left (empty: nothing).
  BootRecord(std::string_view text, const BootEvidence& evidence);

  [[nodiscard]] const BootState& state() const noexcept { return state_; }
  /// The text that was given made no sense.
  [[nodiscard]] bool damaged() const noexcept { return damaged_; }

  /// The machine is about to go down, for this reason. The first note counts, but for the words of
  /// `command`, which any other reason replaces.
  void note(BootReason reason, std::string_view detail);
  /// It is not, after all.
  void forget_note() { note_ = {}; }

  /// This run ends in order; from now on text() says so.
  void end() { open_ = false; }

  [[nodiscard]] std::string text() const;

 private:
  struct Note {
    BootReason reason = BootReason::unknown;  ///< unknown: there is none.
    std::string detail;
  };
  struct Before {
    std::string boot_id;
    bool open = false;  ///< It was not ended in order.
    BootReason reason = BootReason::unknown;
    std::string detail;
    Note note;
    std::vector<std::string> panics;  ///< Names of those that were there.
  };

  [[nodiscard]] bool read(std::string_view text, Before& before);
  [[nodiscard]] bool read_line(std::string_view line, Before& before);
  void judge(const Before& before, const BootEvidence& evidence, bool known);

  BootState state_;
  std::vector<std::string> panics_;
  Note note_;
  bool open_ = true;
  bool damaged_ = false;
};

}  // namespace holdfast::health
