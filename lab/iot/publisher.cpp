#include "lab/iot/publisher.h"

#include <utility>

#include "lab/iot/broker_login.h"
#include "lab/iot/stamp.h"

namespace holdfast::lab::iot {

bool Publisher::add(Answer message, WallTime now) {
  if (waiting_.size() >= kWaitingMost) return false;
  mqtt::Publish publish;
  publish.topic = std::move(message.topic);
  publish.payload = std::move(message.payload);
  publish.qos = 1;
  publish.retain = message.retain;
  publish.properties = std::move(message.properties);
  stamp(publish, now);
  waiting_.push_back(std::move(publish));
  return true;
}

std::string Publisher::opened() {
  open_ = done_ = false;
  // Sessions first: a message must not be kept for somebody who is to be forgotten.
  forgetting_ = !forgotten_.empty();
  mqtt::Connect connect;
  connect.client_id = forgetting_ ? forgotten_.front() : std::string(kPublisherId);
  connect.username = kBrokerUser;
  connect.password = password_;
  return mqtt::encode(mqtt::Version::v5, connect);
}

void Publisher::closed() {
  open_ = false;
  sent_ = 0;
}

Status Publisher::on_frame(std::string_view frame) {
  const Result<mqtt::Packet> packet = mqtt::decode(mqtt::Version::v5, frame);
  if (!packet) return packet.error();
  if (const auto* connack = std::get_if<mqtt::Connack>(&*packet)) {
    if (connack->code != 0) {
      return Error{Errc::permission,
                   "the broker refuses the lab with " + std::to_string(connack->code)};
    }
    // A clean start without expiry: the session is gone already.
    if (forgetting_) {
      forgotten_.pop_front();
      done_ = true;
    }
    open_ = !forgetting_;
    return {};
  }
  if (const auto* ack = std::get_if<mqtt::Ack>(&*packet); ack != nullptr && sent_ > 0) {
    // mosquitto acknowledges in order.
    if (waiting_.front().packet_id != ack->packet_id) {
      return Error{Errc::protocol, "the broker acknowledged out of order"};
    }
    waiting_.pop_front();
    --sent_;
  }
  return {};
}

std::string Publisher::take() {
  std::string out;
  if (!open_) return out;
  while (sent_ < waiting_.size() && sent_ < kInFlight) {
    mqtt::Publish& next = waiting_[sent_++];
    next.packet_id = next_id_;
    next_id_ = next_id_ == 65535 ? std::uint16_t{1} : static_cast<std::uint16_t>(next_id_ + 1);
    out += mqtt::encode(mqtt::Version::v5, next);
  }
  return out;
}

}  // namespace holdfast::lab::iot
