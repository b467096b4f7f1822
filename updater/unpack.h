// An archive, unpacked into a directory, as a program of its own: nothing of it may reach beyond.
//
// Limits:   kEntriesMax entries, `most` bytes in all. Only files, directories, and links that stay
//           within; no owner, no set-user-id, no device.
// Threads:  one; blocks.
// Source:   libarchive, archive_write_disk(3).
#pragma once

#include <cstdint>
#include <filesystem>

#include "holdfast/result.h"

namespace holdfast::updater {

inline constexpr std::size_t kEntriesMax = 200'000;

[[nodiscard]] Status unpack(const std::filesystem::path& archive,
                            const std::filesystem::path& directory, std::uint64_t most);

}  // namespace holdfast::updater
