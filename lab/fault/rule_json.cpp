// The rules' part of faults_json.h.
#include "lab/fault/faults_json.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/hex.h"
#include "lab/fault/values.h"

namespace holdfast::lab::fault {
namespace {

using mqtt::Ending;
using mqtt::PropertyId;
using mqtt::Side;
using mqtt::Type;

constexpr std::uint64_t kCountMax = 1'000'000'000;
constexpr std::uint64_t kCopiesMax = 100;
constexpr std::size_t kTextMax = 65'535;
constexpr std::size_t kPayloadMax = std::size_t{256} * 1024;
constexpr double kRateMax = 1e6;
/// A shorter one would be a flood, not a redelivery.
constexpr Duration kRedeliverLeast = std::chrono::milliseconds(10);

constexpr std::array<std::string_view, 10> kActions{"drop",      "hold",     "delay",  "reorder",
                                                    "duplicate", "alter",    "answer", "disconnect",
                                                    "rate",      "redeliver"};
constexpr std::array<Named<std::optional<Side>>, 3> kDirections{
    {{"both", std::nullopt}, {"up", Side::device}, {"down", Side::broker}}};
constexpr std::array<Named<std::optional<Side>>, 3> kSides{
    {{"both", std::nullopt}, {"device", Side::device}, {"broker", Side::broker}}};
constexpr std::array<Named<Scope>, 2> kScopes{
    {{"connection", Scope::connection}, {"all", Scope::all}}};
constexpr std::array<Named<bool>, 2> kWhens{{{"after", true}, {"before", false}}};

/// The largest number that the wire has room for.
std::uint64_t most_of(PropertyId id) {
  switch (id) {
    case PropertyId::server_keep_alive:
    case PropertyId::receive_maximum:
    case PropertyId::topic_alias_maximum:
    case PropertyId::topic_alias:
      return 0xFFFF;
    case PropertyId::subscription_identifier:
      return 268'435'455;
    case PropertyId::message_expiry_interval:
    case PropertyId::session_expiry_interval:
    case PropertyId::will_delay_interval:
    case PropertyId::maximum_packet_size:
      return 0xFFFF'FFFF;
    default:
      return 0xFF;
  }
}

void read_user_properties(ObjectReader& in, mqtt::Properties& into) {
  const Json* const users = in.find("user_property");
  if (users == nullptr) return;
  if (!users->is_object()) return in.wrong("user_property", "must be a table of texts");
  for (const auto& [name, value] : users->items()) {
    const auto* text = value.get_ptr<const std::string*>();
    if (text == nullptr || text->size() > kTextMax || name.size() > kTextMax) {
      return in.wrong("user_property." + name.substr(0, 64), "must be a text of MQTT");
    }
    into.add_user(name, *text);
  }
}

mqtt::Properties read_properties(const Json& json, const std::string& path, Problem& problem) {
  mqtt::Properties properties;
  ObjectReader in(json, path, problem);
  if (!json.is_object()) return properties;
  for (const auto& [key, value] : json.items()) {
    const auto id = mqtt::property_named(key);
    if (!id) continue;  // finish() says so
    if (*id == PropertyId::user_property) {
      read_user_properties(in, properties);
    } else if (mqtt::is_number(*id)) {
      std::uint32_t number = 0;
      in.read_number(mqtt::to_string(*id), 0, most_of(*id), number);
      properties.set(*id, number);
    } else {
      std::string text;
      in.read(mqtt::to_string(*id), text);
      if (text.size() > kTextMax) in.wrong(key, "is too long for MQTT");
      properties.set(*id, std::move(text));
    }
  }
  in.finish();
  return properties;
}

Json properties_json(const mqtt::Properties& properties) {
  Json json = Json::object();
  for (const mqtt::Property& one : properties.all) {
    const std::string key(mqtt::to_string(one.id));
    if (one.id == PropertyId::user_property) {
      json[key][one.text] = one.value;
    } else if (mqtt::is_number(one.id)) {
      json[key] = one.number;
    } else {
      json[key] = one.text;
    }
  }
  return json;
}

void read_text(ObjectReader& in, std::string_view key, std::optional<std::string>& into,
               std::size_t most) {
  in.read(key, into);
  if (into && into->size() > most) in.wrong(key, "is too long");
}

void read_hex(ObjectReader& in, std::string_view key, std::optional<std::string>& into) {
  std::optional<std::string> hex;
  in.read(key, hex);
  if (!hex) return;
  if (into) return in.wrong(key, "is given besides payload; keep one of the two");
  if (hex->size() % 2 != 0) return in.wrong(key, "must have two digits for each byte");
  into = text_from_hex(*hex);
  if (!into) in.wrong(key, "must be hexadecimal");
}

Alter read_alter(const Json& json, const std::string& path, Problem& problem) {
  Alter alter;
  ObjectReader in(json, path, problem);
  in.read_number("code", 0, 0xFF, alter.code);
  in.read("session_present", alter.session_present);
  in.read("clean_start", alter.clean_start);
  in.read_number("keep_alive", 0, 0xFFFF, alter.keep_alive);
  in.read("dup", alter.dup);
  in.read("retain", alter.retain);
  in.read_number("qos", 0, 2, alter.qos);
  in.read_number("packet_id", 1, 0xFFFF, alter.packet_id);
  read_text(in, "topic", alter.topic, kTextMax);
  read_text(in, "payload", alter.payload, kPayloadMax);
  read_hex(in, "payload_hex", alter.payload);
  if (const Json* set = in.find("set")) {
    alter.set = read_properties(*set, in.path_of("set"), problem);
  }
  if (const Json* remove = in.find("remove")) {
    if (!remove->is_array()) in.wrong("remove", "must be a list of names of properties");
    for (const Json& name : *remove) {
      const auto* text = name.get_ptr<const std::string*>();
      const auto id = mqtt::property_named(text == nullptr ? "" : *text);
      if (id) {
        alter.remove.push_back(*id);
      } else {
        in.wrong("remove", "must be a list of names of properties");
      }
    }
  }
  in.finish();
  if (json.is_object() && json.empty()) problem.at(path, "alters nothing");
  return alter;
}

Json alter_json(const Alter& alter) {
  Json json = Json::object();
  const auto put = [&json](const char* key, const auto& value) {
    if (value) json[key] = *value;
  };
  put("code", alter.code);
  put("session_present", alter.session_present);
  put("clean_start", alter.clean_start);
  put("keep_alive", alter.keep_alive);
  put("dup", alter.dup);
  put("retain", alter.retain);
  put("qos", alter.qos);
  put("packet_id", alter.packet_id);
  put("topic", alter.topic);
  if (alter.payload) {
    const bool plain = std::all_of(alter.payload->begin(), alter.payload->end(),
                                   [](char c) { return c >= ' ' && c <= '~'; });
    json[plain ? "payload" : "payload_hex"] = plain ? *alter.payload : text_to_hex(*alter.payload);
  }
  if (!alter.set.all.empty()) json["set"] = properties_json(alter.set);
  for (const PropertyId id : alter.remove) json["remove"].push_back(mqtt::to_string(id));
  return json;
}

Answer read_answer(const Json& json, const std::string& path, Problem& problem) {
  constexpr std::array<Type, 7> kAnswers{Type::connack, Type::puback, Type::pubrec,
                                         Type::pubcomp, Type::suback, Type::unsuback,
                                         Type::pingresp};
  Answer answer;
  ObjectReader in(json, path, problem);
  std::optional<std::string> packet;
  in.read("packet", packet);
  if (packet) {
    answer.packet = mqtt::type_named(*packet);
    if (!answer.packet ||
        std::find(kAnswers.begin(), kAnswers.end(), *answer.packet) == kAnswers.end()) {
      in.wrong("packet", "must be a packet that answers, such as \"PUBACK\"");
    }
  }
  in.read_number("code", 0, 0xFF, answer.code);
  in.read("session_present", answer.session_present);
  if (const Json* properties = in.find("properties")) {
    answer.properties = read_properties(*properties, in.path_of("properties"), problem);
  }
  in.finish();
  return answer;
}

Json answer_json(const Answer& answer) {
  Json json = Json::object();
  if (answer.packet) json["packet"] = mqtt::to_string(*answer.packet);
  json["code"] = answer.code;
  if (answer.session_present) json["session_present"] = true;
  if (!answer.properties.all.empty()) json["properties"] = properties_json(answer.properties);
  return json;
}

Disconnect read_disconnect(const Json& json, const std::string& path, Problem& problem) {
  Disconnect disconnect;
  ObjectReader in(json, path, problem);
  in.read_choice("when", kWhens, disconnect.pass);
  in.read("delay", disconnect.delay);
  in.read_number("reason", 0, 0xFF, disconnect.reason);
  in.read_choice("how", kEndings, disconnect.ending);
  in.read_choice("side", kSides, disconnect.side);
  if (disconnect.reason && disconnect.ending != Ending::after_sending) {
    in.wrong("reason", "is said only when how is \"close\"");
  }
  in.finish();
  return disconnect;
}

Json disconnect_json(const Disconnect& disconnect) {
  Json json = Json::object();
  json["when"] = name_of(kWhens, disconnect.pass);
  if (disconnect.delay > Duration::zero()) json["delay"] = duration_text(disconnect.delay);
  if (disconnect.reason) json["reason"] = *disconnect.reason;
  json["how"] = name_of(kEndings, disconnect.ending);
  json["side"] = name_of(kSides, disconnect.side);
  return json;
}

Redeliver read_redeliver(const Json& json, const std::string& path, Problem& problem) {
  Redeliver redeliver;
  ObjectReader in(json, path, problem);
  in.read("after", redeliver.after);
  if (redeliver.after < kRedeliverLeast) in.wrong("after", "must be at least 10ms");
  in.read("dup", redeliver.dup);
  in.read("new_packet_id", redeliver.new_packet_id);
  in.read_number("times", 0, kCountMax, redeliver.times);
  in.finish();
  return redeliver;
}

Json redeliver_json(const Redeliver& redeliver) {
  Json json = Json::object();
  json["after"] = duration_text(redeliver.after);
  if (redeliver.dup) json["dup"] = true;
  if (redeliver.new_packet_id) json["new_packet_id"] = true;
  if (redeliver.times != 0) json["times"] = redeliver.times;
  return json;
}

/// drop and hold are switches: only true makes sense.
void read_true(ObjectReader& in, std::string_view key) {
  bool on = true;
  in.read(key, on);
  if (!on) in.wrong(key, "must be true");
}

std::optional<Action> read_action(ObjectReader& in, std::string_view key) {
  const Json* const value = in.find(key);
  if (value == nullptr) return std::nullopt;
  const std::string path = in.path_of(key);
  if (key == "drop" || key == "hold") {
    read_true(in, key);
    return key == "drop" ? Action(Drop{}) : Action(Hold{});
  }
  if (key == "delay") {
    Delay delay;
    in.read(key, delay.by);
    return delay;
  }
  if (key == "reorder") {
    Reorder reorder;
    in.read(key, reorder.within);
    return reorder;
  }
  if (key == "duplicate") {
    Duplicate duplicate;
    in.read_number(key, 1, kCopiesMax, duplicate.copies);
    return duplicate;
  }
  if (key == "rate") {
    Rate rate;
    in.read_fraction(key, 0, kRateMax, rate.per_second);
    return rate;
  }
  if (key == "alter") return read_alter(*value, path, in.problem());
  if (key == "answer") return read_answer(*value, path, in.problem());
  if (key == "disconnect") return read_disconnect(*value, path, in.problem());
  return read_redeliver(*value, path, in.problem());
}

void read_packets(ObjectReader& in, std::vector<Type>& into) {
  const Json* const packets = in.find("packets");
  if (packets == nullptr) return;
  const auto take = [&](const Json& name) {
    const auto* text = name.get_ptr<const std::string*>();
    const auto type = mqtt::type_named(text == nullptr ? "" : *text);
    if (type) {
      into.push_back(*type);
    } else {
      in.wrong("packets", "must be names of packets, such as \"PUBACK\"");
    }
  };
  if (!packets->is_array()) return take(*packets);
  for (const Json& name : *packets) take(name);
}

struct ActionJson {
  Json operator()(const Drop&) const { return true; }
  Json operator()(const Hold&) const { return true; }
  Json operator()(const Delay& delay) const { return duration_text(delay.by); }
  Json operator()(const Reorder& reorder) const { return duration_text(reorder.within); }
  Json operator()(const Duplicate& duplicate) const { return duplicate.copies; }
  Json operator()(const Alter& alter) const { return alter_json(alter); }
  Json operator()(const Answer& answer) const { return answer_json(answer); }
  Json operator()(const Disconnect& disconnect) const { return disconnect_json(disconnect); }
  Json operator()(const Rate& rate) const { return rate.per_second; }
  Json operator()(const Redeliver& redeliver) const { return redeliver_json(redeliver); }
};

}  // namespace

std::string_view name_of(const Action& action) noexcept { return kActions.at(action.index()); }

Rule parse_rule(const Json& json, const std::string& path, Problem& problem) {
  Rule rule;
  ObjectReader in(json, path, problem);
  in.read("name", rule.name);
  Match& match = rule.match;
  read_packets(in, match.packets);
  in.read_choice("direction", kDirections, match.from);
  in.read("topic", match.topic);
  in.read("client_id", match.client_id);
  in.read_number("qos", 0, 2, match.qos);
  in.read_number("skip", 0, kCountMax, match.skip);
  in.read_number("every", 1, kCountMax, match.every);
  in.read_number("first", 0, kCountMax, match.first);
  in.read_fraction("probability", 0, 1, match.probability);
  in.read_choice("scope", kScopes, match.scope);
  std::size_t actions = 0;
  for (const std::string_view key : kActions) {
    if (auto action = read_action(in, key)) {
      rule.action = std::move(*action);
      ++actions;
    }
  }
  in.finish();
  if (actions != 1) {
    problem.at(path,
               "must have one of drop, hold, delay, reorder, duplicate, alter, answer, disconnect, "
               "rate and redeliver");
  }
  return rule;
}

Json to_json(const Rule& rule) {
  const Match& match = rule.match;
  Json json = Json::object();
  json["name"] = rule.name;
  for (const Type type : match.packets) json["packets"].push_back(mqtt::to_string(type));
  if (match.from) json["direction"] = name_of(kDirections, match.from);
  if (!match.topic.empty()) json["topic"] = match.topic;
  if (!match.client_id.empty()) json["client_id"] = match.client_id;
  if (match.qos) json["qos"] = *match.qos;
  if (match.skip != 0) json["skip"] = match.skip;
  if (match.every != 1) json["every"] = match.every;
  if (match.first != 0) json["first"] = match.first;
  if (match.probability < 1) json["probability"] = match.probability;
  if (match.scope == Scope::all) json["scope"] = name_of(kScopes, match.scope);
  json[std::string(name_of(rule.action))] = std::visit(ActionJson{}, rule.action);
  return json;
}

}  // namespace holdfast::lab::fault
