// Random identifiers in the form that AWS gives to things and sessions.
#pragma once

#include <string>

#include "env/random.h"

namespace holdfast::lab::iot {

/// RFC 4122, version 4: "1b4e28ba-2fa1-41d2-883f-0016d3cca427".
[[nodiscard]] std::string make_uuid(env::Random& random);

}  // namespace holdfast::lab::iot
