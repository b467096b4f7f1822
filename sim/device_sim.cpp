// Simulated devices: the real core and outbox on virtual time, in a world full of faults.
//
//   device_sim [--scenario NAME|all] [--seed N] [--seeds COUNT | --minutes M] [--hours H]
//              [--jobs J] [--trace] [--hashes] [--list]
//
// Prints what was injected and what was checked; for a failure the checker, the time, and the
// command that repeats it. Exit: 0 nothing wrong, 1 something was, or a kind of fault or a checker
// was never used, 2 wrong option.
#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <mutex>
#include <string>

#include "sim/campaign.h"
#include "sim/device_scenarios.h"
#include "sim/device_world.h"

namespace {

using namespace holdfast::sim;
using Clock = std::chrono::steady_clock;

/// Fewer runs, or shorter ones, may miss a kind of fault by chance; so many whole ones must not.
constexpr std::uint64_t kRunsForAll = 60;
constexpr std::size_t kFailuresShown = 10;

struct Options : CampaignOptions {
  std::string scenario = "all";
  std::uint64_t minutes = 0;
  std::uint64_t hours = 0;
  bool trace = false;
  bool hashes = false;
};

CommandLine command_line(Options& options) {
  CommandLine line("device_sim", options);
  line.add_choice("--scenario", options.scenario, names_of(device_scenarios()));
  line.add_number("--minutes", options.minutes, "as many seeds as fit in this time instead");
  line.add_number("--hours", options.hours, "simulated hours of a run (default: the scenario's)");
  line.add_flag("--trace", options.trace, "print all that happens");
  line.add_flag("--hashes", options.hashes, "print the trace hash of each run");
  return line;
}

class Campaign {
 public:
  explicit Campaign(const Options& options)
      : options_(options),
        begin_(Clock::now()),
        chosen_(chosen_of(device_scenarios(), options.scenario)),
        tasks_(options, chosen_.size(), options.minutes) {}

  void work() {
    while (const auto task = tasks_.next()) one(*chosen_[task->choice], task->seed);
  }

  int report() const {
    counts("fault", sum_.faults, [](std::size_t i) { return to_string(static_cast<Fault>(i)); });
    counts("check", sum_.checks, [](std::size_t i) { return to_string(static_cast<Check>(i)); });
    bool vain = false;
    if (runs_ >= kRunsForAll && options_.hours == 0) {
      vain = std::count(sum_.faults.begin(), sum_.faults.end(), 0U) > 0 ||
             std::count(sum_.checks.begin(), sum_.checks.end(), 0U) > 0;
    }
    if (vain) std::printf("FAILED: a kind of fault was never injected, or a checker never ran\n");
    const double took = std::chrono::duration<double>(Clock::now() - begin_).count();
    const double days = static_cast<double>(lived_.count()) / 86400;
    std::uint64_t faults = 0;
    for (const std::uint64_t n : sum_.faults) faults += n;
    std::printf(
        "device_sim: %" PRIu64 " runs, %.1f device-days, %" PRIu64 " events (%.0f k/s), %" PRIu64
        " messages, %" PRIu64 " arrivals (%" PRIu64 " duplicates), %" PRIu64 " processes, %" PRIu64
        " faults, %" PRIu64 " failed, seeds %" PRIu64 "..%" PRIu64 "\n",
        runs_, days, sum_.events, static_cast<double>(sum_.events) / took / 1000, sum_.messages,
        sum_.arrivals, sum_.duplicates, sum_.processes, faults, failed_, options_.seed, last_seed_);
    return failed_ > 0 || vain ? 1 : 0;
  }

 private:
  void one(const DeviceScenario& scenario, std::uint64_t seed) {
    std::string command =
        "device_sim --scenario " + std::string(scenario.name) + " --seed " + std::to_string(seed);
    if (options_.hours > 0) command += " --hours " + std::to_string(options_.hours);
    set_under_way(command);
    DeviceWorld world(scenario, seed, options_.hours, options_.trace);
    const DeviceResult result = world.run();
    const std::lock_guard lock(mutex_);
    add(result);
    last_seed_ = std::max(last_seed_, seed);
    if (options_.hashes) {
      std::printf("%s seed %" PRIu64 " hash %016" PRIx64 "\n", std::string(scenario.name).c_str(),
                  seed, result.hash);
    }
    if (!result.failure || ++failed_ > kFailuresShown) return;
    std::printf("FAILED %s at %.6f s: %s\n  to repeat: %s --trace\n",
                std::string(to_string(result.failure->check)).c_str(),
                std::chrono::duration<double>(result.failed_at).count(),
                result.failure->what.c_str(), command.c_str());
  }

  void add(const DeviceResult& result) {
    ++runs_;
    lived_ += std::chrono::duration_cast<std::chrono::seconds>(result.lived);
    sum_.events += result.events;
    sum_.messages += result.messages;
    sum_.arrivals += result.arrivals;
    sum_.duplicates += result.duplicates;
    sum_.processes += result.processes;
    for (std::size_t i = 0; i < kDeviceFaults; ++i) sum_.faults[i] += result.faults[i];
    for (std::size_t i = 0; i < kDeviceChecks; ++i) sum_.checks[i] += result.checks[i];
  }

  template <typename Counts, typename Name>
  static void counts(const char* what, const Counts& counts, const Name& name) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      std::printf("%s %-20s %12" PRIu64 "%s", what, std::string(name(i)).c_str(), counts[i],
                  i % 3 == 2 || i + 1 == counts.size() ? "\n" : "   ");
    }
  }

  const Options& options_;
  Clock::time_point begin_;
  std::vector<const DeviceScenario*> chosen_;
  Tasks tasks_;
  std::mutex mutex_;
  DeviceResult sum_;
  std::chrono::seconds lived_{};  ///< Of all; thirty lives of ten years are too many nanoseconds.
  std::uint64_t runs_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t last_seed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  return run_campaign<Campaign, Options>(argc, argv, [] { list(device_scenarios()); });
}
