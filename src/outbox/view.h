// What an outbox shows of itself: its segments, its account, and the messages that wait.
//
// Purpose:  one vocabulary for the store that is open (Store) and for a directory that is only
//           looked at (Inspector), so that both answer alike.
// Threads:  plain values; list_messages() on the thread that owns what it is given.
// Memory:   a page holds at most what its query asks for; nothing grows with the backlog.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "env/disk.h"
#include "outbox/reader.h"
#include "outbox/seals.h"
#include "outbox/state.h"

namespace holdfast::outbox {

/// A segment that still counts: it is being written, or messages wait in it.
struct SegmentView {
  std::uint64_t place = 0;  ///< In the order of acceptance; its sequence, unless it is carried.
  std::uint64_t sequence = 0;
  std::uint32_t slot = 0;
  bool active = false;  ///< The newest: the next commit goes here.
  std::uint32_t end = 0;
  std::uint32_t messages = 0;          ///< Put into it.
  std::uint32_t waiting = 0;           ///< Of these, not settled.
  std::vector<std::uint32_t> by_lane;  ///< Waiting, by store lane.
  env::KeyId key_id = 0;               ///< Sealed with this key; 0: not sealed.
};

struct StoreView {
  StoreUuid store{};
  std::uint32_t segment_bytes = 0;
  std::uint32_t slots = 0;  ///< Files.
  std::uint64_t bytes = 0;  ///< Of all files.
  SessionInfo session;      ///< The latest opening; `epoch` is the number of openings.
  Counters counters;
  std::vector<std::uint64_t> waiting;        ///< By store lane; names are in session.lanes.
  std::vector<std::uint64_t> waiting_bytes;  ///< The same, of their records.
  std::vector<SegmentView> segments;         ///< Oldest first.

  [[nodiscard]] std::uint64_t pending() const;
};

/// From a state; `slots`, `bytes` and `store` are left to the caller. `active` is a sequence.
[[nodiscard]] StoreView view_of(const State& state, std::uint64_t active);

/// Where a listing goes on; all zero is the beginning. A segment may meanwhile be replaced by one
/// that carries its messages: then the id tells what was shown before.
struct ListCursor {
  std::uint64_t place = 0;
  std::uint64_t sequence = 0;
  std::uint32_t offset = 0;
  MessageId last = 0;  ///< The last message that was passed.
};

struct ListQuery {
  std::optional<StoreLane> lane;
  std::optional<MessageId> id;  ///< Only this message.
  std::size_t max_messages = 100;
  std::size_t max_bytes = 256 * 1024;    ///< Of messages; the one that reaches it is the last.
  std::uint32_t max_scan = 1024 * 1024;  ///< Bytes of the log to look at, about.
};

struct ListedMessage {
  StoredMessage message;
  StoreLane lane = 0;
  Stamp stamp;
  std::uint64_t sequence = 0;
  std::uint32_t slot = 0;
  std::uint32_t offset = 0;
  bool locked = false;  ///< Sealed, and its key is not there: what it says is not known.
};

struct Page {
  std::vector<ListedMessage> messages;  ///< In the order of acceptance.
  std::optional<ListCursor> next;       ///< Empty: that was all.
};

/// Gives the open file of a slot; null when it cannot be read.
using FileOf = std::function<env::File*(std::uint32_t slot)>;
/// Gives the sealer of a segment; null when it is not sealed, or its key is not there.
using SealerOf = std::function<env::Sealer*(const Segment& segment)>;

/// Waiting messages of `segments`, from `from` on; sealed ones are opened by `sealer`.
[[nodiscard]] Page list_messages(const SegmentMap& segments, std::size_t lanes, const FileOf& file,
                                 SegmentReader& reader, const SealerOf& sealer,
                                 const ListCursor& from, const ListQuery& query);

}  // namespace holdfast::outbox
