#include "lab/iot/shadow.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "lab/iot/fields.h"
#include "lab/iot/shadow_json.h"

namespace holdfast::lab::iot {
namespace {

/// In a request; deeper is over every limit of a shadow, too.
constexpr JsonLimits kRequest{std::size_t{128} * 1024, 32};
constexpr std::string_view kSections[] = {"desired", "reported"};

std::int64_t seconds(WallTime time) { return time.ms / 1000; }

bool name_fits(std::string_view name, std::size_t longest) {
  return !name.empty() && name.size() <= longest &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == ':' || c == '_' || c == '-';
         });
}

/// {"desired": …, "reported": …}, without what is empty.
Json both(const Json& desired, const Json& reported) {
  Json result = Json::object();
  if (!desired.empty()) result["desired"] = desired;
  if (!reported.empty()) result["reported"] = reported;
  return result;
}

}  // namespace

Shadows::Shadows(ShadowOptions options, const ThingBook& things)
    : options_(options), things_(things) {}

// "$aws/things/T/shadow/VERB" or "$aws/things/T/shadow/name/N/VERB".
std::optional<Shadows::Request> Shadows::request_of(std::string_view topic) {
  constexpr std::string_view kPrefix = "$aws/things/";
  constexpr std::string_view kShadow = "/shadow/";
  constexpr std::string_view kNamed = "name/";
  if (!topic.starts_with(kPrefix)) return std::nullopt;
  topic.remove_prefix(kPrefix.size());
  const std::size_t slash = topic.find('/');
  if (slash == std::string_view::npos || !topic.substr(slash).starts_with(kShadow)) {
    return std::nullopt;
  }
  Request request;
  request.key.first = topic.substr(0, slash);
  if (!name_fits(request.key.first, kThingNameLength)) return std::nullopt;
  topic.remove_prefix(slash + kShadow.size());
  if (topic.starts_with(kNamed)) {
    topic.remove_prefix(kNamed.size());
    const std::size_t end = std::min(topic.find('/'), topic.size());
    request.key.second = topic.substr(0, end);
    if (!name_fits(request.key.second, kShadowNameLength)) return std::nullopt;
    topic.remove_prefix(std::min(end + 1, topic.size()));
  }
  if (topic == "get") {
    request.verb = Verb::get;
  } else if (topic == "update") {
    request.verb = Verb::update;
  } else if (topic == "delete") {
    request.verb = Verb::remove;
  } else {
    return std::nullopt;
  }
  return request;
}

Claim Shadows::claims(std::string_view topic) const {
  return request_of(topic) ? Claim::also : Claim::none;
}

void Shadows::on_request(WallTime now, const Requester& /*from*/, const mqtt::Publish& message,
                         Answers& out) {
  const auto request = request_of(message.topic);
  if (!request) return;
  publish(*request, handle(now, *request, message.payload), out);
}

std::string Shadows::topic_of(const Request& request) {
  std::string topic = "$aws/things/" + request.key.first + "/shadow/";
  if (!request.key.second.empty()) topic += "name/" + request.key.second + '/';
  static constexpr std::array<std::string_view, 3> kVerbs = {"get", "update", "delete"};
  return topic.append(kVerbs[static_cast<std::size_t>(request.verb)]);
}

void Shadows::publish(const Request& request, const Outcome& outcome, Answers& out) {
  const std::string topic = topic_of(request);
  out.publish(topic + (outcome.refusal ? "/rejected" : "/accepted"), outcome.accepted);
  if (!outcome.delta.is_null()) out.publish(topic + "/delta", outcome.delta);
  if (!outcome.documents.is_null()) out.publish(topic + "/documents", outcome.documents);
}

// A refusal's document takes the place of the accepted one. The client token goes into every
// document that comes of the request.
Shadows::Outcome Shadows::handle(WallTime now, const Request& request, std::string_view payload) {
  Outcome outcome;
  std::optional<std::string> token;
  const bool empty = payload.empty() && request.verb != Verb::update;
  const auto parsed = empty ? Result<Json>(Json::object()) : parse_json(payload, kRequest);
  const std::string* given = parsed ? string_in(*parsed, "clientToken") : nullptr;
  if (given != nullptr && given->size() <= kClientTokenLength) token = *given;
  if (too_fast(now, request.key)) {
    outcome.refusal = Refusal{429, "Too many requests"};
  } else if (options_.only_known_things && !things_.has_thing(request.key.first)) {
    outcome.refusal = Refusal{404, "Thing not found"};
  } else if (request.verb == Verb::remove) {
    outcome = remove(now, request.key);
  } else if (!parsed && parsed.error().code == Errc::too_large) {
    outcome.refusal = payload.size() > kRequest.bytes
                          ? Refusal{413, "The payload exceeds the maximum size allowed"}
                          : Refusal{400, "JSON contains too many levels of nesting; maximum is " +
                                             std::to_string(options_.depth)};
  } else if (!parsed && payload.find('\0') == std::string_view::npos && !valid_utf8(payload)) {
    outcome.refusal = Refusal{415, "Unsupported documented encoding; supported encoding is UTF-8"};
  } else if (!parsed || !parsed->is_object()) {
    outcome.refusal = Refusal{400, "Invalid JSON"};
  } else if (parsed->contains("clientToken") && !token) {
    outcome.refusal = Refusal{400, "Invalid clientToken"};
  } else {
    outcome = request.verb == Verb::get ? get(now, request.key) : update(now, request.key, *parsed);
  }
  if (outcome.refusal) {
    outcome.accepted = {{"code", outcome.refusal->code},
                        {"message", outcome.refusal->message},
                        {"timestamp", seconds(now)}};
  }
  for (Json* document : {&outcome.accepted, &outcome.delta, &outcome.documents}) {
    if (token && !document->is_null()) (*document)["clientToken"] = *token;
  }
  return outcome;
}

bool Shadows::too_fast(WallTime now, const Key& key) {
  if (options_.requests_per_second == 0) return false;
  if (seconds(now) != second_) {
    second_ = seconds(now);
    requests_.clear();
  }
  return ++requests_[key] > options_.requests_per_second;
}

/// A tombstone is found, too, while it lasts.
Shadows::Shadow* Shadows::find(WallTime now, const Key& key) {
  const auto found = shadows_.find(key);
  if (found == shadows_.end()) return nullptr;
  const auto& deleted = found->second.deleted;
  if (deleted && now.ms - deleted->ms > std::chrono::milliseconds(options_.tombstone).count()) {
    shadows_.erase(found);
    ++revision_;
    return nullptr;
  }
  return &found->second;
}

Shadows::Outcome Shadows::get(WallTime now, const Key& key) {
  Outcome outcome;
  const Shadow* shadow = find(now, key);
  if (shadow == nullptr || shadow->deleted) {
    outcome.refusal = Refusal{
        404, "No shadow exists with name: " + (key.second.empty() ? key.first : key.second)};
    return outcome;
  }
  outcome.accepted = document_of(*shadow);
  ShadowDelta delta =
      delta_of(shadow->desired.state, shadow->desired.metadata, shadow->reported.state);
  if (!delta.state.empty()) outcome.accepted["state"]["delta"] = std::move(delta.state);
  outcome.accepted["timestamp"] = seconds(now);
  return outcome;
}

Shadows::Outcome Shadows::remove(WallTime now, const Key& key) {
  Outcome outcome = get(now, key);
  if (outcome.refusal) return outcome;
  Shadow& shadow = shadows_[key];
  outcome.accepted = {{"version", shadow.version}, {"timestamp", seconds(now)}};
  shadow = Shadow{shadow.version, now, {}, {}};
  ++revision_;
  return outcome;
}

Json Shadows::document_of(const Shadow& shadow) {
  return {{"state", both(shadow.desired.state, shadow.reported.state)},
          {"metadata", both(shadow.desired.metadata, shadow.reported.metadata)},
          {"version", shadow.version}};
}

std::optional<Shadows::Refusal> Shadows::check_section(const Json& section,
                                                       std::string_view name) const {
  if (section.is_null()) return std::nullopt;  // takes the whole section away
  if (!section.is_object()) {
    return Refusal{
        400, (name == "desired" ? "Desired" : "Reported") + std::string(" node must be an object")};
  }
  if (levels(section) > options_.depth) {
    return Refusal{400, "JSON contains too many levels of nesting; maximum is " +
                            std::to_string(options_.depth)};
  }
  if (has_null_in_array(section)) return Refusal{400, "State contains an invalid node"};
  return std::nullopt;
}

std::optional<Shadows::Refusal> Shadows::read_update(const Json& body, Update& into) const {
  if (!body.contains("state")) return Refusal{400, "Missing required node: state"};
  into.state = body["state"];
  if (!into.state.is_object() && !into.state.is_null()) {
    return Refusal{400, "State node must be an object"};
  }
  for (const auto& [name, section] : into.state.items()) {
    if (std::find(std::begin(kSections), std::end(kSections), name) == std::end(kSections)) {
      return Refusal{400, "State contains an invalid node"};
    }
    if (auto refusal = check_section(section, name)) return refusal;
  }
  if (body.contains("version")) {
    if (!body["version"].is_number_integer() || number_in(body, "version").value_or(-1) < 0) {
      return Refusal{400, "Invalid version"};
    }
    into.version = number_in(body, "version");
  }
  return std::nullopt;
}

Shadows::Outcome Shadows::update(WallTime now, const Key& key, const Json& body) {
  Outcome outcome;
  Update asked;
  outcome.refusal = read_update(body, asked);
  if (outcome.refusal) return outcome;
  const Shadow* known = find(now, key);
  const Shadow previous = known == nullptr ? Shadow{} : *known;
  if (asked.version && *asked.version != previous.version) {
    outcome.refusal = Refusal{409, "Version conflict"};
    return outcome;
  }
  Shadow next = previous;
  next.deleted.reset();
  ++next.version;
  for (const std::string_view name : kSections) {
    Section& section = name == "desired" ? next.desired : next.reported;
    const std::string member(name);
    if (asked.state.is_null() || (asked.state.contains(member) && asked.state[member].is_null())) {
      section = {};
    } else if (asked.state.contains(member)) {
      merge(section.state, section.metadata, asked.state[member], seconds(now));
    }
  }
  if (dump(both(next.desired.state, next.reported.state)).size() > options_.document_bytes) {
    outcome.refusal = Refusal{413, "The payload exceeds the maximum size allowed"};
    return outcome;
  }
  const Json metadata = asked.state.is_null() ? Json::object() : stamps(asked.state, seconds(now));
  outcome.accepted = {{"state", asked.state},
                      {"metadata", metadata},
                      {"version", next.version},
                      {"timestamp", seconds(now)}};
  ShadowDelta delta = delta_of(next.desired.state, next.desired.metadata, next.reported.state);
  if (!delta.state.empty()) {
    outcome.delta = {{"version", next.version},
                     {"timestamp", seconds(now)},
                     {"state", std::move(delta.state)},
                     {"metadata", std::move(delta.metadata)}};
  }
  outcome.documents = {{"previous", document_of(previous)},
                       {"current", document_of(next)},
                       {"timestamp", seconds(now)}};
  shadows_[key] = std::move(next);
  ++revision_;
  return outcome;
}

}  // namespace holdfast::lab::iot
