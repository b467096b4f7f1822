// What each endpoint's attempts are made with: the whole configuration, as this endpoint has it.
//
// Purpose:  the one place where an endpoint's own settings take the place of the first one's.
// Threads:  pure functions.
#pragma once

#include <cstddef>
#include <string>

#include "holdfast/config.h"

namespace holdfast::link {

/// The first one included.
[[nodiscard]] std::size_t endpoint_count(const Config& config);

/// Its name; `index` 0 is the first.
[[nodiscard]] const std::string& endpoint_name(const Config& config, std::size_t index);

/// `config` with the settings of endpoint `index` in place of the first one's.
[[nodiscard]] Config config_of(const Config& config, std::size_t index);

/// What a session at a broker belongs to: another text stands for another session, for all we know.
[[nodiscard]] std::string session_owner(const Config& own);

}  // namespace holdfast::link
