// The rules of the fault relay at work on one MQTT conversation.
//
// Purpose:  a Stage that drops, delays, alters, answers … what its rules match. What no rule
//           matches goes on byte for byte. Every rule applied is a note: its name, what it did, to
//           which packet.
// Rules:    can be replaced at any time; a rule that stays as it is keeps its counts. What a rule
//           still holds (hold, delay, reorder) is let through when that rule is gone, and what it
//           redelivers is no longer; what was dropped is gone.
// Memory:   at most kHeldMax bytes wait at a time; what does not fit goes on at once, with a note.
// Threads:  one at a time; FaultCounters is shared by the stages of one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "env/random.h"
#include "lab/fault/rule.h"
#include "lab/mqtt/packet.h"
#include "lab/mqtt/stage.h"

namespace holdfast::lab::fault {

/// How often a rule met what it matches.
struct RuleCount {
  Rule rule;
  std::uint64_t matched = 0;
  std::uint64_t applied = 0;
  double tokens = 0;  ///< Of a Rate.
  BootTime refilled{};
};

/// The counts of some rules, by their names.
class FaultCounters {
 public:
  /// Forgets the counts of rules that are not in `rules` as they were.
  void keep(const std::vector<Rule>& rules);
  /// REQUIRES: `rule` was in the last keep().
  [[nodiscard]] RuleCount& of(const Rule& rule);
  [[nodiscard]] const std::map<std::string, RuleCount, std::less<>>& all() const noexcept {
    return counts_;
  }

 private:
  std::map<std::string, RuleCount, std::less<>> counts_;
};

class MqttFaults : public mqtt::Stage {
 public:
  /// `random` and `shared`, which counts over all connections, outlive this.
  MqttFaults(env::Random& random, FaultCounters& shared) : random_(random), shared_(shared) {}

  /// Replaces the rules; call it once before the first frame, too. What is let through by that goes
  /// out with the next on_wake(), for which wake() asks at once.
  void set(BootTime now, std::vector<Rule> rules);

  void on_frame(BootTime now, mqtt::Side from, std::string_view frame, mqtt::Wishes& out) override;
  /// What was delayed for the other end still goes out before it is closed.
  void on_closed(BootTime now, mqtt::Side side, mqtt::Wishes& out) override;
  [[nodiscard]] BootTime wake() const override;
  void on_wake(BootTime now, mqtt::Wishes& out) override;

  /// Of the CONNECT; "" before.
  [[nodiscard]] const std::string& client_id() const noexcept { return client_id_; }
  [[nodiscard]] mqtt::Version version() const noexcept { return version_; }

  static constexpr std::size_t kHeldMax = std::size_t{1} << 20;
  static constexpr std::size_t kWaitingMax = 1024;  ///< Frames that wait, and closings.
  static constexpr std::size_t kRedeliveredMax = 1024;
  static constexpr std::size_t kAliasesMax = 1024;  ///< Of a direction.

 private:
  env::Random& random_;
  FaultCounters& shared_;
  std::vector<Rule> rules_;
  std::string client_id_;
  mqtt::Version version_ = mqtt::Version::v311;
};

}  // namespace holdfast::lab::fault
