// A simulated fleet comes back: ours beside the strategies of others, in the same run.
//
//   fleet_sim [--scenario NAME|all] [--strategy NAME|all] [--devices N] [--quota N] [--seed N]
//             [--seeds COUNT] [--jobs J] [--csv DIR] [--list]
//
// Prints a row for each scenario and strategy; --csv writes what was offered and accepted in each
// second. A million devices take about 2 GB of memory for each job. Exit: 0 done, 2 wrong option or
// a file that cannot be written.
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <string>

#include "sim/campaign.h"
#include "sim/fleet.h"

namespace {

using namespace holdfast::sim;

struct Options : CampaignOptions {
  std::string scenario = "all";
  std::string strategy = "all";
  std::uint64_t devices = 100'000;
  std::uint64_t quota = 3000;
  std::string csv;
};

CommandLine command_line(Options& options) {
  CommandLine line("fleet_sim", options);
  line.add_choice("--scenario", options.scenario, names_of(fleet_scenarios()));
  line.add_choice("--strategy", options.strategy, names_of(fleet_strategies()));
  line.add_number("--devices", options.devices, "how many (default 100000)", 100, 2'000'000);
  line.add_number("--quota", options.quota, "connects a second that are accepted (default 3000)", 1,
                  1'000'000);
  line.add_text("--csv", options.csv, "a directory for what each second had");
  return line;
}

class Campaign {
 public:
  explicit Campaign(const Options& options)
      : options_(options),
        scenarios_(chosen_of(fleet_scenarios(), options.scenario)),
        strategies_(chosen_of(fleet_strategies(), options.strategy)),
        tasks_(options, scenarios_.size() * strategies_.size()) {
    std::printf("%" PRIu64 " devices, %" PRIu64 " connects a second: at least %.0f s\n",
                options.devices, options.quota,
                static_cast<double>(options.devices) / static_cast<double>(options.quota));
    std::printf("%-8s %-17s %9s %10s %10s %9s %9s %9s\n", "scenario", "strategy", "99% after",
                "of minimum", "worst/s", "pressure", "its worst", "attempts");
  }

  void work() {
    while (const auto task = tasks_.next()) {
      one(*scenarios_[task->choice / strategies_.size()],
          *strategies_[task->choice % strategies_.size()], task->seed);
    }
  }

  [[nodiscard]] int report() const { return unwritten_ ? 2 : 0; }

 private:
  void one(const FleetScenario& scenario, const Strategy& strategy, std::uint64_t seed) {
    set_under_way("fleet_sim --scenario " + std::string(scenario.name) + " --seed " +
                  std::to_string(seed));
    const FleetResult result =
        run_fleet(scenario, strategy, {options_.devices, options_.quota, seed});
    const std::lock_guard lock(mutex_);
    std::printf("%-8s %-17s %7.0f s %10.2f %10" PRIu32 " %9.2f %9.2f %9.1f\n",
                std::string(scenario.name).c_str(), std::string(strategy.name).c_str(),
                result.back_s, result.back_s / result.minimum_s, result.worst, result.pressure,
                result.worst_pressure, result.attempts);
    std::fflush(stdout);
    if (!options_.csv.empty()) write(scenario, strategy, result);
  }

  void write(const FleetScenario& scenario, const Strategy& strategy, const FleetResult& result) {
    const std::string path =
        options_.csv + '/' + std::string(scenario.name) + '-' + std::string(strategy.name) + ".csv";
    std::ofstream file(path);
    for (std::size_t i = 0; i < result.offered.size(); ++i) {
      file << i << ',' << result.offered[i] << ',' << result.accepted[i] << '\n';
    }
    if (file.flush()) return;
    std::fprintf(stderr, "fleet_sim: cannot write %s\n", path.c_str());
    unwritten_ = true;
  }

  const Options& options_;
  std::vector<const FleetScenario*> scenarios_;
  std::vector<const Strategy*> strategies_;
  Tasks tasks_;
  std::mutex mutex_;
  bool unwritten_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  return run_campaign<Campaign, Options>(argc, argv, [] {
    list(fleet_scenarios());
    list(fleet_strategies());
  });
}
