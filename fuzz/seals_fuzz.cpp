// Goal:   what was sealed opens as it was, and nothing else opens; no record, sealed or said to be,
//         makes a decoder read outside.
// Method: the first byte chooses. Even: the input is a record, whatever it says. Odd: a message
//         made of the input is sealed and opened; then one bit of it, chosen by the input, is
//         flipped.

#include <cstdlib>

#include "outbox/bytes.h"
#include "outbox/seals.h"
#include "sim/seeded_random.h"
#include "sim/toy_key_ring.h"

namespace {

using namespace holdfast;
using namespace holdfast::outbox;

constexpr std::size_t kInputMax = 4096;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string text(ByteReader& in) {
  const auto bytes = in.bytes(std::min<std::size_t>(in.u8(), in.left()));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

StoredMessage message_of(ByteReader& in) {
  StoredMessage m;
  m.topic = text(in);
  m.content_type = text(in);
  m.key = text(in);
  for (int pairs = in.u8() % 4; pairs > 0; --pairs) {
    std::string name = text(in);
    m.user_properties.emplace_back(std::move(name), text(in));
  }
  m.response_topic = text(in);
  const std::string correlation = text(in);
  const auto data = std::as_bytes(std::span(correlation));
  m.correlation_data.assign(data.begin(), data.end());
  if (const std::uint32_t expiry = in.u32(); expiry != 0) m.expiry_seconds = expiry;
  m.retain = in.u8() % 2 != 0;
  const auto payload = in.bytes(in.left());
  m.payload.assign(payload.begin(), payload.end());
  return m;
}

/// The put itself, made for a place, its header as a reader would have checked it.
void seal_and_open(ByteReader in, Seals& seals, env::Sealer& sealer) {
  const std::uint32_t at = in.u32();
  const StoredMessage message = message_of(in);
  const auto size = put_size(message);
  if (!size) return;
  std::vector<std::byte> record;
  append_put(record, message, make_id(1, 1 + at % 7), 1, {});
  seals.seal(record, 0, sealer);
  const RecordHeader header = decode_record_header(record);
  require(is_sealed(header) && header.length == *size + kSealSize);
  record.resize(header.length);
  const auto put = decode_put(record, &sealer);
  require(put && put->message.topic == message.topic && put->message.payload == message.payload);
  require(put->message.key == message.key && put->message.content_type == message.content_type);
  require(put->message.user_properties == message.user_properties);
  require(put->message.expiry_seconds == message.expiry_seconds);
  require(put->message.response_topic == message.response_topic);
  require(put->message.correlation_data == message.correlation_data);
  require(decode_put_cover(record).has_value());
  // Length, tag, group and checksum of the header are not under the seal: the checksum has them.
  const std::uint32_t bit = kRecordHeaderSize * 8 + at % ((header.length - kRecordHeaderSize) * 8);
  record[bit / 8] ^= std::byte{1} << (bit % 8);
  require(!decode_put(record, &sealer));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > kInputMax) return 0;
  static sim::ToyKeyRing ring({5});
  static sim::SeededRandom random(1);
  static Seals seals(&ring, &random);
  static Segment segment({.sequence = 3, .salt = 4, .key_id = 5}, 0);
  env::Sealer* const sealer = seals.of({}, segment);
  require(sealer != nullptr);
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  if ((data[0] & 1) != 0) {
    seal_and_open(ByteReader(input), seals, *sealer);
    return 0;
  }
  if (input.size() < kRecordHeaderSize) return 0;
  // Of its own size, for ASan to see what is read behind it.
  std::vector<std::byte> record(input.begin(), input.end());
  const auto type = static_cast<std::uint32_t>(RecordType::put) << 24;
  store_le(record.data() + 4, type | static_cast<std::uint32_t>(record.size()));
  const RecordHeader header = decode_record_header(record);
  require(header.length == record.size());
  static_cast<void>(decode_put_cover(record));
  static_cast<void>(decode_put_stamp(record));
  static_cast<void>(decode_put(record));
  const bool sealed = is_sealed(header);
  require(!sealed || !decode_put(record, sealer));  // nobody sealed it
  return 0;
}
