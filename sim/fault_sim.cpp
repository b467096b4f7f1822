// Simulated faults of the outbox's disk: every named workload, each call of its disk failing.
//
//   fault_sim [--workload NAME|all] [--fault KIND|all] [--seed N] [--seeds COUNT] [--every K]
//             [--call N] [--jobs J] [--list]
//
// Prints a table of totals and, for each workload that failed, what was wrong and the command that
// repeats it. Exit: 0 nothing wrong, 1 something was, 2 wrong option.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "sim/fault_explorer.h"

namespace {

using namespace holdfast::sim;

constexpr unsigned kJobsMax = 64;

struct Options {
  std::string workload = "all";
  std::string fault = "all";
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::uint64_t jobs = 1;
  FaultBudget budget;
  bool list = false;
};

const char* const kUsage =
    "fault_sim [--workload NAME|all] [--fault KIND|all] [--seed N] [--seeds COUNT] [--every K]\n"
    "          [--call N] [--jobs J] [--list]\n"
    "  --workload  which; --list names them (default: all)\n"
    "  --fault     which; --list names them (default: all)\n"
    "  --seed      the first seed (default 1); the same seed does the same\n"
    "  --seeds     how many seeds (default 1)\n"
    "  --every     only at each Kth call (default 1: all)\n"
    "  --call      only at this call, as a failure names it\n"
    "  --jobs      how many at once (default 1)\n";

bool parse_number(const char* text, std::uint64_t& out) {
  char* end = nullptr;
  out = std::strtoull(text, &end, 10);
  return end != text && *end == '\0';
}

bool known_fault(const std::string& name) {
  for (std::size_t k = 0; k < kFaultKinds; ++k) {
    if (to_string(static_cast<FaultKind>(k)) == name) return true;
  }
  return name == "all";
}

int refuse(const std::string& what) {
  std::fprintf(stderr, "fault_sim: %s: see fault_sim --help\n", what.c_str());
  return 3;
}

/// 0 go on, else the exit code plus one.
int parse(int argc, char** argv, Options& options) {
  const std::map<std::string, std::uint64_t*> numbers{{"--seed", &options.seed},
                                                      {"--seeds", &options.seeds},
                                                      {"--jobs", &options.jobs},
                                                      {"--every", &options.budget.every},
                                                      {"--call", &options.budget.only}};
  const std::map<std::string, std::string*> texts{{"--workload", &options.workload},
                                                  {"--fault", &options.fault}};
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto number = numbers.find(name);
    const auto text = texts.find(name);
    if (name == "--help" || name == "-h") return std::fputs(kUsage, stdout), 1;
    if (name == "--list") {
      options.list = true;
    } else if (i + 1 == argc || (number == numbers.end() && text == texts.end())) {
      return refuse(name);
    } else if (text != texts.end()) {
      *text->second = argv[++i];
    } else if (!parse_number(argv[++i], *number->second)) {
      return refuse(name + " needs a number");
    }
  }
  if (options.workload != "all" && find_workload(options.workload) == nullptr) {
    return refuse("no workload " + options.workload);
  }
  if (!known_fault(options.fault)) return refuse("no fault " + options.fault);
  if (options.jobs == 0 || options.jobs > kJobsMax || options.budget.every == 0) {
    return refuse("--jobs is 1 to " + std::to_string(kJobsMax) + ", --every at least 1");
  }
  return 0;
}

void on_abort(int) {
  std::fprintf(stderr, "aborted; to repeat: %s\n", fault_under_way());
  std::fflush(stdout);
}

/// Hands out workloads, seeds and kinds, and sums up by kind.
class Campaign {
 public:
  explicit Campaign(const Options& options) : options_(options) {
    for (const Workload& w : outbox_workloads()) {
      if (options.workload == "all" || options.workload == w.name) workloads_.push_back(&w);
    }
    for (std::size_t k = 0; k < kFaultKinds; ++k) {
      const auto kind = static_cast<FaultKind>(k);
      if (options.fault == "all" || options.fault == to_string(kind)) kinds_.push_back(kind);
    }
  }

  void work() {
    for (;;) {
      const std::uint64_t task = next_++;
      const std::uint64_t each = kinds_.size() * workloads_.size();
      if (task / each >= options_.seeds) return;
      const FaultKind kind = kinds_[task % kinds_.size()];
      const Workload& workload = *workloads_[task % each / kinds_.size()];
      const FaultTotals totals =
          explore_faults(workload, options_.seed + task / each, kind, options_.budget);
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
  std::atomic<std::uint64_t> next_{0};
  std::mutex mutex_;
  std::map<FaultKind, FaultTotals> by_kind_;
  std::map<std::string_view, FaultTotals> by_workload_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const int stop = parse(argc, argv, options); stop != 0) return stop - 1;
  if (options.list) {
    for (const Workload& w : outbox_workloads()) {
      std::printf("%-16s %s\n", std::string(w.name).c_str(), std::string(w.what).c_str());
    }
    for (std::size_t k = 0; k < kFaultKinds; ++k) {
      std::printf("fault: %s\n", std::string(to_string(static_cast<FaultKind>(k))).c_str());
    }
    return 0;
  }
  static_cast<void>(std::signal(SIGABRT, on_abort));
  Campaign campaign(options);
  std::vector<std::thread> others;
  for (std::uint64_t i = 1; i < options.jobs; ++i) {
    others.emplace_back([&campaign] { campaign.work(); });
  }
  campaign.work();
  for (std::thread& thread : others) thread.join();
  return campaign.report();
}
