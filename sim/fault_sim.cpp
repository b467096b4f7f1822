// Simulated faults of the outbox's disk: every named workload, each call of its disk failing.
//
//   fault_sim [--workload NAME|all] [--fault KIND|all] [--seed N] [--seeds COUNT] [--every K]
//             [--call N] [--jobs J] [--list]
//
// Prints a table of totals and, for each workload that failed, what was wrong and the command that
// repeats it. Exit: 0 nothing wrong, 1 something was, 2 wrong option.
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "sim/campaign.h"
#include "sim/fault_explorer.h"

namespace {

using namespace holdfast::sim;

struct Options : CampaignOptions {
  std::string workload = "all";
  std::string fault = "all";
  FaultBudget budget;
};

std::vector<std::string> fault_names() {
  std::vector<std::string> names;
  for (std::size_t k = 0; k < kFaultKinds; ++k) {
    names.emplace_back(to_string(static_cast<FaultKind>(k)));
  }
  return names;
}

std::vector<FaultKind> chosen_kinds(std::string_view name) {
  std::vector<FaultKind> kinds;
  for (std::size_t k = 0; k < kFaultKinds; ++k) {
    const auto kind = static_cast<FaultKind>(k);
    if (name == "all" || name == to_string(kind)) kinds.push_back(kind);
  }
  return kinds;
}

CommandLine command_line(Options& options) {
  CommandLine line("fault_sim", options);
  line.add_choice("--workload", options.workload, names_of(outbox_workloads()));
  line.add_choice("--fault", options.fault, fault_names());
  line.add_number("--every", options.budget.every, "only at each Kth call (default 1: all)", 1);
  line.add_number("--call", options.budget.only, "only at this call, as a failure names it");
  return line;
}

/// Hands out workloads, seeds and kinds, and sums up by kind.
class Campaign {
 public:
  explicit Campaign(const Options& options)
      : options_(options),
        workloads_(chosen_of(outbox_workloads(), options.workload)),
        kinds_(chosen_kinds(options.fault)),
        tasks_(options, workloads_.size() * kinds_.size()) {}

  void work() {
    while (const auto task = tasks_.next()) {
      const FaultKind kind = kinds_[task->choice % kinds_.size()];
      const Workload& workload = *workloads_[task->choice / kinds_.size()];
      const FaultTotals totals = explore_faults(workload, task->seed, kind, options_.budget);
      const std::lock_guard lock(mutex_);
      by_kind_[kind].add(totals);
      by_workload_[workload.name].add(totals);
    }
  }

  int report() const {
    header("workload");
    for (const Workload* w : workloads_) row(w->name, by_workload_.at(w->name));
    header("fault");
    FaultTotals all;
    bool vain = false;
    for (const FaultKind kind : kinds_) {
      row(to_string(kind), by_kind_.at(kind));
      vain = vain || (options_.budget.only == 0 && by_kind_.at(kind).struck == 0);
      all.add(by_kind_.at(kind));
    }
    row("all", all);
    for (const auto& [kind, totals] : by_kind_) {
      if (totals.failed == 0) continue;
      std::printf("FAILED %s: %s\n", std::string(to_string(kind)).c_str(), totals.first.c_str());
    }
    if (vain) std::printf("FAILED: a kind of fault never came\n");
    std::printf("fault_sim: %llu runs, %llu wrong; %llu messages promised and kept\n",
                static_cast<unsigned long long>(all.struck),
                static_cast<unsigned long long>(all.failed),
                static_cast<unsigned long long>(all.promised));
    return all.failed > 0 || vain ? 1 : 0;
  }

 private:
  static void header(const char* first) {
    std::printf("%-16s %9s %9s %9s %9s %11s %7s\n", first, "runs", "struck", "refused", "degraded",
                "promised", "failed");
  }

  static void row(std::string_view name, const FaultTotals& t) {
    std::printf("%-16s", std::string(name).c_str());
    for (const std::uint64_t n : {t.runs, t.struck, t.refused, t.degraded}) {
      std::printf(" %9llu", static_cast<unsigned long long>(n));
    }
    std::printf(" %11llu %7llu\n", static_cast<unsigned long long>(t.promised),
                static_cast<unsigned long long>(t.failed));
  }

  const Options& options_;
  std::vector<const Workload*> workloads_;
  std::vector<FaultKind> kinds_;
  Tasks tasks_;
  std::mutex mutex_;
  std::map<FaultKind, FaultTotals> by_kind_;
  std::map<std::string_view, FaultTotals> by_workload_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_campaign<Campaign, Options>(argc, argv, [] {
    list(outbox_workloads());
    for (const std::string& name : fault_names()) std::printf("fault: %s\n", name.c_str());
  });
}
