// Simulated damage to the outbox: every bit, length and sector of a segment, one at a time.
//
//   damage_sim [--case NAME|all] [--seed N] [--seeds COUNT] [--every K] [--damage N] [--jobs J]
//              [--list]
//
// Prints a table of totals and, for each kind of damage that failed, what was wrong and the command
// that repeats it. Exit: 0 nothing wrong, 1 something was, 2 wrong option.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "sim/damage_explorer.h"

namespace {

using namespace holdfast::sim;

constexpr unsigned kJobsMax = 64;
constexpr std::uint64_t kParts = 8;  // of one case and seed, to share among threads

struct Options {
  std::string chosen = "all";
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::uint64_t jobs = 1;
  DamageBudget budget;
  bool list = false;
};

const char* const kUsage =
    "damage_sim [--case NAME|all] [--seed N] [--seeds COUNT] [--every K] [--damage N] [--jobs J]\n"
    "           [--list]\n"
    "  --case    which; --list names them (default: all)\n"
    "  --seed    the first seed (default 1); the same seed does the same\n"
    "  --seeds   how many seeds (default 1)\n"
    "  --every   only each Kth bit and length, and fewer swaps (default 1: all)\n"
    "  --damage  only this one, as a failure names it\n"
    "  --jobs    how many at once (default 1)\n";

bool parse_number(const char* text, std::uint64_t& out) {
  char* end = nullptr;
  out = std::strtoull(text, &end, 10);
  return end != text && *end == '\0';
}

/// 0 go on, else the exit code plus one.
int parse(int argc, char** argv, Options& options) {
  const std::map<std::string, std::uint64_t*> numbers{{"--seed", &options.seed},
                                                      {"--seeds", &options.seeds},
                                                      {"--jobs", &options.jobs},
                                                      {"--every", &options.budget.every},
                                                      {"--damage", &options.budget.only}};
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto number = numbers.find(name);
    if (name == "--help" || name == "-h") return std::fputs(kUsage, stdout), 1;
    if (name == "--list") {
      options.list = true;
    } else if (i + 1 == argc || (number == numbers.end() && name != "--case")) {
      std::fprintf(stderr, "damage_sim: %s: see damage_sim --help\n", name.c_str());
      return 3;
    } else if (name == "--case") {
      options.chosen = argv[++i];
    } else if (!parse_number(argv[++i], *number->second)) {
      std::fprintf(stderr, "damage_sim: %s needs a number\n", name.c_str());
      return 3;
    }
  }
  if (options.chosen != "all" && find_damage_case(options.chosen) == nullptr) {
    std::fprintf(stderr, "damage_sim: no case %s: see damage_sim --list\n", options.chosen.c_str());
    return 3;
  }
  if (options.jobs == 0 || options.jobs > kJobsMax || options.budget.every == 0) {
    std::fprintf(stderr, "damage_sim: --jobs is 1 to %u, --every at least 1\n", kJobsMax);
    return 3;
  }
  return 0;
}

void on_abort(int) {
  std::fprintf(stderr, "aborted; to repeat: %s\n", damage_under_way());
  std::fflush(stdout);
}

/// Hands out parts of cases, and sums up.
class Campaign {
 public:
  explicit Campaign(const Options& options) : options_(options) {
    for (const DamageCase& c : damage_cases()) {
      if (options.chosen == "all" || options.chosen == c.name) chosen_.push_back(&c);
    }
  }

  void work() {
    const std::uint64_t parts = options_.budget.only != 0 ? 1 : kParts;
    for (;;) {
      const std::uint64_t task = next_++;
      const std::uint64_t seed = task / parts / chosen_.size();
      if (seed >= options_.seeds) return;
      const DamageCase& chosen = *chosen_[task / parts % chosen_.size()];
      DamageBudget budget = options_.budget;
      budget.part = task % parts;
      budget.parts = parts;
      const DamageTable table = explore_damage(chosen, options_.seed + seed, budget);
      const std::lock_guard lock(mutex_);
      for (std::size_t k = 0; k < kDamageKinds; ++k) by_name_[chosen.name][k].add(table[k]);
    }
  }

  int report() const {
    std::printf("%-10s %-10s %9s %9s %9s %7s %7s %9s %7s\n", "case", "damage", "tried", "missing",
                "corrupt", "torn", "tail", "sent again", "failed");
    DamageTable sum;
    for (const DamageCase* c : chosen_) {
      const auto found = by_name_.find(c->name);
      if (found == by_name_.end()) continue;
      for (std::size_t k = 0; k < kDamageKinds; ++k) {
        row(std::string(c->name), static_cast<DamageKind>(k), found->second[k]);
        sum[k].add(found->second[k]);
      }
    }
    DamageTotals all;
    bool vain = false;
    for (std::size_t k = 0; k < kDamageKinds; ++k) {
      row("all", static_cast<DamageKind>(k), sum[k]);
      vain = vain || (options_.budget.only == 0 && sum[k].missing == 0);
      all.add(sum[k]);
    }
    for (const auto& [name, table] : by_name_) {
      for (const DamageTotals& t : table) {
        if (t.failed == 0) continue;
        std::printf("FAILED %s: %s\n", std::string(name).c_str(), t.first.c_str());
      }
    }
    if (vain) std::printf("FAILED: a kind of damage never cost a message\n");
    std::printf(
        "damage_sim: %llu damages, %llu wrong; %llu messages missing, %llu of them at the end of "
        "the log, where nothing tells of them\n",
        static_cast<unsigned long long>(all.tried), static_cast<unsigned long long>(all.failed),
        static_cast<unsigned long long>(all.missing), static_cast<unsigned long long>(all.tail));
    return all.failed > 0 || vain ? 1 : 0;
  }

 private:
  static void row(const std::string& name, DamageKind kind, const DamageTotals& t) {
    std::printf("%-10s %-10s", name.c_str(), std::string(to_string(kind)).c_str());
    for (const std::uint64_t n : {t.tried, t.missing, t.corrupt}) {
      std::printf(" %9llu", static_cast<unsigned long long>(n));
    }
    std::printf(" %7llu %7llu %9llu %7llu\n", static_cast<unsigned long long>(t.torn),
                static_cast<unsigned long long>(t.tail), static_cast<unsigned long long>(t.back),
                static_cast<unsigned long long>(t.failed));
  }

  const Options& options_;
  std::vector<const DamageCase*> chosen_;
  std::atomic<std::uint64_t> next_{0};
  std::mutex mutex_;
  std::map<std::string_view, DamageTable> by_name_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const int stop = parse(argc, argv, options); stop != 0) return stop - 1;
  if (options.list) {
    for (const DamageCase& c : damage_cases()) {
      std::printf("%-10s %s\n", std::string(c.name).c_str(), std::string(c.what).c_str());
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
