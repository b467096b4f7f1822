// The credential provider: a device's certificate in exchange for temporary access keys of a role
// (Developer Guide, "Authorizing direct calls to AWS services").
//
//     GET /role-aliases/NAME/credentials        x-amzn-iot-thingname: THING
#pragma once

#include <string_view>

#include "base/time.h"
#include "lab/iot/access.h"
#include "lab/iot/http.h"
#include "lab/iot/iam.h"
#include "lab/iot/rates.h"
#include "lab/iot/registry.h"
#include "lab/iot/role_aliases.h"
#include "lab/iot/switches.h"

namespace holdfast::lab::iot {

class CredentialProvider {
 public:
  /// All outlive it.
  struct World {
    const Registry& registry;
    const Access& access;
    const RoleAliases& aliases;
    Iam& iam;
    const Switches& switches;
  };
  explicit CredentialProvider(const World& world) : world_(world) {}

  /// Whether a request is one for it.
  [[nodiscard]] static bool claims(std::string_view target);
  /// REQUIRES: claims(question.target).
  HttpAnswer answer(BootTime now, WallTime wall, const HttpQuestion& question);

 private:
  [[nodiscard]] std::variant<AccessKey, ApiError> assume(WallTime wall,
                                                         const HttpQuestion& question,
                                                         std::string_view alias);

  World world_;
  Bucket given_;
};

}  // namespace holdfast::lab::iot
