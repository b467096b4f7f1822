// One turn of the storage: what the store is asked for, when that is due, and how it is done.
//
// Purpose:  the storage thread of the runtime and the simulation run the same code; only who
//           sleeps, and on which clock, is theirs.
// Method:   a turn takes all commands that have come: put and settle; one commit, which covers them
//           all; then fetch, so that what was just committed can be sent at once.
// Threads:  plain values, one thread at a time.
// Errors:   none of their own; what the store refuses becomes an event.
#pragma once

#include <variant>
#include <vector>

#include "base/time.h"
#include "device/core.h"
#include "device/events.h"
#include "holdfast/config.h"
#include "outbox/outbox.h"

namespace holdfast::device {

using StoreCommand =
    std::variant<StoreAppend, StoreFetch, StoreFetchParked, StorePark, StoreGiveBack, StoreSettle,
                 StoreEvict, StoreRules, StoreSync, StoreClose>;

/// Settlements are soft: alone they wait so long after the turn before, for company, instead of
/// taking a turn each. Anything else, or so many of them, takes its turn at once.
inline constexpr Duration kSettlePause = std::chrono::milliseconds(20);
inline constexpr std::size_t kSettleGroup = 256;

/// The commands that wait for their turn. Bounded by its callers: appends by the device's ingress
/// limits, the rest by messages in RAM.
class StoreQueue {
 public:
  /// True: the next turn may be due earlier than it was.
  bool push(StoreCommand command);
  /// All commands; none wait any more.
  [[nodiscard]] std::vector<StoreCommand> take();
  /// When the next turn is due: BootTime::min() for at once, kNever when there is nothing to do.
  /// `last_turn` is when the turn before ended, `store_due` the store's own next_due().
  [[nodiscard]] BootTime due(BootTime last_turn, BootTime store_due) const;

 private:
  std::vector<StoreCommand> commands_;
  bool urgent_ = false;  ///< They must not wait for kSettlePause.
};

/// By lane.
[[nodiscard]] std::vector<LaneRules> lane_rules(const Config& config);
/// The store's options as the configuration has them; keys are the caller's.
[[nodiscard]] outbox::Options store_options(const Config& config);

/// What the core must know of the opening. A store that could not be written to has not noted its
/// epoch: it may be given again, and counts as unknown.
[[nodiscard]] Opening opening_of(const outbox::RecoveryReport& report);

/// How the store stands.
[[nodiscard]] StoreReport store_report(const outbox::Outbox& outbox, std::size_t lanes);

struct StoreTurn {
  std::vector<Event> events;  ///< For the core, in order.
  bool closed = false;        ///< The store has been closed; no turn follows.
};

/// Carries out one turn. Blocks on the disk.
[[nodiscard]] StoreTurn take_store_turn(outbox::Outbox& outbox, std::size_t lanes,
                                        std::vector<StoreCommand> commands);

}  // namespace holdfast::device
