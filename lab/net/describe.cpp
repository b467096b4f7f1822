#include "lab/net/describe.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "base/hex.h"

namespace holdfast::lab::net {

namespace {

using namespace mqtt;  // NOLINT: its packets are all that this file is about

bool printable(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// "NAME": as text; "NAME_hex": any bytes.
void add_bytes(Json& out, const std::string& name, std::string_view bytes) {
  const std::string_view shown = bytes.substr(0, kShownPayload);
  if (printable(shown)) {
    out[name] = shown;
  } else {
    out[name + "_hex"] = text_to_hex(shown);
  }
}

void add_properties(Json& out, const Properties& properties) {
  if (properties.all.empty()) return;
  Json& list = out["properties"] = Json::object();
  for (const Property& property : properties.all) {
    const std::string name(to_string(property.id));
    if (property.id == PropertyId::user_property) {
      list[name].push_back(Json::array({property.text, property.value}));
    } else if (property.id == PropertyId::authentication_data) {
      list[name] = property.text.size();  // It may be a secret.
    } else if (is_number(property.id)) {
      list[name] = property.number;
    } else {
      add_bytes(list, name, property.text);
    }
  }
}

// Only the part before a custom authorizer's parameters, which may be a token.
std::string shown_username(const std::string& name) {
  const std::size_t query = name.find('?');
  return query == std::string::npos ? name : name.substr(0, query) + "?…";
}

struct Describe {
  Json& out;

  void operator()(const Connect& c) const {
    out["client"] = c.client_id;
    out["version"] = static_cast<int>(c.version);
    out["clean"] = c.clean_start;
    out["keep_alive"] = c.keep_alive;
    if (c.username) out["username"] = shown_username(*c.username);
    if (c.password) out["password_size"] = c.password->size();
    if (c.will) {
      out["will"] = {{"topic", c.will->topic},
                     {"qos", c.will->qos},
                     {"retain", c.will->retain},
                     {"size", c.will->payload.size()}};
    }
    add_properties(out, c.properties);
  }
  void operator()(const Connack& c) const {
    out["session_present"] = c.session_present;
    out["reason"] = c.code;
    add_properties(out, c.properties);
  }
  void operator()(const Publish& p) const {
    if (p.packet_id != 0) out["id"] = p.packet_id;
    out["topic"] = p.topic;
    out["qos"] = p.qos;
    out["dup"] = p.dup;
    out["retain"] = p.retain;
    out["size"] = p.payload.size();
    add_bytes(out, "payload", p.payload);
    add_properties(out, p.properties);
  }
  void operator()(const Ack& a) const {
    out["id"] = a.packet_id;
    out["reason"] = a.reason;
    add_properties(out, a.properties);
  }
  void operator()(const Subscribe& s) const {
    out["id"] = s.packet_id;
    Json& list = out["filters"] = Json::array();
    for (const Subscription& each : s.subscriptions) {
      list.push_back(
          {{"filter", each.filter}, {"qos", each.options & 3}, {"options", each.options}});
    }
    add_properties(out, s.properties);
  }
  void operator()(const Unsubscribe& u) const {
    out["id"] = u.packet_id;
    Json& list = out["filters"] = Json::array();
    for (const std::string& filter : u.filters) list.push_back({{"filter", filter}});
    add_properties(out, u.properties);
  }
  void operator()(const Suback& s) const {
    out["id"] = s.packet_id;
    out["reasons"] = s.codes;
    add_properties(out, s.properties);
  }
  void operator()(const Ping&) const {}
  void operator()(const Disconnect& d) const {
    out["reason"] = d.reason;
    add_properties(out, d.properties);
  }
};

}  // namespace

Json describe(const Packet& packet) {
  Json out;
  out["type"] = to_string(type_of(packet));
  std::visit(Describe{out}, packet);
  return out;
}

Json describe(Version version, std::string_view frame) {
  const auto packet = decode(version, frame);
  Json out = packet ? describe(*packet) : Json{{"malformed", packet.error().message}};
  out["bytes"] = frame.size();
  return out;
}

}  // namespace holdfast::lab::net
