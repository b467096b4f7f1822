// One run of a simulated device: the real core and the real outbox in a world that a seed decides.
//
// Purpose:  lives through a scenario with its faults, checks after every step what must never
//           happen, then heals everything and demands what must happen.
// Method:   virtual time; the core and the turns of the storage (device/store_turn.h) are those of
//           the product, the disk is a PowerCutDisk, network and broker are models.
// Threads:  one; runs of different worlds may go side by side.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>

#include "device/store_turn.h"
#include "env/clock.h"
#include "sim/device_context.h"
#include "sim/device_scenarios.h"
#include "sim/message_book.h"
#include "sim/model_broker.h"
#include "sim/model_link.h"
#include "sim/observer.h"
#include "sim/power_cut_disk.h"

namespace holdfast::sim {

/// The clocks of the machine.
class DeviceClock final : public env::Clock {
 public:
  explicit DeviceClock(const SimTime& now) : now_(now) {}
  [[nodiscard]] BootTime now() const override { return BootTime{now_ - booted_}; }
  [[nodiscard]] WallTime wall() const override;
  [[nodiscard]] bool wall_synchronized() const override { return synchronized_; }
  [[nodiscard]] env::BootId boot_id() const override { return boot_id_; }

  /// When a run begins: today, and for how long the machine has been up.
  void begin(std::int64_t wall_ms, std::chrono::nanoseconds up);
  void reboot(std::uint64_t id);
  /// Off by so much, and nobody vouches for it any more.
  void step_wall(Seconds error);
  void synchronize();
  [[nodiscard]] Seconds wall_error() const { return error_; }
  [[nodiscard]] SimTime in_sim(BootTime at) const;
  /// The longest time between two boots.
  [[nodiscard]] std::chrono::nanoseconds longest_up() const {
    return std::max(longest_up_, now_ - booted_);
  }

 private:
  const SimTime& now_;
  SimTime booted_{};
  std::chrono::nanoseconds longest_up_{};
  std::int64_t wall_begin_ms_ = 0;
  Seconds error_{0};
  bool synchronized_ = true;
  env::BootId boot_id_{1};
};

/// What a run has to tell.
struct DeviceResult {
  std::optional<DeviceChecks::Failure> failure;
  SimTime failed_at{};
  std::uint64_t hash = 0;
  SimTime lived{};
  std::chrono::nanoseconds longest_up{};  ///< Between two boots.
  WallTime wall_begin{};
  WallTime wall_end{};
  std::uint64_t events = 0;
  std::uint64_t messages = 0;
  std::uint64_t arrivals = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t processes = 0;
  DeviceFaults::Counts faults{};
  DeviceChecks::Counts checks{};
};

class DeviceWorld {
 public:
  /// `hours` instead of the scenario's duration; 0: as it is.
  DeviceWorld(const DeviceScenario& scenario, std::uint64_t seed, std::uint64_t hours, bool print);

  [[nodiscard]] DeviceResult run();

 private:
  /// How a process ends.
  enum class End : std::uint8_t { in_order, killed, power_cut };

  // ---- the process (device_world.cpp) ----------------------------------------------------------

  void draw_config();
  void draw_status();
  void draw_rules();
  void draw_timers();
  void draw_endpoints();
  [[nodiscard]] outbox::Options store_options() const;
  void check_disk();
  void boot();
  void boot_after(std::chrono::nanoseconds delay);
  void end_process(End end);
  void deliver(device::Event event);
  void connection_up(const device::EngineUp& up);
  void connection_over();
  /// An attempt or a connection is over.
  void note_end(Verdict verdict);
  void check_attempts();
  void check_verdict(const env::Failure& failure);
  void carry_out(device::Actions actions);
  void after_step(bool tick);
  void check_pace(bool tick);
  void check_state(const DeviceState& state);
  void check_twin();
  void check_blame(const DeviceState& state);
  void check_allowed();
  [[nodiscard]] bool away_for_another_reason() const;
  [[nodiscard]] bool aside(const std::string& name) const;

  void act(device::StoreAppend& action) { to_store(std::move(action)); }
  void act(device::StoreFetch& action) { to_store(action); }
  void act(device::StoreFetchParked& action) { to_store(std::move(action)); }
  void act(device::StorePark& action);
  void act(device::StoreGiveBack& action);
  void act(device::StoreEvict& action) { to_store(action); }
  void act(device::StoreRules& action) { to_store(std::move(action)); }
  void act(device::StoreSettle& action);
  void act(device::StoreSync& action) { to_store(action); }
  void act(device::StoreClose& action) { to_store(action); }
  void act(device::EngineConnect& action);
  void act(device::EnginePublish& action);
  void act(device::EngineSubscribe& action) { link_.subscribe(action); }
  void act(device::EngineUnsubscribe& action) { link_.unsubscribe(action); }
  void act(device::EngineTaken& action);
  void act(device::EngineDisconnect& action);
  void act(device::EngineAbort& action);
  void act(device::ProbeEndpoint& action);
  void act(device::CheckNetwork&) { sim_.note("check network"); }
  void act(device::LookUpName& action);
  void act(device::RememberEndpoint& action);
  void act(device::GiveReceipt& action);
  void act(device::GiveMessage& action);
  void act(device::GiveConnection& action);
  void act(device::Log& action);
  void check_secrets(std::string_view shown);
  void act(device::Saved&) {}
  void act(device::Away&) {}
  void act(device::Stopped& action);
  void work_on(std::uint64_t number, flow::Delivery delivery);
  void to_store(device::StoreCommand command) { queue_.push(std::move(command)); }

  static constexpr const char* kStatusTopic = "s/device-1";
  /// On a slow disk, and on any other.
  static constexpr std::chrono::seconds kSlowestTurn{20};
  static constexpr std::chrono::milliseconds kLongestTurn{40};
  [[nodiscard]] SimTime turn_due() const;
  void take_turn();
  void answer(device::StoreTurn turn);
  void run_until(SimTime end);
  void stop_in_order();

  // ---- the application and the incidents (device_incidents.cpp) --------------------------------

  void plan_publish();
  void publish_some();
  void publish_one(device::Publish& batch);
  void change_subscriptions();
  void plan_command();
  void plan_certificate();
  void plan_region_loss();
  void plan_incident();
  void incident();
  void change_policy(Fault kind);
  void strike_process(Fault kind);
  void strike_machine(Fault kind);
  void strike_disk(Fault kind);
  void disk_heals(std::chrono::nanoseconds after);
  void reload();
  void network_changed();
  void metered(bool costs);
  void attempt_asked_for();

  // ---- the judgement (device_judgement.cpp) ----------------------------------------------------

  void heal();
  void demand_reconnect();
  void demand_drain();
  void demand_subscriptions();
  void demand_birth(env::AttemptId attempt);
  void demand_will();
  void demand_status(const StatusMessage& status);
  void demand_retained();
  [[nodiscard]] bool heard_within(std::chrono::nanoseconds most, Observer::Heard wanted);
  void judge();
  [[nodiscard]] std::chrono::nanoseconds longest_delay() const;
  [[nodiscard]] std::chrono::nanoseconds longest_attempt() const;
  [[nodiscard]] std::chrono::nanoseconds longest_end() const;
  /// Until everything that is set aside has had its trial.
  [[nodiscard]] std::chrono::nanoseconds longest_trial() const;

  const DeviceScenario& scenario_;
  DeviceContext sim_;
  std::chrono::nanoseconds duration_;
  Config config_;
  std::uint64_t segment_bytes_ = 0;
  DeviceClock clock_;
  SeededRandom disk_random_;
  PowerCutDisk disk_;
  MessageBook book_;
  Observer observer_;
  ModelBroker broker_;
  ModelLink link_;
  std::string remembered_;  ///< The endpoint that the device's file names.

  std::uint64_t run_ = 0;  ///< Of the process.
  std::unique_ptr<SeededRandom> process_random_;
  std::unique_ptr<SeededRandom> store_random_;
  std::unique_ptr<outbox::Outbox> outbox_;
  std::unique_ptr<device::Core> core_;
  SimTime boots_at_ = kSimNever;  ///< While there is no process.
  bool stopping_ = false;
  bool store_closed_ = false;
  bool leaves_well_ = false;  ///< Stopping began on a connection that nothing had happened to.
  bool rough_ = false;        ///< The disk was in trouble in this run of the process.

  device::StoreQueue queue_;
  bool in_turn_ = false;
  BootTime last_turn_{};
  bool cut_next_turn_ = false;
  std::uint64_t disk_trouble_ = 0;  ///< Outdates the end of the trouble before.
  bool slow_disk_ = false;
  bool metered_ = false;

  SimTime suspended_until_{};
  std::map<SubscriptionId, std::string> wanted_;
  SubscriptionId last_subscription_ = 0;
  /// The last retained message of a topic that the application got because it subscribed.
  std::map<std::string, std::uint64_t> got_retained_;
  std::set<std::uint64_t> handled_;  ///< Commands that the application is done with, in any life.
  SimTime works_until_{};            ///< Its handlers, one after the other.
  std::size_t gate_bytes_ = 0;       ///< Published, not answered by the store.

  std::uint64_t events_ = 0;
  LinkState state_ = LinkState::idle;
  SimTime state_since_{};
  SimTime answered_at_{};  ///< Last answer, or since when something is in flight.
  SimTime minute_{};
  std::uint64_t ticks_ = 0;  ///< In this minute.
  std::optional<SimTime> attempt_at_;
  std::deque<SimTime> attempts_;  ///< The last ones that nobody asked for.
  bool asked_ = false;            ///< Somebody asked for an attempt since the last one ended.
  std::deque<SimTime> ups_;       ///< Of this process, the last ten.
  std::optional<SimTime> up_at_;
  std::optional<SimTime> too_many_since_;     ///< The first such refusal since a stable connection.
  std::chrono::nanoseconds too_many_for_{0};  ///< From that to the last end of an attempt.
  std::optional<SimTime> taken_over_at_;      ///< The last connection ended so.
  SimTime series_since_{};                    ///< Of connections that did not last.
  std::uint64_t series_ = 0;
};

}  // namespace holdfast::sim
