#include "sim/crash_explorer.h"

#include <algorithm>
#include <numeric>

#include "sim/campaign.h"

namespace holdfast::sim {
namespace {

constexpr std::size_t kTornLengths = 2;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  SeededRandom random(a * 0x9E3779B97F4A7C15U + b);
  return random.next();
}

/// Which of `undecided` sectors and names survive: all subsets when there are few.
std::vector<std::vector<bool>> subsets(std::size_t undecided, std::size_t most, bool all_known,
                                       env::Random& random) {
  std::vector<std::vector<bool>> out;
  if (undecided < 16 && (std::size_t{1} << undecided) <= most) {
    for (std::size_t mask = 0; mask < std::size_t{1} << undecided; ++mask) {
      std::vector<bool> survives(undecided);
      for (std::size_t i = 0; i < undecided; ++i) survives[i] = (mask >> i & 1) != 0;
      out.push_back(std::move(survives));
    }
    return out;
  }
  if (all_known) {
    out.emplace_back(undecided, false);
    out.emplace_back(undecided, true);
  }
  while (out.size() < most) {
    std::vector<bool> survives(undecided);
    const std::size_t one = random.below(undecided);
    const std::uint64_t kind = random.below(6);
    for (std::size_t i = 0; i < undecided; ++i) {
      survives[i] = kind == 0   ? i == one
                    : kind == 1 ? i != one
                    : kind == 2 ? i < one
                    : kind == 3 ? i >= one
                                : random.below(2) == 0;
    }
    out.push_back(std::move(survives));
  }
  return out;
}

class Explorer {
 public:
  Explorer(const Workload& workload, std::uint64_t seed, const CrashBudget& budget)
      : workload_(workload),
        seed_(seed),
        budget_(budget),
        rig_(seed, workload.options()),
        image_random_(seed),
        inner_random_(seed) {}

  CrashTotals run() {
    rig_.options.always_pad = rig_.disk().spoils_pages = budget_.spoil;
    rig_.disk().before = [this](PowerCutDisk::Call call) -> std::optional<Error> {
      if (call <= PowerCutDisk::Call::sync_directory) at_operation(rig_.disk(), false);
      return std::nullopt;
    };
    note(0);
    workload_.run(rig_);
    if (!rig_.disk().is_down()) at_operation(rig_.disk(), false);
    rig_.disk().before = nullptr;
    rig_.disk().faults = {};
    if (rig_.wrong().empty()) rig_.drain();
    if (!rig_.wrong().empty()) found_wrong(rig_.wrong() + ", in the workload itself", 0);
    totals_.runs = 1;
    return totals_;
  }

 private:
  void note(std::uint64_t image) const {
    set_under_way("crash_sim --workload " + std::string(workload_.name) + " --seed " +
                  std::to_string(seed_) + (budget_.spoil ? " --spoil" : "") + " --image " +
                  std::to_string(image));
  }

  void found_wrong(const std::string& what, std::uint64_t image) {
    note(image);
    if (totals_.failed++ == 0) totals_.first = what + "\n    " + under_way();
  }

  void count(CrashKind kind) { ++totals_.crashes[static_cast<std::size_t>(kind)]; }

  /// Images of a disk that is about to carry out an operation; `again`: of a recovery.
  void at_operation(const PowerCutDisk& disk, bool again) {
    if (disk.is_down()) return;
    if (!again) ++totals_.operations;
    const std::size_t write = disk.under_way();
    cuts(disk, 0, again ? CrashKind::again : CrashKind::cut, again);
    for (std::size_t i = 0; write > 0 && i < (again ? 1 : kTornLengths); ++i) {
      const std::size_t written = 1 + random_for(again).below(write);
      cuts(disk, written, again ? CrashKind::again : CrashKind::torn, again);
    }
  }

  void cuts(const PowerCutDisk& disk, std::size_t written, CrashKind kind, bool again) {
    env::Random& random = random_for(again);
    const auto base = disk.image(random, written);
    const std::size_t most = again ? budget_.again : budget_.images;
    for (const auto& survives : subsets(base->undecided(), most, !again, random)) {
      const std::uint64_t number = again ? inner() : ++images_;
      if (skipped(again)) continue;
      auto image = base->image(random);
      image->cut(survives);
      try_image(std::move(image), kind, number, true, again);
    }
    const std::uint64_t number = again ? inner() : ++images_;
    if (skipped(again)) return;
    auto image = base->image(random);
    image->kill();
    try_image(std::move(image), again ? CrashKind::again : CrashKind::kill, number, false, again);
  }

  // What is chosen within one image does not depend on what was tried before it.
  env::Random& random_for(bool again) { return again ? inner_random_ : image_random_; }
  std::uint64_t inner() { return images_ * 1000 + ++inner_; }
  [[nodiscard]] bool skipped(bool again) const {
    if (again) return false;  // within one that is not
    return budget_.only != 0 ? images_ != budget_.only : false;
  }

  void try_image(std::unique_ptr<PowerCutDisk> image, CrashKind kind, std::uint64_t number,
                 bool reboot, bool again) {
    if (!again) note(images_);
    count(kind);
    OutboxRig twin(mix(seed_, number), rig_, std::move(image));
    if (reboot) {
      twin.clock.reboot();
    } else {
      twin.clock.pass(std::chrono::seconds(1));
    }
    if (!again && images_ % budget_.again_every == 0) {
      inner_ = 0;
      inner_random_ = SeededRandom(mix(number, seed_));
      twin.disk().before = [this, &twin](PowerCutDisk::Call call) -> std::optional<Error> {
        if (call <= PowerCutDisk::Call::sync_directory) at_operation(twin.disk(), true);
        return std::nullopt;
      };
    }
    twin.open();
    twin.disk().before = nullptr;
    if (twin.wrong().empty() && (number + images_) % budget_.on_every == 0) work_on(twin);
    if (!twin.wrong().empty()) {
      found_wrong(twin.wrong() + ", after " + std::string(to_string(kind)), images_);
    }
  }

  // What an opening found is decided: it must be found again, whatever comes next.
  void work_on(OutboxRig& twin) {
    twin.crash(twin.random.below(3) == 0);
    count(CrashKind::afterwards);
    if (!twin.open()) return;
    for (int i = 0; i < 3; ++i) twin.put(0, twin.random.below(700));
    twin.settle(2, false);
    twin.commit();
    twin.put(0, 100);
    twin.settle(1, false);
    twin.crash(twin.random.below(2) == 0);
    count(CrashKind::afterwards);
    twin.open();
    if (twin.wrong().empty()) twin.drain();
  }

  const Workload& workload_;
  std::uint64_t seed_;
  CrashBudget budget_;
  OutboxRig rig_;
  SeededRandom image_random_;
  SeededRandom inner_random_;
  CrashTotals totals_;
  std::uint64_t images_ = 0;
  std::uint64_t inner_ = 0;
};

}  // namespace

std::string_view to_string(CrashKind kind) {
  constexpr std::array<std::string_view, kCrashKinds> kNames{"cut", "torn", "kill", "again",
                                                             "afterwards"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::uint64_t CrashTotals::all() const {
  return std::accumulate(crashes.begin(), crashes.end(), std::uint64_t{0});
}

void CrashTotals::add(const CrashTotals& other) {
  runs += other.runs;
  operations += other.operations;
  for (std::size_t i = 0; i < kCrashKinds; ++i) crashes[i] += other.crashes[i];
  if (failed == 0) first = other.first;
  failed += other.failed;
}

CrashTotals explore(const Workload& workload, std::uint64_t seed, const CrashBudget& budget) {
  return Explorer(workload, seed, budget).run();
}

}  // namespace holdfast::sim
