// Things, and the certificates that speak for them.
#include <algorithm>
#include <utility>

#include "lab/iot/registry_call.h"
#include "lab/iot/uuid.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kExclusive = "EXCLUSIVE_THING";
constexpr std::string_view kShared = "NON_EXCLUSIVE_THING";
constexpr std::size_t kAttributeNameLength = 128;
constexpr std::size_t kAttributeValueLength = 800;

}  // namespace

Json json_of(const std::map<std::string, std::string>& texts) {
  Json object = Json::object();
  for (const auto& [name, value] : texts) object[name] = value;
  return object;
}

void Registry::Call::read_attributes(Fields& from, std::map<std::string, std::string>& attributes) {
  if (!from.has("attributePayload")) return;
  Fields payload = from.object("attributePayload");
  if (!payload.flag_or("merge", false)) attributes.clear();
  if (payload.has("attributes")) {
    Fields given = payload.object("attributes");
    for (const std::string& name : given.names()) {
      std::string value = given.text(name);
      if (name.empty() || name.size() > kAttributeNameLength) {
        payload.complain("attributes", "has a name that is empty or too long");
      }
      if (value.size() > kAttributeValueLength) given.complain(name, "is too long");
      if (value.empty()) {
        attributes.erase(name);
      } else {
        attributes[name] = std::move(value);
      }
    }
  }
  if (attributes.size() > Registry::kAttributesPerThing) {
    payload.complain("attributes", "are more than 50");
  }
  payload.no_others();
}

std::optional<ApiError> Registry::Call::check_type(const Thing& thing) const {
  if (thing.type.empty()) {
    if (thing.attributes.size() <= kAttributesWithoutType) return std::nullopt;
    return invalid("A thing without a thing type can have at most 3 attributes");
  }
  const auto found = books.types.find(thing.type);
  if (found == books.types.end()) return not_found("Thing type " + thing.type + " not found");
  if (!found->second.deprecated) return std::nullopt;
  return invalid("Thing type " + thing.type + " is deprecated");
}

void Registry::Call::thing_event(const std::string& name, const Thing& thing,
                                 std::string_view operation) {
  const EventConfigurations* events = registry.events_;
  if (events == nullptr || !events->enabled(EventConfigurations::kThing)) return;
  std::string last(operation);
  std::transform(last.begin(), last.end(), last.begin(), [](char c) { return c - 'A' + 'a'; });
  out.publish("$aws/events/thing/" + name + '/' + last,
              {{"eventType", "THING_EVENT"},
               {"eventId", make_uuid(registry.random_)},
               {"timestamp", now.ms},
               {"operation", operation},
               {"accountId", Registry::kAccount},
               {"thingId", thing.id},
               {"thingName", name},
               {"versionNumber", thing.version},
               {"thingTypeName", thing.type.empty() ? Json() : Json(thing.type)},
               {"attributes", json_of(thing.attributes)}});
}

ApiResult Registry::Call::create_thing() {
  const std::string name_given = name("thingName", kThingNameOthers);
  Thing thing;
  thing.type = in.text_or("thingTypeName", "");
  read_attributes(in, thing.attributes);
  if (auto error = refused()) return *error;
  if (!books.things.contains(name_given)) {
    if (auto error = check_type(thing)) return *error;
  }
  const auto [at, added] = books.things.try_emplace(name_given, thing);
  if (!added && (at->second.type != thing.type || at->second.attributes != thing.attributes)) {
    return exists("Thing " + name_given + " already exists in account with different properties");
  }
  if (added) {
    at->second.id = make_uuid(registry.random_);
    thing_event(name_given, at->second, "CREATED");
  }
  return done({{"thingName", name_given},
               {"thingArn", registry.arn("thing/" + name_given)},
               {"thingId", at->second.id}});
}

ApiResult Registry::Call::describe_thing() {
  const std::string name_given = in.text("thingName");
  if (auto error = refused()) return *error;
  const Thing* thing = registry.thing(name_given);
  if (thing == nullptr) return not_found("Thing " + name_given + " not found");
  Json output = {{"defaultClientId", name_given},
                 {"thingName", name_given},
                 {"thingId", thing->id},
                 {"thingArn", registry.arn("thing/" + name_given)}};
  if (!thing->type.empty()) output["thingTypeName"] = thing->type;
  output["attributes"] = json_of(thing->attributes);
  output["version"] = thing->version;
  return output;
}

ApiResult Registry::Call::update_thing() {
  const std::string name_given = in.text("thingName");
  const auto found = books.things.find(name_given);
  Thing changed = found == books.things.end() ? Thing{} : found->second;
  if (in.has("thingTypeName")) changed.type = in.text("thingTypeName");
  if (in.flag_or("removeThingType", false)) changed.type.clear();
  const auto expected = in.number_if("expectedVersion");
  read_attributes(in, changed.attributes);
  if (auto error = refused()) return *error;
  if (found == books.things.end()) return not_found("Thing " + name_given + " not found");
  if (expected && *expected != changed.version) {
    return ApiError{"VersionConflictException", 409,
                    "Thing " + name_given + " has version " + std::to_string(changed.version)};
  }
  // A type that has been deprecated since stays with its things.
  if (changed.type != found->second.type || changed.type.empty()) {
    if (auto error = check_type(changed)) return *error;
  }
  ++changed.version;
  found->second = std::move(changed);
  thing_event(name_given, found->second, "UPDATED");
  return done();
}

ApiResult Registry::Call::list_things() {
  if (auto error = refused()) return *error;
  Json list = Json::array();
  for (const auto& [name_known, thing] : books.things) {
    Json one = {{"thingName", name_known}};
    if (!thing.type.empty()) one["thingTypeName"] = thing.type;
    one["thingArn"] = registry.arn("thing/" + name_known);
    one["attributes"] = json_of(thing.attributes);
    one["version"] = thing.version;
    list.push_back(std::move(one));
  }
  return Json{{"things", std::move(list)}};
}

ApiResult Registry::Call::delete_thing() {
  const std::string name_given = in.text("thingName");
  const auto expected = in.number_if("expectedVersion");
  if (auto error = refused()) return *error;
  const auto found = books.things.find(name_given);
  if (found == books.things.end()) return Json::object();  // as AWS does
  if (expected && *expected != found->second.version) {
    return ApiError{
        "VersionConflictException", 409,
        "Thing " + name_given + " has version " + std::to_string(found->second.version)};
  }
  for (const auto& [id, things] : books.things_of) {
    if (things.contains(name_given)) {
      return invalid("Thing " + name_given + " is still attached to certificate " + id);
    }
  }
  thing_event(name_given, found->second, "DELETED");
  books.things.erase(found);
  const std::vector<std::string> groups = registry.groups_of(name_given);
  for (const std::string& group : groups) books.groups.find(group)->second.things.erase(name_given);
  if (!groups.empty()) tell_groups_changed(name_given);
  return done();
}

ApiResult Registry::Call::attach_thing_principal() {
  const std::string name_given = in.text("thingName");
  const std::string id = principal("principal");
  const std::string type = in.text_or("thingPrincipalType", std::string(kShared));
  if (type != kExclusive && type != kShared) {
    in.complain("thingPrincipalType", "must be EXCLUSIVE_THING or NON_EXCLUSIVE_THING");
  }
  if (auto error = refused()) return *error;
  if (registry.thing(name_given) == nullptr) {
    return not_found("Thing " + name_given + " not found");
  }
  if (registry.certificate(id) == nullptr) return not_found("Certificate " + id + " not found");
  const auto known = books.things_of.find(id);
  if (known != books.things_of.end()) {
    const auto& things = known->second;
    const bool only_this = things.size() == 1 && things.contains(name_given);
    if (!only_this && (type == kExclusive || things.begin()->second)) {
      return invalid("Certificate " + id + " is attached to " + things.begin()->first +
                     " already, and an exclusive attachment is the only one");
    }
  }
  books.things_of[id][name_given] = type == kExclusive;
  return done();
}

ApiResult Registry::Call::detach_thing_principal() {
  const std::string name_given = in.text("thingName");
  const std::string id = principal("principal");
  if (auto error = refused()) return *error;
  const auto known = books.things_of.find(id);
  if (known == books.things_of.end() || known->second.erase(name_given) == 0) {
    return not_found("Thing " + name_given + " is not attached to certificate " + id);
  }
  if (known->second.empty()) books.things_of.erase(known);
  return done();
}

ApiResult Registry::Call::list_thing_principals() {
  const std::string name_given = in.text("thingName");
  if (auto error = refused()) return *error;
  if (registry.thing(name_given) == nullptr) {
    return not_found("Thing " + name_given + " not found");
  }
  Json list = Json::array();
  for (const auto& [id, things] : books.things_of) {
    if (things.contains(name_given)) list.push_back(registry.arn("cert/" + id));
  }
  return Json{{"principals", std::move(list)}};
}

ApiResult Registry::Call::list_principal_things() {
  const std::string id = principal("principal");
  if (auto error = refused()) return *error;
  if (registry.certificate(id) == nullptr) return not_found("Certificate " + id + " not found");
  Json list = Json::array();
  if (const auto known = books.things_of.find(id); known != books.things_of.end()) {
    for (const auto& [name_known, exclusive] : known->second) list.push_back(name_known);
  }
  return Json{{"things", std::move(list)}};
}

}  // namespace holdfast::lab::iot
