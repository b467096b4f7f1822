#include "lab/iot/event_configurations.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lab/iot/fields.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kUpdate = "UpdateEventConfigurations";
constexpr std::string_view kDescribe = "DescribeEventConfigurations";

constexpr std::array<std::string_view, 11> kKeys = {EventConfigurations::kThing,
                                                    "THING_GROUP",
                                                    "THING_TYPE",
                                                    "THING_GROUP_MEMBERSHIP",
                                                    "THING_GROUP_HIERARCHY",
                                                    "THING_TYPE_ASSOCIATION",
                                                    EventConfigurations::kJob,
                                                    EventConfigurations::kJobExecution,
                                                    "POLICY",
                                                    "CERTIFICATE",
                                                    "CA_CERTIFICATE"};

bool known(std::string_view key) {
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

/// As the API shows a time: seconds.
double api_time(WallTime time) { return static_cast<double>(time.ms) / 1000; }

}  // namespace

bool EventConfigurations::has_operation(std::string_view operation) const {
  return operation == kUpdate || operation == kDescribe;
}

ApiResult EventConfigurations::call(WallTime now, std::string_view operation, const Json& input,
                                    Answers& /*out*/) {
  return operation == kUpdate ? update(now, input) : describe(input);
}

ApiResult EventConfigurations::update(WallTime now, const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  auto changed = enabled_;
  if (in.has("eventConfigurations")) {
    Fields all = in.object("eventConfigurations");
    all.each([&](const std::string& key, Fields one) {
      if (!known(key)) all.complain(key, "is no kind of events");
      // The API spells it with a capital.
      if (one.flag("Enabled")) {
        changed.insert(key);
      } else {
        changed.erase(key);
      }
      one.no_others();
    });
  }
  in.no_others();
  if (!complaint.empty()) return ApiError{"InvalidRequestException", 400, complaint};
  enabled_ = std::move(changed);
  if (!created_) created_ = now;
  modified_ = now;
  ++revision_;
  return Json::object();
}

ApiResult EventConfigurations::describe(const Json& input) const {
  std::string complaint;
  Fields(input, complaint).no_others();
  if (!complaint.empty()) return ApiError{"InvalidRequestException", 400, complaint};
  Json all = Json::object();
  for (const std::string_view key : kKeys) all[std::string(key)] = {{"Enabled", enabled(key)}};
  Json result = {{"eventConfigurations", std::move(all)}};
  if (created_) result["creationDate"] = api_time(*created_);
  if (modified_) result["lastModifiedDate"] = api_time(*modified_);
  return result;
}

Json EventConfigurations::save() const {
  Json state = {{"enabled", enabled_}};
  if (created_) state["created"] = created_->ms;
  if (modified_) state["modified"] = modified_->ms;
  return state;
}

Status EventConfigurations::load(const Json& state) {
  std::string complaint;
  Fields in(state, complaint);
  std::set<std::string, std::less<>> all;
  for (std::string& key : in.texts("enabled")) {
    if (!known(key)) in.complain("enabled", "has " + key + ", which is no kind of events");
    all.insert(std::move(key));
  }
  const auto created = in.number_if("created");
  const auto modified = in.number_if("modified");
  in.no_others();
  if (Status status = state_status(complaint); !status) return status;
  enabled_ = std::move(all);
  created_ = created ? std::optional(WallTime{*created}) : std::nullopt;
  modified_ = modified ? std::optional(WallTime{*modified}) : std::nullopt;
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
