// Which events a Region publishes under $aws/events/: an account setting, all off at first
// (Developer Guide, "Event messages"; API reference, UpdateEventConfigurations).
//
// Lifecycle events of connections are none of them: those are always published.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lab/iot/service.h"

namespace holdfast::lab::iot {

class EventConfigurations final : public Service {
 public:
  /// What the lab publishes; the other keys of the API are kept, and nothing comes of them.
  static constexpr std::string_view kThing = "THING";
  static constexpr std::string_view kJob = "JOB";
  static constexpr std::string_view kJobExecution = "JOB_EXECUTION";

  /// Whether events of this key are published.
  [[nodiscard]] bool enabled(std::string_view key) const { return enabled_.contains(key); }

  [[nodiscard]] std::string_view name() const override { return "event_configurations"; }
  /// Devices have no topics here.
  [[nodiscard]] Claim claims(std::string_view /*topic*/) const override { return Claim::none; }
  void on_request(WallTime /*now*/, const Requester& /*from*/, const mqtt::Publish& /*message*/,
                  Answers& /*out*/) override {}
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  ApiResult update(WallTime now, const Json& input);
  [[nodiscard]] ApiResult describe(const Json& input) const;

  std::set<std::string, std::less<>> enabled_;
  std::optional<WallTime> created_, modified_;  ///< Nobody has changed any yet: none.
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
