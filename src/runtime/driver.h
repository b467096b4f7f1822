// The driver: carries events to the core and its actions to engine, storage and executor.
//
// Purpose:  the loop thread's only owner of core, engine and timer. No policy: what happens is
//           decided in device::Core.
// Threads:  constructed, used and destroyed on the loop thread; enqueue() from any thread.
// Re-entrance: events are queued and stepped from a handler of their own, so that the core may
//           order the engine destroyed without standing on the engine's stack.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "device/core.h"
#include "env/clock.h"
#include "env/engine.h"
#include "env/random.h"
#include "env/resolver.h"
#include "holdfast/device.h"
#include "host/network_managers.h"
#include "posix/clock_watch.h"
#include "posix/event_loop.h"
#include "posix/file_watch.h"
#include "posix/network.h"
#include "runtime/address_file.h"
#include "runtime/clock_keeper.h"
#include "runtime/endpoint_file.h"
#include "runtime/endpoint_probe.h"
#include "runtime/engine_proof.h"
#include "runtime/escalator.h"
#include "runtime/identities.h"
#include "runtime/role_keys.h"
#include "runtime/storage.h"

namespace holdfast::runtime {

/// What leaves the loop thread towards the application. Called on the loop thread.
class Outlet {
 public:
  virtual ~Outlet() = default;
  virtual void give_receipt(const device::GiveReceipt& receipt) = 0;
  virtual void give_message(device::GiveMessage message) = 0;
  virtual void give_connection(const ConnectionState& state) = 0;
  /// After each turn in which they have changed.
  virtual void give_filters(std::vector<FilterState> filters, BootTime now) = 0;
  /// At each change; `warned`: it has been said that our certificate ends soon.
  virtual void give_identity(IdentityState state, bool warned) = 0;
  virtual void log(const LogLine& line) = 0;
  /// After each turn in which events were handled.
  virtual void turn_done(DeviceState state, BootTime now) = 0;
  /// The core's device::Saved and device::Away.
  virtual void saved() = 0;
  virtual void away() = 0;
  virtual void stopped() = 0;
};

class Driver final : public env::EngineSink {
 public:
  Driver(posix::EventLoop& loop, env::Clock& clock, env::Random& random, Outlet& outlet,
         Storage& storage, EngineProof& engine_proof, const Config& config,
         const outbox::RecoveryReport& store);
  ~Driver() override;

  /// Makes the first attempt. Call once, on the loop thread.
  void start();

  /// The engine has to prove that it goes on. Loop thread.
  void ask_engine() { engine_proof_.ask(*engine_); }

  /// Queues an event for the next turn. Any thread.
  void enqueue(device::Event event);
  void enqueue(std::vector<device::Event> events);

  void engine_up(env::AttemptId attempt, const env::UpInfo& info) override;
  void engine_failed(env::AttemptId attempt, const env::Failure& failure) override;
  void engine_down(env::AttemptId attempt, const env::Failure& failure) override;
  void engine_published(env::AttemptId attempt, env::Token token,
                        std::uint8_t reason_code) override;
  void engine_subscribed(env::AttemptId attempt, env::Token token,
                         std::span<const std::uint8_t> reason_codes) override;
  void engine_message(env::AttemptId attempt, env::Arrival arrival) override;

 private:
  void turn();
  void carry_out(device::Actions actions);
  /// Hands over what the turn has gathered, shows the new state, sets the alarm clock.
  void settle_turn();
  void rearm();
  void make_engine();
  void network_changed(bool gained);
  void files_changed();
  void clock_set();
  void configure(const Config& config);
  void ask_managers(const Config::Network& rules);
  void take_step(health::Rung rung, Escalator::Done done);
  /// Tells the core that the engine would not take this request.
  void refused(env::AttemptId attempt, env::Token token, std::string_view what, const Error& error);

  void act(device::StoreAppend& action) { to_storage_.emplace_back(std::move(action)); }
  void act(device::StoreFetch& action) { to_storage_.emplace_back(action); }
  void act(device::StoreFetchParked& action) { to_storage_.emplace_back(std::move(action)); }
  void act(device::StorePark& action) { to_storage_.emplace_back(std::move(action)); }
  void act(device::StoreGiveBack& action) { to_storage_.emplace_back(action); }
  void act(device::StoreEvict& action) { to_storage_.emplace_back(action); }
  void act(device::StoreRules& action) { to_storage_.emplace_back(std::move(action)); }
  void act(device::StoreSettle& action) { to_storage_.emplace_back(action); }
  void act(device::StoreSync& action) { to_storage_.emplace_back(action); }
  void act(device::StoreClose& action) { to_storage_.emplace_back(action); }
  void act(device::EngineConnect& action);
  void act(device::EnginePublish& action);
  void act(device::EngineSubscribe& action);
  void act(device::EngineUnsubscribe& action);
  void act(device::EngineTaken& action) { engine_->taken(action.ticket); }
  void act(device::EngineDisconnect& action);
  void act(device::EngineAbort& action);
  void act(device::ProbeEndpoint& action);
  void act(device::LookUpName& action);
  void act(device::CheckNetwork&) {
    if (managers_) managers_->check();
  }
  void act(device::RememberEndpoint& action) { endpoint_file_.write(action.name); }
  void act(device::GiveReceipt& action) { outlet_.give_receipt(action); }
  void act(device::GiveMessage& action) { outlet_.give_message(std::move(action)); }
  void act(device::GiveConnection& action) { outlet_.give_connection(action.state); }
  void act(device::Log& action) { outlet_.log(action.line); }
  void act(device::Saved&) { outlet_.saved(); }
  void act(device::Away&) { outlet_.away(); }
  void act(device::Stopped& action);

  posix::EventLoop& loop_;
  env::Clock& clock_;
  Outlet& outlet_;
  Storage& storage_;
  EngineProof& engine_proof_;
  const MqttEngine engine_kind_;  ///< A change needs a restart.
  std::uint32_t id_prefix_ = 0;
  bool assigned_id_ = false;  ///< The broker gives the client id.

  std::mutex mutex_;  // guards inbox_ and turn_posted_
  std::vector<device::Event> inbox_;
  bool turn_posted_ = false;

  std::vector<device::StoreCommand> to_storage_;
  BootTime armed_for_ = kNever;
  std::uint64_t filters_given_ = 0;  // their version
  posix::Timer timer_;
  std::unique_ptr<env::Resolver> resolver_;
  AddressFile addresses_;
  EndpointFile endpoint_file_;
  ClockKeeper clock_keeper_;
  Identities identity_;
  RoleKeys role_keys_;
  device::Core core_;
  std::unique_ptr<env::Engine> engine_;
  EndpointProbe probe_;
  std::unique_ptr<env::Resolver> follower_;  // of its own: each has one look-up at a time
  Escalator escalator_;
  posix::ClockWatch clock_watch_;
  posix::FileWatch file_watch_;
  Config::Network network_rules_;
  std::unique_ptr<host::NetworkManagers> managers_;  // null: nobody is asked
  posix::NetworkWatch network_;                      // last: destroyed first
};

}  // namespace holdfast::runtime
