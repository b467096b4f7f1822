// Simulated damage to the outbox: every bit, length and sector of a segment, one at a time.
//
//   damage_sim [--case NAME|all] [--seed N] [--seeds COUNT] [--every K] [--damage N] [--jobs J]
//              [--list]
//
// Prints a table of totals and, for each kind of damage that failed, what was wrong and the command
// that repeats it. Exit: 0 nothing wrong, 1 something was, 2 wrong option.
#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "sim/campaign.h"
#include "sim/damage_explorer.h"

namespace {

using namespace holdfast::sim;

constexpr std::uint64_t kParts = 8;  // of one case and seed, to share among threads

struct Options : CampaignOptions {
  std::string chosen = "all";
  DamageBudget budget;
};

CommandLine command_line(Options& options) {
  CommandLine line("damage_sim", options);
  line.add_choice("--case", options.chosen, names_of(damage_cases()));
  line.add_number("--every", options.budget.every,
                  "only each Kth bit and length, and fewer swaps (default 1: all)", 1);
  line.add_number("--damage", options.budget.only, "only this one, as a failure names it");
  return line;
}

/// Hands out parts of cases, and sums up.
class Campaign {
 public:
  explicit Campaign(const Options& options)
      : options_(options),
        parts_(options.budget.only != 0 ? 1 : kParts),
        chosen_(chosen_of(damage_cases(), options.chosen)),
        tasks_(options, chosen_.size() * parts_) {}

  void work() {
    while (const auto task = tasks_.next()) {
      const DamageCase& chosen = *chosen_[task->choice / parts_];
      DamageBudget budget = options_.budget;
      budget.part = task->choice % parts_;
      budget.parts = parts_;
      const DamageTable table = explore_damage(chosen, task->seed, budget);
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
  std::uint64_t parts_;
  std::vector<const DamageCase*> chosen_;
  Tasks tasks_;
  std::mutex mutex_;
  std::map<std::string_view, DamageTable> by_name_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_campaign<Campaign, Options>(argc, argv, [] { list(damage_cases()); });
}
