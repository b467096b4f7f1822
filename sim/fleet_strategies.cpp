// See fleet_strategies.h. The rivals' rules are written anew from their published parameters.
#include "sim/fleet_strategies.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "link/supervisor.h"
#include "sim/seeded_random.h"

namespace holdfast::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Duration uniform(env::Random& random, Duration low, Duration high) {
  HF_CHECK(low <= high);
  const auto span = static_cast<std::uint64_t>((high - low).count());
  return low + Duration(static_cast<Duration::rep>(random.below(span + 1)));
}

/// The product's own.
class Ours final : public FleetDevice {
 public:
  explicit Ours(env::Random& random) : supervisor_(config(), random) { supervisor_.start(); }

  void trying(BootTime now) override {
    const link::Orders orders = supervisor_.service(now, kNever);
    HF_CHECK(orders.connect.has_value());
  }
  void connected(BootTime now) override { supervisor_.on_up(now, supervisor_.attempt(), {}); }
  Duration wait_after(BootTime now, Verdict verdict) override {
    const env::Failure failure{verdict, 0, {}};
    if (supervisor_.up()) {
      supervisor_.on_down(now, supervisor_.attempt(), failure);
    } else {
      supervisor_.on_failed(now, supervisor_.attempt(), failure);
    }
    return supervisor_.connection(now).retry_in;
  }

 private:
  static const Config& config() {
    static const Config defaults;
    return defaults;
  }
  link::Supervisor supervisor_;
};

/// A rule for the nth wait of a row, beginning with 0; a row ends when a connection has lasted.
class Rival final : public FleetDevice {
 public:
  struct Row {
    std::uint32_t n = 0;
    Duration previous{};
    BootTime began;  ///< When the first wait of the row was asked for.
  };
  using Rule = Duration (*)(const Row&, env::Random&);

  Rival(Rule rule, Duration lasted, env::Random& random)
      : rule_(rule), lasted_(lasted), random_(random) {}

  void trying(BootTime /*now*/) override { up_ = false; }
  void connected(BootTime now) override {
    up_ = true;
    since_ = now;
  }
  Duration wait_after(BootTime now, Verdict /*verdict*/) override {
    if (up_ && now - since_ >= lasted_) row_ = {};
    if (row_.n == 0) row_.began = now;
    up_ = false;
    row_.previous = rule_(row_, random_);
    ++row_.n;
    return row_.previous;
  }

 private:
  Rule rule_;
  Duration lasted_;
  env::Random& random_;
  bool up_ = false;
  BootTime since_;
  Row row_;
};

Duration doubled(Duration first, std::uint32_t n, Duration most) {
  return n >= 32 ? most : std::min(most, first * (std::int64_t{1} << n));
}

Duration plain(const Rival::Row& row, env::Random& /*random*/) {
  return doubled(seconds(1), row.n, seconds(128));
}

/// Drawn from the whole range first and cut afterwards: late draws pile up at the limit.
Duration full_then_cut(const Rival::Row& row, env::Random& random) {
  const Duration drawn =
      uniform(random, Duration::zero(), doubled(seconds(1), row.n, std::chrono::hours(24)));
  return std::min<Duration>(drawn, seconds(120));
}

/// Its generator is seeded by the second in which the row began: who fell out together, draws
/// alike.
Duration half_second(const Rival::Row& row, env::Random& /*random*/) {
  SeededRandom alike(static_cast<std::uint64_t>(
      std::chrono::duration_cast<seconds>(row.began.time_since_epoch()).count()));
  Duration jitter{};
  for (std::uint32_t i = 0; i <= row.n; ++i) {
    jitter = uniform(alike, -milliseconds(500), milliseconds(500));
  }
  return doubled(seconds(1), row.n, seconds(16)) + jitter;
}

Duration fifth(const Rival::Row& row, env::Random& random) {
  const Duration base = doubled(seconds(1), row.n, seconds(60));
  return uniform(random, base * 4 / 5, base * 6 / 5);
}

Duration decorrelated(const Rival::Row& row, env::Random& random) {
  const Duration from = seconds(5);
  const Duration to = std::max<Duration>(from, row.previous * 3);
  return std::min<Duration>(uniform(random, from, to), seconds(30));
}

template <Rival::Rule kRule, int kLastedSeconds>
std::unique_ptr<FleetDevice> make_rival(env::Random& random) {
  return std::make_unique<Rival>(kRule, seconds(kLastedSeconds), random);
}

std::unique_ptr<FleetDevice> make_ours(env::Random& random) {
  return std::make_unique<Ours>(random);
}

}  // namespace

const std::vector<Strategy>& fleet_strategies() {
  static const std::vector<Strategy> all{
      {"holdfast", "full jitter to 2 min; refused for too many: half to all of the time so far",
       make_ours},
      {"aws-c-mqtt", "full jitter, then cut at 2 min; anew after 30 s connected",
       make_rival<full_then_cut, 30>},
      {"doubling", "1 s to 128 s without jitter (AWS SDK, MQTT 3.1.1); anew after 10 s connected",
       make_rival<plain, 10>},
      {"boost-mqtt5", "1 s to 16 s, half a second of jitter seeded by the second; anew each time",
       make_rival<half_second, 0>},
      {"paho-c", "1 s to 60 s, jitter of a fifth; anew each time", make_rival<fifth, 0>},
      {"mosquitto-bridge", "decorrelated jitter, 5 s to 30 s; anew each time",
       make_rival<decorrelated, 0>},
  };
  return all;
}

}  // namespace holdfast::sim
