// Integers and strings as MQTT writes them (MQTT 5.0 section 1.5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::lab::mqtt {

/// Reads from the front of some bytes. After the first failure every read fails and gives zeros.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes), whole_(bytes.size()) {}

  std::uint8_t byte() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t two() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t four() { return number(4); }
  std::uint32_t variable();
  /// Two bytes of length, then so many.
  std::string_view binary() { return take(two()); }
  std::string_view take(std::size_t count);
  std::string_view rest() { return take(left_.size()); }

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }
  /// How far it has come, in bytes.
  [[nodiscard]] std::size_t offset() const noexcept { return whole_ - left_.size(); }

 private:
  std::uint32_t number(std::size_t bytes);

  std::string_view left_;
  std::size_t whole_;
  bool failed_ = false;
};

void put_two(std::string& out, std::uint32_t number);
void put_four(std::string& out, std::uint32_t number);
void put_variable(std::string& out, std::uint32_t number);
void put_binary(std::string& out, std::string_view bytes);

}  // namespace holdfast::lab::mqtt
