// Goal:   no bytes in a segment make its reader or the replay read outside, give back what is not
//         valid, or break the accounts.
// Method: the first byte chooses. Even: the input lies in the segment as it is. Odd: the input
//         describes records (type, group, id, detail, body) whose checksums are made right, so that
//         the decoders and the replay are reached. One reader and one file in RAM, so that a run
//         costs microseconds. Records are decoded at the very end of a block, with all before them
//         poisoned, for ASan to see what is read beside them.

#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cstdlib>

#include "env/disk.h"
#include "outbox/bytes.h"
#include "outbox/replay.h"

namespace {

using namespace holdfast;
using namespace holdfast::outbox;

constexpr std::size_t kInputMax = 4096;
constexpr std::uint64_t kSequence = 7;

void require(bool holds) {
  if (!holds) std::abort();
}

/// A record alone in the world.
class Alone {
 public:
  std::span<const std::byte> put(std::span<const std::byte> record) {
    std::byte* const at = block_.data() + block_.size() - record.size();
    ASAN_UNPOISON_MEMORY_REGION(block_.data(), block_.size());
    std::copy(record.begin(), record.end(), at);
    ASAN_POISON_MEMORY_REGION(block_.data(), block_.size() - record.size());
    return {at, record.size()};
  }

 private:
  std::vector<std::byte> block_ = std::vector<std::byte>(2 * kInputMax);
};

/// The part of a segment behind its headers.
class MemoryFile final : public env::File {
 public:
  std::vector<std::byte> bytes;

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    require(offset >= kDataStart);
    const std::size_t from = std::min<std::size_t>(offset - kDataStart, bytes.size());
    const std::size_t n = std::min(out.size(), bytes.size() - from);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(from), n, out.begin());
    return n;
  }
  Status write_at(std::uint64_t, std::span<const std::byte>) override { return {}; }
  Status sync() override { return {}; }
  Result<std::uint64_t> size() override { return kDataStart + bytes.size(); }
};

void build_records(ByteReader in, const SegmentKey& key, std::vector<std::byte>& out) {
  std::uint32_t group = 1;
  while (in.left() > 0 && out.size() < kInputMax) {
    const std::uint8_t kind = in.u8();
    group += kind >> 6;
    const std::uint8_t epoch = in.u8();
    const MessageId id = make_id(epoch % 8, in.u8());
    const std::size_t start = out.size();
    begin_record(out, static_cast<RecordType>(kind % 8), id, kind % 8 == 1 ? in.u64() : 0);
    const auto body = in.bytes(std::min<std::size_t>(in.u8(), in.left()));
    out.insert(out.end(), body.begin(), body.end());
    finish_record(out, start);
    stamp_record(std::span(out).subspan(start), key, kDataStart + static_cast<std::uint32_t>(start),
                 group);
  }
}

/// As long as it was written, but for what is named and empty, which nobody writes: an alias takes
/// 8 bytes, a key, a response topic and correlation data take 2 each.
void check_size(const StoredMessage& m, std::uint32_t length) {
  const std::uint32_t spare = length - put_size(m).value();
  const std::uint32_t empty =
      2U * (std::uint32_t{m.key.empty()} + m.response_topic.empty() + m.correlation_data.empty());
  const std::uint32_t alias = m.alias == 0 ? 8U : 0U;
  require(spare % 2 == 0 && (spare <= empty || (spare >= alias && spare - alias <= empty)));
}

void decode(std::span<const std::byte> record, const RecordHeader& header, const StoreUuid& store,
            std::uint32_t limit) {
  switch (header.type) {
    case RecordType::put:
      if (const auto put = decode_put(record)) check_size(put->message, header.length);
      break;
    case RecordType::ack:
    case RecordType::drop:
      for (const Range& r : decode_ranges(record)) require(r.count <= limits::kSegmentMax);
      break;
    case RecordType::session:
      static_cast<void>(decode_session(record));
      break;
    case RecordType::checkpoint:
      if (const auto state = decode_checkpoint(record, store, kSequence, limit)) {
        require(state->balanced());
      }
      break;
    case RecordType::pad:
      break;
  }
}

}  // namespace

/// Allocations are many and small: the checks of their bounds stay, the costly extras go.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "quarantine_size_mb=1:malloc_context_size=1:max_malloc_fill_size=0";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > kInputMax) return 0;
  static SegmentReader reader;
  static const StoreUuid store{1, 2, 3};
  static const Segment segment({.store = store, .sequence = kSequence, .salt = 9}, 0);
  static MemoryFile file;
  static Alone alone;
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  if ((data[0] & 1) == 0) {
    file.bytes.assign(input.begin(), input.end());
  } else {
    file.bytes.clear();
    build_records(ByteReader(input), segment.key, file.bytes);
  }
  const auto limit = align_up(kDataStart + static_cast<std::uint32_t>(file.bytes.size()), kAlign);
  reader.forget();
  BrokenPuts broken;
  for (std::uint32_t at = kDataStart;;) {
    const auto record = reader.next(file, segment.key, kSequence, at, limit, &broken);
    if (!record) break;
    require(record->offset >= at && record->offset % kAlign == 0 && record->next > record->offset);
    require(record->next <= limit && record->bytes.size() == record->header.length);
    require(record->offset + record->header.length <= limit);
    const auto exact = alone.put(record->bytes);
    require(record_valid(exact, record->header, segment.key, record->offset));
    decode(exact, record->header, store, limit);
    at = record->next;
  }
  State state;
  state.session.lanes = {"a", "b"};
  reader.forget();
  const bool head = has_checkpoint(segment, file, reader, store, limit);
  Replay replay(state, reader, store, limit);
  replay.segment(segment, file, head);
  replay.finish();
  require(state.balanced());
  return 0;
}
