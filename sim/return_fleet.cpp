// See return_fleet.h.
#include "sim/return_fleet.h"

#include <algorithm>

#include "base/check.h"
#include "link/supervisor.h"
#include "sim/seeded_random.h"

namespace holdfast::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr BootTime kBegin{std::chrono::hours(1)};
/// All came to the second endpoint in these seconds, as a fleet does that has lost the first one.
constexpr Duration kCameWithin = seconds(60);
constexpr Duration kProbe = milliseconds(200);
constexpr Duration kConnect = milliseconds(100);
constexpr Duration kRefused = milliseconds(300);
/// No device may keep a run alive for ever.
constexpr Duration kGiveUp = std::chrono::hours(72);

Config config_of_fleet(const ReturnSettings& settings) {
  Config config;
  config.host = "first.example";
  config.client_id = "device";
  EndpointConfig second = endpoint_of(config);
  second.name = "second";
  second.host = "second.example";
  config.endpoints.push_back(std::move(second));
  config.failback.fleet_size = static_cast<std::uint32_t>(settings.devices);
  config.failback.connect_quota = settings.quota;
  return config;
}

/// One device, from its connection to the second endpoint until it has lasted at the first.
class Returning {
 public:
  Returning(const Config& config, env::Random& random, env::Random& chance,
            const ReturnSettings& settings)
      : supervisor_(config, random), chance_(chance), settings_(settings) {
    supervisor_.start_at("second");
    supervisor_.start();
  }

  /// Calls `tries` for each attempt at the first endpoint. True: it is back in the end.
  template <class Tries>
  bool run(BootTime came, const Tries& tries) {
    now_ = came;
    while (now_ < kBegin + kGiveUp) {
      serve(tries);
      const bool lasts = supervisor_.up() && at_ == 0 && now_ >= up_at_ + seconds(31);
      if (lasts) return true;
      now_ = std::min({supervisor_.next_wake(kNever), answer_at_, probe_at_});
      if (now_ >= probe_at_) {
        probe_at_ = kNever;
        supervisor_.probed(now_, "primary", Verdict::none);
      }
      if (now_ >= answer_at_) answer();
    }
    return false;
  }

  [[nodiscard]] std::uint64_t probes() const { return probes_; }
  [[nodiscard]] BootTime back_at() const { return up_at_; }

 private:
  template <class Tries>
  void serve(const Tries& tries) {
    link::Orders orders = supervisor_.service(now_, kNever);
    if (orders.disconnect) {
      supervisor_.on_down(now_, supervisor_.attempt(), {Verdict::none, 0, {}});
      orders = supervisor_.service(now_, kNever);
    }
    if (orders.probe) {
      ++probes_;
      probe_at_ = now_ + kProbe;
    }
    if (!orders.connect) return;
    at_ = orders.connect->endpoint;
    if (at_ == 0) tries(now_);
    fails_ = at_ == 0 && chance_.below(100) < settings_.failing_percent;
    answer_at_ = now_ + (fails_ ? kRefused : kConnect);
  }

  void answer() {
    answer_at_ = kNever;
    if (fails_) {
      return supervisor_.on_failed(now_, supervisor_.attempt(), {Verdict::tls_failed, 0, {}});
    }
    supervisor_.on_up(now_, supervisor_.attempt(), {});
    up_at_ = now_;
  }

  link::Supervisor supervisor_;
  env::Random& chance_;
  const ReturnSettings& settings_;
  BootTime now_;
  BootTime answer_at_ = kNever;
  BootTime probe_at_ = kNever;
  BootTime up_at_;
  std::size_t at_ = 0;
  bool fails_ = false;
  std::uint64_t probes_ = 0;
};

}  // namespace

ReturnResult run_return(const ReturnSettings& settings) {
  const Config config = config_of_fleet(settings);
  SeededRandom chance(settings.seed);
  ReturnResult result;
  BootTime last{};
  std::uint64_t probes = 0;
  for (std::size_t i = 0; i < settings.devices; ++i) {
    SeededRandom random(chance.next());
    Returning device(config, random, chance, settings);
    const auto came = static_cast<Duration::rep>(
        chance.below(static_cast<std::uint64_t>(Duration(kCameWithin).count())));
    const bool back = device.run(kBegin + Duration(came), [&](BootTime at) {
      const auto second =
          static_cast<std::size_t>(std::chrono::duration_cast<seconds>(at - kBegin).count());
      if (result.offered.size() <= second) result.offered.resize(second + 1);
      ++result.offered[second];
    });
    if (!back) ++result.away;
    last = std::max(last, device.back_at());
    probes += device.probes();
  }
  for (const std::uint32_t second : result.offered) result.worst = std::max(result.worst, second);
  result.pressure = result.worst / static_cast<double>(settings.quota);
  result.back_s = std::chrono::duration<double>(last - kBegin).count();
  result.probes = static_cast<double>(probes) / static_cast<double>(settings.devices);
  return result;
}

}  // namespace holdfast::sim
