// The engine, the transport and the network between a simulated device and its broker.
//
// Purpose:  plays env::Engine at the core's actions and events: every stage of an attempt with its
//           deadline and verdict, then a connection whose packets take their time or never come.
// Network:  as TCP gives it: in order and whole for as long as the connection lasts. What is lost
//           is lost to the end of the connection, in one direction or both.
// Threads:  one.
// Not here: the MQTT library itself and the bytes of its packets (src/engines has its own tests).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "device/events.h"
#include "sim/device_context.h"
#include "sim/model_broker.h"

namespace holdfast::sim {

struct LinkRates {
  std::uint64_t attempt_fails = 6;  ///< One attempt in so many, by one of the enabled kinds.
  std::uint64_t kick = 40;          ///< One connection in so many is dropped soon.
  std::uint64_t kick_within_s = 25;
  std::uint64_t per_message = 3000;  ///< The engine refuses one message in so many.
  bool rival = false;  ///< Another device has our client id, and comes back when thrown out.
};

class ModelLink {
 public:
  using Deliver = std::function<void(device::Event)>;

  ModelLink(DeviceContext& context, ModelBroker& broker, const LinkRates& rates, Deliver deliver);

  /// The library does not take this one.
  std::function<void(env::Token, Errc)> on_refusal;

  // ---- as an engine ----------------------------------------------------------------------------

  void connect(const env::ConnectRequest& request);
  void publish(env::AttemptId attempt, env::Token token, MessagePtr message);
  void subscribe(const device::EngineSubscribe& ask);
  void unsubscribe(const device::EngineUnsubscribe& ask);
  void taken(const device::EngineTaken& done);
  void probe(const env::ConnectRequest& request);
  void disconnect();
  void abort();

  // ---- what happens to it ----------------------------------------------------------------------

  /// All attempts fail so for a while.
  void begin_outage(Fault kind, std::chrono::nanoseconds duration);
  /// For a while TLS refuses our certificate.
  void expire_certificate(std::chrono::nanoseconds duration);
  /// An endpoint is gone, and its connections with it; then it refuses most attempts for a while.
  void lose_region(std::size_t which, bool way_only, std::chrono::nanoseconds gone,
                   std::chrono::nanoseconds refuses);
  /// One of the faults of a connection; no effect without one.
  void strike(Fault kind);
  /// The process is gone; the kernel says goodbye for it unless the power went.
  void process_died(bool power);
  /// Where there is a rival: it comes back now.
  void rival_connects();
  /// Every fault is over; what it did to a connection beyond repair stays done.
  void heal();
  /// How far the device's calendar is off; judges certificates.
  void set_wall_error(Seconds error) { wall_error_ = error; }

  [[nodiscard]] bool up() const { return wire_ && wire_->up; }
  [[nodiscard]] env::AttemptId attempt() const { return wire_ ? wire_->request.attempt : 0; }
  /// The present connection is sound, and nothing has happened to it yet.
  [[nodiscard]] bool undisturbed() const { return sound() && !wire_->disturbed; }
  /// What was sent, and waits in the network, arrives until then.
  [[nodiscard]] SimTime last_arrival() const { return wire_ ? wire_->last_up : SimTime{}; }
  /// Nothing had happened to the last connection when it ended.
  [[nodiscard]] bool undisturbed_to_the_end() const { return wire_ && !wire_->disturbed; }
  /// DISCONNECT was sent on the last connection.
  [[nodiscard]] bool said_goodbye() const { return wire_ && wire_->goodbye; }
  /// One way, of any connection.
  static constexpr std::chrono::milliseconds kLatencyLeast{2};
  static constexpr std::chrono::milliseconds kLatencyMost{300};
  /// One way, of the present connection.
  [[nodiscard]] std::chrono::nanoseconds latency() const {
    return wire_ ? wire_->latency : std::chrono::nanoseconds::zero();
  }
  /// Nothing that was done to the present connection keeps it from working.
  [[nodiscard]] bool sound() const {
    return wire_ && wire_->up && wire_->server && !wire_->lost_up && !wire_->lost_down;
  }

 private:
  /// One connection, or the attempt for it.
  struct Wire {
    env::ConnectRequest request;
    bool client = true;   ///< Our end is open.
    bool server = false;  ///< The broker's end is open.
    bool up = false;      ///< CONNACK has reached us.
    bool lost_up = false;
    bool lost_down = false;
    bool disturbed = false;  ///< Something has happened to it.
    bool goodbye = false;    ///< DISCONNECT was sent.
    std::chrono::nanoseconds latency{};
    std::chrono::nanoseconds jitter{};
    std::uint64_t bytes_per_second = 0;  ///< 0: as many as there are.
    SimTime stalled_until{};
    SimTime last_up{};    ///< When the last packet on the way up arrives.
    SimTime last_down{};  ///< ... and down.
    SimTime heard{};
    SimTime said{};
    std::optional<SimTime> asked;  ///< A ping that is not answered.
    SimTime broker_heard{};
    env::Token last_token = 0;
    std::set<env::Token> untaken;  ///< Tickets of messages that have come.
  };
  using WirePtr = std::shared_ptr<Wire>;

  [[nodiscard]] std::optional<Fault> draw_trouble();
  [[nodiscard]] std::optional<Fault> draw_region_trouble(std::size_t endpoint);
  void fail(const WirePtr& wire, Fault kind);
  void fail_without_region(const WirePtr& wire);
  void fail_after(const WirePtr& wire, std::chrono::nanoseconds delay, Verdict verdict,
                  std::uint8_t code = 0);
  void greet(const WirePtr& wire);
  void welcome(const WirePtr& wire, const env::UpInfo& info);
  void up(const WirePtr& wire, std::size_t bytes, std::function<void()> arrive);
  void say_hello(const WirePtr& wire);
  void down(const WirePtr& wire, std::size_t bytes, std::function<void()> arrive);
  [[nodiscard]] SimTime arrival(Wire& wire, SimTime& last, std::size_t bytes);
  void arrive(const WirePtr& wire, env::Token token, const MessagePtr& message);
  void send_command(const ModelBroker::Command& command);
  void close_server(const WirePtr& wire, bool politely = false);
  void server_ends(const WirePtr& wire, std::uint8_t code);
  void end_client(const WirePtr& wire, Verdict verdict, std::uint8_t code);
  void watch_peer(const WirePtr& wire);
  void watch_client(const WirePtr& wire);
  void rival_thrown_out();
  void maybe_answer_late(const Wire& wire);

  DeviceContext& sim_;
  ModelBroker& broker_;
  const LinkRates& rates_;
  Deliver deliver_;
  WirePtr wire_;
  WirePtr server_wire_;  ///< Whom the broker thinks to be connected.
  std::optional<Fault> outage_;
  SimTime outage_until_{};
  SimTime certificate_until_{};
  struct Region {
    SimTime until{};  ///< It is gone.
    SimTime quota_until{};
  };
  std::map<std::size_t, Region> regions_;  ///< By endpoint.
  Seconds wall_error_{0};
  std::chrono::nanoseconds rival_most_{};  ///< It waits so long at most.
  bool rival_there_ = false;
  std::uint64_t process_ = 0;
};

}  // namespace holdfast::sim
