#include "sim/fault_explorer.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "sim/campaign.h"

namespace holdfast::sim {
namespace {

using Call = PowerCutDisk::Call;

constexpr std::uint64_t kBurst = 8;
constexpr int kHealingTicks = 20;
constexpr Duration kHealingTick = std::chrono::seconds(10);  // the longest retry delay is 60 s

bool changes(Call call) { return call <= Call::sync_directory; }

bool grows(Call call) { return call == Call::write || call == Call::create; }

bool reads(Call call) {
  return call == Call::read || call == Call::open || call == Call::list || call == Call::size;
}

Error eio() { return Error{Errc::io, "input/output error", EIO}; }
Error enospc() { return Error{Errc::no_space, "no space left on device", ENOSPC}; }
Error erofs() { return Error{Errc::read_only, "read-only file system", EROFS}; }

/// What a call answers that is the `past`th since the fault began.
std::optional<Error> answer(FaultKind kind, Call call, std::uint64_t past, bool& spent) {
  switch (kind) {
    case FaultKind::once:
      return past == 0 ? std::optional(eio()) : std::nullopt;
    case FaultKind::no_space:
      if (spent || !grows(call)) return std::nullopt;
      spent = true;
      return enospc();
    case FaultKind::burst:
      return past < kBurst ? std::optional(eio()) : std::nullopt;
    case FaultKind::full:
      return grows(call) ? std::optional(enospc()) : std::nullopt;
    case FaultKind::read_only:
      return changes(call) ? std::optional(erofs()) : std::nullopt;
    case FaultKind::unwritable:
      return changes(call) ? std::optional(eio()) : std::nullopt;
    case FaultKind::unreadable:
      return reads(call) ? std::optional(eio()) : std::nullopt;
    case FaultKind::dead:
      return eio();
  }
  return std::nullopt;
}

/// While it lasts nothing at all can be accepted.
bool forbids_writing(FaultKind kind) {
  return kind == FaultKind::full || kind == FaultKind::read_only || kind == FaultKind::unwritable ||
         kind == FaultKind::dead;
}

class Attempt {
 public:
  Attempt(const Workload& workload, std::uint64_t seed, FaultKind kind, std::uint64_t at)
      : workload_(workload), kind_(kind), at_(at), rig_(seed, workload.options()) {
    rig_.world = Model::World::failing;
    rig_.disk().before = [this](Call call) { return told(call); };
  }

  void run(FaultTotals& totals) {
    workload_.run(rig_);
    if (rig_.up() && forbids_writing(kind_) && struck_) insist();
    rig_.disk().before = nullptr;
    rig_.disk().faults = {};
    rig_.world = Model::World::healed;
    totals.refused += rig_.box() == nullptr ? 1U : 0U;
    totals.degraded += rig_.box() != nullptr && rig_.box()->health() != StorageHealth::ok ? 1U : 0U;
    if (rig_.wrong().empty()) heal();
    if (rig_.up()) {
      rig_.crash(false);
      if (rig_.open()) rig_.drain();
    }
    if (rig_.wrong().empty() && !rig_.up()) rig_.fail("does not open after healing");
    const auto& known = rig_.model().known;
    totals.promised += static_cast<std::uint64_t>(
        std::count_if(known.begin(), known.end(), [](const Known& k) { return k.promised; }));
    totals.struck += struck_ ? 1U : 0U;
    ++totals.runs;
  }

  [[nodiscard]] const std::string& wrong() const { return rig_.wrong(); }
  [[nodiscard]] std::uint64_t calls() const { return calls_; }

 private:
  std::optional<Error> told(Call call) {
    const std::uint64_t number = ++calls_;
    if (at_ == 0 || number < at_) return std::nullopt;
    auto error = answer(kind_, call, number - at_, spent_);
    struck_ = struck_ || error.has_value();
    return error;
  }

  /// Nothing can be written: nothing is promised, and it is said.
  void insist() {
    rig_.put(0, 50);
    if (rig_.commit() && uncommitted()) rig_.fail("promised a message that could not be written");
    if (rig_.up() && rig_.box()->health() == StorageHealth::ok) {
      rig_.fail("says that all is well while nothing can be written");
    }
  }

  /// Whether the message just put was promised.
  [[nodiscard]] bool uncommitted() const {
    const auto& known = rig_.model().known;
    return !known.empty() && known.back().promised && known.back().message->payload.size() == 50;
  }

  void heal() {
    if (rig_.box() == nullptr) {
      rig_.disk().kill();
      if (!rig_.open()) return;
    }
    for (int i = 0; i < kHealingTicks && rig_.up() && (i == 0 || !well()); ++i) {
      rig_.tick(kHealingTick);
    }
    if (!rig_.up()) return;
    if (!well()) return rig_.fail("does not recover after healing");
    rig_.commit();  // tells of what could not be saved before
    if (!rig_.put(0, 50)) {
      if (rig_.box()->health() != StorageHealth::full) return rig_.fail("refuses after healing");
      drain_here();
      if (rig_.up() && !rig_.put(0, 50)) return rig_.fail("refuses although it was drained");
    }
    if (rig_.up() && !rig_.commit()) rig_.fail("commits nothing after healing");
  }

  void drain_here() {
    for (std::size_t lane = 0; lane < rig_.options.lanes.size(); ++lane) {
      rig_.fetch(static_cast<LaneIndex>(lane), 10'000);
    }
    rig_.settle(rig_.in_flight(), true);
    rig_.commit();
  }

  [[nodiscard]] bool well() {
    const StorageHealth health = rig_.box()->health();
    return health == StorageHealth::ok || health == StorageHealth::full;
  }

  const Workload& workload_;
  FaultKind kind_;
  std::uint64_t at_;
  OutboxRig rig_;
  std::uint64_t calls_ = 0;
  bool spent_ = false;
  bool struck_ = false;
};

void note(const Workload& workload, std::uint64_t seed, FaultKind kind, std::uint64_t at) {
  set_under_way("fault_sim --workload " + std::string(workload.name) + " --seed " +
                std::to_string(seed) + " --fault " + std::string(to_string(kind)) + " --call " +
                std::to_string(at));
}

}  // namespace

std::string_view to_string(FaultKind kind) {
  constexpr std::array<std::string_view, kFaultKinds> kNames{
      "once", "no-space", "burst", "full", "read-only", "unwritable", "unreadable", "dead"};
  return kNames[static_cast<std::size_t>(kind)];
}

void FaultTotals::add(const FaultTotals& other) {
  runs += other.runs;
  struck += other.struck;
  refused += other.refused;
  degraded += other.degraded;
  promised += other.promised;
  if (failed == 0) first = other.first;
  failed += other.failed;
}

FaultTotals explore_faults(const Workload& workload, std::uint64_t seed, FaultKind kind,
                           const FaultBudget& budget) {
  FaultTotals totals;
  const auto attempt = [&](std::uint64_t at) {
    note(workload, seed, kind, at);
    Attempt one(workload, seed, kind, at);
    one.run(totals);
    if (!one.wrong().empty() && totals.failed++ == 0) {
      totals.first = one.wrong() + "\n    " + under_way();
    }
    return one.calls();
  };
  if (budget.only != 0) {
    attempt(budget.only);
    return totals;
  }
  const std::uint64_t calls = attempt(0);
  const auto offset = (seed + static_cast<std::uint64_t>(kind)) % budget.every;
  for (std::uint64_t at = 1 + offset; at <= calls; at += budget.every) attempt(at);
  return totals;
}

}  // namespace holdfast::sim
