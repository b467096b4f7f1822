// What to do when the machine's power goes: a UPS on battery, a low battery, a line that says
// "now".
//
// Purpose:  notices while there is somebody to read them, and an end in which nothing accepted is
//           lost, within the time that is left.
// Method:   several sources say how the power is; what they say becomes one state, and each change
//           of it an order. Short disturbances are ridden through; what is urgent never waits.
// Ends:     being down is no end: a machine that is still on after Config::Power::resume_after goes
//           on as usual, and what led there must first be over before it leads there again.
// Threads:  one at a time. Time comes in from outside.
// Sources:  Network UPS Tools, status words OB, LB and FSD (docs/new-drivers.txt); Linux's
//           Documentation/ABI/testing/sysfs-class-power.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "holdfast/types.h"

namespace holdfast::health {

/// The connection may take so long to be left in order.
inline constexpr Duration kPartTime = std::chrono::seconds(1);

enum class PowerSource : std::uint8_t {
  ups,     ///< Through a NUT server.
  supply,  ///< What the kernel knows of batteries and mains.
  signal,  ///< Somebody has called power_fail().
};
inline constexpr std::size_t kPowerSources = 3;

/// What one source says.
struct PowerReading {
  bool mains = true;
  bool low = false;                     ///< The battery is at its end.
  bool forced = false;                  ///< The machine is to go down, whatever mains does.
  std::optional<unsigned> charge = {};  ///< Percent.
  std::optional<Seconds> runtime = {};
  std::string words = {};  ///< In its own words, as in "ups1: OB DISCHRG".
};

enum class PowerNotice : std::uint8_t { on_battery, going_down, power_back };
[[nodiscard]] std::string_view to_string(PowerNotice notice) noexcept;

/// What is to be done, in the order of the fields.
struct PowerOrders {
  std::optional<bool> refuse;         ///< Publishers are refused from now on, or not any more.
  bool note = false;                  ///< The reason of the next boot will be low_power ...
  bool forget_note = false;           ///< ... or not, after all.
  std::optional<PowerNotice> notice;  ///< To be published; for going_down its end is awaited.
  bool posture = false;               ///< hold_lanes, save and away are what holds from now on.
  bool hold_lanes = false;
  bool save = false;
  bool away = false;
  bool command = false;  ///< Run Config::Power::command.
  std::vector<LogLine> log;
};

class Power {
 public:
  explicit Power(const Config::Power& rules);

  // ---- events; each is followed by tick() ------------------------------------------------------

  void reading(BootTime now, PowerSource source, PowerReading reading);
  /// A source cannot be asked: what it said last holds. Empty: it can again.
  void trouble(PowerSource source, std::string problem);
  /// Somebody says that the power goes, or that it does not.
  void fail(BootTime now, std::string_view why);
  void back(BootTime now);
  /// Everything accepted is on disk.
  void saved(BootTime now);
  /// The broker has the last notice, or will not get it.
  void farewell_settled() { farewell_settled_ = true; }
  /// There is no connection any more.
  void away() { away_ = true; }

  /// Decides. Call it after each event and at next_wake().
  [[nodiscard]] PowerOrders tick(BootTime now);
  [[nodiscard]] BootTime next_wake() const;

  [[nodiscard]] PowerState state() const;

 private:
  enum class State : std::uint8_t {
    /// Waits for: mains away, or a reason to go down. Interrupted by: nothing.
    /// Next: dimmed, leaving.
    steady,
    /// Mains is away, perhaps for a moment. Waits for: on_battery_after. Interrupted by: mains
    /// back, a reason to go down. Next: steady, on_battery, leaving.
    dimmed,
    /// Waits for: mains back, or a reason to go down. Interrupted by: nothing.
    /// Next: returning, leaving.
    on_battery,
    /// Mains is back, perhaps for a moment. Waits for: back_after. Interrupted by: mains away, a
    /// reason to go down. Next: steady, on_battery, leaving.
    returning,
    /// Publishers are refused. Waits for: all on disk and the last notice settled, at most
    /// Config::Power::farewell. Interrupted by: the reason is over, unless it was forced.
    /// Next: parting, steady, on_battery.
    leaving,
    /// Waits for: the connection's end, at most kPartTime. Interrupted by: nothing. Next: down.
    parting,
    /// The command has been run. Waits for: the machine's end, at most resume_after. Interrupted
    /// by: mains back for back_after and no reason to go down. Next: steady, on_battery.
    down,
  };

  void enter(BootTime now, State state);
  void step(BootTime now, PowerOrders& orders);
  void leave(BootTime now, PowerOrders& orders);
  void resume(BootTime now, PowerOrders& orders, const std::string& why);
  void become_battery(BootTime now, PowerOrders& orders);
  void say(PowerOrders& orders, LogLevel level, std::string text) const;
  /// Why the machine must go down; null: it need not.
  [[nodiscard]] const std::string* reason() const;
  [[nodiscard]] bool is_low(const PowerReading& one) const;
  [[nodiscard]] bool mains_away() const;
  [[nodiscard]] std::string words() const;

  Config::Power rules_;
  std::array<std::optional<PowerReading>, kPowerSources> said_;
  std::array<std::string, kPowerSources> problems_;
  State state_ = State::steady;
  BootTime since_{};
  bool muted_ = false;  ///< What led down has not been over since.
  std::string why_;     ///< It goes down.
  bool forced_ = false;
  std::optional<BootTime> well_since_;  ///< While down: the power is well, as all say.
  bool farewell_settled_ = false;
  bool saved_ = false;
  bool away_ = false;
  std::optional<Milliseconds> safe_;
  std::uint64_t batteries_ = 0;
  std::uint64_t downs_ = 0;
};

}  // namespace holdfast::health
