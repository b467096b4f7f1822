// The socket file of the local API: made, judged stale or alive, removed; and who is at the far
// end.
//
// Threads:  any; no state but the file's.
// Errors:   one sentence with the path and what to do.
// Sources:  unix(7), SO_PEERCRED and SO_PEERGROUPS.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "holdfast/result.h"
#include "posix/unique_fd.h"

namespace holdfast::runtime {

/// A listening socket and the file that leads to it.
struct ListeningSocket {
  posix::UniqueFd fd;  ///< Non-blocking, close-on-exec.
  std::filesystem::path path;
  std::uint64_t device = 0;  ///< Identify the file, so that nobody else's is removed.
  std::uint64_t inode = 0;
  gid_t group = 0;
  bool passed = false;  ///< The service manager's: the file stays.
};

/// Makes the last folder if missing, replaces a dead process' file, binds, sets mode 0660, listens.
[[nodiscard]] Result<ListeningSocket> listen_at(const std::filesystem::path& path);

/// The service manager's socket `fd`, which listens at `path` already: its file's mode and group
/// are the service manager's, too. Errors: what the file is, if it cannot be looked at.
[[nodiscard]] Result<ListeningSocket> adopt(posix::UniqueFd fd, const std::filesystem::path& path);

/// Removes the file if it is still ours.
void remove_socket_file(const ListeningSocket& socket) noexcept;

/// A connected, non-blocking socket. Errors: not_found (no file), closed (nobody listens),
/// permission, io.
[[nodiscard]] Result<posix::UniqueFd> connect_to(const std::filesystem::path& path);

struct Peer {
  pid_t pid = 0;  ///< 0 when it lives in another process namespace.
  uid_t user = 0;
  std::vector<gid_t> groups{};  ///< All of them, its own first.
  bool owner = false;           ///< Root, or our own user.
  bool allowed = false;
};

/// Who is at the far end: allowed if root, our own user, or a member of `group`.
[[nodiscard]] Peer peer_of(int fd, gid_t group);

/// True when the far end has closed both directions, not only its sending side.
[[nodiscard]] bool hung_up(int fd) noexcept;

}  // namespace holdfast::runtime
