// Simulated crashes of the outbox: every named workload, cut at every operation of its disk.
//
//   crash_sim [--workload NAME|all] [--seed N] [--seeds COUNT | --minutes M] [--jobs J]
//             [--images K] [--again-every K] [--spoil] [--image N] [--list]
//
// Prints a table of totals and, for each workload that failed, what was wrong and the command that
// repeats it. Exit: 0 nothing wrong, 1 something was, 2 wrong option.
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "sim/campaign.h"
#include "sim/crash_explorer.h"

namespace {

using namespace holdfast::sim;

struct Options : CampaignOptions {
  std::string workload = "all";
  std::uint64_t minutes = 0;
  CrashBudget budget;
};

CommandLine command_line(Options& options) {
  CommandLine line("crash_sim", options);
  line.add_choice("--workload", options.workload, names_of(outbox_workloads()));
  line.add_number("--minutes", options.minutes, "as many seeds as fit in this time instead");
  line.add_number("--images", options.budget.images, "images of each operation (default 16)", 1);
  line.add_number("--again-every", options.budget.again_every,
                  "crash every so many recoveries in turn (default 1: all)", 1);
  line.add_flag("--spoil", options.budget.spoil,
                "cuts spoil pages that were being written, each commit has its own pages");
  line.add_number("--image", options.budget.only, "only this one, as a failure names it");
  return line;
}

/// Hands out pairs of workload and seed, and sums up.
class Campaign {
 public:
  explicit Campaign(const Options& options)
      : options_(options),
        chosen_(chosen_of(outbox_workloads(), options.workload)),
        tasks_(options, chosen_.size(), options.minutes) {}

  void work() {
    while (const auto task = tasks_.next()) {
      const Workload& workload = *chosen_[task->choice];
      const CrashTotals totals = explore(workload, task->seed, options_.budget);
      const std::lock_guard lock(mutex_);
      by_name_[workload.name].add(totals);
      last_seed_ = std::max(last_seed_, task->seed);
    }
  }

  int report() const {
    std::printf("%-16s %6s %10s", "workload", "runs", "operations");
    for (std::size_t k = 0; k < kCrashKinds; ++k) {
      std::printf(" %10s", std::string(to_string(static_cast<CrashKind>(k))).c_str());
    }
    std::printf(" %7s\n", "failed");
    CrashTotals sum;
    for (const Workload* workload : chosen_) {
      const auto found = by_name_.find(workload->name);
      if (found == by_name_.end()) continue;
      row(std::string(workload->name), found->second);
      sum.add(found->second);
    }
    row("all", sum);
    for (const auto& [name, totals] : by_name_) {
      if (totals.failed > 0) {
        std::printf("FAILED %s: %s\n", std::string(name).c_str(), totals.first.c_str());
      }
    }
    const auto none = std::find(sum.crashes.begin(), sum.crashes.end(), 0U);
    const bool vain = none != sum.crashes.end() && options_.budget.only == 0;
    if (vain) std::printf("FAILED: a kind of crash was never tried\n");
    std::printf("crash_sim: %llu simulated crashes, %llu wrong, seeds %llu..%llu\n",
                static_cast<unsigned long long>(sum.all()),
                static_cast<unsigned long long>(sum.failed),
                static_cast<unsigned long long>(options_.seed),
                static_cast<unsigned long long>(last_seed_));
    return sum.failed > 0 || vain ? 1 : 0;
  }

 private:
  static void row(const std::string& name, const CrashTotals& t) {
    std::printf("%-16s %6llu %10llu", name.c_str(), static_cast<unsigned long long>(t.runs),
                static_cast<unsigned long long>(t.operations));
    for (const std::uint64_t n : t.crashes) {
      std::printf(" %10llu", static_cast<unsigned long long>(n));
    }
    std::printf(" %7llu\n", static_cast<unsigned long long>(t.failed));
  }

  const Options& options_;
  std::vector<const Workload*> chosen_;
  Tasks tasks_;
  std::mutex mutex_;
  std::map<std::string_view, CrashTotals> by_name_;
  std::uint64_t last_seed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  return run_campaign<Campaign, Options>(argc, argv, [] { list(outbox_workloads()); });
}
