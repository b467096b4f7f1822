#include "engines/framing.h"

#include <algorithm>

namespace holdfast::engines {
namespace {

constexpr unsigned kLengthBytesMax = 4;

/// Reads fields from the front of a body; after the first failure everything fails.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
  [[nodiscard]] std::span<const std::uint8_t> rest() const noexcept { return bytes_; }

  std::span<const std::uint8_t> take(std::size_t count) {
    if (failed_ || count > bytes_.size()) {
      failed_ = true;
      return {};
    }
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }

  std::uint8_t u8() {
    const auto byte = take(1);
    return failed_ ? std::uint8_t{0} : byte[0];
  }

  std::uint16_t u16() {
    const std::uint8_t high = u8();
    return static_cast<std::uint16_t>((high << 8) | u8());
  }

  std::uint32_t varint() {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < kLengthBytesMax; ++i) {
      const std::uint8_t byte = u8();
      value |= static_cast<std::uint32_t>(byte & 0x7F) << (7 * i);
      if ((byte & 0x80) == 0) return value;
    }
    failed_ = true;
    return 0;
  }

  std::string string() {
    const auto bytes = take(u16());
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool failed_ = false;
};

}  // namespace

bool Framing::keeps_body() const noexcept {
  const PacketType kind = type();
  return kind == PacketType::connack || kind == PacketType::suback ||
         kind == PacketType::unsuback || kind == PacketType::disconnect;
}

Framing::Step Framing::next(std::span<const std::byte>& bytes) {
  while (!bytes.empty()) {
    if (state_ == State::body) return take_body(bytes);
    const auto byte = std::to_integer<std::uint8_t>(bytes.front());
    bytes = bytes.subspan(1);
    if (state_ == State::first) {
      first_ = byte;
      length_ = 0;
      length_bytes_ = 0;
      body_.clear();
      state_ = State::length;
      continue;
    }
    const Step step = take_length(byte);
    if (step != Step::more) return step;
  }
  // A packet without a body is complete when its header has been told.
  if (state_ == State::body && missing_ == 0) return take_body(bytes);
  return Step::more;
}

Framing::Step Framing::take_length(std::uint8_t byte) {
  if (length_bytes_ == kLengthBytesMax) return Step::malformed;
  length_ |= static_cast<std::uint32_t>(byte & 0x7F) << (7 * length_bytes_);
  ++length_bytes_;
  if ((byte & 0x80) != 0) return Step::more;
  missing_ = length_;
  state_ = State::body;
  return Step::header;
}

Framing::Step Framing::take_body(std::span<const std::byte>& bytes) {
  const std::size_t count = std::min<std::size_t>(missing_, bytes.size());
  if (keeps_body()) {
    const std::size_t kept = std::min(count, kBodyKept - body_.size());
    for (const std::byte byte : bytes.first(kept)) {
      body_.push_back(std::to_integer<std::uint8_t>(byte));
    }
  }
  bytes = bytes.subspan(count);
  missing_ -= static_cast<std::uint32_t>(count);
  if (missing_ != 0) return Step::more;
  state_ = State::first;
  return Step::packet;
}

ServerDisconnect parse_disconnect(std::span<const std::uint8_t> body) {
  // MQTT 5.0 section 3.14.2: code and properties may be left out, meaning 0 and none.
  constexpr std::uint8_t kSessionExpiry = 0x11;
  constexpr std::uint8_t kServerReference = 0x1C;
  constexpr std::uint8_t kReasonString = 0x1F;
  constexpr std::uint8_t kUserProperty = 0x26;
  ServerDisconnect result;
  if (body.empty()) return result;
  Reader reader(body);
  result.reason_code = reader.u8();
  if (reader.empty()) return result;
  const std::uint32_t properties = reader.varint();
  Reader list(reader.take(std::min<std::size_t>(properties, reader.rest().size())));
  while (!list.empty() && !list.failed()) {
    const std::uint8_t id = list.u8();
    if (id == kReasonString) {
      std::string words = list.string();
      if (!list.failed()) result.reason = std::move(words);
      return result;
    }
    if (id == kSessionExpiry) {
      list.take(4);
    } else if (id == kServerReference) {
      list.string();
    } else if (id == kUserProperty) {
      list.string();
      list.string();
    } else {
      return result;
    }
  }
  return result;
}

std::optional<UnsubackCodes> parse_unsuback(std::span<const std::uint8_t> body) {
  Reader reader(body);
  UnsubackCodes result;
  result.packet_id = reader.u16();
  reader.take(reader.varint());
  if (reader.failed() || result.packet_id == 0) return std::nullopt;
  const auto codes = reader.rest();
  result.codes.assign(codes.begin(), codes.end());
  return result;
}

}  // namespace holdfast::engines
