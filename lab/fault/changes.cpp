#include "lab/fault/changes.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace holdfast::lab::fault {
namespace {

using mqtt::Type;

template <class T>
void put(T& into, const std::optional<T>& value) {
  if (value) into = *value;
}

struct Changer {
  const Alter& change;

  void operator()(mqtt::Connect& packet) const {
    put(packet.clean_start, change.clean_start);
    put(packet.keep_alive, change.keep_alive);
  }
  void operator()(mqtt::Connack& packet) const {
    put(packet.code, change.code);
    put(packet.session_present, change.session_present);
  }
  void operator()(mqtt::Publish& packet) const {
    put(packet.topic, change.topic);
    put(packet.payload, change.payload);
    put(packet.retain, change.retain);
    put(packet.dup, change.dup);
    put(packet.qos, change.qos);
    if (packet.qos == 0) {
      packet.packet_id = 0;
    } else {
      put(packet.packet_id, change.packet_id);
    }
  }
  void operator()(mqtt::Ack& packet) const {
    put(packet.reason, change.code);
    put(packet.packet_id, change.packet_id);
  }
  void operator()(mqtt::Subscribe& packet) const {
    put(packet.packet_id, change.packet_id);
    if (!change.qos) return;
    for (mqtt::Subscription& one : packet.subscriptions) {
      one.options = static_cast<std::uint8_t>((one.options & ~3U) | *change.qos);
    }
  }
  void operator()(mqtt::Unsubscribe& packet) const { put(packet.packet_id, change.packet_id); }
  void operator()(mqtt::Suback& packet) const {
    put(packet.packet_id, change.packet_id);
    if (change.code) std::fill(packet.codes.begin(), packet.codes.end(), *change.code);
  }
  void operator()(mqtt::Ping& /*packet*/) const {}
  void operator()(mqtt::Disconnect& packet) const { put(packet.reason, change.code); }
};

std::optional<Type> usual_answer(const mqtt::Packet& packet) {
  switch (mqtt::type_of(packet)) {
    case Type::connect:
      return Type::connack;
    case Type::publish: {
      const std::uint8_t qos = std::get<mqtt::Publish>(packet).qos;
      if (qos == 0) return std::nullopt;
      return qos == 1 ? Type::puback : Type::pubrec;
    }
    case Type::pubrec:
      return Type::pubrel;
    case Type::pubrel:
      return Type::pubcomp;
    case Type::subscribe:
      return Type::suback;
    case Type::unsubscribe:
      return Type::unsuback;
    case Type::pingreq:
      return Type::pingresp;
    default:
      return std::nullopt;
  }
}

/// How many topic filters an answer has to speak of.
std::size_t filters_of(const mqtt::Packet& packet) {
  if (const auto* subscribe = std::get_if<mqtt::Subscribe>(&packet)) {
    return subscribe->subscriptions.size();
  }
  if (const auto* unsubscribe = std::get_if<mqtt::Unsubscribe>(&packet)) {
    return unsubscribe->filters.size();
  }
  return 1;
}

}  // namespace

void alter(mqtt::Packet& packet, const Alter& change) {
  std::visit(Changer{change}, packet);
  std::visit(
      [&change](auto& one) {
        if constexpr (requires { one.properties; }) {
          for (const mqtt::PropertyId id : change.remove) one.properties.erase(id);
          for (const mqtt::Property& property : change.set.all) {
            if (property.id == mqtt::PropertyId::user_property) {
              one.properties.add_user(property.text, property.value);
            } else if (mqtt::is_number(property.id)) {
              one.properties.set(property.id, property.number);
            } else {
              one.properties.set(property.id, property.text);
            }
          }
        }
      },
      packet);
}

std::uint16_t packet_id_of(const mqtt::Packet& packet) noexcept {
  return std::visit(
      [](const auto& one) -> std::uint16_t {
        if constexpr (requires { one.packet_id; }) {
          return one.packet_id;
        } else {
          return 0;
        }
      },
      packet);
}

std::optional<mqtt::Packet> answer_to(const mqtt::Packet& packet, const Answer& answer) {
  const std::optional<Type> type = answer.packet ? answer.packet : usual_answer(packet);
  if (!type) return std::nullopt;
  if (*type == Type::connack) {
    return mqtt::Connack{answer.session_present, answer.code, answer.properties};
  }
  if (*type == Type::pingresp) return mqtt::Ping{Type::pingresp};
  const std::uint16_t id = packet_id_of(packet);
  if (id == 0) return std::nullopt;
  if (*type == Type::suback || *type == Type::unsuback) {
    return mqtt::Suback{*type, id, std::vector<std::uint8_t>(filters_of(packet), answer.code),
                        answer.properties};
  }
  return mqtt::Ack{*type, id, answer.code, answer.properties};
}

}  // namespace holdfast::lab::fault
