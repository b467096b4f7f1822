#include "sim/model_link.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace holdfast::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

struct Coded {
  std::uint8_t code;
  Verdict verdict;
};
/// CONNACK's and DISCONNECT's codes (MQTT 5.0 sections 3.2.2.2 and 3.14.2.1), and the verdict that
/// an engine gives for each.
constexpr std::array kRefusals{
    Coded{0x86, Verdict::bad_credentials}, Coded{0x87, Verdict::not_authorized},
    Coded{0x88, Verdict::server_gone},     Coded{0x97, Verdict::quota_exceeded},
    Coded{0x9F, Verdict::throttled},       Coded{0x84, Verdict::protocol_error}};
constexpr std::array kFarewells{
    Coded{0x8B, Verdict::server_gone},    Coded{0x97, Verdict::quota_exceeded},
    Coded{0x96, Verdict::throttled},      Coded{0x98, Verdict::server_gone},
    Coded{0x87, Verdict::not_authorized}, Coded{0x82, Verdict::protocol_error}};
/// CONNACK's return codes (MQTT 3.1.1 section 3.2.2.3), and one that AWS IoT Core made up.
constexpr std::array kRefusalsV311{
    Coded{1, Verdict::protocol_error}, Coded{2, Verdict::bad_credentials},
    Coded{3, Verdict::server_gone},    Coded{4, Verdict::bad_credentials},
    Coded{5, Verdict::not_authorized}, Coded{7, Verdict::not_authorized}};
constexpr std::uint8_t kTakenOver = 0x8E;
constexpr std::uint8_t kKeepAliveTimeout = 0x8D;

Verdict verdict_of_farewell(std::uint8_t code) {
  if (code == kTakenOver) return Verdict::id_taken_over;
  for (const Coded& known : kFarewells) {
    if (known.code == code) return known.verdict;
  }
  return Verdict::server_gone;
}

/// A certificate is valid for so long before and after today.
constexpr Seconds kCertificate = std::chrono::hours(24 * 365);
constexpr std::size_t kSmallPacket = 8;
constexpr std::size_t kPublishOverhead = 32;

}  // namespace

ModelLink::ModelLink(DeviceContext& context, ModelBroker& broker, const LinkRates& rates,
                     Deliver deliver)
    : sim_(context), broker_(broker), rates_(rates), deliver_(std::move(deliver)) {
  broker_.to_client = [this](const ModelBroker::Command& command) { send_command(command); };
  if (!rates_.rival) return;
  constexpr std::array kPatience{1, 3, 30, 120};
  rival_most_ = seconds(kPatience.at(sim_.random.below(kPatience.size())));
  rival_there_ = true;
}

// ---- an attempt ---------------------------------------------------------------------------------

void ModelLink::connect(const env::ConnectRequest& request) {
  wire_ = std::make_shared<Wire>();
  wire_->request = request;
  wire_->latency = sim_.scattered(kLatencyLeast, kLatencyMost);
  if (const auto trouble = draw_trouble()) return fail(wire_, *trouble);
  // A wrong calendar is no fault of this attempt, but it fails all the same.
  if (wall_error_ > kCertificate)
    return fail_after(wire_, 4 * wire_->latency, Verdict::tls_server_expired);
  if (wall_error_ < -kCertificate) return fail_after(wire_, 4 * wire_->latency, Verdict::tls_clock);
  const nanoseconds dial = 4 * wire_->latency + sim_.between(milliseconds(1), milliseconds(50));
  sim_.after(dial, Side::device, [this, wire = wire_] {
    if (wire->client) say_hello(wire);
  });
}

/// CONNECT; it opens the broker's end.
void ModelLink::say_hello(const WirePtr& wire) {
  wire->said = sim_.now;
  sim_.agenda.add(arrival(*wire, wire->last_up, kSmallPacket), Side::world, [this, wire] {
    if (wire->client) greet(wire);
  });
}

std::optional<Fault> ModelLink::draw_trouble() {
  if (sim_.faults.healed()) return std::nullopt;
  if (outage_ && sim_.now < outage_until_) {
    sim_.faults.count(*outage_);
    return outage_;
  }
  outage_.reset();
  if (const auto trouble = draw_region_trouble(wire_->request.endpoint)) return trouble;
  if (sim_.now < certificate_until_) {
    sim_.faults.count(Fault::certificate_expired);
    return Fault::certificate_expired;
  }
  if (sim_.random.below(rates_.attempt_fails) != 0) return std::nullopt;
  const auto kind = static_cast<Fault>(sim_.random.below(kAttemptFaults));
  return sim_.strikes(kind, 1) ? std::optional(kind) : std::nullopt;
}

std::optional<Fault> ModelLink::draw_region_trouble(std::size_t endpoint) {
  const Region& region = regions_[endpoint];
  if (sim_.now < region.until) {
    sim_.faults.count(Fault::region_lost);
    return Fault::region_lost;
  }
  if (sim_.now >= region.quota_until || sim_.random.below(4) == 0) return std::nullopt;
  sim_.faults.count(Fault::quota_refused);
  return Fault::quota_refused;
}

/// Names without addresses, with those of somebody else, or name servers and hosts that hang.
void ModelLink::fail_without_region(const WirePtr& wire) {
  constexpr std::array kWays{Fault::dns_fails, Fault::dns_hangs,   Fault::dns_lies,
                             Fault::tls_fails, Fault::tcp_refused, Fault::connack_hangs};
  fail(wire, kWays.at(sim_.random.below(kWays.size())));
}

void ModelLink::fail(const WirePtr& wire, Fault kind) {
  const env::ConnectRequest& request = wire->request;
  const nanoseconds soon = sim_.between(milliseconds(1), milliseconds(300));
  constexpr std::array kTls{Verdict::tls_failed, Verdict::tls_client_refused,
                            Verdict::tls_server_untrusted, Verdict::tls_server_name};
  switch (kind) {
    case Fault::no_credentials:
      return fail_after(wire, soon, Verdict::no_credentials);
    case Fault::link_down:
      return fail_after(wire, soon, Verdict::link_down);
    case Fault::dns_fails:
      return fail_after(wire, soon, Verdict::dns_failed);
    case Fault::dns_hangs:
      return fail_after(wire, request.resolve_timeout, Verdict::dns_timeout);
    case Fault::dns_lies:
      return fail_after(wire, request.connect_timeout, Verdict::tcp_timeout);
    case Fault::tcp_refused:
      return fail_after(wire, soon, Verdict::tcp_refused);
    case Fault::tls_fails:
      return fail_after(wire, soon, kTls.at(sim_.random.below(kTls.size())));
    case Fault::region_lost:
      return fail_without_region(wire);
    case Fault::quota_refused: {
      const bool v5 = request.version == MqttVersion::v5;
      const Coded refusal = v5 ? Coded{0x97, Verdict::quota_exceeded} : kRefusalsV311[2];
      return fail_after(wire, soon, refusal.verdict, refusal.code);
    }
    case Fault::certificate_expired:
      return fail_after(wire, soon, Verdict::tls_client_refused);
    case Fault::tls_hangs:
      return fail_after(wire, request.connect_timeout, Verdict::tls_timeout);
    case Fault::connack_refused: {
      const bool v5 = request.version == MqttVersion::v5;
      const std::uint64_t row = sim_.random.below(kRefusals.size());
      const Coded& refusal = v5 ? kRefusals.at(row) : kRefusalsV311.at(row);
      return fail_after(wire, soon, refusal.verdict, refusal.code);
    }
    case Fault::connack_hangs:
      return fail_after(wire, request.connack_timeout, Verdict::mqtt_timeout);
    default:
      return;  // engine_hangs: nothing is ever heard of it
  }
}

void ModelLink::fail_after(const WirePtr& wire, nanoseconds delay, Verdict verdict,
                           std::uint8_t code) {
  sim_.after(delay, Side::device, [this, wire, verdict, code] {
    if (!wire->client) return;
    wire->client = false;
    deliver_(device::EngineFailed{wire->request.attempt, {verdict, code, "simulated"}});
  });
}

void ModelLink::greet(const WirePtr& wire) {
  if (sim_.now < regions_[wire->request.endpoint].until)
    return end_client(wire, Verdict::server_gone, 0);
  if (server_wire_) close_server(server_wire_);
  const env::UpInfo info = broker_.connect(wire->request);
  server_wire_ = wire;
  wire->server = true;
  wire->broker_heard = sim_.now;
  watch_client(wire);
  rival_thrown_out();
  down(wire, kSmallPacket, [this, wire, info] { welcome(wire, info); });
  if (sim_.strikes(Fault::kick, rates_.kick)) {
    const nanoseconds stay = sim_.between(milliseconds(1), seconds(rates_.kick_within_s));
    const std::uint8_t code = kFarewells.at(sim_.random.below(kFarewells.size())).code;
    const bool wordless = sim_.random.below(2) == 0;
    sim_.after(stay, Side::world, [this, wire, code, wordless] {
      if (sim_.faults.healed()) return;
      server_ends(wire, wordless ? std::uint8_t{0} : code);
    });
  }
}

void ModelLink::welcome(const WirePtr& wire, const env::UpInfo& info) {
  wire->up = true;
  deliver_(device::EngineUp{wire->request.attempt, info});
  if (!wire->client) return;
  watch_peer(wire);
  up(wire, 0, [this, wire] { broker_.resume(); });
}

// ---- packets ------------------------------------------------------------------------------------

SimTime ModelLink::arrival(Wire& wire, SimTime& last, std::size_t bytes) {
  nanoseconds way = wire.latency;
  if (wire.jitter > nanoseconds::zero()) way += sim_.between(nanoseconds::zero(), wire.jitter);
  SimTime at = std::max({sim_.now + way, last, wire.stalled_until});
  if (wire.bytes_per_second > 0) {
    at += nanoseconds(std::chrono::seconds(1)) * static_cast<std::int64_t>(bytes) /
          static_cast<std::int64_t>(wire.bytes_per_second);
  }
  last = at;
  return at;
}

void ModelLink::up(const WirePtr& wire, std::size_t bytes, std::function<void()> arrive) {
  if (wire->lost_up) return;
  sim_.agenda.add(arrival(*wire, wire->last_up, bytes), Side::world,
                  [this, wire, arrive = std::move(arrive)] {
                    if (wire->lost_up || !wire->server) return;
                    wire->broker_heard = sim_.now;
                    arrive();
                  });
}

void ModelLink::down(const WirePtr& wire, std::size_t bytes, std::function<void()> arrive) {
  if (wire->lost_down) return;
  sim_.agenda.add(arrival(*wire, wire->last_down, bytes), Side::device,
                  [this, wire, arrive = std::move(arrive)] {
                    if (wire->lost_down || !wire->client) return;
                    wire->heard = sim_.now;
                    arrive();
                  });
}

void ModelLink::publish(env::AttemptId attempt, env::Token token, MessagePtr message) {
  const bool good = up() && wire_->client && wire_->request.attempt == attempt;
  if (!sim_.checks.expect(Check::ack_owner, good,
                          [] { return "a message is sent on a connection that does not stand"; })) {
    return;
  }
  const WirePtr wire = wire_;
  if (sim_.strikes(Fault::engine_refuses, rates_.per_message)) {
    constexpr std::array kCodes{Errc::too_large, Errc::unsupported, Errc::closed, Errc::full,
                                Errc::io};
    const Errc code = kCodes.at(sim_.random.below(kCodes.size()));
    if (on_refusal) on_refusal(token, code);
    sim_.after({}, Side::device, [this, wire, attempt, token, code] {
      if (wire->client) deliver_(device::EngineRefused{attempt, token, code});
    });
    return;
  }
  wire->said = sim_.now;
  wire->last_token = token;
  if (message->qos == Qos::at_most_once) {
    sim_.after(milliseconds(1), Side::device, [this, wire, attempt, token] {
      if (wire->client) deliver_(device::EnginePublished{attempt, token, 0});
    });
  }
  const std::size_t bytes = message->payload.size() + message->topic.size() + kPublishOverhead;
  up(wire, bytes,
     [this, wire, token, message = std::move(message)] { arrive(wire, token, message); });
}

void ModelLink::arrive(const WirePtr& wire, env::Token token, const MessagePtr& message) {
  const ModelBroker::Ack ack = broker_.publish(token, *message);
  if (ack.hang_up) return server_ends(wire, ack.farewell);
  if (!ack.code) return;
  sim_.after(ack.after, Side::world, [this, wire, token, code = *ack.code] {
    if (!wire->server) return;
    broker_.answered();
    down(wire, kSmallPacket, [this, wire, token, code] {
      deliver_(device::EnginePublished{wire->request.attempt, token, code});
    });
  });
}

void ModelLink::subscribe(const device::EngineSubscribe& ask) {
  if (!up()) return;
  wire_->said = sim_.now;
  up(wire_, kSmallPacket, [this, wire = wire_, ask] {
    std::uint8_t farewell = 0;
    auto answer = broker_.subscribe(ask.filters, farewell);
    if (!answer) return server_ends(wire, farewell);
    down(wire, kSmallPacket, [this, wire, token = ask.token, codes = std::move(*answer)] {
      deliver_(device::EngineSubscribed{wire->request.attempt, token, codes});
    });
  });
}

void ModelLink::unsubscribe(const device::EngineUnsubscribe& ask) {
  if (!up()) return;
  wire_->said = sim_.now;
  up(wire_, kSmallPacket, [this, wire = wire_, ask] {
    std::vector<std::uint8_t> codes = broker_.unsubscribe(ask.filters);
    down(wire, kSmallPacket, [this, wire, token = ask.token, codes = std::move(codes)] {
      deliver_(device::EngineSubscribed{wire->request.attempt, token, codes});
    });
  });
}

void ModelLink::send_command(const ModelBroker::Command& command) {
  if (!server_wire_) return;
  down(server_wire_, kSmallPacket, [this, wire = server_wire_, command] {
    env::Arrival arrival;
    arrival.again = !wire->untaken.insert(command.number).second;
    if (!arrival.again) arrival.ticket = command.number;
    InboundMessage& message = arrival.message;
    message.topic = command.topic;
    message.qos = Qos::at_least_once;
    message.retain = command.retain;
    if (command.empty) {
      message.content_type = std::to_string(command.number);
    } else {
      message.payload = payload_of(command.number, sizeof(Serial));
    }
    if (command.number % 2 == 0) {  // its sender is Holdfast, which stamps
      char stamp[32];
      std::snprintf(stamp, sizeof stamp, "0000002a-%016llx",
                    static_cast<unsigned long long>(command.number));
      message.user_properties.emplace_back(wire->request.id_property, stamp);
    }
    deliver_(device::EngineMessage{wire->request.attempt, std::move(arrival)});
  });
}

void ModelLink::taken(const device::EngineTaken& done) {
  if (!up() || wire_->request.attempt != done.attempt) return;
  wire_->untaken.erase(done.ticket);
  wire_->said = sim_.now;
  up(wire_, kSmallPacket, [this, number = done.ticket] { broker_.command_taken(number); });
}

// ---- the end of a connection --------------------------------------------------------------------

void ModelLink::close_server(const WirePtr& wire, bool politely) {
  if (!wire->server) return;
  wire->server = false;
  if (server_wire_ != wire) return;
  server_wire_.reset();
  broker_.disconnected(politely);
}

/// DISCONNECT by the broker; code 0: it closes without a word, as it always does in MQTT 3.1.1.
void ModelLink::server_ends(const WirePtr& wire, std::uint8_t code) {
  if (!wire->server) return;
  if (wire->request.version != MqttVersion::v5) code = 0;
  wire->disturbed = true;
  close_server(wire);
  down(wire, kSmallPacket,
       [this, wire, code] { end_client(wire, verdict_of_farewell(code), code); });
}

void ModelLink::end_client(const WirePtr& wire, Verdict verdict, std::uint8_t code) {
  if (!wire->client) return;
  const bool was_up = wire->up;
  wire->client = wire->up = false;
  maybe_answer_late(*wire);
  const env::Failure failure{verdict, code, "simulated"};
  if (was_up) {
    deliver_(device::EngineDown{wire->request.attempt, failure});
  } else {
    deliver_(device::EngineFailed{wire->request.attempt, failure});
  }
}

/// The event loop may still hold an answer of a connection whose end came in the same moment; an
/// engine with a thread of its own may give it when the next connection is up already.
void ModelLink::maybe_answer_late(const Wire& wire) {
  if (wire.last_token == 0 || !sim_.strikes(Fault::late_answer, 4)) return;
  const bool later = sim_.random.below(2) == 0;
  sim_.after(later ? sim_.scattered(milliseconds(1), seconds(8)) : nanoseconds(0), Side::device,
             [this, process = process_, attempt = wire.request.attempt, token = wire.last_token] {
               if (process == process_) deliver_(device::EnginePublished{attempt, token, 0});
             });
}

/// TCP and TLS: what would end an attempt before CONNECT ends it, too.
void ModelLink::probe(const env::ConnectRequest& request) {
  const bool gone = sim_.now < regions_[request.endpoint].until;
  const bool cut = outage_ && sim_.now < outage_until_;
  const Verdict verdict = gone ? Verdict::tcp_timeout : cut ? Verdict::link_down : Verdict::none;
  sim_.after(sim_.between(kLatencyLeast, gone ? seconds(10) : seconds(2)), Side::device,
             [this, name = request.endpoint_name, verdict, process = process_] {
               if (process == process_) {
                 deliver_(device::EndpointProbed{name, {verdict, 0, "a probe"}});
               }
             });
}

void ModelLink::disconnect() {
  if (!up()) return;
  const WirePtr wire = wire_;
  if (sim_.strikes(Fault::leave_unheard, 4)) {
    wire->disturbed = true;
    return;
  }
  wire->goodbye = true;
  up(wire, kSmallPacket, [this, wire] { close_server(wire, true); });
  sim_.after(milliseconds(1), Side::device, [this, wire] { end_client(wire, Verdict::none, 0); });
}

void ModelLink::abort() {
  if (!wire_) return;
  const WirePtr wire = std::exchange(wire_, nullptr);
  if (!wire->client) return;
  if (wire->up) maybe_answer_late(*wire);
  wire->client = wire->up = false;
  if (!wire->lost_up) {
    sim_.after(wire->latency, Side::world, [this, wire] { close_server(wire); });
  }
}

void ModelLink::process_died(bool power) {
  ++process_;
  if (!wire_) return;
  const WirePtr wire = std::exchange(wire_, nullptr);
  wire->client = wire->up = false;
  if (power) return;
  up(wire, 0, [this, wire] { close_server(wire); });  // behind what was sent
}

// ---- who is silent ------------------------------------------------------------------------------

/// As an engine does: pings when nothing came for half of silent_after, and gives up after all of
/// it.
void ModelLink::watch_peer(const WirePtr& wire) {
  if (!wire->client || !wire->up) return;
  const nanoseconds silent = wire->request.silent_after;
  const nanoseconds ping_every = nanoseconds(wire->request.keep_alive) * 9 / 10;
  if (wire->asked && *wire->asked < wire->heard) wire->asked.reset();
  SimTime judge = kSimNever;
  if (wire->asked) judge = std::max(wire->heard + silent, *wire->asked + silent / 2);
  if (sim_.now >= judge) {
    end_client(wire, Verdict::silent_peer, 0);
    // RST goes out; whether it arrives is the network's affair.
    if (!wire->lost_up) close_server(wire);
    return;
  }
  SimTime ping = wire->asked ? kSimNever : wire->heard + silent / 2;
  ping = std::min(ping, wire->said + ping_every);
  if (sim_.now >= ping) {
    if (!wire->asked) wire->asked = sim_.now;
    wire->said = sim_.now;
    up(wire, kSmallPacket, [this, wire] { down(wire, kSmallPacket, [] {}); });
    judge = std::max(wire->heard + silent, *wire->asked + silent / 2);
    ping = sim_.now + ping_every;
  }
  sim_.agenda.add(std::min(judge, ping), Side::device, [this, wire] { watch_peer(wire); });
}

/// The broker's half: one and a half keep-alives without a packet (MQTT 5.0 section 3.1.2.10).
void ModelLink::watch_client(const WirePtr& wire) {
  if (!wire->server) return;
  const SimTime due = wire->broker_heard + nanoseconds(wire->request.keep_alive) * 3 / 2;
  if (sim_.now >= due) return server_ends(wire, kKeepAliveTimeout);
  sim_.agenda.add(due, Side::world, [this, wire] { watch_client(wire); });
}

// ---- a device with the same id ------------------------------------------------------------------

/// It waits a bit, as we do, and never less than a second: so many CONNECTs a broker allows.
void ModelLink::rival_thrown_out() {
  if (!std::exchange(rival_there_, false)) return;
  const nanoseconds patience = sim_.between(seconds(1), rival_most_);
  sim_.after(patience, Side::world, [this] {
    if (!sim_.faults.healed()) rival_connects();
  });
}

void ModelLink::rival_connects() {
  if (!sim_.strikes(Fault::take_over, 1) && !sim_.faults.healed()) return;
  const bool clean = sim_.random.below(2) == 0;
  sim_.note("rival clean", {clean ? 1U : 0U});
  if (const WirePtr wire = server_wire_) server_ends(wire, kTakenOver);
  broker_.intruded(clean);
  rival_there_ = !sim_.faults.healed();
}

// ---- what happens to it -------------------------------------------------------------------------

void ModelLink::heal() {
  outage_.reset();
  certificate_until_ = {};
  regions_.clear();
  if (!wire_) return;
  wire_->bytes_per_second = 0;
  wire_->jitter = {};
}

void ModelLink::begin_outage(Fault kind, nanoseconds duration) {
  outage_ = kind;
  outage_until_ = sim_.now + duration;
}

void ModelLink::expire_certificate(nanoseconds duration) {
  certificate_until_ = sim_.now + duration;
}

void ModelLink::lose_region(std::size_t which, bool way_only, nanoseconds gone,
                            nanoseconds refuses) {
  Region& region = regions_[which];
  region.until = sim_.now + gone;
  region.quota_until = region.until + refuses;
  sim_.trace.line(sim_.now, "region " + std::to_string(which) + " is lost");
  const bool here = wire_ && wire_->request.endpoint == which;
  constexpr std::array kEnds{Fault::reset, Fault::black_hole, Fault::half_open};
  const Fault end = kEnds.at(sim_.random.below(kEnds.size()));
  if (here || !wire_) strike(end);
  if (const WirePtr wire = server_wire_; wire && wire->request.endpoint == which) {
    close_server(wire);
  }
  if (!way_only) broker_.forget_at(which);
}

void ModelLink::strike(Fault kind) {
  if (!up()) return;
  const WirePtr wire = wire_;
  if (!sim_.strikes(kind, 1)) return;
  wire->disturbed = true;
  switch (kind) {
    case Fault::black_hole:
      wire->lost_up = wire->lost_down = true;
      return;
    case Fault::black_hole_up:
      wire->lost_up = true;
      return;
    case Fault::black_hole_down:
      wire->lost_down = true;
      return;
    case Fault::half_open:
      wire->lost_down = true;
      return close_server(wire);
    case Fault::reset:
      close_server(wire);
      return end_client(wire, Verdict::server_gone, 0);
    case Fault::stall:
      wire->stalled_until = sim_.now + sim_.scattered(seconds(1), seconds(40));
      return;
    case Fault::slow_link:
      wire->bytes_per_second = 500 + sim_.random.below(20000);
      return;
    case Fault::jitter:
      wire->jitter = sim_.scattered(milliseconds(50), seconds(5));
      return;
    case Fault::take_over:
      return server_ends(wire, kTakenOver);
    default: {  // server_leaves
      return server_ends(wire, kFarewells.at(sim_.random.below(kFarewells.size())).code);
    }
  }
}

}  // namespace holdfast::sim
