// Names and properties; see packet.h. The bytes are in decode.cpp and encode.cpp.
#include "lab/mqtt/packet.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace holdfast::lab::mqtt {
namespace {

constexpr std::array<std::string_view, 16> kTypeNames = {
    "?",       "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
    "PUBREL",  "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
    "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};

struct PropertyName {
  PropertyId id;
  std::string_view name;
  bool number;
};

using Id = PropertyId;
constexpr auto kPropertyNames = std::to_array<PropertyName>({
    {Id::payload_format_indicator, "payload_format_indicator", true},
    {Id::message_expiry_interval, "message_expiry_interval", true},
    {Id::content_type, "content_type", false},
    {Id::response_topic, "response_topic", false},
    {Id::correlation_data, "correlation_data", false},
    {Id::subscription_identifier, "subscription_identifier", true},
    {Id::session_expiry_interval, "session_expiry_interval", true},
    {Id::assigned_client_identifier, "assigned_client_identifier", false},
    {Id::server_keep_alive, "server_keep_alive", true},
    {Id::authentication_method, "authentication_method", false},
    {Id::authentication_data, "authentication_data", false},
    {Id::request_problem_information, "request_problem_information", true},
    {Id::will_delay_interval, "will_delay_interval", true},
    {Id::request_response_information, "request_response_information", true},
    {Id::response_information, "response_information", false},
    {Id::server_reference, "server_reference", false},
    {Id::reason_string, "reason_string", false},
    {Id::receive_maximum, "receive_maximum", true},
    {Id::topic_alias_maximum, "topic_alias_maximum", true},
    {Id::topic_alias, "topic_alias", true},
    {Id::maximum_qos, "maximum_qos", true},
    {Id::retain_available, "retain_available", true},
    {Id::user_property, "user_property", false},
    {Id::maximum_packet_size, "maximum_packet_size", true},
    {Id::wildcard_subscription_available, "wildcard_subscription_available", true},
    {Id::subscription_identifier_available, "subscription_identifier_available", true},
    {Id::shared_subscription_available, "shared_subscription_available", true},
});

const PropertyName* row_of(PropertyId id) noexcept {
  const auto row = std::find_if(kPropertyNames.begin(), kPropertyNames.end(),
                                [id](const PropertyName& r) { return r.id == id; });
  return row == kPropertyNames.end() ? nullptr : &*row;
}

/// The alternative that a frame type is read into tells the type, or carries it.
struct TypeOf {
  Type operator()(const Connect&) const { return Type::connect; }
  Type operator()(const Connack&) const { return Type::connack; }
  Type operator()(const Publish&) const { return Type::publish; }
  Type operator()(const Subscribe&) const { return Type::subscribe; }
  Type operator()(const Unsubscribe&) const { return Type::unsubscribe; }
  template <class Packet>
  Type operator()(const Packet& packet) const {
    return packet.type;
  }
};

}  // namespace

std::string_view to_string(Type type) noexcept {
  return kTypeNames[static_cast<std::size_t>(type) & 0x0FU];
}

std::optional<Type> type_named(std::string_view name) noexcept {
  const auto same = [&](std::string_view known) {
    return std::equal(known.begin(), known.end(), name.begin(), name.end(), [](char a, char b) {
      return a == std::toupper(static_cast<unsigned char>(b));
    });
  };
  const auto found = std::find_if(kTypeNames.begin() + 1, kTypeNames.end(), same);
  if (found == kTypeNames.end()) return std::nullopt;
  return static_cast<Type>(found - kTypeNames.begin());
}

std::string_view to_string(PropertyId id) noexcept {
  const PropertyName* row = row_of(id);
  return row != nullptr ? row->name : "?";
}

std::optional<PropertyId> property_named(std::string_view name) noexcept {
  for (const PropertyName& row : kPropertyNames) {
    if (row.name == name) return row.id;
  }
  return std::nullopt;
}

bool is_number(PropertyId id) noexcept {
  const PropertyName* row = row_of(id);
  return row != nullptr && row->number;
}

std::optional<std::uint32_t> Properties::number(PropertyId id) const noexcept {
  for (const Property& p : all) {
    if (p.id == id) return p.number;
  }
  return std::nullopt;
}

const std::string* Properties::text(PropertyId id) const noexcept {
  for (const Property& p : all) {
    if (p.id == id) return &p.text;
  }
  return nullptr;
}

bool Properties::has(PropertyId id) const noexcept { return number(id).has_value(); }

void Properties::set(PropertyId id, std::uint32_t number) {
  for (Property& p : all) {
    if (p.id == id) {
      p.number = number;
      return;
    }
  }
  all.push_back({id, number, {}, {}});
}

void Properties::set(PropertyId id, std::string text) {
  for (Property& p : all) {
    if (p.id == id) {
      p.text = std::move(text);
      return;
    }
  }
  all.push_back({id, 0, std::move(text), {}});
}

void Properties::add_user(std::string name, std::string value) {
  all.push_back({PropertyId::user_property, 0, std::move(name), std::move(value)});
}

void Properties::erase(PropertyId id) {
  std::erase_if(all, [id](const Property& p) { return p.id == id; });
}

Type type_of(const Packet& packet) noexcept { return std::visit(TypeOf(), packet); }

}  // namespace holdfast::lab::mqtt
