#include "outbox/recovery.h"

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/check.h"
#include "outbox/bytes.h"
#include "outbox/replay.h"

namespace holdfast::outbox {
namespace {

struct Found {
  std::uint32_t slot = 0;
  SegmentHeader header;
};

StoreUuid random_uuid(env::Random& random) {
  StoreUuid uuid{};
  for (std::size_t i = 0; i < uuid.size(); i += 8) {
    const std::uint64_t bits = random.next();
    for (std::size_t k = 0; k < 8; ++k) uuid[i + k] = static_cast<std::uint8_t>(bits >> (8 * k));
  }
  return uuid;
}

struct HeaderCopies {
  std::optional<SegmentHeader> best;
  bool other = false;          ///< A copy was written by another version of the format.
  std::optional<Error> error;  ///< A copy cannot be read: `best` may not be the right one.
};

HeaderCopies read_header(env::File& file) {
  HeaderCopies copies;
  for (const std::uint32_t at : {std::uint32_t{0}, kBlock}) {
    std::array<std::byte, kSegmentHeaderSize> raw{};
    const auto got = file.read_at(at, raw);
    if (!got) copies.error = got.error();
    if (!got || *got != raw.size()) continue;
    copies.other = copies.other || is_other_version(raw);
    const auto header = decode_segment_header(raw);
    // After a cut recycling the copies differ; the higher one is what was being written.
    if (!header || (copies.best && header->sequence <= copies.best->sequence)) continue;
    copies.best = header;
  }
  return copies;
}

/// Ours is the store with most segments (then the newest): a single foreign file never wins.
StoreUuid majority(const std::vector<Found>& all) {
  std::map<StoreUuid, std::pair<std::size_t, std::uint64_t>> votes;
  for (const Found& f : all) {
    auto& [count, newest] = votes[f.header.store];
    ++count;
    newest = std::max(newest, f.header.sequence);
  }
  return std::max_element(votes.begin(), votes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

/// Valid headers of our store, oldest first; files of others are set aside. `unreadable_is_damage`
/// as in Options; one of which neither header can be read is set aside, too.
Result<std::vector<Found>> find_segments(Slots& slots, bool unreadable_is_damage, Recovered& out) {
  std::vector<Found> all;
  std::optional<Error> error;
  for (const std::uint32_t slot : slots.existing()) {
    HeaderCopies copies = read_header(*slots.file(slot));
    if (copies.error) error = std::move(*copies.error).with(slot_name(slot));
    if (error && !unreadable_is_damage) return *error;
    if (copies.best) {
      all.push_back({slot, *copies.best});
      continue;
    }
    if (!copies.other && !copies.error) continue;
    slots.quarantine(slot);
    ++out.report.set_aside;
    out.report.unreadable += copies.error ? 1U : 0U;
  }
  if (all.empty() && error) return *error;
  if (all.empty()) return all;
  out.store = majority(all);
  std::vector<Found> ours;
  for (const Found& f : all) {
    if (f.header.store == out.store) {
      ours.push_back(f);
    } else {
      slots.quarantine(f.slot);
      ++out.report.set_aside;
    }
  }
  std::sort(ours.begin(), ours.end(),
            [](const Found& a, const Found& b) { return a.header.sequence < b.header.sequence; });
  out.segment_bytes = ours.back().header.segment_bytes;
  out.last_sequence = ours.back().header.sequence;
  std::erase_if(ours, [&](const Found& f) { return f.header.segment_bytes != out.segment_bytes; });
  return ours;
}

/// Whether the slot still holds this very segment.
bool is_there(const std::vector<Found>& found, const Segment& segment) {
  return std::any_of(found.begin(), found.end(), [&](const Found& f) {
    return f.slot == segment.slot && f.header.sequence == segment.sequence;
  });
}

void end_as_corrupt(const Segment& segment, std::uint32_t segment_bytes, State& state) {
  state.counters.add_drops(DropReason::corrupt, segment.live_count());
  for (std::uint32_t i = segment.next_live(0); i < segment.size(); i = segment.next_live(i + 1)) {
    state.endings.add({segment.id_at(i), 1, EndKind::dropped, DropReason::corrupt},
                      Endings::limit(segment_bytes));
  }
}

/// Messages of segments whose slot is gone or was used again.
void account_for_missing(const std::vector<Found>& found, Slots& slots, std::uint32_t segment_bytes,
                         State& state) {
  for (auto entry = state.segments.begin(); entry != state.segments.end();) {
    const Segment& segment = entry->second;
    const auto header = std::find_if(found.begin(), found.end(),
                                     [&](const Found& f) { return f.slot == segment.slot; });
    const bool reused = header != found.end() && header->header.sequence > segment.sequence;
    const bool gone = slots.file(segment.slot) == nullptr ||
                      (header != found.end() && header->header.sequence < segment.sequence);
    if (!reused && !gone) {
      ++entry;
      continue;
    }
    // A slot is used again only when all its messages are settled (or carried, see replay.h) and
    // that is durable, so their records of settlement were damaged: nothing is lost. A slot that is
    // gone took them along.
    if (reused) {
      state.counters.delivered += segment.live_count();
    } else {
      end_as_corrupt(segment, segment_bytes, state);
    }
    entry = state.segments.erase(entry);
  }
}

Segment make_segment(const Found& found) { return {found.header, found.slot}; }

// A checkpoint does not tell the key of a segment. One whose headers are both damaged most likely
// has the present one.
void find_keys(const std::vector<Found>& found, env::KeyId otherwise, State& state) {
  for (auto& [place, segment] : state.segments) {
    const auto header = std::find_if(found.begin(), found.end(), [&s = segment](const Found& f) {
      return f.slot == s.slot && f.header.sequence == s.sequence;
    });
    segment.key_id = header == found.end() ? otherwise : header->header.key_id;
  }
}

// A segment that cannot be read may have been the newest. What it may have given, openings and
// sequences, must not be given again.
void pass_over(Recovered& out) {
  constexpr std::uint64_t kSequences = 1'000'000;
  out.last_sequence += kSequences;
  // An opening begins at a block of its own, so this is more than a segment can hold.
  const std::uint32_t openings = out.segment_bytes / kBlock * out.report.unreadable;
  out.state.session.epoch = std::min(out.state.session.epoch + openings, kEpochMax - 1);
}

class Recovery {
 public:
  Recovery(Slots& slots, SegmentReader& reader, Recovered& out)
      : slots_(slots), reader_(reader), out_(out) {}

  void run(const std::vector<Found>& found) {
    std::size_t base = found.size();
    while (base > 0) {
      --base;
      sync(found[base]);
      if (found[base].header.kind != SegmentKind::log) continue;
      has_base_ = has_checkpoint(make_segment(found[base]), file(found[base]), reader_, out_.store,
                                 out_.segment_bytes);
      if (has_base_) break;
    }
    Replay replay(out_.state, reader_, out_.store, out_.segment_bytes);
    const auto exists = [&](const Segment& segment) { return is_there(found, segment); };
    for (std::size_t i = base; i < found.size(); ++i) {
      if (found[i].header.kind == SegmentKind::carried) {
        // Written just before a checkpoint that was cut or is damaged.
        replay.carried(make_segment(found[i]), file(found[i]), exists, !has_base_,
                       write_again(found[i]));
        continue;
      }
      const bool is_base = has_base_ && i == base;
      const bool needed = replay.segment(make_segment(found[i]), file(found[i]), is_base);
      if (needed && !is_base) out_.report.rebuilt = true;
    }
    replay.finish();
    const std::uint64_t& corrupt =
        out_.state.counters.dropped[static_cast<std::size_t>(DropReason::corrupt)];
    const std::uint64_t before = corrupt;
    out_.report.corrupt = replay.new_corrupt();
    account_for_missing(found, slots_, out_.segment_bytes, out_.state);
    out_.report.corrupt += corrupt - before;
    out_.report.torn = replay.torn();
    out_.report.clean = replay.clean();
    if (has_base_ && !out_.report.rebuilt) free_dead(found[base]);
    if (has_base_ && base + 1 == found.size()) choose_tail(found[base]);
    out_.newest_commit = replay.newest_commit();
  }

 private:
  env::File& file(const Found& found) { return *slots_.file(found.slot); }

  void sync(const Found& found) {
    if (slots_.writable(found.slot) && !file(found).sync()) {
      slots_.mark_bad(found.slot);
    }
  }

  // Made durable here: the older segments are given up for it.
  bool write_again(const Found& found) {
    const bool written = slots_.write_again({found.slot, 0, out_.segment_bytes}).ok();
    if (!written) slots_.mark_bad(found.slot);
    return written;
  }

  // What ended in the newest segment, which is synced, is no longer needed where it began: its slot
  // may be the one that this opening needs.
  void free_dead(const Found& newest) {
    std::erase_if(out_.state.segments, [&](const auto& entry) {
      const Segment& segment = entry.second;
      return segment.live_count() == 0 && segment.sequence != newest.header.sequence;
    });
  }

  // New records begin at a block of their own: what was durable before is never written again.
  void choose_tail(const Found& newest) {
    const auto entry = out_.state.segments.find(newest.header.sequence);
    if (entry == out_.state.segments.end() || !slots_.writable(newest.slot)) return;
    const std::uint32_t tail = align_up(entry->second.end, kBlock);
    if (reader_.errors() > 0 || tail + 2 * kBlock > out_.segment_bytes) return;
    entry->second.end = tail;
    out_.append_to = newest.header.sequence;
  }

  Slots& slots_;
  SegmentReader& reader_;
  Recovered& out_;
  bool has_base_ = false;
};

}  // namespace

std::uint32_t choose_segment_bytes(const Options& options) {
  std::uint64_t bytes = options.segment_bytes;
  if (bytes == 0) {
    bytes = std::clamp<std::uint64_t>(options.max_bytes / limits::kSegmentsWanted,
                                      limits::kSegmentMin, limits::kSegmentMax);
  }
  bytes = std::clamp<std::uint64_t>(bytes, kSegmentFloor, limits::kSegmentMax);
  return static_cast<std::uint32_t>(bytes / kBlock * kBlock);
}

std::uint32_t choose_slot_count(const Options& options, std::uint32_t segment_bytes) {
  constexpr std::uint64_t kFewest = 4;  // active, two in reserve, one to fill
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(options.max_bytes / segment_bytes, kFewest, kSlotsMax));
}

Result<Recovered> recover(env::Disk& disk, Slots& slots, SegmentReader& reader, env::Random& random,
                          const Options& options) {
  Recovered out;
  auto names = disk.list();
  if (!names) return std::move(names).error();
  // A name made by a process that was killed may not be durable yet.
  if (Status synced = disk.sync_directory(); !synced) {
    slots.directory_unsynced();
    out.report.read_only = synced.error().code == Errc::read_only;
  }
  for (const std::string& name : *names) {
    const auto slot = slot_number(name);
    if (!slot) continue;
    if (Status found = slots.found(*slot); !found) {
      if (!options.unreadable_is_damage || found.error().os_error != EIO) return found.error();
      slots.quarantine(*slot);
      ++out.report.set_aside;
      ++out.report.unreadable;
      continue;
    }
    if (!slots.writable(*slot)) out.report.read_only = true;
  }
  auto segments = find_segments(slots, options.unreadable_is_damage, out);
  if (!segments) return std::move(segments).error();
  const std::vector<Found>& found = *segments;
  if (found.empty()) {
    out.store = random_uuid(random);
    out.segment_bytes = choose_segment_bytes(options);
    out.state.session.lanes = lane_names(options);
    out.report.created = true;
  }
  slots.configure(out.segment_bytes, choose_slot_count(options, out.segment_bytes));
  if (!found.empty()) {
    out.state.session.lanes = lane_names(options);  // for a rebuild without any checkpoint
    Recovery(slots, reader, out).run(found);
    if (reader.errors() > 0 && !options.unreadable_is_damage) {
      return Error{Errc::io, "a part of the newest segments cannot be read", EIO};
    }
    if (out.report.unreadable > 0) pass_over(out);
    find_keys(found, options.keys == nullptr ? 0 : options.keys->current(), out.state);
  }
  for (const auto& [sequence, segment] : out.state.segments) slots.mark_used(segment.slot);
  HF_CHECK(out.state.balanced());
  out.report.pending = out.state.pending();
  out.report.segments = static_cast<std::uint32_t>(out.state.segments.size());
  return out;
}

}  // namespace holdfast::outbox
