// The body of a provisioning template: checked when it is made, and turned into what to do
// for one device. Plain values; nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/result.h"
#include "lab/iot/json.h"

namespace holdfast::lab::iot {

inline constexpr std::size_t kTemplateBytes = 10'240;

/// What is done about a thing that exists already: OverrideSettings. merge: of attributes only.
enum class Override : std::uint8_t { do_nothing, replace, fail, merge };

struct PlannedPolicy {
  std::string name;
  std::string document;  ///< Makes the policy if it is not there; empty: it must be there.
};

/// What a template wants for one device.
struct ProvisioningPlan {
  std::string thing;  ///< Empty: the template makes no thing.
  std::string thing_type;
  std::map<std::string, std::string> attributes;
  std::vector<std::string> groups;
  /// AWS does not document what holds without OverrideSettings.
  Override attributes_override = Override::do_nothing;
  Override type_override = Override::do_nothing;
  Override groups_override = Override::do_nothing;
  bool active = true;  ///< Whether the certificate becomes ACTIVE, else INACTIVE.
  std::vector<PlannedPolicy> policies;
  Json device_configuration = Json::object();
};

using ProvisioningParameters = std::map<std::string, std::string>;

/// Checks all that needs no device. Errors name the member: "Resources.thing.Type is unknown".
Status check_template(const Json& body);

/// The parameters that `body` declares without a default, as they are declared.
[[nodiscard]] std::vector<std::string> required_parameters(const Json& body);

/// Works out `body` with the parameters of a device and those that the service adds
/// ("AWS::IoT::Certificate::Id"). REQUIRES: check_template(body). Fails with
/// Errc::invalid_argument when a parameter is missing or a value comes out empty.
[[nodiscard]] Result<ProvisioningPlan> make_plan(const Json& body,
                                                 const ProvisioningParameters& given);

}  // namespace holdfast::lab::iot
