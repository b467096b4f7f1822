// Thing types: what things of a kind have in common.
#include <algorithm>
#include <utility>

#include "lab/iot/page.h"
#include "lab/iot/registry_call.h"
#include "lab/iot/uuid.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kTypeNameOthers = ":_-";

Json properties_of(const ThingType& type) {
  Json properties = {{"searchableAttributes", type.searchable}};
  if (!type.description.empty()) properties["thingTypeDescription"] = type.description;
  return properties;
}

Json metadata_of(const ThingType& type) {
  Json metadata = {{"deprecated", type.deprecated.has_value()},
                   {"creationDate", api_time(type.created)}};
  if (type.deprecated) metadata["deprecationDate"] = api_time(*type.deprecated);
  return metadata;
}

}  // namespace

ApiResult Registry::Call::create_thing_type() {
  const std::string type_name = name("thingTypeName", kTypeNameOthers);
  ThingType type;
  if (in.has("thingTypeProperties")) {
    Fields properties = in.object("thingTypeProperties");
    type.description = properties.text_or("thingTypeDescription", "");
    if (properties.has("searchableAttributes")) {
      type.searchable = properties.texts("searchableAttributes");
    }
    if (type.description.size() > kDescriptionLength) {
      properties.complain("thingTypeDescription", "is too long");
    }
    if (type.searchable.size() > kSearchableAttributes) {
      properties.complain("searchableAttributes", "are more than 3");
    }
    properties.no_others();
  }
  if (auto error = refused()) return *error;
  const auto [at, added] = books.types.try_emplace(type_name, type);
  if (!added &&
      (at->second.description != type.description || at->second.searchable != type.searchable)) {
    return exists("Thing type " + type_name + " already exists with different properties");
  }
  if (added) {
    at->second.id = make_uuid(registry.random_);
    at->second.created = now;
  }
  return done({{"thingTypeName", type_name},
               {"thingTypeArn", registry.arn("thingtype/" + type_name)},
               {"thingTypeId", at->second.id}});
}

ApiResult Registry::Call::describe_thing_type() {
  const std::string type_name = in.text("thingTypeName");
  if (auto error = refused()) return *error;
  const auto found = books.types.find(type_name);
  if (found == books.types.end()) return not_found("Thing type " + type_name + " not found");
  return Json{{"thingTypeName", type_name},
              {"thingTypeId", found->second.id},
              {"thingTypeArn", registry.arn("thingtype/" + type_name)},
              {"thingTypeProperties", properties_of(found->second)},
              {"thingTypeMetadata", metadata_of(found->second)}};
}

ApiResult Registry::Call::list_thing_types() {
  const std::string only = in.text_or("thingTypeName", "");
  std::vector<Json> items;
  for (const auto& [type_name, type] : books.types) {
    if (!only.empty() && only != type_name) continue;
    items.push_back({{"thingTypeName", type_name},
                     {"thingTypeArn", registry.arn("thingtype/" + type_name)},
                     {"thingTypeProperties", properties_of(type)},
                     {"thingTypeMetadata", metadata_of(type)}});
  }
  Json output = page_of(in, "thingTypes", std::move(items));
  if (auto error = refused()) return *error;
  return output;
}

ApiResult Registry::Call::deprecate_thing_type() {
  const std::string type_name = in.text("thingTypeName");
  const bool undo = in.flag_or("undoDeprecate", false);
  if (auto error = refused()) return *error;
  const auto found = books.types.find(type_name);
  if (found == books.types.end()) return not_found("Thing type " + type_name + " not found");
  std::optional<WallTime>& deprecated = found->second.deprecated;
  if (undo) {
    deprecated.reset();
  } else if (!deprecated) {
    deprecated = now;
  }
  return done();
}

ApiResult Registry::Call::delete_thing_type() {
  const std::string type_name = in.text("thingTypeName");
  if (auto error = refused()) return *error;
  const auto found = books.types.find(type_name);
  if (found == books.types.end()) return not_found("Thing type " + type_name + " not found");
  const std::optional<WallTime>& deprecated = found->second.deprecated;
  const std::int64_t rest = std::chrono::milliseconds(kTypeRest).count();
  if (!deprecated || now.ms - deprecated->ms < rest) {
    return invalid("Thing type " + type_name +
                   " can be deleted five minutes after it was deprecated");
  }
  const bool used = std::any_of(books.things.begin(), books.things.end(),
                                [&](const auto& one) { return one.second.type == type_name; });
  if (used) return invalid("Thing type " + type_name + " still has things");
  books.types.erase(found);
  return done();
}

}  // namespace holdfast::lab::iot
