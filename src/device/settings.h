// What the core derives from its configuration and from the opening of the outbox.
//
// Threads: pure functions.
#pragma once

#include <cstdint>

#include "base/message.h"
#include "base/time.h"
#include "env/random.h"
#include "holdfast/config.h"

namespace holdfast::device {

/// How often subscriptions are verified; zero: never.
[[nodiscard]] Duration verification(const Config& config);

/// A run of the process counts its volatile ids from the number of its opening, as the store does;
/// without one from a random place.
[[nodiscard]] MessageId first_volatile_id(std::uint32_t epoch, env::Random& random);

}  // namespace holdfast::device
