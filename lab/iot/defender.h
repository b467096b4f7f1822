// AWS IoT Device Defender's side of the metrics reports of devices, in JSON and CBOR.
//
// Reports go no further than here; answers go through the broker, to whoever subscribed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lab/iot/service.h"

namespace holdfast::lab::iot {

struct DefenderOptions {
  /// Reports of a thing that come faster are rejected, with an error code that AWS does not
  /// document. 0: as fast as they like.
  std::chrono::seconds shortest_interval{300};
  std::string throttled_code = "Throttled";
  /// How an accepted report is named in its answer: as "reportId", which AWS's own device code
  /// reads, or by its number as a key, as in an example of AWS's guide.
  bool id_as_key = false;
};

class Defender final : public Service {
 public:
  static constexpr std::size_t kReportsKept = 10;  ///< Of each thing, the newest.
  static constexpr std::size_t kThingNameLength = 128;

  explicit Defender(DefenderOptions options = {}) : options_(std::move(options)) {}
  void on_switches(const Switches& switches) override {
    options_.shortest_interval = std::chrono::seconds(switches.defender_shortest_interval);
    options_.throttled_code = switches.defender_throttled_code;
    options_.id_as_key = switches.defender_id_as_key;
  }

  [[nodiscard]] std::string_view name() const override { return "defender"; }
  [[nodiscard]] Claim claims(std::string_view topic) const override;
  void on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                  Answers& out) override;
  /// ListDeviceMetricReports {"thingName"}, which is ours, not of AWS: the reports that were
  /// accepted, in long names, newest last, and what was wrong with the last that was not.
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  struct Kept {
    WallTime at;
    Json report;
  };
  struct Rejection {
    WallTime at;
    std::string reason;
  };
  struct Device {
    std::deque<Kept> reports;
    std::optional<Rejection> rejection;
  };

  DefenderOptions options_;
  std::map<std::string, Device, std::less<>> devices_;
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
