// Simulated want of memory: every named workload, each allocation of the outbox failing.
//
//   alloc_sim [--workload NAME|all] [--seed N] [--seeds COUNT] [--every K] [--allocation N]
//             [--jobs J] [--list]
//
// The outbox lets std::bad_alloc through, and that ends the process. So each attempt runs a
// workload until its nth allocation inside the outbox fails, destroys the outbox, which must not
// crash, and goes on as after a kill, or each fourth time as after a power cut: the store must open
// and be all that crash_sim demands. Openings and recoveries are part of the workloads.
//
// Prints a table of totals and, for each workload that failed, what was wrong and the command that
// repeats it. Exit: 0 nothing wrong, 1 something was, 2 wrong option.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <string>

#include "sim/campaign.h"
#include "sim/outbox_workloads.h"

namespace {

using namespace holdfast;
using namespace holdfast::sim;

/// The allocations of this thread that count.
struct Allocations {
  bool counted = false;  ///< The outbox is running, and not the disk below it.
  std::uint64_t number = 0;
  std::uint64_t fails_at = 0;  ///< 0: none does.
  bool failed = false;
};
thread_local Allocations allocations;

}  // namespace

// Not inlined, for a compiler that sees malloc() and delete meet takes that for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations.counted && ++allocations.number == allocations.fails_at) {
    allocations.failed = true;
    throw std::bad_alloc();
  }
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

/// As the library's own, which a sanitizer would replace by one that does not fit the others.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

constexpr std::uint64_t kCutEvery = 4;  // the other attempts end in a kill

/// What the simulated disk allocates stands for the system's memory, not the process's.
class Uncounted {
 public:
  Uncounted() : before_(allocations.counted) { allocations.counted = false; }
  ~Uncounted() { allocations.counted = before_; }
  Uncounted(const Uncounted&) = delete;
  Uncounted& operator=(const Uncounted&) = delete;

 private:
  bool before_;
};

class UncountedFile final : public env::File {
 public:
  explicit UncountedFile(std::unique_ptr<env::File> file) : file_(std::move(file)) {}
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    const Uncounted uncounted;
    return file_->read_at(offset, out);
  }
  Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const Uncounted uncounted;
    return file_->write_at(offset, bytes);
  }
  Status sync() override {
    const Uncounted uncounted;
    return file_->sync();
  }
  Result<std::uint64_t> size() override {
    const Uncounted uncounted;
    return file_->size();
  }

 private:
  std::unique_ptr<env::File> file_;
};

class UncountedDisk final : public env::Disk {
 public:
  explicit UncountedDisk(env::Disk& disk) : disk_(disk) {}
  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override {
    const Uncounted uncounted;
    auto file = disk_.open(name, mode);
    if (!file) return file;
    return std::unique_ptr<env::File>(std::make_unique<UncountedFile>(std::move(file).value()));
  }
  Result<std::vector<std::string>> list() override {
    const Uncounted uncounted;
    return disk_.list();
  }
  Status remove(std::string_view name) override {
    const Uncounted uncounted;
    return disk_.remove(name);
  }
  Status rename(std::string_view from, std::string_view to) override {
    const Uncounted uncounted;
    return disk_.rename(from, to);
  }
  Status sync_directory() override {
    const Uncounted uncounted;
    return disk_.sync_directory();
  }
  Status lock() override {
    const Uncounted uncounted;
    return disk_.lock();
  }
  Result<std::uint64_t> free_bytes() override {
    const Uncounted uncounted;
    return disk_.free_bytes();
  }

 private:
  env::Disk& disk_;
};

struct Totals {
  std::uint64_t allocations = 0;  ///< Of all undisturbed runs.
  std::uint64_t failures = 0;
  std::uint64_t went_on = 0;  ///< Attempts that did without the memory.
  std::uint64_t promised = 0;
  std::uint64_t failed = 0;
  std::string first;

  void add(const Totals& other) {
    allocations += other.allocations;
    failures += other.failures;
    went_on += other.went_on;
    promised += other.promised;
    if (failed == 0) first = other.first;
    failed += other.failed;
  }
};

/// Runs the workload with its `at`th allocation failing; returns how many there were.
std::uint64_t attempt(const Workload& workload, std::uint64_t seed, std::uint64_t at,
                      Totals& totals) {
  set_under_way("alloc_sim --workload " + std::string(workload.name) + " --seed " +
                std::to_string(seed) + " --allocation " + std::to_string(at));
  OutboxRig rig(seed, workload.options());
  UncountedDisk disk(rig.disk());
  rig.below = &disk;
  rig.entering = [](bool enters) { allocations.counted = enters; };
  allocations = {.fails_at = at};
  bool ended = false;
  try {
    workload.run(rig);
  } catch (const std::bad_alloc&) {
    ended = true;
  }
  const Allocations made = allocations;
  allocations = {};
  rig.entering = nullptr;
  rig.disk().faults = {};
  if (ended) {
    rig.crash(at % kCutEvery != 0);
    rig.open();
  }
  if (rig.wrong().empty()) rig.drain();
  if (made.failed) {
    ++totals.failures;
    totals.went_on += ended ? 0U : 1U;
    for (const Known& k : rig.model().known) totals.promised += k.promised ? 1U : 0U;
  }
  if (!rig.wrong().empty() && totals.failed++ == 0) {
    totals.first = rig.wrong() + "\n    " + under_way();
  }
  return made.number;
}

struct Options : CampaignOptions {
  std::string workload = "all";
  std::uint64_t every = 1;
  std::uint64_t only = 0;
};

CommandLine command_line(Options& options) {
  CommandLine line("alloc_sim", options);
  line.add_choice("--workload", options.workload, names_of(outbox_workloads()));
  line.add_number("--every", options.every, "only each Kth allocation (default 1: all)", 1);
  line.add_number("--allocation", options.only, "only this one, as a failure names it");
  return line;
}

Totals explore(const Workload& workload, std::uint64_t seed, const Options& options) {
  Totals totals;
  if (options.only != 0) {
    attempt(workload, seed, options.only, totals);
    return totals;
  }
  totals.allocations = attempt(workload, seed, 0, totals);
  const std::uint64_t first = 1 + seed % options.every;
  for (std::uint64_t at = first; at <= totals.allocations; at += options.every) {
    attempt(workload, seed, at, totals);
  }
  return totals;
}

/// Hands out pairs of workload and seed, and sums up.
class Campaign {
 public:
  explicit Campaign(const Options& options)
      : options_(options),
        chosen_(chosen_of(outbox_workloads(), options.workload)),
        tasks_(options, chosen_.size()) {}

  void work() {
    while (const auto task = tasks_.next()) {
      const Workload& workload = *chosen_[task->choice];
      const Totals totals = explore(workload, task->seed, options_);
      const std::lock_guard lock(mutex_);
      by_name_[workload.name].add(totals);
    }
  }

  int report() const {
    std::printf("%-18s %12s %9s %9s %11s %7s\n", "workload", "allocations", "failures", "went on",
                "promised", "failed");
    Totals all;
    bool vain = false;
    for (const auto& [name, totals] : by_name_) {
      row(name, totals);
      all.add(totals);
      vain = vain || totals.failures == 0;
    }
    row("all", all);
    for (const auto& [name, totals] : by_name_) {
      if (totals.failed == 0) continue;
      std::printf("FAILED %s: %s\n", std::string(name).c_str(), totals.first.c_str());
    }
    if (vain) std::printf("FAILED: in a workload no allocation failed\n");
    std::printf("alloc_sim: %llu failed allocations, %llu wrong\n",
                static_cast<unsigned long long>(all.failures),
                static_cast<unsigned long long>(all.failed));
    return all.failed > 0 || vain ? 1 : 0;
  }

 private:
  static void row(std::string_view name, const Totals& t) {
    std::printf(
        "%-18s %12llu %9llu %9llu %11llu %7llu\n", std::string(name).c_str(),
        static_cast<unsigned long long>(t.allocations), static_cast<unsigned long long>(t.failures),
        static_cast<unsigned long long>(t.went_on), static_cast<unsigned long long>(t.promised),
        static_cast<unsigned long long>(t.failed));
  }

  const Options& options_;
  std::vector<const Workload*> chosen_;
  Tasks tasks_;
  std::mutex mutex_;
  std::map<std::string_view, Totals> by_name_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_campaign<Campaign, Options>(argc, argv, [] { list(outbox_workloads()); });
}
