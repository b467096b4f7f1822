#include "engines/attempt.h"

#include <cerrno>
#include <utility>

#include "base/limits.h"
#include "engines/outgoing.h"
#include "engines/verdicts.h"

namespace holdfast::engines {
namespace {

/// So long a library's own thread has for what came before the end.
constexpr std::uint8_t kDupFlag = 0x08;  // MQTT 5.0 section 3.3.1.1
constexpr Duration kSettle = std::chrono::seconds(2);
/// A way that was gone is often back at once: an address renewed, a plug put in again.
constexpr Duration kWayGrace = std::chrono::seconds(1);
/// Longest wait for a sign of life once the route has moved: a slow mobile network's round trip.
constexpr Duration kWayProbe = std::chrono::seconds(5);

std::string not_mqtt(std::uint8_t first_byte) {
  std::string words = "the peer's first byte is no CONNACK";
  if (first_byte == 'H') words += "; it looks like an HTTP server";
  if (first_byte == 0x15 || first_byte == 0x16) words += "; it looks like TLS, check tls.enabled";
  return words;
}

}  // namespace

Attempt::Attempt(posix::EventLoop& loop, env::Clock& clock, env::EngineSink& sink,
                 const env::ConnectRequest& request, OpenSession open)
    : loop_(loop),
      clock_(clock),
      sink_(sink),
      request_(request),
      open_(std::move(open)),
      connack_timer_(loop),
      peer_timer_(loop),
      way_timer_(loop),
      settle_timer_(loop) {}

Attempt::~Attempt() { release(); }

void Attempt::start(env::Resolver& resolver) {
  connector_ = transport::connect(loop_, resolver, clock_, transport::target_of(request_),
                                  [this](transport::Connector::Outcome outcome) {
                                    const auto self = shared_from_this();
                                    on_stream(std::move(outcome));
                                  });
}

void Attempt::on_stream(transport::Connector::Outcome outcome) {
  if (state_ != State::opening) return;
  if (auto* failure = std::get_if<env::Failure>(&outcome)) {
    end(std::move(*failure));
    return;
  }
  stream_ = std::move(std::get<std::unique_ptr<transport::Stream>>(outcome));
  description_ = stream_->description();
  state_ = State::greeting;
  connack_timer_.arm_after(request_.connack_timeout, [this] {
    const auto self = shared_from_this();
    end({Verdict::mqtt_timeout, 0, "no CONNACK in time from " + peer()});
  });
  if (Status status = open_session(); !status.ok()) {
    end({Verdict::engine_failed, 0, status.error().message});
    return;
  }
  if (session_->own_thread()) {
    await_library();
  } else {
    meet();
  }
}

Status Attempt::open_session() {
  Result<Rendezvous> meeting = Rendezvous::open();
  if (!meeting) return meeting.error();
  meeting_.emplace(std::move(*meeting));
  Result<std::unique_ptr<Session>> session =
      open_({request_, meeting_->path(), loop_, [weak = weak_from_this()] {
               if (const auto self = weak.lock()) self->dispatch();
             }});
  if (!session) return session.error();
  session_ = std::move(*session);
  return {};
}

void Attempt::await_library() {
  knocks_.emplace(loop_, meeting_->listener());
  if (!knocks_->valid()) {
    end({Verdict::engine_failed, 0, "no descriptor is left"});
    return;
  }
  knocks_->want(true, false, [this](bool, bool) {
    const auto self = shared_from_this();
    meet();
  });
}

/// The library has connected.
void Attempt::meet() {
  Result<posix::UniqueFd> local = meeting_->accept();
  if (!local && local.error().os_error == EAGAIN && session_->own_thread()) {
    await_library();  // that was a stranger
    return;
  }
  if (!local) {
    end({Verdict::engine_failed, 0, local.error().message});
    return;
  }
  knocks_.reset();
  meeting_.reset();
  const auto library =
      session_->own_thread() ? Bridge::Library::on_its_own : Bridge::Library::on_this_thread;
  auto& owner = static_cast<BridgeOwner&>(*this);
  bridge_ = std::make_shared<Bridge>(loop_, clock_, std::move(*local), library, std::move(stream_),
                                     owner);
  bridge_->start();
}

// ---- calls --------------------------------------------------------------------------------------

Status Attempt::publish(env::Token token, const StoredMessage& message) {
  if (state_ == State::ended || state_ == State::leaving) return {};  // outcome unknown
  if (state_ != State::up) return Error{Errc::closed, "not connected yet", 0};
  Status status = session_->publish(token, message, clock_.now());
  collect();
  schedule_flush();
  return status;
}

Status Attempt::subscribe(env::Token token, std::span<const env::FilterRequest> filters) {
  if (state_ == State::ended || state_ == State::leaving) return {};
  if (state_ != State::up) return Error{Errc::closed, "not connected yet", 0};
  Status status = session_->subscribe(token, filters);
  schedule_flush();
  return status;
}

Status Attempt::unsubscribe(env::Token token, std::span<const std::string> filters) {
  if (state_ == State::ended || state_ == State::leaving) return {};
  if (state_ != State::up) return Error{Errc::closed, "not connected yet", 0};
  Status status = session_->unsubscribe(token, filters);
  schedule_flush();
  return status;
}

void Attempt::taken(env::Token ticket) {
  if (state_ != State::up) return;
  bridge_->taken(static_cast<std::uint16_t>(ticket));
  schedule_flush();
}

void Attempt::disconnect() {
  if (state_ == State::ended || state_ == State::leaving) return;
  if (state_ != State::up) {
    loop_.post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->end({Verdict::none, 0, "disconnected before up"});
    });
    return;
  }
  state_ = State::leaving;
  peer_timer_.cancel();
  session_->disconnect();
  schedule_flush();
}

void Attempt::network_changed(env::Resolver& resolver, bool gained) {
  if (state_ == State::opening) {
    if (gained && !connector_->reached()) start(resolver);
  } else if (bridge_ && bridge_->way() == posix::Way::elsewhere) {
    probe_way();
  } else if (bridge_ && bridge_->way() != posix::Way::stands) {
    way_timer_.arm_after(kWayGrace, [this] {
      const auto self = shared_from_this();
      const posix::Way way = bridge_->way();
      if (way == posix::Way::stands) return;
      if (way == posix::Way::elsewhere) return probe_way();
      const bool link = way == posix::Way::link_down;
      end({link ? Verdict::link_down : Verdict::no_route, 0,
           std::string(posix::words_of(way)) + " (" + peer() + ")"});
    });
  }
}

/// Where a route has moved, what we send may be dropped without a word, by a NAT or a filter that
/// does not know us there. Whether it is, the peer's answer tells; the usual wait is too long.
void Attempt::probe_way() {
  if (state_ != State::up) return;
  const BootTime asked = clock_.now();
  bridge_->ping();
  if (state_ != State::up) return;
  way_timer_.arm_after(kWayProbe, [this, asked] {
    const auto self = shared_from_this();
    if (state_ != State::up || bridge_->last_inbound() > asked) return;
    end({Verdict::silent_peer, 0,
         std::string(posix::words_of(posix::Way::elsewhere)) + ", and nothing comes from " +
             peer() + " any more"});
  });
}

void Attempt::abort() {
  state_ = State::ended;
  release();
}

// ---- work ---------------------------------------------------------------------------------------

/// One write for all that is published in a turn of the loop, and no sink call inside a call.
void Attempt::schedule_flush() {
  if (std::exchange(flush_posted_, true)) return;
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->state_ == State::ended) return;
    self->flush_posted_ = false;
    self->bridge_->flush();
    self->dispatch();
  });
}

void Attempt::collect() {
  for (SessionEvent& event : session_->take_events()) {
    if (const auto* done = std::get_if<HandedOver>(&event)) {
      handed_over_.emplace_back(bridge_->position(), done->token);
      continue;
    }
    if (auto* arrival = std::get_if<env::Arrival>(&event)) enter(*arrival);
    events_.push_back(std::move(event));
  }
}

/// Before its PUBACK is seen.
void Attempt::enter(env::Arrival& arrival) {
  if (arrival.ticket == 0) return;
  const AckGate::Came came = bridge_->came(static_cast<std::uint16_t>(arrival.ticket));
  if (came != AckGate::Came::held) arrival.ticket = 0;
  arrival.again = came == AckGate::Came::again;
  if (duplicates_.empty()) return;
  arrival.message.duplicate = duplicates_.front();
  duplicates_.pop_front();
}

void Attempt::dispatch() {
  const auto self = shared_from_this();
  while (state_ != State::ended) {
    collect();
    if (events_.empty()) return;
    std::vector<SessionEvent> events = std::exchange(events_, {});
    for (SessionEvent& event : events) {
      if (state_ == State::ended) return;
      std::visit([this](auto& what) { on(what); }, event);
    }
  }
}

void Attempt::on(const Accepted& event) {
  if (state_ != State::greeting) return;
  state_ = State::up;
  connack_timer_.cancel();
  const Seconds server = event.info.server_keep_alive;
  ping_every_ = Duration(server.count() > 0 ? server : request_.keep_alive) * 9 / 10;
  watch_peer();
  connector_->let_in();
  env::UpInfo info = event.info;
  if (const env::Failure* why = connector_->unresolved()) {
    info.despite = env::Failure{
        why->verdict, 0,
        "name service failed (" + why->detail + "); used last good address " + description_};
  }
  info.canonical = connector_->canonical();
  sink_.engine_up(request_.attempt, info);
}

void Attempt::on(const Refused& event) {
  end(connack_failure(request_.version, event.code, event.reason));
}

void Attempt::on(const Acknowledged& event) {
  sink_.engine_published(request_.attempt, event.token, event.reason_code);
}

void Attempt::on(const Subscribed& event) {
  sink_.engine_subscribed(request_.attempt, event.token, event.codes);
}

void Attempt::on(env::Arrival& event) { sink_.engine_message(request_.attempt, std::move(event)); }

void Attempt::on(const Closed& event) {
  if (event.own) return;  // bridge_drained() follows
  if (refusal_ && state_ == State::greeting) {
    end(std::move(*refusal_));
  } else if (ending_ && event.verdict == Verdict::engine_failed) {
    end(std::move(*ending_));
  } else {
    end({event.verdict, 0, event.words});
  }
}

// ---- the bridge's calls -------------------------------------------------------------------------

void Attempt::bridge_input() {
  session_->read_all();
  dispatch();
}

void Attempt::bridge_room() {
  session_->write_all();
  collect();
  if (!events_.empty()) schedule_flush();
}

bool Attempt::bridge_header(const Framing& packet) {
  if (!greeted_ && packet.first_byte() != 0x20 && packet.first_byte() != 0xE0) {
    end({Verdict::protocol_error, 0, not_mqtt(packet.first_byte()) + " (" + peer() + ")"});
    return false;
  }
  greeted_ = true;
  if (packet.length() > kInboundPacketMax) {
    end({Verdict::protocol_error, 0,
         "a packet of " + std::to_string(packet.length()) + " bytes is above our limit of " +
             std::to_string(kInboundPacketMax)});
    return false;
  }
  // libmosquitto does not tell; messages come out of a library in the order in which they go in.
  if (packet.wants_puback()) duplicates_.push_back((packet.first_byte() & kDupFlag) != 0);
  return true;
}

void Attempt::bridge_packet(const Framing& packet) {
  const auto body = packet.body();
  if (packet.type() == PacketType::connack) {
    if (std::exchange(answered_, true)) {
      end({Verdict::protocol_error, 0, "a second CONNACK"});
      return;
    }
    // Brokers that only speak 3.1.1 answer in their own way, without the third byte of MQTT 5.
    const auto version = body.size() == 2 ? MqttVersion::v311 : MqttVersion::v5;
    if (request_.version == MqttVersion::v5 && body.size() >= 2 && body[1] != 0) {
      refusal_ = connack_failure(version, body[1], {});
    }
  } else if (body.size() >= 2 && body[0] == 0 && body[1] == 0) {
    end({Verdict::protocol_error, 0, "an answer to packet 0"});
    return;
  }
  session_->packet_comes(packet);
}

void Attempt::bridge_leaving(const Framing& packet) {
  // A library with a thread of its own may have written this before its event was taken.
  if (packet.type() == PacketType::puback) collect();
  session_->packet_leaves(packet);
}

void Attempt::bridge_farewell(const Framing& packet) {
  if (state_ == State::leaving) {
    end({Verdict::none, 0, "disconnected"});
  } else if (request_.version != MqttVersion::v5) {
    end({Verdict::protocol_error, 0, "a DISCONNECT from the server, which MQTT 3.1.1 has not"});
  } else {
    const ServerDisconnect farewell = parse_disconnect(packet.body());
    finish(disconnect_failure(farewell.reason_code, farewell.reason));
  }
}

void Attempt::bridge_malformed() {
  end({Verdict::protocol_error, 0, "the peer's bytes are no MQTT packets (" + peer() + ")"});
}

void Attempt::bridge_written(std::uint64_t total) {
  const auto self = shared_from_this();
  while (!handed_over_.empty() && handed_over_.front().first <= total) {
    const env::Token token = handed_over_.front().second;
    handed_over_.pop_front();
    sink_.engine_published(request_.attempt, token, 0);
  }
}

void Attempt::bridge_drained() {
  if (state_ != State::leaving) return;  // the library gave up; its event says why
  bridge_->shutdown([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->end({Verdict::none, 0, "disconnected"});
  });
}

void Attempt::bridge_ended(const env::Failure* failure) {
  if (state_ == State::leaving) {
    end({Verdict::none, 0, "disconnected"});
    return;
  }
  env::Failure result = failure != nullptr
                            ? *failure
                            : env::Failure{Verdict::server_gone, 0,
                                           "the broker closed the connection (" + peer() + ")"};
  if (state_ == State::greeting && result.verdict == Verdict::server_gone) {
    result.detail +=
        " instead of answering CONNECT; some brokers do so for an unknown version, client id or "
        "certificate";
  }
  finish(std::move(result));
}

// ---- time and end -------------------------------------------------------------------------------

void Attempt::watch_peer() {
  if (state_ != State::up) return;
  const BootTime now = clock_.now();
  const BootTime heard = bridge_->last_inbound();
  const Duration silent = request_.silent_after;
  if (asked_ && *asked_ < heard) asked_.reset();

  BootTime judge = kNever;  // when silence is proven
  if (silent > Duration::zero() && asked_) judge = std::max(heard + silent, *asked_ + silent / 2);
  if (now >= judge) {
    end({Verdict::silent_peer, 0,
         "nothing came from " + peer() + " for " +
             std::to_string(std::chrono::duration_cast<Milliseconds>(now - heard).count()) +
             " ms"});
    return;
  }

  BootTime ping = kNever;  // when the next PINGREQ is due
  if (silent > Duration::zero() && !asked_) ping = heard + silent / 2;
  if (ping_every_ > Duration::zero()) ping = std::min(ping, bridge_->last_outbound() + ping_every_);
  if (now >= ping) {
    if (!asked_) asked_ = now;
    bridge_->ping();
    if (state_ != State::up) return;
    ping = kNever;
    if (ping_every_ > Duration::zero()) ping = now + ping_every_;
    if (silent > Duration::zero()) judge = std::max(heard + silent, *asked_ + silent / 2);
  }

  const BootTime next = std::min(judge, ping);
  if (next == kNever) return;
  peer_timer_.arm_at(next, [this] {
    const auto self = shared_from_this();
    watch_peer();
  });
}

std::string Attempt::peer() const { return description_; }

/// An end that comes behind what the library has been given: it reports that first.
void Attempt::finish(env::Failure failure) {
  if (!session_->own_thread()) {
    end(std::move(failure));
    return;
  }
  if (ending_) return;
  ending_ = std::move(failure);
  bridge_->end_input();
  settle_timer_.arm_after(kSettle, [this] {
    const auto self = shared_from_this();
    end(std::move(*ending_));
  });
}

void Attempt::end(env::Failure failure) {
  if (state_ == State::ended) return;
  const auto self = shared_from_this();
  const bool was_up = state_ == State::up || state_ == State::leaving;
  if (bridge_) connector_->ended(failure.verdict);
  state_ = State::ended;
  release();
  if (failure.detail.size() > limits::kErrorDetailMax) {
    std::size_t cut = limits::kErrorDetailMax;
    while (cut > 0 && (static_cast<unsigned char>(failure.detail[cut]) & 0xC0) == 0x80) --cut;
    failure.detail.resize(cut);  // never inside a character
  }
  if (was_up) {
    sink_.engine_down(request_.attempt, failure);
  } else {
    sink_.engine_failed(request_.attempt, failure);
  }
}

void Attempt::release() {
  connack_timer_.cancel();
  peer_timer_.cancel();
  way_timer_.cancel();
  settle_timer_.cancel();
  connector_.reset();
  if (bridge_) bridge_->close();
  bridge_.reset();
  knocks_.reset();
  session_.reset();
  meeting_.reset();
  stream_.reset();
}

}  // namespace holdfast::engines
