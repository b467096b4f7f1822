// See region.h.
#include "lab/iot/region.h"

#include <algorithm>
#include <chrono>

#include "base/base64.h"
#include "base/check.h"

#include "lab/iot/door.h"
#include "lab/iot/quotas.h"
#include "lab/iot/stamp.h"
#include "lab/iot/topics.h"
#include "lab/iot/uuid.h"

namespace holdfast::lab::iot {
namespace {

/// Rate limits of so many client ids and topics are remembered.
constexpr std::size_t kBucketsMost = 10'000;

ApiError invalid(std::string message) {
  return {"InvalidRequestException", 400, std::move(message)};
}
ApiError not_found(std::string message) {
  return {"ResourceNotFoundException", 404, std::move(message)};
}

bool take(std::map<std::string, Bucket>& buckets, BootTime now, const std::string& key,
          std::int64_t per_second) {
  if (buckets.size() >= kBucketsMost) buckets.clear();
  return buckets[key].take(now, per_second);
}

}  // namespace

std::uint64_t Region::enter(Door& door) {
  doors_[++last_connection_] = &door;
  return last_connection_;
}

void Region::leave(std::uint64_t connection) {
  doors_.erase(connection);
  woken_.erase(connection);
}

bool Region::connect_allowed(BootTime now, const std::string& client_id) {
  return take(connects_of_, now, client_id, switches.connects_per_client) &&
         connects_.take(now, switches.connects_per_second);
}

bool Region::retain_allowed(BootTime now, const std::string& topic) {
  return take(retains_of_, now, topic, switches.retained_per_topic);
}

LifecycleClient Region::client_of(const Door& door) const {
  const Requester& who = door.who();
  LifecycleClient client{who.client_id,        world_.access.exclusive_thing(who.principal),
                         who.principal,        {},
                         door.facts().address, door.lifecycle_version()};
  const auto session = sessions_.find(who.client_id);
  if (session != sessions_.end()) client.session = session->second.uuid;
  return client;
}

void Region::take_over(const Door& door) {
  if (Door* const older = door_of(door.who().client_id)) {
    older->end_soon(DisconnectReason::duplicate_clientid);
  }
}

void Region::opened(Door& door) {
  const std::string& id = door.who().client_id;
  open_[id] = &door;
  Session& session = sessions_[id];
  session.expires = {INT64_MAX};
  if (session.uuid.empty()) session.uuid = make_uuid(world_.random);
  changed();
  if (lifecycle_ == nullptr) return;
  Answers answers;
  LifecycleClient client = client_of(door);
  lifecycle_->connected(wall(), client, answers);
  door.set_lifecycle_version(client.version);
  carry(std::move(answers), nullptr);
}

void Region::closed(Door& door, DisconnectReason why, std::uint32_t expiry) {
  Answers answers;
  if (lifecycle_ != nullptr) {
    lifecycle_->disconnected(wall(), client_of(door), why, std::chrono::seconds(expiry), answers);
  }
  const std::string& id = door.who().client_id;
  const auto open = open_.find(id);
  if (open != open_.end() && open->second == &door) {
    open_.erase(open);
    sessions_[id].expires = {wall().ms + std::int64_t{expiry} * 1000};
  }
  std::erase_if(sessions_, [&](const auto& s) { return s.second.expires <= wall(); });
  changed();
  carry(std::move(answers), nullptr);
}

void Region::refused(const Door& door) {
  if (lifecycle_ == nullptr) return;
  Answers answers;
  Lifecycle::connect_failed(wall(), client_of(door), answers);
  carry(std::move(answers), nullptr);
}

void Region::subscribed(const Door& door, const std::vector<std::string>& filters, bool on) {
  if (lifecycle_ == nullptr) return;
  Answers answers;
  if (on) {
    Lifecycle::subscribed(wall(), client_of(door), filters, answers);
  } else {
    Lifecycle::unsubscribed(wall(), client_of(door), filters, answers);
  }
  carry(std::move(answers), nullptr);
}

Claim Region::claim(std::string_view topic) const {
  for (const Service* service : services_) {
    if (const Claim claim = service->claims(topic); claim != Claim::none) return claim;
  }
  return Claim::none;
}

void Region::tell_switches() {
  if (told_ == switches) return;
  told_ = switches;
  for (Service* service : services_) service->on_switches(switches);
}

void Region::request(const Requester& from, const mqtt::Publish& message) {
  tell_switches();
  for (Service* service : services_) {
    if (service->claims(message.topic) == Claim::none) continue;
    Answers answers;
    service->on_request(wall(), from, message, answers);
    return carry(std::move(answers), &from);
  }
}

Door* Region::door_of(std::string_view client_id) const {
  const auto found = open_.find(client_id);
  return found == open_.end() ? nullptr : found->second;
}

void Region::carry(Answers answers, const Requester* requester) {
  for (Answer& answer : answers.all) {
    if (answer.to == Answer::To::broker) {
      published_.push_back(std::move(answer));
      continue;
    }
    Door* door = nullptr;
    if (answer.to == Answer::To::client) door = door_of(answer.client_id);
    if (answer.to == Answer::To::requester && requester != nullptr) {
      const auto found = doors_.find(requester->connection);
      if (found != doors_.end()) door = found->second;
    }
    if (door == nullptr) continue;  // it left; answers are never kept
    door->deliver({std::move(answer.topic), std::move(answer.payload), answer.qos, false, false, 0,
                   std::move(answer.properties)});
  }
  for (const std::string& principal : answers.disconnected) {
    for (const auto& [id, door] : doors_) {
      if (door->who().principal == principal) door->end_soon(DisconnectReason::auth_error);
    }
  }
}

WallTime Region::wake() const {
  WallTime next{Service::kNoTime};
  for (const Service* service : services_) next = std::min(next, service->wake());
  return next;
}

void Region::on_time() {
  tell_switches();
  for (Service* service : services_) {
    if (service->wake() > wall()) continue;
    Answers answers;
    service->on_time(wall(), answers);
    carry(std::move(answers), nullptr);
  }
}

// ---- operations of the Region itself ----

struct Region::Operation {
  std::string_view name;
  ApiResult (Region::*call)(const Json& input);
};

const std::vector<Region::Operation>& Region::operations() {
  static const std::vector<Operation> all = {
      {"DeleteConnection", &Region::delete_connection},
      {"GetConnection", &Region::get_connection},
      {"ListConnections", &Region::list_connections},
      {"Publish", &Region::publish},
      {"SendDirectMessage", &Region::send_direct},
      {"PutSwitches", &Region::put_switches},
      {"GetSwitches", &Region::get_switches},
      {"DescribeEndpoint", &Region::describe_endpoint},
  };
  return all;
}

ApiResult Region::call(std::string_view operation, const Json& input) {
  if (!input.is_object()) return invalid("the input of an operation is an object");
  tell_switches();
  for (const Operation& own : operations()) {
    if (own.name == operation) return (this->*own.call)(input);
  }
  for (Service* service : services_) {
    if (!service->has_operation(operation)) continue;
    Answers answers;
    ApiResult result = service->call(wall(), operation, input, answers);
    carry(std::move(answers), nullptr);
    return result;
  }
  return invalid("there is no operation " + std::string(operation));
}

ApiResult Region::delete_connection(const Json& input) {
  const std::string* id = string_in(input, "clientId");
  if (id == nullptr) return invalid("clientId is missing");
  const bool forget = input.value("cleanSession", false);
  Door* const door = door_of(*id);
  if (door != nullptr) {
    door->end_soon(DisconnectReason::api_initiated_disconnect, forget,
                   !input.value("preventWillMessage", false));
  } else if (!sessions_.contains(*id)) {
    return not_found("there is neither connection nor session of " + *id);
  } else if (forget) {
    forgotten_.push_back(*id);
  }
  if (forget) {
    sessions_.erase(*id);
    changed();
  }
  return Json::object();
}

ApiResult Region::get_connection(const Json& input) {
  const std::string* id = string_in(input, "clientId");
  if (id == nullptr) return invalid("clientId is missing");
  const Door* const door = door_of(*id);
  const auto session = sessions_.find(*id);
  if (door == nullptr && session == sessions_.end()) return not_found("no client " + *id);
  Json out = {{"clientId", *id}, {"connected", door != nullptr}};
  if (door != nullptr) {
    out["principal"] = door->who().principal;
    out["sourceIp"] = door->facts().address;
    out["mqttVersion"] = door->version() == mqtt::Version::v5 ? "5.0" : "3.1.1";
  }
  Json& filters = out["subscriptions"] = Json::array();
  if (session == sessions_.end()) return out;
  for (const mqtt::Subscription& one : session->second.subscriptions) {
    filters.push_back({{"topicFilter", one.filter}, {"qos", one.options & 3U}});
  }
  return out;
}

ApiResult Region::list_connections(const Json& /*input*/) {
  Json all = Json::array();
  for (const auto& [id, door] : open_) {
    all.push_back({{"clientId", id}, {"principal", door->who().principal}});
  }
  return Json{{"connections", std::move(all)}};
}

namespace {

/// The message of an operation that has topic, payload (text) or payloadBase64, qos and retain.
std::variant<Answer, ApiError> message_of(const Json& input) {
  Answer answer;
  const std::string* topic = string_in(input, "topic");
  if (topic == nullptr || judge_topic(*topic) != TopicVerdict::good) {
    return invalid("topic is missing or not allowed");
  }
  answer.topic = *topic;
  if (const std::string* text = string_in(input, "payload")) answer.payload = *text;
  if (const std::string* coded = string_in(input, "payloadBase64")) {
    auto bytes = text_from_base64(*coded);
    if (!bytes) return invalid("payloadBase64 is no base64");
    answer.payload = std::move(*bytes);
  }
  if (answer.payload.size() > quotas::kPayload) return invalid("a payload of more than 128 KiB");
  const std::int64_t qos = number_in(input, "qos").value_or(0);
  if (qos < 0 || qos > 1) return invalid("qos is 0 or 1");
  answer.qos = static_cast<std::uint8_t>(qos);
  const auto retain = input.find("retain");
  answer.retain = retain != input.end() && retain->is_boolean() && retain->get<bool>();
  return answer;
}

}  // namespace

ApiResult Region::publish(const Json& input) {
  auto message = message_of(input);
  if (const auto* error = std::get_if<ApiError>(&message)) return *error;
  published_.push_back(std::move(std::get<Answer>(message)));
  return Json::object();
}

ApiResult Region::send_direct(const Json& input) {
  const std::string* id = string_in(input, "clientId");
  if (id == nullptr) return invalid("clientId is missing");
  auto message = message_of(input);
  if (const auto* error = std::get_if<ApiError>(&message)) return *error;
  Answer& answer = std::get<Answer>(message);
  if (answer.topic.starts_with('$')) return invalid("a topic with $ is not allowed");
  if (door_of(*id) == nullptr) return not_found("no connection of " + *id);
  answer.to = Answer::To::client;
  answer.client_id = *id;
  Answers answers;
  answers.all.push_back(std::move(answer));
  carry(std::move(answers), nullptr);
  return Json::object();
}

// "endpointPort" is the lab's own: its ports are not AWS's.
ApiResult Region::describe_endpoint(const Json& input) {
  const std::string type = input.value("endpointType", Json("iot:Data-ATS")).dump();
  std::uint16_t port = 0;
  if (type == R"("iot:Data-ATS")" || type == R"("iot:Data")") port = endpoint.mqtt;
  if (type == R"("iot:CredentialProvider")") port = endpoint.mixed;
  if (type == R"("iot:Jobs")") port = endpoint.https;
  if (port == 0) {
    return invalid("endpointType is iot:Data-ATS, iot:Data, iot:CredentialProvider or iot:Jobs");
  }
  return Json{{"endpointAddress", endpoint.host}, {"endpointPort", port}};
}

ApiResult Region::put_switches(const Json& input) {
  if (const Status done = change(switches, input); !done) return invalid(done.error().message);
  changed();
  return get_switches(input);
}

ApiResult Region::get_switches(const Json& /*input*/) { return to_json(switches); }

// ---- state ----

std::uint64_t Region::revision() const {
  std::uint64_t sum = revision_;
  for (const Service* service : services_) sum += service->revision();
  return sum;
}

Json Region::save() const {
  Json sessions = Json::object();
  for (const auto& [id, session] : sessions_) {
    Json filters = Json::array();
    for (const auto& one : session.subscriptions) filters.push_back({one.filter, one.options});
    sessions[id] = {{"version", static_cast<int>(session.version)},
                    {"expires", session.expires.ms},
                    {"uuid", session.uuid},
                    {"filters", std::move(filters)}};
  }
  Json all = {{"format", 1}, {"switches", to_json(switches)}, {"sessions", std::move(sessions)}};
  for (const Service* service : services_)
    all["services"][std::string(service->name())] = service->save();
  return all;
}

namespace {

Result<Session> session_from(const std::string& id, const Json& from) {
  const auto wrong = [&] { return Error{Errc::corrupt, "sessions." + id + " is not a session"}; };
  const auto version = number_in(from, "version");
  const auto expires = number_in(from, "expires");
  if (!version || (*version != 4 && *version != 5) || !expires || !from.contains("filters")) {
    return wrong();
  }
  const std::string* uuid = string_in(from, "uuid");
  if (uuid == nullptr) return wrong();
  Session session{static_cast<mqtt::Version>(*version), {}, {*expires}, *uuid};
  for (const Json& one : from["filters"]) {
    if (!one.is_array() || one.size() != 2 || !one[0].is_string() || !one[1].is_number_unsigned()) {
      return wrong();
    }
    session.subscriptions.push_back({one[0].get<std::string>(), one[1].get<std::uint8_t>()});
  }
  return session;
}

}  // namespace

Status Region::load(const Json& state) {
  HF_CHECK(doors_.empty());
  if (number_in(state, "format") != 1) return Error{Errc::corrupt, "format is not 1"};
  if (state.contains("switches")) {
    if (Status done = change(switches, state["switches"]); !done) return done;
  }
  const Json sessions = state.value("sessions", Json::object());
  for (const auto& [id, from] : sessions.items()) {
    auto session = session_from(id, from);
    if (!session) return std::move(session).error();
    // Nobody is connected now: a session that was in use counts from here.
    if (session->expires.ms == INT64_MAX) {
      session->expires.ms = wall().ms + switches.session_expiry_most * 1000;
    }
    sessions_[id] = std::move(*session);
  }
  const Json services = state.value("services", Json::object());
  for (Service* service : services_) {
    const auto found = services.find(std::string(service->name()));
    if (found == services.end()) continue;
    if (const Status done = service->load(*found); !done) {
      Error error = done.error();
      return std::move(error).with("services." + std::string(service->name()));
    }
  }
  return {};
}

}  // namespace holdfast::lab::iot
