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

#include <array>
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
  /// New when the rule is, or was another one.
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
  static constexpr std::size_t kCopiesMax = 1024;   ///< Unacknowledged, of a direction.
  static constexpr std::size_t kAliasesMax = 1024;  ///< Of a direction.

 private:
  using Id = std::uint16_t;
  /// The packet that is looked at, on its way through the rules.
  struct Passing;
  /// A frame that goes on later. `to` has not seen it.
  struct Waiting {
    BootTime due;
    mqtt::Side to{};
    mqtt::Type type{};
    std::string frame;
    std::string rule;
    bool swapping = false;  ///< Goes on after the next of its type.
  };
  struct Closing {
    BootTime due;
    Disconnect how;
    std::string rule;
  };
  /// A PUBLISH that is sent again until its PUBACK comes.
  struct Redelivered {
    BootTime due;
    mqtt::Publish publish;
    std::size_t bytes = 0;
    std::string rule;
    Redeliver how;
    std::uint32_t sent = 0;
  };
  /// The acknowledgements that are to come for one packet id, in the order in which they come:
  /// those of copies, which stay here, around the one that the sender awaits.
  struct Expected {
    std::uint32_t before = 0;
    bool awaited = false;
    std::uint32_t after = 0;
  };
  /// The messages that go towards one side. Packet ids are those of their sender.
  struct Towards {
    bool ended = false;                 ///< We closed it, or it closed.
    std::map<Id, std::string> aliases;  ///< Topics, as the sender set them.
    std::map<Id, std::string> told;     ///< As they reached the receiver.
    std::map<Id, Redelivered> redelivered;
    std::map<Id, Id> copies;          ///< A copy's own packet id: the sender's.
    std::map<Id, Expected> expected;  ///< Where there are more than the sender's own.
  };

  [[nodiscard]] Towards& towards(mqtt::Side side) noexcept {
    return towards_[static_cast<std::size_t>(side)];
  }
  [[nodiscard]] bool counts(const Rule& rule, BootTime now);
  void learn(const Passing& passing);
  void learn_alias(Passing& passing);
  /// Whether an acknowledgement is that of a copy.
  [[nodiscard]] bool stays_here(Passing& passing);

  /// Each: whether the packet goes on to the next rule.
  bool apply(const Rule& rule, Passing& passing, mqtt::Wishes& out);
  bool apply_rate(const Rule& rule, const Rate& rate, Passing& passing, mqtt::Wishes& out);
  bool apply_wait(const Rule& rule, BootTime due, Passing& passing, mqtt::Wishes& out);
  bool apply_alter(const Rule& rule, const Alter& change, Passing& passing, mqtt::Wishes& out);
  bool apply_answer(const Rule& rule, const Answer& answer, Passing& passing, mqtt::Wishes& out);
  bool apply_disconnect(const Rule& rule, const Disconnect& how, Passing& passing,
                        mqtt::Wishes& out);
  bool apply_redeliver(const Rule& rule, const Redeliver& how, Passing& passing, mqtt::Wishes& out);

  void pass(Passing& passing, mqtt::Wishes& out);
  void mend_alias(Passing& passing);
  /// Its bytes when they go on later: what they mean then depends on no topic alias.
  [[nodiscard]] std::string standalone(const Passing& passing) const;
  void release_swapped(mqtt::Side to, mqtt::Type type, mqtt::Wishes& out);
  void release(const Waiting& waiting, mqtt::Wishes& out);
  void redeliver(BootTime now, mqtt::Side to, mqtt::Wishes& out);
  void end(const Disconnect& how, const std::string& rule, mqtt::Wishes& out);
  /// A packet id that neither the sender nor a copy uses, as far as is known here; 0: there is
  /// none.
  [[nodiscard]] static Id free_id(const Towards& messages);

  env::Random& random_;
  FaultCounters& shared_;
  FaultCounters own_;
  std::vector<Rule> rules_;
  std::vector<Waiting> waiting_;  ///< In the order in which they came.
  std::optional<Closing> closing_;
  std::array<Towards, 2> towards_;
  std::size_t held_ = 0;  ///< Bytes in waiting_ and redelivered.
  std::string client_id_;
  mqtt::Version version_ = mqtt::Version::v311;
};

}  // namespace holdfast::lab::fault
