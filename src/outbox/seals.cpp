#include "outbox/seals.h"

#include <algorithm>

#include "base/check.h"
#include "outbox/bytes.h"

namespace holdfast::outbox {
namespace {

// What the tag covers besides the sealed text: id, detail, times, sizes. Not the record's place,
// group and checksum; the key says in which segment it stands.
constexpr std::size_t kClearFrom = 16;
constexpr std::size_t kTextFrom = kPutFixed;
static_assert(kSealSize == env::kNonceSize + env::kSealTagSize);

std::byte& flags_of(std::span<std::byte> record) { return record[25]; }

std::span<const std::byte> clear_of(std::span<const std::byte> record) {
  return record.subspan(kClearFrom, kTextFrom - kClearFrom);
}

}  // namespace

bool is_sealed(const RecordHeader& header) { return (header.detail >> 8 & kFlagSealed) != 0; }

env::Sealer* Seals::of(const StoreUuid& store, const Segment& segment) {
  if (segment.key_id == 0 || keys_ == nullptr) return nullptr;
  // The last one used stands last.
  const auto known = std::find_if(cache_.begin(), cache_.end(), [&](const Cached& one) {
    return one.sealer != nullptr && one.sequence == segment.sequence && one.salt == segment.salt;
  });
  if (known != cache_.end()) {
    std::rotate(known, std::next(known), cache_.end());
    return cache_.back().sealer.get();
  }
  std::vector<std::byte> context;
  ByteWriter w(context);
  w.bytes(std::as_bytes(std::span(store)));
  w.u64(segment.sequence);
  w.u64(segment.salt);
  auto sealer = keys_->derive(segment.key_id, context);
  if (sealer == nullptr) return nullptr;
  std::rotate(cache_.begin(), std::next(cache_.begin()), cache_.end());
  cache_.back() = {segment.sequence, segment.salt, std::move(sealer)};
  return cache_.back().sealer.get();
}

// Unique: a base drawn at random for each opening, and a number behind it. Were it only a number, a
// disk that was copied and opened twice would use it twice with one key.
std::array<std::byte, env::kNonceSize> Seals::next_nonce() {
  HF_CHECK(random_ != nullptr);
  if (nonce_count_ == 0) nonce_base_ = random_->next();
  std::array<std::byte, env::kNonceSize> nonce{};
  store_le(nonce.data(), nonce_base_);
  store_le(nonce.data() + 8, nonce_count_++);
  return nonce;
}

void Seals::seal(std::vector<std::byte>& out, std::size_t start, env::Sealer& sealer) {
  const std::uint32_t plain = decode_record_header(std::span(out).subspan(start)).length;
  HF_CHECK(plain >= kPutFixed && start + stride(plain) == out.size());
  out.resize(start + plain + kSealSize);
  const std::span<std::byte> record = std::span(out).subspan(start);
  flags_of(record) |= std::byte{kFlagSealed};
  const auto nonce = next_nonce();
  std::copy(nonce.begin(), nonce.end(), record.begin() + plain);
  sealer.seal(nonce, clear_of(record), record.subspan(kTextFrom, plain - kTextFrom),
              record.last<env::kSealTagSize>());
  finish_record(out, start);
}

std::optional<std::vector<std::byte>> open_put(std::span<const std::byte> record,
                                               env::Sealer& sealer) {
  if (record.size() < kPutFixed + kSealSize) return std::nullopt;
  std::vector<std::byte> plain(record.begin(), record.end());
  const std::span<std::byte> text =
      std::span(plain).subspan(kTextFrom, plain.size() - kTextFrom - kSealSize);
  const auto seal = record.last<kSealSize>();
  if (!sealer.open(seal.first<env::kNonceSize>(), clear_of(record), text,
                   seal.last<env::kSealTagSize>())) {
    return std::nullopt;
  }
  plain.resize(plain.size() - kSealSize);
  flags_of(plain) &= ~std::byte{kFlagSealed};
  finish_record(plain, 0);
  plain.resize(record.size() - kSealSize);  // without padding
  return plain;
}

bool Seals::copy(std::vector<std::byte>& out, std::span<const std::byte> record, env::Sealer* from,
                 env::Sealer* to) {
  const std::size_t start = out.size();
  if (is_sealed(decode_record_header(record))) {
    if (from == nullptr) return false;
    const auto plain = open_put(record, *from);
    if (!plain) return false;
    out.insert(out.end(), plain->begin(), plain->end());
  } else {
    out.insert(out.end(), record.begin(), record.end());
  }
  finish_record(out, start);
  if (to != nullptr) seal(out, start, *to);
  return true;
}

std::optional<PutRecord> decode_put(std::span<const std::byte> record, env::Sealer* sealer) {
  if (record.size() < kRecordHeaderSize || !is_sealed(decode_record_header(record))) {
    return decode_put(record);
  }
  if (sealer == nullptr) return std::nullopt;
  const auto plain = open_put(record, *sealer);
  return plain ? decode_put(*plain) : std::nullopt;
}

}  // namespace holdfast::outbox
