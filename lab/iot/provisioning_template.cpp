#include "lab/iot/provisioning_template.h"

#include <optional>
#include <utility>
#include <vector>

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kThing = "AWS::IoT::Thing";
constexpr std::string_view kCertificate = "AWS::IoT::Certificate";
constexpr std::string_view kPolicy = "AWS::IoT::Policy";
constexpr std::string_view kServiceParameter = "AWS::IoT::";

/// What a policy without a name is called: a hash of its document (FNV-1a), as AWS has it.
std::string name_for(std::string_view document) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : document) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name;
  for (int shift = 60; shift >= 0; shift -= 4) name += kDigits[hash >> shift & 15U];
  return name;
}

/// Works out values. When `given` is null only their form is checked; all texts are then empty.
class Reader {
 public:
  Reader(const Json& body, const ProvisioningParameters* given) : body_(body), given_(given) {}

  Result<ProvisioningPlan> read() {
    if (!body_.is_object()) return Error{Errc::invalid_argument, "the template is no object"};
    read_parameters();
    const Json& resources = member(body_, "Resources");
    if (!resources.is_object() || resources.empty()) complain("Resources is missing");
    for (const auto& [name, resource] : members(resources)) read_resource(name, resource);
    if (certificates_ != 1) complain("Resources must have one certificate");
    if (things_ > 1) complain("Resources has more than one thing");
    for (const auto& [name, value] : members(member(body_, "DeviceConfiguration"))) {
      plan_.device_configuration[name] = text(value, "DeviceConfiguration." + name);
    }
    if (!complaint_.empty()) return Error{Errc::invalid_argument, complaint_};
    return std::move(plan_);
  }

 private:
  static const Json& member(const Json& object, std::string_view key) {
    static const Json nothing;
    if (!object.is_object()) return nothing;
    const auto found = object.find(std::string(key));
    return found == object.end() ? nothing : *found;
  }
  static std::vector<std::pair<std::string, Json>> members(const Json& object) {
    std::vector<std::pair<std::string, Json>> all;
    if (!object.is_object()) return all;
    for (const auto& [name, value] : object.items()) all.emplace_back(name, value);
    return all;
  }
  void complain(std::string words) {
    if (complaint_.empty()) complaint_ = std::move(words);
  }

  void read_parameters() {
    for (const auto& [name, declared] : members(member(body_, "Parameters"))) {
      const std::string* type = string_in(declared, "Type");
      if (type == nullptr || *type != "String") {
        complain("Parameters." + name + ".Type must be String");
      }
      const std::string* fallback = string_in(declared, "Default");
      values_[name] = fallback == nullptr ? std::nullopt : std::optional(*fallback);
    }
    if (given_ == nullptr) return;
    for (const auto& [name, value] : *given_) {
      if (values_.contains(name) || name.starts_with(kServiceParameter)) values_[name] = value;
    }
  }

  /// A text, {"Ref": NAME} or {"Fn::Join": [SEPARATOR, [VALUES]]}.
  std::string text(const Json& value, const std::string& where) {
    if (const auto* plain = value.get_ptr<const std::string*>()) return *plain;
    if (value.is_object() && value.size() == 1) {
      if (const std::string* name = string_in(value, "Ref")) return refer(*name, where);
      const Json& join = member(value, "Fn::Join");
      if (join.is_array() && join.size() == 2 && join[0].is_string() && join[1].is_array()) {
        std::string joined;
        for (const Json& part : join[1]) {
          if (&part != &join[1].front()) joined += *join[0].get_ptr<const std::string*>();
          joined += text(part, where);
        }
        return joined;
      }
    }
    complain(where + " must be a string, Ref or Fn::Join");
    return {};
  }

  std::string refer(const std::string& name, const std::string& where) {
    const auto found = values_.find(name);
    if (found == values_.end()) {
      if (given_ != nullptr || !name.starts_with(kServiceParameter)) {
        complain(where + " refers to the unknown parameter " + name);
      }
      return {};
    }
    if (!found->second && given_ != nullptr) complain("parameter " + name + " is missing");
    return found->second.value_or("");
  }

  /// A text that may not come out empty for a device.
  std::string filled(const Json& value, const std::string& where) {
    std::string result = text(value, where);
    if (result.empty() && given_ != nullptr) complain(where + " is empty");
    return result;
  }

  void read_resource(const std::string& name, const Json& resource) {
    const std::string where = "Resources." + name;
    const std::string* type = string_in(resource, "Type");
    const Json& properties = member(resource, "Properties");
    if (type != nullptr && *type == kThing) {
      ++things_;
      read_thing(where, properties);
      const Json& settings = member(resource, "OverrideSettings");
      plan_.attributes_override = read_override(where, settings, "AttributePayload", true);
      plan_.type_override = read_override(where, settings, "ThingTypeName", false);
      plan_.groups_override = read_override(where, settings, "ThingGroups", false);
    } else if (type != nullptr && *type == kCertificate) {
      ++certificates_;
      read_certificate(where, properties);
    } else if (type != nullptr && *type == kPolicy) {
      read_policy(where, properties);
    } else {
      complain(where + ".Type is unknown");
    }
  }

  void read_thing(const std::string& where, const Json& properties) {
    plan_.thing = filled(member(properties, "ThingName"), where + ".ThingName");
    const Json& type = member(properties, "ThingTypeName");
    if (!type.is_null()) plan_.thing_type = filled(type, where + ".ThingTypeName");
    for (const auto& [name, value] : members(member(properties, "AttributePayload"))) {
      plan_.attributes[name] = filled(value, where + ".AttributePayload." + name);
    }
    const Json& groups = member(properties, "ThingGroups");
    if (!groups.is_null() && !groups.is_array()) complain(where + ".ThingGroups must be a list");
    if (!groups.is_array()) return;
    for (const Json& group : groups) {
      plan_.groups.push_back(filled(group, where + ".ThingGroups"));
    }
  }

  Override read_override(const std::string& where, const Json& settings, const char* of,
                         bool merges) {
    const std::string* word = string_in(settings, of);
    if (word == nullptr || *word == "DO_NOTHING") return Override::do_nothing;
    if (*word == "REPLACE") return Override::replace;
    if (*word == "FAIL") return Override::fail;
    if (*word == "MERGE" && merges) return Override::merge;
    complain(where + ".OverrideSettings." + of + " is unknown");
    return Override::do_nothing;
  }

  void read_policy(const std::string& where, const Json& properties) {
    PlannedPolicy policy;
    const Json& document = member(properties, "PolicyDocument");
    if (!document.is_null()) policy.document = filled(document, where + ".PolicyDocument");
    const Json& name = member(properties, "PolicyName");
    policy.name = name.is_null() && !document.is_null() ? name_for(policy.document)
                                                        : filled(name, where + ".PolicyName");
    plan_.policies.push_back(std::move(policy));
  }

  void read_certificate(const std::string& where, const Json& properties) {
    text(member(properties, "CertificateId"), where + ".CertificateId");
    const Json& status = member(properties, "Status");
    if (status.is_null()) return;
    const std::string word = text(status, where + ".Status");
    const bool active = word == "ACTIVE" || word == "Active";
    const bool inactive = word == "INACTIVE" || word == "Inactive";
    if (!active && !inactive && (given_ != nullptr || status.is_string())) {
      complain(where + ".Status must be ACTIVE or INACTIVE");
    }
    plan_.active = active;
  }

  const Json& body_;
  const ProvisioningParameters* given_;
  std::map<std::string, std::optional<std::string>> values_;
  int things_ = 0;
  int certificates_ = 0;
  ProvisioningPlan plan_;
  std::string complaint_;
};

}  // namespace

Status check_template(const Json& body) {
  auto read = Reader(body, nullptr).read();
  return read ? Status() : Status(std::move(read).error());
}

std::vector<std::string> required_parameters(const Json& body) {
  std::vector<std::string> names;
  const auto declared = body.find("Parameters");
  if (declared == body.end()) return names;
  for (const auto& [name, parameter] : declared->items()) {
    if (!parameter.contains("Default")) names.push_back(name);
  }
  return names;
}

Result<ProvisioningPlan> make_plan(const Json& body, const ProvisioningParameters& given) {
  return Reader(body, &given).read();
}

}  // namespace holdfast::lab::iot
