// Small files that are read and replaced whole: each is there as it was written, or not there.
//
// Threads:  one at a time for each name.
// Errors:   of env::Disk; too_large.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/secret.h"
#include "env/disk.h"
#include "holdfast/result.h"

namespace holdfast::identity {

/// What is left of a write that was cut has this ending; it may hold keys.
inline constexpr std::string_view kUnfinished = ".new";

/// The content; too_large over `most` bytes, whatever size the file says it has.
[[nodiscard]] Result<Secret> read_whole(env::Disk& disk, std::string_view name, std::size_t most);

/// The same, and what is read stays there: what a process that was killed had not synced yet is
/// synced first. For whoever acts on what he reads.
[[nodiscard]] Result<Secret> read_whole_durable(env::Disk& disk, std::string_view name,
                                                std::size_t most);

/// Puts `content` in place of what `name` has: mode 0600 from the first byte, and durable. After an
/// error the old content is still there.
[[nodiscard]] Status replace_whole(env::Disk& disk, std::string_view name,
                                   std::string_view content);

}  // namespace holdfast::identity
