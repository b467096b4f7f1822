// From slot files to a State: what opening does before anything is written.
//
// Purpose:  find the newest checkpoint, replay what was written after it, account for what is
//           missing. Reads the headers of all slots but the records of only one segment (of more
//           when checkpoints are damaged), so its cost does not grow with the backlog.
// Promise:  recovering twice gives the same state; nothing is taken as durable that was not synced
//           first (a killed process leaves bytes in the page cache that a power cut takes away).
// Errors:   only when the directory or a file cannot be opened. Damage is counted.
#pragma once

#include <cstdint>

#include "env/disk.h"
#include "env/random.h"
#include "outbox/outbox.h"
#include "outbox/reader.h"
#include "outbox/slots.h"
#include "outbox/state.h"

namespace holdfast::outbox {

struct Recovered {
  StoreUuid store{};
  std::uint32_t segment_bytes = 0;
  State state;  ///< session.epoch is 0 in a new store.
  std::uint64_t last_sequence = 0;
  std::uint64_t append_to = 0;  ///< Segment that can be continued; 0: a fresh one is needed.
  Extent newest_commit;         ///< Perhaps not durable, if a process of this boot wrote it.
  RecoveryReport report;
};

[[nodiscard]] Result<Recovered> recover(env::Disk& disk, Slots& slots, SegmentReader& reader,
                                        env::Random& random, const Options& options);

/// The segment size of a new store and the number of slots its limit allows.
[[nodiscard]] std::uint32_t choose_segment_bytes(const Options& options);
[[nodiscard]] std::uint32_t choose_slot_count(const Options& options, std::uint32_t segment_bytes);

}  // namespace holdfast::outbox
