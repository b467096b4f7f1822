// The services of a Region, made in their order and known to each other.
#pragma once

#include <string>

#include "env/random.h"
#include "lab/iot/defender.h"
#include "lab/iot/issuer.h"
#include "lab/iot/region.h"
#include "lab/iot/registry.h"
#include "lab/iot/registry_access.h"
#include "lab/iot/shadow.h"

namespace holdfast::lab {

struct RegionServices {
  struct World {
    std::string region;  ///< "eu-central-1"
    env::Random& random;
    const iot::CertificateReader& reader;
    iot::CertificateIssuer& issuer;
  };
  explicit RegionServices(const World& world)
      : registry({world.region, {}}, world.reader, world.issuer, world.random),
        shadows({}, registry),
        defender({}),
        access(registry, nullptr) {}

  /// The Region asks them from now on.
  void join(iot::Region& region) {
    region.add(registry);
    region.add(shadows);
    region.add(defender);
  }

  iot::Registry registry;
  iot::Shadows shadows;
  iot::Defender defender;
  iot::RegistryAccess access;
};

}  // namespace holdfast::lab
