// See fleet.h.
#include "sim/fleet.h"

#include <algorithm>
#include <memory>
#include <queue>
#include <utility>

#include "base/check.h"
#include "sim/seeded_random.h"

namespace holdfast::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kFastest = milliseconds(20);   ///< From an attempt to the endpoint's answer.
constexpr Duration kSlowest = milliseconds(200);  ///< The same.
constexpr Duration kNoAnswer = seconds(10);       ///< A device gives up on a silent endpoint.
constexpr Duration kNoticed = seconds(30);        ///< ... and notices within this that it is gone.
constexpr Duration kKicked = seconds(2);          ///< An accepted connection ends within this.
constexpr Duration kConnectedBefore = std::chrono::hours(1);
/// No strategy may keep a run alive for ever.
constexpr Duration kGiveUp = std::chrono::hours(24);

/// So many a second, with a second's worth in stock.
class Quota {
 public:
  explicit Quota(std::uint64_t per_second)
      : each_(Duration(seconds(1)) / static_cast<std::int64_t>(per_second)) {}

  [[nodiscard]] bool take(BootTime now) {
    free_at_ = std::max(free_at_, now - Duration(seconds(1)));
    if (free_at_ + each_ > now) return false;
    free_at_ += each_;
    return true;
  }

 private:
  Duration each_;
  BootTime free_at_;
};

class Fleet {
 public:
  Fleet(const FleetScenario& scenario, const Strategy& strategy, const FleetSettings& settings)
      : scenario_(scenario),
        settings_(settings),
        chance_(settings.seed),
        quota_(settings.quota),
        begin_(kConnectedBefore),
        back_(begin_ + scenario.down),
        healed_(back_ + scenario.kicks) {
    devices_.reserve(settings.devices);
    randoms_.reserve(settings.devices);
    for (std::size_t i = 0; i < settings.devices; ++i) {
      randoms_.emplace_back(chance_.next());
      devices_.push_back({strategy.make(randoms_.back()), Step::ends});
      devices_.back().shell->trying(BootTime{});
      devices_.back().shell->connected(BootTime{});
      // A restart ends all at once; silence is noticed by each in its own time.
      schedule(i, scenario.silent ? begin_ + draw(Duration::zero(), kNoticed) : begin_);
    }
  }

  FleetResult run() {
    while (!queue_.empty() && settled_ < settings_.devices) {
      const auto [at, index] = queue_.top();
      queue_.pop();
      now_ = at;
      if (now_ > healed_ + kGiveUp) break;
      step(index);
    }
    return finish();
  }

 private:
  enum class Step : std::uint8_t { tries, arrives, ends };
  struct Device {
    std::unique_ptr<FleetDevice> shell;
    Step next;
  };
  struct Event {
    BootTime at;
    std::size_t device;
    bool operator>(const Event& other) const {
      return at != other.at ? at > other.at : device > other.device;
    }
  };

  Duration draw(Duration low, Duration high) {
    return low + Duration(static_cast<Duration::rep>(
                     chance_.below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  void schedule(std::size_t device, BootTime at) { queue_.push({at, device}); }

  void step(std::size_t index) {
    Device& device = devices_[index];
    switch (device.next) {
      case Step::tries:
        device.shell->trying(now_);
        device.next = Step::arrives;
        return schedule(
            index,
            now_ + (scenario_.silent && now_ < back_ ? kNoAnswer : draw(kFastest, kSlowest)));
      case Step::arrives:
        return arrive(index);
      case Step::ends:
        return wait(index,
                    scenario_.silent && now_ < back_ ? Verdict::silent_peer : Verdict::server_gone);
    }
  }

  void arrive(std::size_t index) {
    if (now_ < back_) {
      return wait(index, scenario_.silent ? Verdict::tcp_timeout : Verdict::tcp_refused);
    }
    count(offered_);
    ++attempts_;
    if (!quota_.take(now_)) return wait(index, Verdict::quota_exceeded);
    count(accepted_);
    hash_ = (hash_ ^ static_cast<std::uint64_t>(now_.time_since_epoch().count()) ^ index) *
            0x100000001B3U;
    devices_[index].shell->connected(now_);
    if (now_ >= healed_) return settle();
    devices_[index].next = Step::ends;
    schedule(index, now_ + draw(Duration::zero(), kKicked));
  }

  void wait(std::size_t index, Verdict verdict) {
    devices_[index].next = Step::tries;
    schedule(index, now_ + devices_[index].shell->wait_after(now_, verdict));
  }

  void settle() {
    ++settled_;
    if (settled_ * 100 >= settings_.devices * 99 && back_s_ == 0) back_s_ = since(healed_);
  }

  [[nodiscard]] double since(BootTime from) const {
    return std::chrono::duration<double>(now_ - from).count();
  }
  void count(std::vector<std::uint32_t>& seconds_of) {
    const auto second = static_cast<std::size_t>(since(back_));
    if (seconds_of.size() <= second) seconds_of.resize(second + 1);
    ++seconds_of[second];
  }

  FleetResult finish() {
    FleetResult result;
    accepted_.resize(offered_.size());
    result.minimum_s =
        static_cast<double>(settings_.devices) / static_cast<double>(settings_.quota);
    result.back_s = back_s_;
    result.healed_at_s =
        static_cast<std::size_t>(std::chrono::duration_cast<seconds>(scenario_.kicks).count());
    result.attempts = static_cast<double>(attempts_) / static_cast<double>(settings_.devices);
    for (const std::uint32_t second : offered_) result.worst = std::max(result.worst, second);
    const auto end =
        result.healed_at_s > 0 ? result.healed_at_s : static_cast<std::size_t>(back_s_);
    const std::size_t half = end / 2;
    double sum = 0;
    for (std::size_t i = half; i < std::min(end, offered_.size()); ++i) {
      const double pressure = offered_[i] / static_cast<double>(settings_.quota);
      result.worst_pressure = std::max(result.worst_pressure, pressure);
      sum += pressure;
    }
    if (end > half) result.pressure = sum / static_cast<double>(end - half);
    result.hash = hash_;
    result.offered = std::move(offered_);
    result.accepted = std::move(accepted_);
    return result;
  }

  const FleetScenario& scenario_;
  FleetSettings settings_;
  SeededRandom chance_;
  Quota quota_;
  BootTime begin_;
  BootTime back_;
  BootTime healed_;
  BootTime now_;
  std::vector<SeededRandom> randoms_;
  std::vector<Device> devices_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  std::size_t settled_ = 0;
  std::uint64_t attempts_ = 0;
  double back_s_ = 0;
  std::uint64_t hash_ = 0xCBF29CE484222325U;
  std::vector<std::uint32_t> offered_;
  std::vector<std::uint32_t> accepted_;
};

}  // namespace

const std::vector<FleetScenario>& fleet_scenarios() {
  static const std::vector<FleetScenario> all{
      {"restart", "a broker that is back 5 s after all were thrown out", seconds(5), false, {}},
      {"outage", "an hour without an answer from the Region", std::chrono::hours(1), true, {}},
      {"kick", "for an hour each accepted connection is ended within 2 s", seconds(0), false,
       std::chrono::hours(1)},
  };
  return all;
}

FleetResult run_fleet(const FleetScenario& scenario, const Strategy& strategy,
                      const FleetSettings& settings) {
  return Fleet(scenario, strategy, settings).run();
}

}  // namespace holdfast::sim
