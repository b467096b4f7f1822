// What an outbox must hold, kept beside it, and the checks against it.
//
// Purpose:  one judge for all simulated crashes: nothing promised is lost, nothing is forged,
//           renumbered, out of order or back from the dead, and every message is counted exactly
//           once and under the right heading.
// Threads:  one thread at a time.
// Errors:   a check gives one sentence about the first thing that is wrong, or an empty string.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "outbox/outbox.h"

namespace holdfast::sim {

/// What is known of one message that was put.
struct Known {
  MessageId id = 0;
  std::shared_ptr<const StoredMessage> message;
  std::shared_ptr<const std::string> lane;  ///< By name; the configuration may change.
  bool committed = false;        ///< Accepted: promised, fetched, or found by an opening.
  bool promised = false;         ///< commit() said so.
  bool lost = false;             ///< commit() said that it could not be saved.
  bool given_up = false;         ///< Put into a lane that was full and drops the newest.
  bool settled = false;          ///< At least in RAM.
  bool settled_durably = false;  ///< A commit succeeded after it was settled.
  bool undecided = false;        ///< So or not, an opening that could not read all cannot tell.
  bool delivered = false;        ///< Else dropped, for the reason:
  DropReason reason = DropReason::expired;
};

/// What an opening found: the ids by position in Model::known.
struct Found {
  std::vector<bool> there;
  /// Given up while it was being fetched, or in the call that the crash cut short.
  std::vector<std::optional<DropReason>> dropped;
  std::uint64_t pending = 0;
  std::uint64_t unread = 0;  ///< Waiting, but the disk would not give them now.
};

class Model {
 public:
  /// Failing: calls fail, so duplicates of what was only found may appear, and what waits may be
  /// unreadable for now. Healed: they did, and no longer do.
  enum class World { intact, failing, healed };

  std::vector<Known> known;  ///< Ids ascend.
  std::vector<outbox::LaneOptions> lanes;

  [[nodiscard]] Known* find(MessageId id);
  [[nodiscard]] const Known* find(MessageId id) const;
  [[nodiscard]] MessageId last_id() const { return known.empty() ? 0 : known.back().id; }
  /// Of the lane it was put in; none when that is no longer configured.
  [[nodiscard]] LaneRules rules_of(const Known& k) const;
  /// Whether the store may give it up for this reason by itself.
  [[nodiscard]] bool allows(const Known& k, DropReason reason) const;
  /// Whether it waits (or is about to), for all that is known.
  [[nodiscard]] static bool waits(const Known& k) { return !k.settled && !k.lost && !k.given_up; }
  /// Whether one may take the other's place, in a lane that conflates.
  [[nodiscard]] static bool same_key(const Known& a, const Known& b);

  /// Takes everything out of a store just opened and judges it. Nothing is settled.
  [[nodiscard]] std::string judge(outbox::Outbox& box, const outbox::RecoveryReport& report,
                                  World world, Found& found) const;
  /// What the opening decided is the truth from now on. Gives how many unpromised messages it
  /// brought.
  std::uint64_t absorb(const Found& found);

 private:
  [[nodiscard]] std::string judge_message(const StoredMessage& m, LaneIndex lane, World world,
                                          std::vector<MessageId>& last, Found& found) const;
  [[nodiscard]] std::string take_out(outbox::Outbox& box, World world, Found& found) const;
  [[nodiscard]] std::string judge_dropped(const std::vector<std::pair<MessageId, DropReason>>& all,
                                          World world, Found& found) const;
  void ask_fates(outbox::Outbox& box, World world, Found& found) const;
  [[nodiscard]] std::string judge_superseded(World world, const Found& found) const;
  [[nodiscard]] std::optional<DropReason> dropped_as(const Known& k, const Fate& fate) const;
  [[nodiscard]] std::string judge_missing(World world, const Found& found) const;
  [[nodiscard]] Ledger count(World world, const Found& found) const;
  [[nodiscard]] std::string judge_ledger(const Ledger& ledger, World world,
                                         const Found& found) const;
};

/// Whether two messages are the same but for what the outbox gives (id, stamp, lane).
[[nodiscard]] bool same_content(const StoredMessage& a, const StoredMessage& b);

}  // namespace holdfast::sim
