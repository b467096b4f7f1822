// Simulated crashes of the outbox: every named workload, cut at every operation of its disk.
//
//   crash_sim [--workload NAME|all] [--seed N] [--seeds COUNT | --minutes M] [--jobs J]
//             [--images K] [--again-every K] [--image N] [--list]
//
// Prints a table of totals and, for each workload that failed, what was wrong and the command that
// repeats it. Exit: 0 nothing wrong, 1 something was, 2 wrong option.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "sim/crash_explorer.h"

namespace {

using namespace holdfast::sim;
using Clock = std::chrono::steady_clock;

constexpr unsigned kJobsMax = 64;

struct Options {
  std::string workload = "all";
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::uint64_t minutes = 0;
  std::uint64_t jobs = 1;
  CrashBudget budget;
  bool list = false;
};

const char* const kUsage =
    "crash_sim [--workload NAME|all] [--seed N] [--seeds COUNT | --minutes M] [--jobs J]\n"
    "          [--images K] [--again-every K] [--image N] [--list]\n"
    "  --workload  which; --list names them (default: all)\n"
    "  --seed      the first seed (default 1); the same seed does the same\n"
    "  --seeds     how many seeds, one after the other (default 1)\n"
    "  --minutes   as many seeds as fit in this time instead\n"
    "  --jobs      how many at once (default 1)\n"
    "  --images    images of each operation (default 16)\n"
    "  --again-every  crash every so many recoveries in turn (default 1: all)\n"
    "  --image     only this one, as a failure names it\n";

bool parse_number(const char* text, std::uint64_t& out) {
  char* end = nullptr;
  out = std::strtoull(text, &end, 10);
  return end != text && *end == '\0';
}

/// 0 go on, else the exit code plus one.
int parse(int argc, char** argv, Options& options) {
  std::uint64_t images = options.budget.images;
  const std::map<std::string, std::uint64_t*> numbers{
      {"--seed", &options.seed},
      {"--seeds", &options.seeds},
      {"--minutes", &options.minutes},
      {"--jobs", &options.jobs},
      {"--image", &options.budget.only},
      {"--images", &images},
      {"--again-every", &options.budget.again_every}};
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto number = numbers.find(name);
    if (name == "--help" || name == "-h") return std::fputs(kUsage, stdout), 1;
    if (name == "--list") {
      options.list = true;
    } else if (i + 1 == argc || (number == numbers.end() && name != "--workload")) {
      std::fprintf(stderr, "crash_sim: %s: see crash_sim --help\n", name.c_str());
      return 3;
    } else if (name == "--workload") {
      options.workload = argv[++i];
    } else if (!parse_number(argv[++i], *number->second)) {
      std::fprintf(stderr, "crash_sim: %s needs a number\n", name.c_str());
      return 3;
    }
  }
  options.budget.images = static_cast<std::size_t>(images);
  if (options.workload != "all" && find_workload(options.workload) == nullptr) {
    std::fprintf(stderr, "crash_sim: no workload %s: see crash_sim --list\n",
                 options.workload.c_str());
    return 3;
  }
  if (options.jobs == 0 || options.jobs > kJobsMax || images == 0 ||
      options.budget.again_every == 0) {
    std::fprintf(stderr, "crash_sim: --jobs is 1 to %u, --images and --again-every at least 1\n",
                 kJobsMax);
    return 3;
  }
  return 0;
}

void on_abort(int) {
  std::fprintf(stderr, "aborted; to repeat: %s\n", crash_under_way());
  std::fflush(stdout);
}

/// Hands out pairs of workload and seed, and sums up.
class Campaign {
 public:
  explicit Campaign(const Options& options)
      : options_(options), end_(Clock::now() + std::chrono::minutes(options.minutes)) {
    for (const Workload& w : outbox_workloads()) {
      if (options.workload == "all" || options.workload == w.name) chosen_.push_back(&w);
    }
  }

  void work() {
    for (;;) {
      const std::uint64_t task = next_++;
      const std::uint64_t seed = task / chosen_.size();
      if (options_.minutes == 0 ? seed >= options_.seeds : seed > 0 && Clock::now() >= end_) return;
      const Workload& workload = *chosen_[task % chosen_.size()];
      const CrashTotals totals = explore(workload, options_.seed + seed, options_.budget);
      const std::lock_guard lock(mutex_);
      by_name_[workload.name].add(totals);
      last_seed_ = std::max(last_seed_, options_.seed + seed);
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
  Clock::time_point end_;
  std::vector<const Workload*> chosen_;
  std::atomic<std::uint64_t> next_{0};
  std::mutex mutex_;
  std::map<std::string_view, CrashTotals> by_name_;
  std::uint64_t last_seed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const int stop = parse(argc, argv, options); stop != 0) return stop - 1;
  if (options.list) {
    for (const Workload& w : outbox_workloads()) {
      std::printf("%-16s %s\n", std::string(w.name).c_str(), std::string(w.what).c_str());
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
