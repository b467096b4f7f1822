// A simulated fleet returns to its first endpoint: does it keep to that one's connect quota?
//
//   return_sim [--devices N] [--quota N] [--failing PERCENT] [--seed N] [--seeds COUNT] [--jobs J]
//
// Prints a row for each seed. Exit: 0 no second had more than the quota and all are back, 1 not so,
// 2 wrong option.
#include "sim/return_fleet.h"

#include <cinttypes>
#include <cstdio>
#include <mutex>

#include "sim/campaign.h"

namespace {

using namespace holdfast::sim;

struct Options : CampaignOptions {
  std::uint64_t devices = 100'000;
  std::uint64_t quota = 3000;
  std::uint64_t failing = 0;
};

CommandLine command_line(Options& options) {
  CommandLine line("return_sim", options);
  line.add_number("--devices", options.devices, "how many (default 100000)", 1, 2'000'000);
  line.add_number("--quota", options.quota, "connects a second (default 3000)", 1, 1'000'000);
  line.add_number("--failing", options.failing, "so many of a hundred returns fail (default 0)", 0,
                  90);
  return line;
}

class Campaign {
 public:
  explicit Campaign(const Options& options) : options_(options), tasks_(options, 1) {
    std::printf("%8s %9s %7s %8s %8s %9s %7s %7s\n", "seed", "devices", "quota", "worst/s",
                "of quota", "all back", "away", "probes");
  }

  void work() {
    while (const auto task = tasks_.next()) one(task->seed);
  }

  [[nodiscard]] int report() const { return good_ ? 0 : 1; }

 private:
  void one(std::uint64_t seed) {
    const ReturnResult result =
        run_return({options_.devices, static_cast<std::uint32_t>(options_.quota), seed,
                    static_cast<std::uint32_t>(options_.failing)});
    const std::lock_guard lock(mutex_);
    std::printf("%8" PRIu64 " %9" PRIu64 " %7" PRIu64 " %8" PRIu32 " %8.2f %7.0f s %7zu %7.1f\n",
                seed, options_.devices, options_.quota, result.worst, result.pressure,
                result.back_s, result.away, result.probes);
    std::fflush(stdout);
    good_ = good_ && result.pressure <= 1 && result.away == 0;
  }

  const Options& options_;
  Tasks tasks_;
  std::mutex mutex_;
  bool good_ = true;
};

}  // namespace

int main(int argc, char** argv) {
  return run_campaign<Campaign, Options>(argc, argv, [] {});
}
