#include "outbox/inspect.h"

#include <algorithm>
#include <map>

#include "outbox/bytes.h"
#include "outbox/recovery.h"

namespace holdfast::outbox {
namespace {

// Each attempt reads a few blocks a slot and one segment; a writer would have to begin a segment
// during each one of them.
constexpr int kStrictAttempts = 50;
constexpr int kAttempts = 200;

/// Recovery asks for randomness only to found a store, which an Inspector never does.
class NoRandom final : public env::Random {
 public:
  std::uint64_t next() override { return 0; }
};

bool is_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

std::string_view to_string(FileState state) noexcept {
  switch (state) {
    case FileState::active:
      return "active";
    case FileState::waiting:
      return "waiting";
    case FileState::free:
      return "free";
    case FileState::blank:
      return "blank";
    case FileState::unfinished:
      return "unfinished";
    case FileState::foreign:
      return "foreign";
    case FileState::other_format:
      return "other_format";
    case FileState::wrong_size:
      return "wrong_size";
  }
  return "unknown";
}

const SegmentHeader* HeaderCopies::best() const {
  const SegmentHeader* found = nullptr;
  for (const auto& one : copy) {
    if (one && (found == nullptr || one->sequence > found->sequence)) found = &*one;
  }
  return found;
}

bool HeaderCopies::same_use(const HeaderCopies& other) const {
  const SegmentHeader* a = best();
  const SegmentHeader* b = other.best();
  if (a == nullptr || b == nullptr) return a == b;
  return a->store == b->store && a->sequence == b->sequence && a->salt == b->salt;
}

HeaderCopies read_headers(env::File& file) {
  HeaderCopies out;
  for (std::size_t i = 0; i < out.copy.size(); ++i) {
    std::array<std::byte, kSegmentHeaderSize> raw{};
    const auto got = file.read_at(i * kBlock, raw);
    if (!got || *got != raw.size()) continue;
    out.copy[i] = decode_segment_header(raw);
    out.zero[i] = is_zero(raw);
    out.other_format = out.other_format || is_other_version(raw);
  }
  return out;
}

Result<std::unique_ptr<Inspector>> Inspector::open(env::Disk& disk, env::KeyRing* keys) {
  std::unique_ptr<Inspector> inspector(new Inspector(disk, keys));
  if (Status looked = inspector->look_anew(); !looked) return std::move(looked).error();
  return inspector;
}

Status Inspector::look_anew() {
  for (int i = 0; i < kAttempts; ++i) {
    newest_ = 0;
    files_.clear();
    missing_.clear();
    reader_.forget();
    const auto attempt = this->attempt(i < kStrictAttempts);
    if (!attempt) return attempt.error();
    if (*attempt == Attempt::good) return {};
  }
  return Error{Errc::in_use, "the outbox changes faster than it can be read; try again", 0};
}

// Slot files with their headers. A file that goes away meanwhile is left out.
Status Inspector::look(std::vector<Seen>& seen) {
  auto names = disk_.list();
  if (!names) return std::move(names).error();
  for (const std::string& name : *names) {
    const auto slot = slot_number(name);
    if (!slot) continue;
    auto file = disk_.open(name, env::OpenMode::read);
    if (!file && file.error().code == Errc::not_found) continue;
    if (!file) return std::move(file).error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    seen.push_back({*slot, *size, read_headers(**file)});
  }
  std::sort(seen.begin(), seen.end(), [](const Seen& a, const Seen& b) { return a.slot < b.slot; });
  return {};
}

// Where the last complete record of a segment ends. Everything before a record that can be read was
// written before it, so from here on this part of the file does not change.
Result<std::uint32_t> Inspector::end_of(const Seen& growing) {
  auto file = disk_.open(slot_name(growing.slot), env::OpenMode::read);
  if (!file) return std::move(file).error();
  const SegmentHeader& header = *growing.headers.best();
  const Segment segment(header, growing.slot);
  std::uint32_t end = kDataStart;
  reader_.forget();
  while (const auto record =
             reader_.next(**file, segment.key, segment.sequence, end, header.segment_bytes)) {
    end = record->next;
  }
  reader_.forget();
  return end;
}

// The newest log segment is appended to; a segment that carries others grows while it is made.
Result<bool> Inspector::freeze(const std::vector<Seen>& seen, const StoreUuid& store) {
  std::vector<const Seen*> ours;
  for (const Seen& s : seen) {
    const SegmentHeader* header = s.headers.best();
    if (header == nullptr || header->store != store) continue;
    ours.push_back(&s);
    if (header->kind == SegmentKind::log) newest_ = std::max(newest_, header->sequence);
  }
  for (const Seen* s : ours) {
    if (s->headers.best()->sequence < newest_) continue;
    const auto end = end_of(*s);
    if (!end && end.error().code == Errc::not_found) return false;
    if (!end) return end.error();
    snapshot_->show_until(slot_name(s->slot), *end);
  }
  return true;
}

Result<Inspector::Attempt> Inspector::attempt(bool strict) {
  std::vector<Seen> seen;
  if (Status looked = look(seen); !looked) return std::move(looked).error();
  // Which store is ours, and which segment is the newest, as recovery decides it.
  std::map<StoreUuid, std::pair<std::size_t, std::uint64_t>> votes;
  bool other_format = false;
  for (const Seen& s : seen) {
    other_format = other_format || s.headers.other_format;
    if (const SegmentHeader* header = s.headers.best()) {
      auto& [count, newest] = votes[header->store];
      ++count;
      newest = std::max(newest, header->sequence);
    }
  }
  if (votes.empty()) {
    if (other_format) {
      return Error{Errc::unsupported,
                   "the outbox has another version of the format; use the holdfast that wrote it",
                   0};
    }
    return Error{Errc::not_found,
                 seen.empty() ? "holds no outbox (no slot files)"
                              : "holds no outbox (no slot file with a valid header)",
                 0};
  }
  const auto ours = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  snapshot_.emplace(disk_);
  const auto frozen = freeze(seen, ours->first);
  if (!frozen) return frozen.error();
  if (!*frozen) return Attempt::changed;
  slots_.emplace(*snapshot_);
  NoRandom random;
  Options look;
  look.unreadable_is_damage = true;  // somebody wants to see what there is
  auto recovered = recover(*snapshot_, *slots_, reader_, random, look);
  if (!recovered) {
    if (recovered.error().code == Errc::not_found) return Attempt::changed;
    return std::move(recovered).error();
  }
  for (const Seen& s : seen) {
    const SegmentHeader* header = s.headers.best();
    if (!strict && (header == nullptr || header->sequence < newest_)) continue;
    env::File* file = slots_->file(s.slot);
    if (file == nullptr || !read_headers(*file).same_use(s.headers)) return Attempt::changed;
  }
  if (recovered->store != ours->first || recovered->last_sequence != ours->second.second) {
    return Attempt::changed;
  }
  state_ = std::move(recovered->state);
  store_ = recovered->store;
  segment_bytes_ = recovered->segment_bytes;
  report_ = recovered->report;
  note_missing(seen);
  note_files(seen);
  return Attempt::good;
}

void Inspector::note_files(const std::vector<Seen>& seen) {
  view_ = view_of(state_, newest_);
  view_.store = store_;
  view_.segment_bytes = segment_bytes_;
  view_.slots = static_cast<std::uint32_t>(seen.size());
  for (const Seen& s : seen) {
    view_.bytes += s.bytes;
    FileView one{s.slot, s.bytes, 0, FileState::blank};
    const auto counts =
        std::find_if(state_.segments.begin(), state_.segments.end(), [&](const auto& e) {
          return e.second.slot == s.slot &&
                 (e.second.live_count() > 0 || e.second.sequence == newest_);
        });
    const SegmentHeader* header = s.headers.best();
    if (header != nullptr) one.sequence = header->sequence;
    if (header != nullptr && header->store != store_) {
      one.state = FileState::foreign;
    } else if (header == nullptr && s.headers.other_format) {
      one.state = FileState::other_format;
    } else if (s.bytes != segment_bytes_) {
      one.state = header != nullptr || counts != state_.segments.end() ? FileState::wrong_size
                                                                       : FileState::unfinished;
    } else if (counts != state_.segments.end()) {
      one.sequence = counts->second.sequence;
      one.state = one.sequence == newest_ ? FileState::active : FileState::waiting;
    } else if (header != nullptr) {
      one.state = header->sequence == newest_ ? FileState::active : FileState::free;
    }
    files_.push_back(one);
  }
}

// Segments that the newest checkpoint names, in which messages still wait, and whose file is not
// there or holds an earlier segment. Recovery has counted these messages as corrupt.
void Inspector::note_missing(const std::vector<Seen>& seen) {
  std::vector<Segment> order;  // newest first
  for (const Seen& s : seen) {
    const SegmentHeader* header = s.headers.best();
    if (header != nullptr && header->store == store_) order.emplace_back(*header, s.slot);
  }
  std::sort(order.begin(), order.end(),
            [](const Segment& a, const Segment& b) { return a.sequence > b.sequence; });
  std::size_t base = 0;
  while (base < order.size() && !note_missing_of(order[base], seen)) ++base;
  if (base == order.size()) return;
  // What was settled behind the checkpoint is not lost with the file.
  for (std::size_t i = base + 1; i-- > 0 && !missing_.empty();) settle_missing(order[i]);
  forgive_carried();
  std::erase_if(missing_, [](const Segment& segment) { return segment.live_count() == 0; });
}

// False: this segment has no checkpoint.
bool Inspector::note_missing_of(const Segment& segment, const std::vector<Seen>& seen) {
  env::File* source = slots_->file(segment.slot);
  std::uint32_t at = kDataStart;
  while (source != nullptr) {
    const auto record = reader_.next(*source, segment.key, segment.sequence, at, segment_bytes_);
    if (!record || record->header.type != RecordType::checkpoint) return false;
    at = record->next;
    auto table = decode_checkpoint(record->bytes, store_, segment.sequence, segment_bytes_);
    if (!table) continue;
    for (auto& entry : table->segments) {
      Segment& listed = entry.second;
      const auto there = std::find_if(seen.begin(), seen.end(),
                                      [&](const Seen& f) { return f.slot == listed.slot; });
      const SegmentHeader* header = there == seen.end() ? nullptr : there->headers.best();
      const bool older =
          header != nullptr && header->store == store_ && header->sequence < listed.sequence;
      if (there == seen.end() || older) missing_.push_back(std::move(listed));
    }
    return true;
  }
  return false;
}

// A segment that was carried may go: its messages wait in another one.
void Inspector::forgive_carried() {
  for (Segment& one : missing_) {
    for (std::uint32_t i = one.next_live(0); i < one.size(); i = one.next_live(i + 1)) {
      StoreLane lane = 0;
      const MessageId id = one.id_at(i);
      const bool elsewhere = std::any_of(state_.segments.begin(), state_.segments.end(),
                                         [id](const auto& entry) { return entry.second.live(id); });
      if (elsewhere) one.settle(id, lane);
    }
  }
}

void Inspector::settle_missing(const Segment& segment) {
  env::File* source = slots_->file(segment.slot);
  std::uint32_t at = kDataStart;
  while (source != nullptr) {
    const auto record = reader_.next(*source, segment.key, segment.sequence, at, segment_bytes_);
    if (!record) return;
    at = record->next;
    const RecordType type = record->header.type;
    if (type != RecordType::ack && type != RecordType::drop) continue;
    for (const Range& range : decode_ranges(record->bytes)) {
      for (Segment& one : missing_) {
        for (std::uint32_t i = one.next_live(0); i < one.size(); i = one.next_live(i + 1)) {
          StoreLane lane = range.lane;
          const MessageId id = one.id_at(i);
          if (id >= range.first && id - range.first < range.count) one.settle(id, lane);
        }
      }
    }
  }
}

bool Inspector::used_again(const Segment& segment) {
  env::File* source = slots_->file(segment.slot);
  if (source == nullptr) return false;
  const HeaderCopies now = read_headers(*source);
  const SegmentHeader* header = now.best();
  return header != nullptr && header->store == store_ && header->sequence > segment.sequence;
}

// Records that were overwritten meanwhile do not pass their checksum and are left out. If they were
// carried elsewhere before, a new look finds them there.
Result<Page> Inspector::list(const ListCursor& from, const ListQuery& query) {
  for (int i = 0; i < kAttempts; ++i) {
    reader_.forget();
    Page page = list_messages(
        state_.segments, state_.session.lanes.size(),
        [this](std::uint32_t slot) { return slots_->file(slot); }, reader_,
        [this](const Segment& segment) { return seals_.of(store_, segment); }, from, query);
    const bool changed =
        std::any_of(state_.segments.begin(), state_.segments.end(), [&](const auto& entry) {
          const bool read = !page.next || entry.first <= page.next->place;
          return read && entry.second.live_count() > 0 && used_again(entry.second);
        });
    if (!changed) return page;
    if (Status looked = look_anew(); !looked) return std::move(looked).error();
  }
  return Error{Errc::in_use, "the outbox changes faster than it can be read; try again", 0};
}

}  // namespace holdfast::outbox
