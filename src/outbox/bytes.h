// Little-endian fields into and out of byte buffers.
//
// A ByteReader never reads past its end: it turns `ok()` false and gives zeros, so that a decoder
// of damaged bytes needs one test at its end (and bounds on every loop).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::outbox {

inline constexpr std::uint32_t align_up(std::uint32_t value, std::uint32_t to) {
  return (value + to - 1) / to * to;
}

template <class T>
void store_le(std::byte* out, T value) {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(out, &value, sizeof(T));  // one instruction
  } else {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out[i] = static_cast<std::byte>((value >> (8 * i)) & 0xFF);
    }
  }
}

template <class T>
[[nodiscard]] T load_le(const std::byte* in) {
  T value{};
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&value, in, sizeof(T));
  } else {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bits |= static_cast<std::uint64_t>(in[i]) << (8 * i);
    }
    value = static_cast<T>(bits);
  }
  return value;
}

class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& out) : out_(out) {}

  void u8(std::uint8_t v) { out_.push_back(static_cast<std::byte>(v)); }
  void u16(std::uint16_t v) { put(v); }
  void u32(std::uint32_t v) { put(v); }
  void u64(std::uint64_t v) { put(v); }
  void i64(std::int64_t v) { put(static_cast<std::uint64_t>(v)); }
  void bytes(std::span<const std::byte> v) { out_.insert(out_.end(), v.begin(), v.end()); }
  void text(std::string_view v) { bytes(std::as_bytes(std::span(v.data(), v.size()))); }
  void zeros(std::size_t n) { out_.resize(out_.size() + n); }

 private:
  template <class T>
  void put(T v) {
    std::array<std::byte, sizeof(T)> raw;
    store_le(raw.data(), v);
    bytes(raw);
  }

  std::vector<std::byte>& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> in) : in_(in) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return in_.size(); }

  std::uint8_t u8() { return get<std::uint8_t>(); }
  std::uint16_t u16() { return get<std::uint16_t>(); }
  std::uint32_t u32() { return get<std::uint32_t>(); }
  std::uint64_t u64() { return get<std::uint64_t>(); }
  std::int64_t i64() { return static_cast<std::int64_t>(get<std::uint64_t>()); }

  std::span<const std::byte> bytes(std::size_t n) {
    if (n > in_.size()) {
      ok_ = false;
      in_ = {};
      return {};
    }
    const auto out = in_.first(n);
    in_ = in_.subspan(n);
    return out;
  }

  std::string text(std::size_t n) {
    const auto raw = bytes(n);
    std::string out(raw.size(), '\0');
    if (!raw.empty()) std::memcpy(out.data(), raw.data(), raw.size());
    return out;
  }

 private:
  template <class T>
  T get() {
    const auto raw = bytes(sizeof(T));
    return raw.size() == sizeof(T) ? load_le<T>(raw.data()) : T{0};
  }

  std::span<const std::byte> in_;
  bool ok_ = true;
};

}  // namespace holdfast::outbox
