// Scenario files: which faults when.
//
// A scenario is a TOML file of steps, one after the other (docs/relay.md). parse() checks all of
// it; a ScenarioRun then gives the orders in time, random ones by a seed, so that a run can be
// repeated. Plain values, sans-I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "env/random.h"
#include "holdfast/result.h"
#include "lab/fault/faults.h"
#include "lab/mqtt/stage.h"

namespace holdfast::lab::fault {

/// A time that is drawn for each use when `least` and `most` differ.
struct Span {
  Duration least{};
  Duration most{};
};

struct Step {
  std::string name;                  ///< "step 3" when the file gives none.
  std::optional<Duration> at;        ///< Since the round began.
  Span after;                        ///< Else: since the step before ended.
  std::optional<Span> lasting;       ///< "for"; then everything is healed.
  std::vector<Faults> choice;        ///< One of them, by chance; empty: the faults stay.
  std::optional<mqtt::Ending> kick;  ///< All connections are ended.
  std::uint64_t repeat = 1;
};

struct Scenario {
  std::string name;
  std::string description;
  std::uint64_t seed = 1;
  std::uint64_t rounds = 1;  ///< 0: no end.
  std::vector<Step> steps;

  /// Errc::invalid_config: "line 12: steps[1].faults.up.latency: …".
  [[nodiscard]] static Result<Scenario> parse(std::string_view toml);

  static constexpr std::size_t kFileMax = std::size_t{256} * 1024;
  static constexpr std::size_t kMaxSteps = 1000;
  static constexpr std::uint64_t kMaxRepeat = 1'000'000;
  /// What is repeated takes at least so long; all else may take no time.
  static constexpr Duration kLeastRepeated = std::chrono::milliseconds(10);
};

/// What the relay is to do now.
struct Order {
  std::optional<Faults> faults;  ///< Replace all that is switched on; nullopt: it stays.
  std::optional<mqtt::Ending> kick;
  std::string words;  ///< For the trace: "step 2 (basement): begins".
};

class ScenarioRun {
 public:
  /// `speed`: 60 makes an hour a minute; it applies to the times of steps, not to those within
  /// faults. REQUIRES: kSlowest to kFastest. `seed`: another one than the scenario's.
  ScenarioRun(Scenario scenario, BootTime start, double speed = 1,
              std::optional<std::uint64_t> seed = std::nullopt);

  /// The next order whose time has come; call it until there is none.
  [[nodiscard]] std::optional<Order> next(BootTime now);
  /// When next() gives one; kNever: at the end.
  [[nodiscard]] BootTime wake() const noexcept { return at_; }
  [[nodiscard]] bool over() const noexcept { return at_ == kNever; }

  static constexpr double kSlowest = 0.1;
  static constexpr double kFastest = 100'000;

 private:
  /// A seed's own sequence, the same on every machine (SplitMix64).
  class Sequence final : public env::Random {
   public:
    explicit Sequence(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() override;

   private:
    std::uint64_t state_;
  };
  [[nodiscard]] Duration drawn(const Span& span);
  /// Plans the next order after that of the present step is over.
  void advance();
  void plan();

  Scenario scenario_;
  double speed_;
  Sequence random_;
  BootTime round_began_;
  BootTime ended_;        ///< The step before.
  BootTime at_ = kNever;  ///< Of the next order.
  std::size_t step_ = 0;
  std::uint64_t repeated_ = 0;
  std::uint64_t rounds_ = 0;
  bool lasting_ = false;  ///< The step has begun; its end is next.
};

}  // namespace holdfast::lab::fault
