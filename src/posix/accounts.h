// Users and groups of this machine by name.
//
// Threads: any; may wait for a name service.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace holdfast::posix {

/// Of a name, or of a number as it is. None: there is no such name.
[[nodiscard]] std::optional<uid_t> user_id(const std::string& name);
[[nodiscard]] std::optional<gid_t> group_id(const std::string& name);

}  // namespace holdfast::posix
