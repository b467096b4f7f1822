// The life of a connection; see door.h.
#include "lab/iot/door.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "lab/iot/quotas.h"
#include "lab/iot/region.h"

namespace holdfast::lab::iot {
namespace {

/// For a CONNECT, and for the broker's answer to it.
constexpr Duration kPatience = std::chrono::seconds(30);
/// What may wait for the line before the connection counts as throttled.
constexpr std::size_t kHeldMost = std::size_t{4} * 1024 * 1024;

}  // namespace

Door::Door(Region& region, Arrival arrival, BootTime now)
    : region_(region), arrival_(std::move(arrival)), patience_(now + kPatience), last_heard_(now) {
  who_.connection = region_.enter(*this);
  who_.principal = arrival_.principal;
  who_.access_key = arrival_.access_key;
  facts_.address = arrival_.address;
  facts_.domain = arrival_.domain;
}

Door::~Door() {
  // A conversation that is dropped without a word is a connection lost.
  if (state_ == State::open) region_.closed(*this, DisconnectReason::connection_lost, expiry_);
  region_.access().forget(who_.connection);
  region_.leave(who_.connection);
}

void Door::to_device(const mqtt::Packet& packet, mqtt::Wishes& out) {
  out.send(mqtt::Side::device, mqtt::encode(version_, packet));
}

void Door::to_broker(const mqtt::Packet& packet, mqtt::Wishes& out) {
  out.send(mqtt::Side::broker, mqtt::encode(mqtt::Version::v5, packet));
}

void Door::on_frame(BootTime now, mqtt::Side from, std::string_view frame, mqtt::Wishes& out) {
  if (state_ == State::ended) return;
  const bool up = from == mqtt::Side::device;
  Result<mqtt::Packet> packet = mqtt::decode(up ? version_ : mqtt::Version::v5, frame);
  if (!packet) {
    const bool protocol = packet.error().code == Errc::protocol;
    const std::uint8_t code = protocol ? reason::kProtocolError : reason::kMalformed;
    if (up && state_ == State::awaiting_connect) {
      return refuse(protocol ? Refusal::protocol_error : Refusal::malformed, packet.error().message,
                    out);
    }
    return end(up ? DisconnectReason::client_error : DisconnectReason::server_error, code,
               packet.error().message, out);
  }
  if (up) last_heard_ = now;
  std::deque<Held>& held = up ? held_up_ : held_down_;
  const BootTime due =
      (up ? up_ : down_).passes(now, frame.size(), region_.switches.bytes_per_second);
  if (held.empty() && due <= now)
    return up ? take(now, std::move(*packet), out) : take_from_broker(now, std::move(*packet), out);
  held_bytes_ += frame.size();
  if (held_bytes_ > kHeldMost) {
    return end(DisconnectReason::throttled, reason::kQuota, "more bytes wait than may", out);
  }
  held.push_back({due, frame.size(), std::move(*packet)});
}

void Door::on_garbage(BootTime /*now*/, mqtt::Side from, std::string_view /*bytes*/,
                      mqtt::Wishes& out) {
  if (state_ == State::ended) return;
  const bool up = from == mqtt::Side::device;
  end(up ? DisconnectReason::client_error : DisconnectReason::server_error, reason::kMalformed,
      "bytes that are no MQTT packet", out);
}

void Door::on_closed(BootTime /*now*/, mqtt::Side side, mqtt::Wishes& out) {
  if (state_ == State::ended) return;
  // The broker ends the elder connection of a client id by itself, without a word.
  if (end_soon_) return end_as_asked(side == mqtt::Side::device, out);
  if (side == mqtt::Side::broker) {
    return end(DisconnectReason::server_error, reason::kUnspecified, "the broker closed", out);
  }
  end(DisconnectReason::connection_lost, reason::kUnspecified, "the device closed", out);
}

void Door::end(DisconnectReason why, std::uint8_t code, std::string words, mqtt::Wishes& out) {
  const bool was_open = state_ == State::open;
  state_ = State::ended;
  out.note(std::string(to_string(why)) + ": " + words);
  const bool told = why != DisconnectReason::connection_lost &&
                    why != DisconnectReason::client_initiated_disconnect;
  if (was_open && told && five()) {
    mqtt::Disconnect disconnect{mqtt::Type::disconnect, code, {}};
    disconnect.properties.set(mqtt::PropertyId::reason_string, std::move(words));
    to_device(disconnect, out);
  }
  out.close(mqtt::Side::device, mqtt::Ending::after_sending);
  // Without a DISCONNECT the broker publishes the will.
  out.close(mqtt::Side::broker, mqtt::Ending::after_sending);
  if (was_open) region_.closed(*this, why, expiry_);
}

void Door::leave_broker(bool with_will, bool forget, mqtt::Wishes& out) {
  mqtt::Disconnect goodbye{
      mqtt::Type::disconnect, with_will ? reason::kWithWill : reason::kSuccess, {}};
  if (forget && expiry_ > 0) {
    goodbye.properties.set(mqtt::PropertyId::session_expiry_interval, 0);
  }
  to_broker(goodbye, out);
}

void Door::take(BootTime now, mqtt::Packet packet, mqtt::Wishes& out) {
  const mqtt::Type type = mqtt::type_of(packet);
  if (state_ == State::awaiting_connect) {
    const auto* connect = std::get_if<mqtt::Connect>(&packet);
    if (connect != nullptr) return on_connect(now, *connect, out);
    return end(DisconnectReason::client_error, reason::kProtocolError, "no CONNECT first", out);
  }
  if (state_ == State::awaiting_connack) {
    return end(DisconnectReason::client_error, reason::kProtocolError, "a packet before CONNACK",
               out);
  }
  if (auto* publish = std::get_if<mqtt::Publish>(&packet)) {
    return on_publish(now, std::move(*publish), out);
  }
  if (const auto* subscribe = std::get_if<mqtt::Subscribe>(&packet)) {
    return on_subscribe(*subscribe, out);
  }
  if (const auto* unsubscribe = std::get_if<mqtt::Unsubscribe>(&packet)) {
    return on_unsubscribe(*unsubscribe, out);
  }
  if (const auto* ack = std::get_if<mqtt::Ack>(&packet);
      ack != nullptr && type == mqtt::Type::puback) {
    if (delivery_) {
      if (const auto broker_id = delivery_->acknowledged(ack->packet_id)) settle(*broker_id, out);
      pump(now, out);
    }
    return;
  }
  if (type == mqtt::Type::pingreq) return to_device(mqtt::Ping{mqtt::Type::pingresp}, out);
  if (type == mqtt::Type::disconnect) {
    return on_disconnect(std::get<mqtt::Disconnect>(packet), out);
  }
  end(DisconnectReason::client_error, reason::kProtocolError,
      std::string(mqtt::to_string(type)) + " is not for a client to send, or not here", out);
}

void Door::on_disconnect(const mqtt::Disconnect& disconnect, mqtt::Wishes& out) {
  const auto expiry = disconnect.properties.number(mqtt::PropertyId::session_expiry_interval);
  if (expiry && *expiry > 0 && expiry_ == 0) {
    return end(DisconnectReason::client_error, reason::kProtocolError,
               "DISCONNECT wants a session that CONNECT did not", out);
  }
  leave_broker(disconnect.reason == reason::kWithWill, expiry == 0U, out);
  expiry_ = std::min(expiry.value_or(expiry_), expiry_);
  end(DisconnectReason::client_initiated_disconnect, reason::kSuccess, "DISCONNECT", out);
}

void Door::take_from_broker(BootTime now, mqtt::Packet packet, mqtt::Wishes& out) {
  if (const auto* connack = std::get_if<mqtt::Connack>(&packet);
      connack != nullptr && state_ == State::awaiting_connack) {
    return on_connack(now, *connack, out);
  }
  if (state_ != State::open) return;
  if (auto* publish = std::get_if<mqtt::Publish>(&packet)) {
    return on_broker_publish(now, std::move(*publish), out);
  }
  if (const auto* ack = std::get_if<mqtt::Ack>(&packet); ack != nullptr) {
    if (ack->type != mqtt::Type::puback || unacknowledged_.erase(ack->packet_id) == 0) return;
    // "No matching subscribers" is not a word of the service's.
    const std::uint8_t code = ack->reason == 0x10 ? reason::kSuccess : ack->reason;
    return to_device(
        mqtt::Ack{mqtt::Type::puback, ack->packet_id, five() ? code : reason::kSuccess, {}}, out);
  }
  if (const auto* suback = std::get_if<mqtt::Suback>(&packet)) return on_suback(*suback, out);
  if (const auto* gone = std::get_if<mqtt::Disconnect>(&packet)) {
    return end(DisconnectReason::server_error, gone->reason, "the broker disconnected", out);
  }
}

void Door::deliver(mqtt::Publish message) {
  if (!delivery_) return;
  delivery_->add(std::move(message), 0, false);
  region_.wake_door(who_.connection);
}

void Door::end_soon(DisconnectReason why, bool forget, bool with_will) {
  if (end_soon_) return;
  end_soon_ = {why, forget, with_will};
  region_.wake_door(who_.connection);
}

void Door::end_as_asked(bool broker_listens, mqtt::Wishes& out) {
  const EndSoon how = *end_soon_;
  if (broker_listens && state_ == State::open && (how.forget || !how.with_will)) {
    leave_broker(how.with_will, how.forget, out);
  }
  end(how.why, reason_code(how.why), "ended by the service", out);
}

BootTime Door::wake() const {
  if (state_ == State::ended) return kNever;
  BootTime next = lifetime_;
  if (state_ != State::open) next = std::min(next, patience_);
  if (state_ == State::open) {
    next = std::min(next, last_heard_ + keep_alive_ * 3 / 2);
    if (delivery_) next = std::min(next, delivery_->wake(last_pump_));
  }
  if (!held_up_.empty()) next = std::min(next, held_up_.front().due);
  if (!held_down_.empty()) next = std::min(next, held_down_.front().due);
  return end_soon_ ? BootTime::min() : next;
}

void Door::on_wake(BootTime now, mqtt::Wishes& out) {
  if (state_ == State::ended) return;
  if (end_soon_) return end_as_asked(true, out);
  if (state_ != State::open && now >= patience_) {
    return end(DisconnectReason::client_error, reason::kUnspecified, "no CONNECT in time", out);
  }
  if (state_ == State::open && now >= last_heard_ + keep_alive_ * 3 / 2) {
    const DisconnectReason why = DisconnectReason::mqtt_keep_alive_timeout;
    return end(why, reason_code(why), "nothing was heard for 1.5 keep-alives", out);
  }
  if (now >= lifetime_) {
    return end(lifetime_reason_, reason_code(lifetime_reason_), "the connection's time is over",
               out);
  }
  release(now, mqtt::Side::device, out);
  release(now, mqtt::Side::broker, out);
  if (state_ == State::open) pump(now, out);
}

void Door::release(BootTime now, mqtt::Side from, mqtt::Wishes& out) {
  std::deque<Held>& held = from == mqtt::Side::device ? held_up_ : held_down_;
  while (!held.empty() && held.front().due <= now && state_ != State::ended) {
    Held first = std::move(held.front());
    held.pop_front();
    held_bytes_ -= first.bytes;
    if (from == mqtt::Side::device) {
      take(now, std::move(first.packet), out);
    } else {
      take_from_broker(now, std::move(first.packet), out);
    }
  }
}

}  // namespace holdfast::lab::iot
