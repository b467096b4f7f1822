// A device is given jobs, and cut at each instant of each, and at each pair of instants.
//
//   update_sim [--case NAME] [--every N] [--seed N] [--seeds COUNT] [--jobs J] [--list]
//
// Prints a row for each case and seed. Exit: 0 every run was as it must be, 1 not so, 2 wrong
// option.
#include "sim/update_world.h"

#include <cinttypes>
#include <cstdio>
#include <mutex>

#include "sim/campaign.h"

namespace {

using namespace holdfast::sim;

struct Options : CampaignOptions {
  std::string which = "all";
  std::uint64_t every = 1;
};

CommandLine command_line(Options& options) {
  CommandLine line("update_sim", options);
  line.add_choice("--case", options.which, names_of(update_cases()));
  line.add_number("--every", options.every,
                  "of the second cuts of a pair, each so manieth (default 1)", 1, 1000);
  return line;
}

class Campaign {
 public:
  explicit Campaign(const Options& options)
      : options_(options),
        chosen_(chosen_of(update_cases(), options.which)),
        tasks_(options, chosen_.size()) {
    std::printf("%-16s %6s %9s %9s %9s %9s\n", "case", "seed", "instants", "runs", "cuts", "wrong");
  }

  void work() {
    while (const auto task = tasks_.next()) one(*chosen_[task->choice], task->seed);
  }

  [[nodiscard]] int report() const {
    std::printf("%" PRIu64 " runs, %" PRIu64 " cuts, %" PRIu64 " wrong\n", runs_, cuts_, wrong_);
    return wrong_ == 0 && cuts_ > 0 ? 0 : 1;
  }

 private:
  struct Sum {
    std::uint64_t runs = 0;
    std::uint64_t cuts = 0;
    std::uint64_t wrong = 0;
  };

  void run(const UpdateCase& what, const UpdateFaults& faults, Sum& sum) {
    const UpdateResult result = run_update(what, faults);
    ++sum.runs;
    sum.cuts += result.cuts;
    if (result.wrong.empty()) return;
    ++sum.wrong;
    const std::lock_guard lock(mutex_);
    std::printf("%s, seed %" PRIu64 ": %s; cut", std::string(what.name).c_str(), faults.seed,
                result.wrong.c_str());
    for (const auto& cut : faults.cuts) {
      std::printf(" at %" PRIu64 " (%s)", cut.instant, cut.power ? "power" : "process");
    }
    if (faults.give_up_at) std::printf(", given up at %" PRIu64, *faults.give_up_at);
    std::printf("\n");
  }

  void one(const UpdateCase& what, std::uint64_t seed) {
    const std::uint64_t instants = run_update(what, {{}, {}, seed}).instants;
    Sum sum;
    for (std::uint64_t at = 0; at < instants; ++at) {
      for (const bool power : {true, false}) {
        run(what, {{{at, power}}, {}, seed}, sum);
        run(what, {{{at, power}}, at, seed}, sum);
        run(what, {{{at, power}}, at + 2, seed}, sum);
        for (std::uint64_t then = at + 1; then <= instants + 8; then += options_.every) {
          run(what, {{{at, power}, {then, (then + seed) % 2 == 0}}, {}, seed}, sum);
        }
      }
    }
    const std::lock_guard lock(mutex_);
    std::printf("%-16s %6" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "\n",
                std::string(what.name).c_str(), seed, instants, sum.runs, sum.cuts, sum.wrong);
    std::fflush(stdout);
    runs_ += sum.runs;
    cuts_ += sum.cuts;
    wrong_ += sum.wrong;
  }

  const Options& options_;
  std::vector<const UpdateCase*> chosen_;
  Tasks tasks_;
  std::mutex mutex_;
  std::uint64_t runs_ = 0;
  std::uint64_t cuts_ = 0;
  std::uint64_t wrong_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  return run_campaign<Campaign, Options>(argc, argv, [] { list(update_cases()); });
}
