// How records get onto the disk: commits, fresh segments, and what happens when writing fails.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "outbox/bytes.h"
#include "outbox/store.h"

namespace holdfast::outbox {
namespace {

// Slots kept free for settlements and checkpoints, so that a full outbox can always be drained:
// when the active segment is full of acknowledgements, its successor's checkpoint makes it free.
constexpr std::uint32_t kReserve = 2;

}  // namespace

Segment* Store::active() {
  const auto entry = state_.segments.find(active_);
  return entry == state_.segments.end() ? nullptr : &entry->second;
}

bool Store::fits(std::uint32_t size) const {
  const auto entry = state_.segments.find(active_);
  if (entry == state_.segments.end()) return false;
  const std::size_t used = entry->second.end + batch_.size();
  return used + size + kRecordHeaderSize <= segment_bytes_;  // with the commit's mark
}

// A batch, like a message, must fit into a fresh segment behind its checkpoint.
std::uint32_t Store::batch_max() const {
  return std::min(kBatchMax, segment_bytes_ / 2 - 3 * kBlock);
}

// Half full or more, density counts: the tail of a block is then written again by the next commit,
// which is safe as long as a cut never damages bytes that are rewritten unchanged.
bool Store::padding() const {
  return options_.always_pad || (state_.segments.size() * 2 < slots_.count() && !full_);
}

bool Store::make_slots(std::uint32_t wanted) {
  while (!slots_.has_ready(wanted)) {
    if (!slots_.can_make()) make_failing_ = 0;  // that is no failure: the limit is reached
    if (!slots_.can_make() || clock_.now() < make_at_) return false;
    if (Status made = slots_.make(); !made) {
      make_error_ = made.error().code;
      make_failing_ = make_error_ == Errc::no_space ? 0 : wanted;
      make_at_ = clock_.now() + kMakeRetry;
      return false;
    }
  }
  make_failing_ = 0;
  return true;
}

bool Store::slot_allowed() const {
  return state_.segments.size() + 1 + kReserve <= slots_.count() &&
         (slots_.ready() > kReserve || slots_.can_make());
}

RejectReason Store::no_slot() const {
  const bool space = !slots_.can_make() || make_error_ == Errc::no_space ||
                     state_.segments.size() + 1 + kReserve > slots_.count();
  return space ? RejectReason::outbox_full : RejectReason::storage_failed;
}

// While little is stored, one slot is reserve enough; a new store need not be filled ahead.
bool Store::reserve_ready() {
  if (state_.segments.size() + kReserve > slots_.count()) return false;  // the limit was lowered
  const Segment* segment = active();
  const bool little = state_.segments.size() == 1 && segment != nullptr &&
                      segment->end + batch_.size() < segment_bytes_ / 2;
  return make_slots(little ? kReserve - 1 : kReserve);
}

// On a disk with room for few slots, a first segment that is half full wants more reserve than
// there is. Once nothing waits in it, a fresh segment sets it free, and little is stored again.
bool Store::renew() {
  if (state_.segments.size() != 1 || state_.pending() != 0 || !slots_.has_ready(1)) return false;
  static_cast<void>(flush());  // settlements first, as in make_room()
  if (mode_ != Mode::ok || state_.pending() != 0 || !slots_.has_ready(1)) return false;
  if (Status started = start_segment(); !started) {
    fail(started.error());
    return false;
  }
  return reserve_ready();
}

// Room for a put of this size in the active segment, made by a commit or a fresh segment if needed.
RejectReason Store::make_room(std::uint32_t size) {
  if (!batch_.empty() && batch_.size() + size > batch_max()) static_cast<void>(flush());
  if (mode_ != Mode::ok) return RejectReason::storage_failed;
  if (counter_of(state_.next_id) == kCounterMax) return RejectReason::storage_failed;
  // A segment of another key takes settlements, but no more messages.
  if (fits(size) && active()->key_id == seals_.current()) {
    if (!reserve_ready() && !renew()) return no_slot();
  } else {
    // Settlements go first although the checkpoint will carry them: it may be written over the very
    // messages that they end.
    static_cast<void>(flush());
    if (mode_ != Mode::ok) return RejectReason::storage_failed;
    const bool over = state_.segments.size() + 1 + kReserve > slots_.count();
    if (over || !make_slots(kReserve + 1)) return no_slot();
    if (Status started = start_segment(); !started) {
      fail(started.error());
      return RejectReason::storage_failed;
    }
    if (!fits(size)) return RejectReason::outbox_full;
  }
  full_ = false;
  return RejectReason::none;
}

std::uint32_t Store::settled_size() const {
  const auto records = static_cast<std::uint32_t>(settled_.size() / kRangesPerRecord + 2);
  return static_cast<std::uint32_t>(settled_.size() * kRangeSize) + records * kRecordHeaderSize;
}

void Store::append_settled() {
  std::vector<Range> ranges;
  for (const bool delivered : {true, false}) {
    const RecordType type = delivered ? RecordType::ack : RecordType::drop;
    const auto write = [&] {
      if (!ranges.empty()) append_ranges(batch_, type, ranges, state_.next_id);
      ranges.clear();
    };
    for (const auto& [range, is_delivered] : settled_) {
      if (is_delivered != delivered) continue;
      ranges.push_back(range);
      if (ranges.size() == kRangesPerRecord) write();
    }
    write();
  }
  settled_.clear();
}

// Ends a commit, in padding mode at the end of a block, so that the next one leaves it alone.
void Store::append_mark(std::vector<std::byte>& out, std::uint32_t place, MessageId next_id) {
  const auto from = place + static_cast<std::uint32_t>(out.size());
  if (from % kBlock == 0 || from + kRecordHeaderSize > segment_bytes_) return;
  std::uint32_t length = kRecordHeaderSize;
  if (padding()) {
    const std::uint32_t end = align_up(from + kRecordHeaderSize, kBlock);
    if (end <= segment_bytes_) length = end - from;
  }
  const std::size_t start = out.size();
  begin_record(out, RecordType::pad, next_id);
  out.resize(start + length);
  finish_record(out, start);
}

void Store::stamp_all(std::span<std::byte> records, const SegmentKey& key,
                      std::uint32_t place) const {
  while (!records.empty()) {
    const std::uint32_t length = stride(decode_record_header(records).length);
    stamp_record(records.first(length), key, place, state_.group);
    records = records.subspan(length);
    place += length;
  }
}

void Store::stamp_batch() {
  const Segment* segment = active();
  HF_CHECK(segment != nullptr && stamped_ <= batch_.size());
  stamp_all(std::span(batch_).subspan(stamped_), segment->key,
            segment->end + static_cast<std::uint32_t>(stamped_));
  stamped_ = batch_.size();
}

// One write and one sync for all that is waiting.
Status Store::flush() {
  if (mode_ != Mode::ok) return last_error_;
  if (!settled_.empty() && !fits(settled_size())) {
    // A fresh segment's checkpoint carries the settlements; what is in the batch goes first.
    if (Status written = write_batch(); !written || settled_.empty()) return written;
    Status started = start_segment();
    if (!started) fail(started.error());
    return started;
  }
  append_settled();
  return write_batch();
}

Status Store::write_batch() {
  if (batch_.empty()) {
    release_dead();
    return {};
  }
  Segment* segment = active();
  HF_CHECK(segment != nullptr);
  append_mark(batch_, segment->end, state_.next_id);
  HF_CHECK(segment->end + batch_.size() <= segment_bytes_);
  stamp_batch();
  HF_CHECK(decode_record_header(batch_).group == state_.group);  // also of what was stamped before
  env::File* file = slots_.file(segment->slot);
  HF_CHECK(file != nullptr);
  Status status = file->write_at(segment->end, batch_);
  if (status.ok()) status = file->sync();
  if (!status) return rescue(std::move(status).error());
  segment->end += static_cast<std::uint32_t>(batch_.size());
  confirm();
  return {};
}

// The batch is durable in the active segment.
void Store::confirm() {
  Segment* segment = active();
  for (const PendingPut& put : batch_puts_) {
    ++state_.counters.accepted;
    if (put.kept) {
      HF_CHECK(segment->add(put.id, put.lane, put.bytes));
      continue;
    }
    state_.counters.add_drops(DropReason::evicted, 1);
    remember_end(put.id, EndKind::dropped, DropReason::evicted);
    news_.dropped.emplace_back(put.id, DropReason::evicted);
  }
  batch_.clear();
  stamped_ = 0;
  batch_puts_.clear();
  ++state_.group;
  for (const auto& [id, held] : std::exchange(supersede_confirmed_, {})) supersede(id, held);
  release_dead();
}

// Frees slots whose messages are all settled, once that is durable.
void Store::release_dead() {
  if (!settled_.empty()) return;
  for (auto entry = state_.segments.begin(); entry != state_.segments.end();) {
    if (entry->second.live_count() > 0 || entry->first == active_) {
      ++entry;
      continue;
    }
    slots_.release(entry->second.slot);
    entry = state_.segments.erase(entry);
    full_ = false;
  }
  slots_.trim(kReserve);
}

// Failing syncs may have used up the reserve. Then a segment in which nothing waits goes although
// that is not durable: cut now, what ended there may be told to have ended otherwise, or be sent
// once more. One that can be overwritten leaves the better trace of it.
bool Store::release_settled() {
  auto best = state_.segments.end();
  for (auto entry = state_.segments.begin(); entry != state_.segments.end(); ++entry) {
    if (entry->second.live_count() > 0 || entry->first == active_) continue;
    const bool better = best == state_.segments.end() || (!slots_.writable(best->second.slot) &&
                                                          slots_.writable(entry->second.slot));
    if (better) best = entry;
  }
  if (best == state_.segments.end()) return false;
  slots_.release(best->second.slot);
  state_.segments.erase(best);
  return true;
}

SegmentHeader Store::next_header(SegmentKind kind) {
  return {store_, ++last_sequence_, random_.next(), segment_bytes_, kind, seals_.current()};
}

// Puts of a batch change their segment, and so their key.
void Store::seal_records(std::vector<std::byte>& records, env::Sealer* from, env::Sealer* to) {
  if (from == nullptr && to == nullptr) return;
  std::vector<std::byte> out;
  for (std::span<const std::byte> left = records; !left.empty();) {
    const RecordHeader header = decode_record_header(left);
    const auto record = left.first(header.length);
    left = left.subspan(stride(header.length));
    if (header.type == RecordType::put) {
      HF_CHECK(seals_.copy(out, record, from, to));
      continue;
    }
    out.insert(out.end(), record.begin(), record.end());
    out.resize(out.size() + stride(header.length) - header.length);
  }
  records = std::move(out);
}

// Begins a fresh segment with a checkpoint of all that is known and the unconfirmed batch. A slot
// that fails is given up; a second one is tried.
Status Store::start_segment() {
  Status status = try_start_segment();
  if (!status && status.error().code == Errc::full && release_settled()) {
    status = try_start_segment();
  }
  if (!status && status.error().code != Errc::full && status.error().code != Errc::no_space) {
    status = try_start_segment();
  }
  return status;
}

Status Store::try_start_segment() {
  const auto slot = slots_.take();
  if (!slot) return slot.error();
  const MessageId first = batch_puts_.empty() ? state_.next_id : batch_puts_.front().id;
  const SegmentHeader header = next_header(SegmentKind::log);
  Segment segment(header, *slot);
  state_.session.accepted = state_.counters.accepted;
  state_.session.corrupt = state_.counters.dropped[static_cast<std::size_t>(DropReason::corrupt)];

  std::vector<std::byte> image(kDataStart);
  encode(header, image);
  encode(header, std::span(image).subspan(kBlock));
  append_checkpoint(image, state_, first);
  const std::size_t checkpoint = image.size() - kDataStart;
  // Twice, so that one damaged bit does not cost a rebuild; unless it is huge.
  if (kDataStart + 2 * checkpoint + batch_.size() + kBlock <= segment_bytes_ / 2) {
    append_checkpoint(image, state_, first);
  }
  append_mark(image, 0, first);
  std::vector<std::byte> records = batch_;
  seal_records(records, nullptr, sealer(segment));
  const auto place = static_cast<std::uint32_t>(image.size());
  if (!records.empty()) append_mark(records, place, state_.next_id);
  if (place + records.size() > segment_bytes_) {
    slots_.release(*slot);
    return Error{Errc::full, "the checkpoint leaves no room in a segment", 0};
  }
  stamp_all(std::span(image).subspan(kDataStart), segment.key, kDataStart);
  env::File* file = slots_.file(*slot);
  Status status = file->write_at(0, image);
  if (status.ok()) status = file->sync();
  // A batch that is rescued goes behind a checkpoint that is durable: torn in one piece they could
  // leave some of its messages here and, in front of them, later ones in the failed segment.
  if (status.ok() && !records.empty()) {
    ++state_.group;
    stamp_all(records, segment.key, place);
    status = file->write_at(place, records);
    if (status.ok()) status = file->sync();
  }
  if (!status) {
    slots_.mark_bad(*slot);
    slots_.release(*slot);
    return status;
  }
  segment.end = place + static_cast<std::uint32_t>(records.size());
  active_ = segment.sequence;
  state_.segments.emplace(segment.sequence, std::move(segment));
  settled_.clear();  // the checkpoint carries them
  mode_ = Mode::ok;
  retry_at_ = kNever;
  retry_delay_ = kRetryFirst;
  confirm();
  return {};
}

// Writing or syncing the active segment failed: nothing more is done to it, its durable part stays
// readable, and the batch goes to a fresh slot.
Status Store::rescue(Error cause) {
  Segment* segment = active();
  slots_.mark_bad(segment->slot);
  seal_records(batch_, sealer(*segment), nullptr);
  active_ = 0;
  if (start_segment().ok()) return {};
  fail(cause);
  return cause;
}

// Until a retry succeeds nothing is accepted. What was not durable is lost to its senders, and said
// so; settlements stay known in RAM.
void Store::fail(const Error& cause) {
  for (const PendingPut& put : batch_puts_) {
    lost_.push_back(put.id);
    remember_end(put.id, EndKind::never_accepted, {});
    if (!put.kept) continue;
    --totals_[put.lane].count;
    totals_[put.lane].bytes -= put.bytes;
  }
  if (conflates_ && !batch_puts_.empty()) {
    // Keys may point at what is lost.
    newest_.clear();
    supersede_confirmed_.clear();
    scan_place_ = 0;
  }
  batch_.clear();
  stamped_ = 0;
  batch_puts_.clear();
  settled_.clear();
  active_ = 0;
  last_error_ = cause;
  mode_ = cause.code == Errc::read_only ? Mode::read_only : Mode::degraded;
  retry_at_ = clock_.now() + retry_delay_;
  retry_delay_ = std::min(retry_delay_ * 2, kRetryCap);
}

}  // namespace holdfast::outbox
