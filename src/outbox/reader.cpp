#include "outbox/reader.h"

#include <algorithm>

#include "base/check.h"
#include "outbox/bytes.h"

namespace holdfast::outbox {
namespace {

constexpr std::uint32_t kChunk = 64 * 1024;

}  // namespace

void SegmentReader::load(env::File& file, std::uint32_t offset, std::uint32_t length) {
  if (buffer_.size() < length || (buffer_.size() > kChunk && length <= kChunk)) {
    buffer_ = std::vector<std::byte>(std::max(length, kChunk));
  }
  unread_.clear();
  const std::span<std::byte> out = std::span(buffer_).first(length);
  const auto got = file.read_at(offset, out);
  if (got) {
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(*got), out.end(), std::byte{0});
    return;
  }
  // Somewhere in there is a sector that cannot be read; save the others.
  for (std::uint32_t at = 0; at < length; at += kSector) {
    const auto part = out.subspan(at, std::min(kSector, length - at));
    const auto some = file.read_at(offset + at, part);
    if (!some) unread_.push_back(offset + at);
    const std::size_t good = some ? *some : 0;
    std::fill(part.begin() + static_cast<std::ptrdiff_t>(good), part.end(), std::byte{0});
  }
  sector_errors_ += unread_.size();
}

void SegmentReader::note_errors(std::uint32_t offset, std::uint32_t length) {
  for (const std::uint32_t sector : unread_) {
    if (sector >= offset + length || sector + kSector <= offset) continue;
    ++errors_;
    error_offset_ = sector;
    return;
  }
}

std::span<const std::byte> SegmentReader::view(env::File& file, std::uint64_t sequence,
                                               std::uint32_t offset, std::uint32_t length,
                                               std::uint32_t limit) {
  HF_CHECK(offset + length <= limit);
  const bool held =
      sequence == sequence_ && offset >= offset_ && offset + length <= offset_ + length_;
  if (!held) {
    const std::uint32_t want = std::max(length, std::min(kChunk, limit - offset));
    load(file, offset, want);
    sequence_ = sequence;
    offset_ = offset;
    length_ = want;
  }
  if (!unread_.empty()) note_errors(offset, length);
  return std::span<const std::byte>(buffer_).subspan(offset - offset_, length);
}

std::optional<RecordView> SegmentReader::next(env::File& file, const SegmentKey& key,
                                              std::uint64_t sequence, std::uint32_t from,
                                              std::uint32_t limit, BrokenPuts* broken) {
  std::uint64_t met = 0;
  for (std::uint32_t at = from; at + kRecordHeaderSize <= limit; at += kAlign) {
    const auto head = view(file, sequence, at, kRecordHeaderSize, limit);
    if (load_le<std::uint32_t>(head.data() + 8) != key.tag) continue;
    const RecordHeader header = decode_record_header(head);
    if (header.length < kRecordHeaderSize || header.length > limit - at) continue;
    const auto bytes = view(file, sequence, at, header.length, limit);
    if (!record_valid(bytes, header, key, at)) {
      const bool counts = broken != nullptr && header.type == RecordType::put &&
                          epoch_of(header.id) == broken->epoch;
      met += counts ? 1U : 0U;
      continue;
    }
    return RecordView{at, std::min(at + stride(header.length), limit), header, bytes};
  }
  if (broken != nullptr) broken->count += met;
  return std::nullopt;
}

}  // namespace holdfast::outbox
