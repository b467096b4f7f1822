// The listening sockets with which a service manager started this process (socket activation).
//
// Purpose:  whoever connects while the process is not there waits for it instead of being refused.
// Threads:  from_environment() before there is a second one, since it changes the environment;
//           listening_at() from any.
// Ownership: holds the sockets as long as it lives, and with them their queues of who waits.
// Errors:   what is no listening Unix stream socket is kept and never given; nothing fails.
// Sources:  sd_listen_fds(3), unix(7).
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "posix/unique_fd.h"

namespace holdfast::posix {

inline constexpr int kFirstPassed = 3;             ///< SD_LISTEN_FDS_START
inline constexpr std::size_t kPassedSockets = 16;  ///< More are left alone.

class PassedSockets {
 public:
  PassedSockets() = default;
  /// `pid`, `count` and `names`: the values of $LISTEN_PID, $LISTEN_FDS and $LISTEN_FDNAMES. None
  /// when they are for another process or no numbers. `first`: the descriptor that they begin at.
  PassedSockets(std::string_view pid, std::string_view count, std::string_view names, long own_pid,
                int first = kFirstPassed);

  /// As the environment says, which is cleared of it: it is not for our children.
  [[nodiscard]] static PassedSockets from_environment();

  struct Given {
    UniqueFd fd;       ///< A duplicate, non-blocking, close-on-exec; empty: there is none.
    std::string name;  ///< What the service manager calls it; its unit unless named otherwise.
  };
  /// The one to which the socket file `path` leads.
  [[nodiscard]] Given listening_at(const std::filesystem::path& path) const;

  /// What was passed and does not listen at `path`, for a person: names and paths.
  [[nodiscard]] std::vector<std::string> others(const std::filesystem::path& path) const;

 private:
  struct Passed {
    UniqueFd fd;
    std::string name;
    std::filesystem::path path;  // empty: no listening Unix stream socket with a file
  };
  [[nodiscard]] static bool leads(const std::filesystem::path& path, const Passed& passed);

  std::vector<Passed> passed_;
};

}  // namespace holdfast::posix
