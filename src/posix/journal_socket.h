// Log entries with fields to systemd's journal, by its native protocol.
//
// Why not sd_journal_sendv(): it waits for a journald that hangs, and says nothing when there is
// none. The protocol is stable and documented, and for values of one line it is "NAME=value\n".
// Threads: one at a time. Never waits.
// Source:  systemd.io/JOURNAL_NATIVE_PROTOCOL.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "posix/unique_fd.h"

namespace holdfast::posix {

inline constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

class JournalSocket {
 public:
  explicit JournalSocket(std::string path = kJournalSocket);

  enum class Sent : std::uint8_t {
    taken,
    busy,    ///< journald's queue is full; the entry is not sent.
    absent,  ///< Nobody listens, or this entry is not for the socket.
  };
  [[nodiscard]] Sent send(std::string_view fields) const;
  /// Whether somebody listens now.
  [[nodiscard]] bool present() const;

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace holdfast::posix
