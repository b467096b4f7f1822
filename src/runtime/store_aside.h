// An outbox that cannot be opened, out of the way: nothing is deleted, and a new one can begin.
//
// Threads:  one. The caller has the directory's lock, and no outbox in it open.
// Errors:   a sentence with the path.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "holdfast/result.h"

namespace holdfast::runtime {

struct AsideStore {
  std::string folder;     ///< Below the directory; an outbox itself, for `holdfast outbox`.
  std::size_t files = 0;  ///< That were moved.
};

/// Moves all segments of the outbox to a folder of their own, set-aside-1, -2, … A power cut in
/// between is gone on from by the next call.
[[nodiscard]] Result<AsideStore> move_store_aside(const std::filesystem::path& directory);

/// How many there are.
[[nodiscard]] std::size_t stores_aside(const std::filesystem::path& directory);

}  // namespace holdfast::runtime
