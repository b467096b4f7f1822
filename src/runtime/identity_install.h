// Putting a credential into a directory of slots, and taking it away again, from outside of the
// agent: it hears of the files and does the rest.
//
// Threads: any; blocks on the disk, and up to kInstallPatience for whoever writes there now.
// Errors:  sentences for the person at the command line; what is in the slots stays as it was.
#pragma once

#include <filesystem>
#include <memory>

#include "base/time.h"
#include "env/disk.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::runtime {

inline constexpr Duration kInstallPatience = std::chrono::seconds(3);

/// The directory, with its lock, which is waited for. Errors: not_found, permission (another user's
/// directory), in_use.
[[nodiscard]] Result<std::unique_ptr<env::Disk>> open_slots(const std::filesystem::path& directory);

/// Checks the two files, and puts them into the slot `next`. Gives what is in it.
/// Errors: of reading and checking them; invalid_argument (expired, or the active one already);
/// permission (another user's directory), not_found (no such directory), in_use.
[[nodiscard]] Result<SlotState> install_identity(const std::filesystem::path& directory,
                                                 const std::filesystem::path& certificate,
                                                 const std::filesystem::path& key, WallTime now);

enum class Rollback : std::uint8_t {
  withdrawn,  ///< The slot `next` was emptied: it is tried no longer.
  ordered,    ///< The previous credential is the next one now, and is tried like any.
};
/// Errors: not_found (there is no way back), and as above.
[[nodiscard]] Result<Rollback> roll_back_identity(const std::filesystem::path& directory,
                                                  WallTime now);

/// The slots of a directory as they are, without an agent. Errors: not_found, permission, io.
[[nodiscard]] Result<IdentityState> look_at_identity(const std::filesystem::path& directory,
                                                     WallTime now);

}  // namespace holdfast::runtime
