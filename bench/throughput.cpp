// How fast are durable messages PUBACKed, against bare libmosquitto from memory in the same run?
//
// Method: QoS 1, MQTT 5, plain TCP on loopback, the same payload and window for both; repeats of
// the rivals take turns, so that a busy machine is busy for both; medians, and the median of the
// ratios. Rates on loopback are the broker's as much as the client's: read the CPU, too.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "bench/bare.h"
#include "bench/broker.h"
#include "bench/ours.h"

namespace holdfast::bench {
namespace {

struct Options {
  std::size_t messages = 200'000;
  std::size_t ones = 500;
  std::size_t repeats = 5;
  std::size_t payload = 256;
  std::uint16_t window = 100;
  bool json = false;
};

Options parse(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--json") {
      options.json = true;
      continue;
    }
    const std::size_t value = i + 1 < count ? std::strtoul(words[i + 1], nullptr, 10) : 0;
    if (value == 0) fail("usage: throughput [--messages N] [--ones N] [--repeats N] [--json]");
    if (word == "--messages") options.messages = value;
    if (word == "--ones") options.ones = value;
    if (word == "--repeats") options.repeats = value;
    ++i;
  }
  return options;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// Everything measured, by name: one value per repeat.
using Figures = std::map<std::string, std::vector<double>>;

void note(Figures& figures, const std::string& who, const Cost& cost, std::size_t messages) {
  const auto count = static_cast<double>(messages);
  figures[who + "_per_second"].push_back(count / cost.seconds);
  figures[who + "_cpu_us_per_message"].push_back(1e6 * cost.cpu_seconds / count);
}

void repeat(Figures& figures, const Options& options, std::size_t number) {
  constexpr Seconds kPatience(300);
  Load load{free_port(), options.messages, options.payload, options.window};
  Cost bare;
  {
    const Broker broker(load.port);
    bare = run_bare(load);
  }
  note(figures, "bare", bare, load.messages);
  for (const auto& [name, mode] :
       {std::pair{"drain", Mode::drain}, std::pair{"live", Mode::live}}) {
    load.port = free_port();
    const Cost ours = run_ours(load, mode, kPatience);
    note(figures, name, ours, load.messages);
    figures[std::string(name) + "_ratio"].push_back(bare.seconds / ours.seconds);
    std::fprintf(stderr, "repeat %zu/%zu: bare %.2f s, %s %.2f s\n", number, options.repeats,
                 bare.seconds, name, ours.seconds);
  }
  const Load ones{free_port(), options.ones, options.payload, options.window};
  const Cost each = run_ours(ones, Mode::one, kPatience);
  figures["one_us"].push_back(1e6 * each.seconds / static_cast<double>(ones.messages));
}

void print(const Figures& figures, bool json) {
  std::printf(json ? "{" : "");
  const char* between = "";
  for (const auto& [name, values] : figures) {
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    if (json) {
      std::printf("%s\"%s\": [%.4g, %.4g, %.4g]", between, name.c_str(), median(values), *low,
                  *high);
    } else {
      std::printf("%-28s %10.4g  [%.4g … %.4g]\n", name.c_str(), median(values), *low, *high);
    }
    between = ", ";
  }
  std::printf(json ? "}\n" : "");
}

}  // namespace
}  // namespace holdfast::bench

int main(int count, char** words) {
  using namespace holdfast::bench;
  const Options options = parse(count, words);
  Figures figures;
  for (std::size_t number = 1; number <= options.repeats; ++number) {
    repeat(figures, options, number);
  }
  print(figures, options.json);
  return 0;
}
