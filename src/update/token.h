// Names of questions to the service, by which their answers are known.
#pragma once

#include <string>

#include "env/random.h"

namespace holdfast::update {

/// Another one each time; at most limits::kJobTokenMax bytes.
[[nodiscard]] std::string make_token(env::Random& random);

}  // namespace holdfast::update
