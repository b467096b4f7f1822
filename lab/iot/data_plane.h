// HTTPS of the data endpoint: publishing, shadows, and jobs for devices that speak no MQTT
// (Developer Guide, "HTTPS"; "Device Shadow REST API"; "Jobs device HTTPS API").
//
//     POST /topics/TOPIC?qos=0|1               GET, POST, DELETE /things/T/shadow[?name=N]
//     GET /things/T/jobs                       GET, POST /things/T/jobs/J
//     PUT /things/T/jobs/$next                 GET /api/things/shadow/ListNamedShadowsForThing/T
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "lab/iot/http.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

class DataPlane {
 public:
  struct World {
    /// An operation of the AWS API.
    std::function<ApiResult(std::string_view operation, const Json& input)> call;
    /// Whether the policies of who asks allow `action` on `resource`.
    std::function<bool(const HttpQuestion& question, std::string_view action,
                       std::string_view resource)>
        allows;
  };
  explicit DataPlane(World world) : world_(std::move(world)) {}

  /// The service that requests for a target are signed for.
  [[nodiscard]] static std::string signing_name(std::string_view target);
  /// 403 for what the policy forbids, and for who is unknown; 404 for what is no path of these.
  [[nodiscard]] HttpAnswer answer(const HttpQuestion& question) const;

 private:
  [[nodiscard]] HttpAnswer publish(const HttpQuestion& question, std::string_view topic,
                                   const Target& target) const;
  [[nodiscard]] HttpAnswer shadow(const HttpQuestion& question, const std::string& thing,
                                  const Target& target) const;
  [[nodiscard]] HttpAnswer jobs(const HttpQuestion& question, const std::string& thing,
                                const std::string& job, const Target& target) const;
  [[nodiscard]] HttpAnswer operate(const HttpQuestion& question, std::string_view action,
                                   const std::string& resource, std::string_view operation,
                                   const Json& input) const;

  World world_;
};

}  // namespace holdfast::lab::iot
