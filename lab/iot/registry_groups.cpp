// Thing groups: a tree of names, and the things and policies in them.
#include <algorithm>
#include <utility>

#include "lab/iot/page.h"
#include "lab/iot/registry_call.h"
#include "lab/iot/uuid.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kGroupNameOthers = ":_-";

ApiError version_conflict(const std::string& name, std::int64_t version) {
  return {"VersionConflictException", 409,
          "Thing group " + name + " has version " + std::to_string(version)};
}

}  // namespace

// ---- what others ask
// -----------------------------------------------------------------------------

std::vector<std::string> Registry::lineage(std::string_view group) const {
  std::vector<std::string> names;
  for (std::string name(group); !name.empty(); name = books_.groups.find(name)->second.parent) {
    names.push_back(name);
  }
  std::reverse(names.begin(), names.end());
  return names;
}

std::vector<std::string> Registry::groups_of(std::string_view thing) const {
  std::vector<std::string> names;
  for (const auto& [name, group] : books_.groups) {
    if (group.things.contains(thing)) names.push_back(name);
  }
  return names;
}

std::optional<std::vector<std::string>> Registry::things_in(std::string_view group) const {
  if (!books_.groups.contains(group)) return std::nullopt;
  std::set<std::string> all;
  for (const auto& [name, one] : books_.groups) {
    const std::vector<std::string> above = lineage(name);
    if (std::find(above.begin(), above.end(), group) == above.end()) continue;
    all.insert(one.things.begin(), one.things.end());
  }
  return std::vector<std::string>(all.begin(), all.end());
}

// ---- what operations share
// -----------------------------------------------------------------------

void Registry::Call::read_properties(ThingGroup& group) {
  Fields properties = in.object("thingGroupProperties");
  group.description = properties.text_or("thingGroupDescription", group.description);
  if (group.description.size() > kDescriptionLength) {
    properties.complain("thingGroupDescription", "is too long");
  }
  read_attributes(properties, group.attributes);
  properties.no_others();
}

std::string Registry::Call::name_or_arn(std::string_view name, std::string_view arn,
                                        std::string_view kind) {
  if (!in.has(arn)) return in.text(name);
  const std::string prefix = registry.arn(kind);
  const std::string given = in.text(arn);
  if (!given.starts_with(prefix)) in.complain(arn, "must begin with " + prefix);
  std::string named = given.substr(std::min(prefix.size(), given.size()));
  if (in.text_or(name, named) != named) in.complain(arn, "and the name are of two");
  return named;
}

Json Registry::Call::group_json(const std::string& name) const {
  return {{"groupName", name}, {"groupArn", registry.arn("thinggroup/" + name)}};
}

void Registry::Call::tell_groups_changed(std::string_view thing) {
  if (registry.peers_ != nullptr) registry.peers_->groups_changed(now, thing, out);
}

// ---- groups
// --------------------------------------------------------------------------------------

ApiResult Registry::Call::create_thing_group() {
  const std::string group_name = name("thingGroupName", kGroupNameOthers);
  ThingGroup group;
  group.parent = in.text_or("parentGroupName", "");
  if (in.has("thingGroupProperties")) read_properties(group);
  if (auto error = refused()) return *error;
  auto found = books.groups.find(group_name);
  if (found == books.groups.end()) {
    if (!group.parent.empty()) {
      if (!books.groups.contains(group.parent)) {
        return invalid("Parent group " + group.parent + " not found");
      }
      if (registry.lineage(group.parent).size() >= kGroupDepth) {
        return invalid("A hierarchy of thing groups is at most 7 deep");
      }
      const auto children =
          std::count_if(books.groups.begin(), books.groups.end(),
                        [&](const auto& one) { return one.second.parent == group.parent; });
      if (static_cast<std::size_t>(children) >= kChildGroups) {
        return invalid("A thing group has at most 100 child groups");
      }
    }
    group.id = make_uuid(registry.random_);
    group.created = now;
    found = books.groups.emplace(group_name, std::move(group)).first;
  } else if (found->second.parent != group.parent ||
             found->second.description != group.description ||
             found->second.attributes != group.attributes) {
    return exists("Thing group " + group_name + " already exists with different properties");
  }
  return done({{"thingGroupName", group_name},
               {"thingGroupArn", registry.arn("thinggroup/" + group_name)},
               {"thingGroupId", found->second.id}});
}

ApiResult Registry::Call::describe_thing_group() {
  const std::string group_name = in.text("thingGroupName");
  if (auto error = refused()) return *error;
  const auto found = books.groups.find(group_name);
  if (found == books.groups.end()) return not_found("Thing group " + group_name + " not found");
  const ThingGroup& group = found->second;
  Json properties = {{"attributePayload", {{"attributes", json_of(group.attributes)}}}};
  if (!group.description.empty()) properties["thingGroupDescription"] = group.description;
  Json metadata = {{"creationDate", api_time(group.created)}};
  if (!group.parent.empty()) {
    metadata["parentGroupName"] = group.parent;
    Json& above = metadata["rootToParentThingGroups"] = Json::array();
    for (const std::string& one : registry.lineage(group.parent)) above.push_back(group_json(one));
  }
  return Json{{"thingGroupName", group_name},
              {"thingGroupId", group.id},
              {"thingGroupArn", registry.arn("thinggroup/" + group_name)},
              {"version", group.version},
              {"thingGroupProperties", std::move(properties)},
              {"thingGroupMetadata", std::move(metadata)}};
}

ApiResult Registry::Call::update_thing_group() {
  const std::string group_name = in.text("thingGroupName");
  const auto expected = in.number_if("expectedVersion");
  const auto found = books.groups.find(group_name);
  ThingGroup changed = found == books.groups.end() ? ThingGroup{} : found->second;
  read_properties(changed);
  if (auto error = refused()) return *error;
  if (found == books.groups.end()) return not_found("Thing group " + group_name + " not found");
  if (expected && *expected != changed.version)
    return version_conflict(group_name, changed.version);
  ++changed.version;
  found->second = std::move(changed);
  return done({{"version", found->second.version}});
}

ApiResult Registry::Call::delete_thing_group() {
  const std::string group_name = in.text("thingGroupName");
  const auto expected = in.number_if("expectedVersion");
  if (auto error = refused()) return *error;
  const auto found = books.groups.find(group_name);
  if (found == books.groups.end()) return Json::object();  // as AWS does
  const std::int64_t version = found->second.version;
  if (expected && *expected != version) return version_conflict(group_name, version);
  const bool parent = std::any_of(books.groups.begin(), books.groups.end(),
                                  [&](const auto& one) { return one.second.parent == group_name; });
  if (parent) return invalid("Thing group " + group_name + " still has child groups");
  const auto things = std::move(found->second.things);
  books.groups.erase(found);
  for (const std::string& thing : things) tell_groups_changed(thing);
  return done();
}

ApiResult Registry::Call::list_thing_groups() {
  const std::string parent = in.text_or("parentGroup", "");
  const std::string prefix = in.text_or("namePrefixFilter", "");
  const bool recursive = in.flag_or("recursive", parent.empty());
  const bool known = parent.empty() || books.groups.contains(parent);
  std::vector<Json> items;
  for (const auto& [group_name, group] : books.groups) {
    if (!group_name.starts_with(prefix)) continue;
    const std::vector<std::string> above = registry.lineage(group.parent);
    const bool below =
        parent.empty() || std::find(above.begin(), above.end(), parent) != above.end();
    if (group.parent != parent && !(recursive && below)) continue;
    items.push_back(group_json(group_name));
  }
  Json output = page_of(in, "thingGroups", std::move(items));
  if (auto error = refused()) return *error;
  if (!known) return not_found("Thing group " + parent + " not found");
  return output;
}

// ---- things in groups
// ----------------------------------------------------------------------------

ApiResult Registry::Call::add_thing_to_thing_group() {
  const std::string group_name = name_or_arn("thingGroupName", "thingGroupArn", "thinggroup/");
  const std::string thing = name_or_arn("thingName", "thingArn", "thing/");
  // The lab has no dynamic groups to take precedence over.
  static_cast<void>(in.flag_or("overrideDynamicGroups", false));
  if (auto error = refused()) return *error;
  const auto found = books.groups.find(group_name);
  if (found == books.groups.end()) return not_found("Thing group " + group_name + " not found");
  if (!registry.has_thing(thing)) return not_found("Thing " + thing + " not found");
  if (found->second.things.contains(thing)) return Json::object();
  const std::vector<std::string> others = registry.groups_of(thing);
  if (others.size() >= kGroupsPerThing) return invalid("A thing is in at most 10 thing groups");
  const std::string root = registry.lineage(group_name).front();
  for (const std::string& other : others) {
    if (registry.lineage(other).front() != root) continue;
    return invalid("Thing " + thing + " is in thing group " + other + " of the same hierarchy");
  }
  found->second.things.insert(thing);
  tell_groups_changed(thing);
  return done();
}

ApiResult Registry::Call::remove_thing_from_thing_group() {
  const std::string group_name = name_or_arn("thingGroupName", "thingGroupArn", "thinggroup/");
  const std::string thing = name_or_arn("thingName", "thingArn", "thing/");
  if (auto error = refused()) return *error;
  const auto found = books.groups.find(group_name);
  if (found == books.groups.end()) return not_found("Thing group " + group_name + " not found");
  if (!registry.has_thing(thing)) return not_found("Thing " + thing + " not found");
  if (found->second.things.erase(thing) > 0) tell_groups_changed(thing);
  return done();
}

ApiResult Registry::Call::list_things_in_thing_group() {
  const std::string group_name = in.text("thingGroupName");
  const bool recursive = in.flag_or("recursive", false);
  const auto found = books.groups.find(group_name);
  const bool known = found != books.groups.end();
  std::vector<Json> items;
  if (known && recursive) {
    const auto all = registry.things_in(group_name);
    items.assign(all->begin(), all->end());
  } else if (known) {
    items.assign(found->second.things.begin(), found->second.things.end());
  }
  Json output = page_of(in, "things", std::move(items));
  if (auto error = refused()) return *error;
  if (!known) return not_found("Thing group " + group_name + " not found");
  return output;
}

// With the groups above, as the Developer Guide shows it ("Static thing groups").
ApiResult Registry::Call::list_thing_groups_for_thing() {
  const std::string thing = in.text("thingName");
  std::set<std::string> names;
  for (const std::string& group : registry.groups_of(thing)) {
    for (std::string& one : registry.lineage(group)) names.insert(std::move(one));
  }
  std::vector<Json> items;
  for (const std::string& one : names) items.push_back(group_json(one));
  Json output = page_of(in, "thingGroups", std::move(items));
  if (auto error = refused()) return *error;
  if (!registry.has_thing(thing)) return not_found("Thing " + thing + " not found");
  return output;
}

}  // namespace holdfast::lab::iot
