// Packets to frames; see packet.h.
#include "lab/mqtt/packet.h"
#include "lab/mqtt/wire.h"

namespace holdfast::lab::mqtt {
namespace {

void put_byte(std::string& out, std::uint32_t byte) { out.push_back(static_cast<char>(byte)); }

/// How many bytes the value of a numeric property has; 0: a variable byte integer.
unsigned width_of(PropertyId id) {
  switch (id) {
    case PropertyId::payload_format_indicator:
    case PropertyId::request_problem_information:
    case PropertyId::request_response_information:
    case PropertyId::maximum_qos:
    case PropertyId::retain_available:
    case PropertyId::wildcard_subscription_available:
    case PropertyId::subscription_identifier_available:
    case PropertyId::shared_subscription_available:
      return 1;
    case PropertyId::server_keep_alive:
    case PropertyId::receive_maximum:
    case PropertyId::topic_alias_maximum:
    case PropertyId::topic_alias:
      return 2;
    case PropertyId::subscription_identifier:
      return 0;
    default:
      return 4;
  }
}

void put_property(std::string& out, const Property& p) {
  put_byte(out, static_cast<std::uint32_t>(p.id));
  if (!is_number(p.id)) {
    put_binary(out, p.text);
    if (p.id == PropertyId::user_property) put_binary(out, p.value);
    return;
  }
  switch (width_of(p.id)) {
    case 0:
      return put_variable(out, p.number);
    case 1:
      return put_byte(out, p.number);
    case 2:
      return put_two(out, p.number);
    default:
      return put_four(out, p.number);
  }
}

/// Writes the body of a packet, and the flags of its first byte.
class Encoder {
 public:
  explicit Encoder(Version version) : version_(version) {}

  void operator()(const Connect& c) {
    version_ = c.version;
    put_binary(out, "MQTT");
    put_byte(out, static_cast<std::uint32_t>(c.version));
    std::uint32_t connect_flags = c.clean_start ? 0x02U : 0U;
    if (c.will) {
      connect_flags |= 0x04U | static_cast<std::uint32_t>(c.will->qos) << 3;
      if (c.will->retain) connect_flags |= 0x20U;
    }
    if (c.username) connect_flags |= 0x80U;
    if (c.password) connect_flags |= 0x40U;
    put_byte(out, connect_flags);
    put_two(out, c.keep_alive);
    put(c.properties);
    put_binary(out, c.client_id);
    if (c.will) {
      put(c.will->properties);
      put_binary(out, c.will->topic);
      put_binary(out, c.will->payload);
    }
    if (c.username) put_binary(out, *c.username);
    if (c.password) put_binary(out, *c.password);
  }

  void operator()(const Connack& c) {
    put_byte(out, c.session_present ? 1 : 0);
    put_byte(out, c.code);
    put(c.properties);
  }

  void operator()(const Publish& p) {
    flags = (p.dup ? 8U : 0U) | static_cast<std::uint32_t>(p.qos) << 1 | (p.retain ? 1U : 0U);
    put_binary(out, p.topic);
    if (p.qos > 0) put_two(out, p.packet_id);
    put(p.properties);
    out += p.payload;
  }

  void operator()(const Ack& a) {
    if (a.type == Type::pubrel) flags = 2;
    put_two(out, a.packet_id);
    put_outcome(a.reason, a.properties);
  }

  void operator()(const Subscribe& s) {
    flags = 2;
    put_two(out, s.packet_id);
    put(s.properties);
    for (const Subscription& one : s.subscriptions) {
      put_binary(out, one.filter);
      put_byte(out, one.options);
    }
  }

  void operator()(const Unsubscribe& u) {
    flags = 2;
    put_two(out, u.packet_id);
    put(u.properties);
    for (const std::string& filter : u.filters) put_binary(out, filter);
  }

  void operator()(const Suback& s) {
    put_two(out, s.packet_id);
    put(s.properties);
    if (!five() && s.type == Type::unsuback) return;
    for (const std::uint8_t code : s.codes) put_byte(out, code);
  }

  void operator()(const Ping&) {}

  void operator()(const Disconnect& d) { put_outcome(d.reason, d.properties); }

  std::string out;
  std::uint32_t flags = 0;

 private:
  [[nodiscard]] bool five() const { return version_ == Version::v5; }

  void put(const Properties& properties) {
    if (!five()) return;
    std::string bytes;
    for (const Property& p : properties.all) put_property(bytes, p);
    put_variable(out, static_cast<std::uint32_t>(bytes.size()));
    out += bytes;
  }

  /// A reason and properties, as short as can be (sections 3.4.2.1, 3.14.2.1).
  void put_outcome(std::uint8_t reason, const Properties& properties) {
    if (!five() || (reason == 0 && properties.all.empty())) return;
    put_byte(out, reason);
    if (!properties.all.empty()) put(properties);
  }

  Version version_;
};

}  // namespace

std::string encode(Version version, const Packet& packet) {
  Encoder encoder(version);
  std::visit(encoder, packet);
  std::string frame;
  frame.reserve(encoder.out.size() + 5);
  put_byte(frame, static_cast<std::uint32_t>(type_of(packet)) << 4 | encoder.flags);
  put_variable(frame, static_cast<std::uint32_t>(encoder.out.size()));
  frame += encoder.out;
  return frame;
}

}  // namespace holdfast::lab::mqtt
