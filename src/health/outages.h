// Notes when the device is away from its broker: since when, why, and what it cost.
//
// Purpose: the states that come by are put together to outages, each told once it is over, and
//          once before if it lasts.
// Threads: one, whoever hands in the states.
// Bounds:  at most kOutagesPerHour are told in an hour, in the long run; what is left out is
//          counted in the next one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast::health {

/// An absence shorter than this is told at its end only. At the start of the process, when every
/// device is away, it is not told at all.
inline constexpr Duration kOutageLasts = std::chrono::seconds(10);
inline constexpr std::uint32_t kOutagesPerHour = 60;

struct Outage {
  bool over = false;  ///< False: it has lasted for kOutageLasts and goes on.
  WallTime began{};   ///< Reckoned back from the wall clock at this moment.
  Duration lasted{};  ///< So far.
  std::array<std::uint64_t, kVerdicts> verdicts{};  ///< How often each was given meanwhile.
  Verdict first = Verdict::none;                    ///< Why it began.
  std::string detail;                               ///< In the words of the last failure.
  std::string from;  ///< The endpoint where it began; empty: there was no connection before.
  std::string to;    ///< The one where it ended; empty: it goes on.
  /// What the network's managers said, where one is asked: the primary connection before and now,
  /// and how far the network led at its worst.
  std::string connection_before;
  std::string connection;
  Connectivity worst = Connectivity::unknown;
  std::optional<ModemState> modem;  ///< The first one, at its weakest.
  std::uint64_t attempts = 0;
  std::uint64_t accepted = 0;  ///< Messages taken meanwhile,
  std::uint64_t dropped = 0;   ///< given up meanwhile,
  std::uint64_t waiting = 0;   ///< and waiting now.
  std::uint64_t left_out = 0;  ///< Outages before this one that were too many to tell.
};

class Outages {
 public:
  /// The state as it is now; what is to be told of it, if anything. Call at each change, and every
  /// some seconds.
  [[nodiscard]] std::optional<Outage> look(BootTime now, WallTime wall, const DeviceState& state);

 private:
  /// What the counters showed when it began.
  struct Start {
    BootTime at{};
    std::array<std::uint64_t, kVerdicts> verdicts{};
    std::uint64_t attempts = 0;
    std::uint64_t accepted = 0;
    std::uint64_t dropped = 0;
  };

  void begin(BootTime now, const DeviceState& state);
  [[nodiscard]] Outage told(BootTime now, WallTime wall, const DeviceState& state) const;
  [[nodiscard]] bool admitted(BootTime now);
  void note_network(const NetworkState& network);

  bool seen_ = false;      // any state yet
  bool of_start_ = false;  // away since the process began
  std::optional<Start> start_;
  std::string at_;          // the endpoint of the last connection
  std::string connection_;  // of the network, while there was a connection to the broker
  Connectivity worst_ = Connectivity::unknown;
  std::optional<ModemState> modem_;
  Verdict first_ = Verdict::none;
  std::string detail_;
  BootTime tell_at_ = kNever;
  bool told_ = false;  // this one, while it goes on
  // A bucket of what may be told.
  double tokens_ = kOutagesPerHour;
  BootTime filled_{};
  std::uint64_t left_out_ = 0;
};

}  // namespace holdfast::health
