// The registry's state, to JSON and back. What is read is checked against what was read before it,
// so that the front door never meets a name that is not there.
#include <utility>

#include "lab/iot/fields.h"
#include "lab/iot/registry.h"
#include "lab/iot/registry_call.h"

namespace holdfast::lab::iot {

Json Registry::save_types() const {
  Json types = Json::object();
  for (const auto& [name, type] : books_.types) {
    Json& one = types[name] = {{"id", type.id},
                               {"description", type.description},
                               {"searchable", type.searchable},
                               {"created", type.created.ms}};
    if (type.deprecated) one["deprecated"] = type.deprecated->ms;
  }
  return types;
}

Json Registry::save_groups() const {
  Json groups = Json::object();
  for (const auto& [name, group] : books_.groups) {
    groups[name] = {{"id", group.id},
                    {"parent", group.parent},
                    {"description", group.description},
                    {"attributes", json_of(group.attributes)},
                    {"version", group.version},
                    {"created", group.created.ms},
                    {"things", group.things},
                    {"policies", group.policies}};
  }
  return groups;
}

Json Registry::save_authorities() const {
  Json authorities = Json::object();
  for (const auto& [id, authority] : books_.authorities) {
    authorities[id] = {{"pem", authority.pem},
                       {"active", authority.active},
                       {"auto_registration", authority.auto_registration},
                       {"sni_only", authority.sni_only},
                       {"registration", authority.registration},
                       {"created", authority.created.ms},
                       {"modified", authority.modified.ms}};
  }
  return authorities;
}

Json Registry::save() const {
  Json things = Json::object();
  for (const auto& [name, thing] : books_.things) {
    things[name] = {{"id", thing.id},
                    {"type", thing.type},
                    {"attributes", json_of(thing.attributes)},
                    {"version", thing.version}};
  }
  Json certificates = Json::object();
  for (const auto& [id, certificate] : books_.certificates) {
    certificates[id] = {{"pem", certificate.pem},
                        {"status", to_string(certificate.status)},
                        {"created", certificate.created.ms},
                        {"modified", certificate.modified.ms},
                        {"ca", certificate.ca},
                        {"sni_only", certificate.sni_only}};
  }
  Json policies = Json::object();
  for (const auto& [name, policy] : books_.policies) {
    Json versions = Json::array();
    for (const auto& [number, version] : policy.versions) {
      versions.push_back(
          {{"number", number}, {"text", version.text}, {"created", version.created.ms}});
    }
    policies[name] = {{"default", policy.default_version},
                      {"last", policy.last_version},
                      {"versions", std::move(versions)}};
  }
  Json policies_of = Json::object();
  for (const auto& [principal, names] : books_.policies_of) policies_of[principal] = names;
  Json things_of = Json::object();
  for (const auto& [principal, attached] : books_.things_of) {
    Json names = Json::object();
    for (const auto& [name, exclusive] : attached) names[name] = exclusive;
    things_of[principal] = std::move(names);
  }
  return {{"types", save_types()},
          {"things", std::move(things)},
          {"groups", save_groups()},
          {"authorities", save_authorities()},
          {"registration_code", books_.registration_code},
          {"certificates", std::move(certificates)},
          {"policies", std::move(policies)},
          {"policies_of", std::move(policies_of)},
          {"things_of", std::move(things_of)}};
}

namespace {

std::map<std::string, std::string> attributes_from(Fields attributes) {
  std::map<std::string, std::string> read;
  for (const std::string& key : attributes.names()) read[key] = attributes.text(key);
  return read;
}

}  // namespace

void Registry::load_types(Fields from, Books& books) {
  from.each([&](const std::string& name, Fields one) {
    ThingType& type = books.types[name];
    type.id = one.text("id");
    type.description = one.text("description");
    type.searchable = one.texts("searchable");
    type.created = {one.number("created")};
    if (const auto deprecated = one.number_if("deprecated")) type.deprecated = {*deprecated};
    one.no_others();
  });
}

// A group comes after its parent in no order of names: that all lead to a root is seen at the end.
void Registry::load_groups(Fields from, Books& books) {
  from.each([&](const std::string& name, Fields one) {
    ThingGroup& group = books.groups[name];
    group.id = one.text("id");
    group.parent = one.text("parent");
    group.description = one.text("description");
    group.attributes = attributes_from(one.object("attributes"));
    group.version = one.number("version");
    group.created = {one.number("created")};
    for (std::string& thing : one.texts("things")) {
      if (!books.things.contains(thing)) one.complain("things", "has no thing " + thing);
      group.things.insert(std::move(thing));
    }
    for (std::string& policy : one.texts("policies")) {
      if (!books.policies.contains(policy)) one.complain("policies", "has no policy " + policy);
      group.policies.insert(std::move(policy));
    }
    one.no_others();
  });
  for (const auto& [name, group] : books.groups) {
    std::string above = group.parent;
    for (std::size_t depth = 1; !above.empty() && depth < kGroupDepth; ++depth) {
      const auto parent = books.groups.find(above);
      if (parent == books.groups.end()) break;
      above = parent->second.parent;
    }
    if (!above.empty()) from.complain(name, "has no root within 7 groups");
  }
}

void Registry::load_authorities(Fields from, Books& books) const {
  from.each([&](const std::string& id, Fields one) {
    Authority& authority = books.authorities[id];
    authority.pem = one.text("pem");
    authority.active = one.flag("active");
    authority.auto_registration = one.flag("auto_registration");
    authority.sni_only = one.flag("sni_only");
    authority.registration = one.any("registration");
    if (!authority.registration.is_null() && !authority.registration.is_object()) {
      one.complain("registration", "must be an object or null");
    }
    authority.created = {one.number("created")};
    authority.modified = {one.number("modified")};
    one.no_others();
    auto facts = reader_.read(authority.pem);
    if (facts && facts->id == id) {
      authority.facts = std::move(*facts);
    } else {
      one.complain("pem", facts ? "is another certificate" : "is no certificate");
    }
  });
}

void Registry::load_things(Fields from, Books& books) {
  from.each([&](const std::string& name, Fields one) {
    Thing& thing = books.things[name];
    thing.id = one.text("id");
    thing.type = one.text("type");
    thing.version = one.number("version");
    thing.attributes = attributes_from(one.object("attributes"));
    if (!thing.type.empty() && !books.types.contains(thing.type)) {
      one.complain("type", "is no thing type");
    }
    one.no_others();
  });
}

void Registry::load_certificates(Fields from, Books& books) const {
  from.each([&](const std::string& id, Fields one) {
    Certificate& certificate = books.certificates[id];
    certificate.pem = one.text("pem");
    certificate.created = {one.number("created")};
    certificate.modified = {one.number("modified")};
    certificate.ca = one.text("ca");
    certificate.sni_only = one.flag("sni_only");
    const auto status = status_named(one.text("status"));
    if (!status) one.complain("status", "is no status of a certificate");
    certificate.status = status.value_or(CertificateStatus::inactive);
    one.no_others();
    auto facts = reader_.read(certificate.pem);
    if (facts && facts->id == id) {
      certificate.facts = std::move(*facts);
    } else {
      one.complain("pem", facts ? "is another certificate" : "is no certificate");
    }
  });
}

void Registry::load_policies(Fields from, Books& books) {
  from.each([&](const std::string& name, Fields one) {
    Policy& policy = books.policies[name];
    policy.default_version = one.number("default");
    policy.last_version = one.number("last");
    one.each_item("versions", [&](Fields fields) {
      const std::int64_t number = fields.number("number");
      PolicyVersion& version = policy.versions[number];
      version.text = fields.text("text");
      version.created = {fields.number("created")};
      fields.no_others();
      if (number < 1 || number > policy.last_version) {
        fields.complain("number", "is no number of a version");
      }
      auto document = parse_policy(version.text);
      if (document) {
        version.document = std::move(*document);
      } else {
        fields.complain("text", "is no policy: " + document.error().message);
      }
    });
    if (!policy.versions.contains(policy.default_version)) {
      one.complain("default", "is no version of it");
    }
    one.no_others();
  });
}

void Registry::load_attachments(Fields policies_of, Fields things_of, Books& books) {
  for (const std::string& principal : policies_of.names()) {
    if (!books.certificates.contains(principal)) {
      policies_of.complain(principal, "is no certificate");
    }
    for (std::string& name : policies_of.texts(principal)) {
      if (!books.policies.contains(name)) policies_of.complain(principal, "has no policy " + name);
      books.policies_of[principal].insert(std::move(name));
    }
  }
  things_of.each([&](const std::string& principal, Fields one) {
    if (!books.certificates.contains(principal)) {
      things_of.complain(principal, "is no certificate");
    }
    const auto names = one.names();
    if (names.empty()) things_of.complain(principal, "has no things");
    for (const std::string& name : names) {
      if (!books.things.contains(name)) one.complain(name, "is no thing");
      const bool exclusive = one.flag(name);
      if (exclusive && names.size() > 1) one.complain(name, "is not the only thing");
      books.things_of[principal][name] = exclusive;
    }
  });
}

Status Registry::load(const Json& state) {
  std::string complaint;
  Fields all(state, complaint);
  Books books;
  load_types(all.object("types"), books);
  load_things(all.object("things"), books);
  load_certificates(all.object("certificates"), books);
  load_authorities(all.object("authorities"), books);
  books.registration_code = all.text("registration_code");
  load_policies(all.object("policies"), books);
  load_groups(all.object("groups"), books);
  load_attachments(all.object("policies_of"), all.object("things_of"), books);
  all.no_others();
  if (Status status = state_status(complaint); !status) return status;
  books_ = std::move(books);
  to_disconnect_.clear();
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
