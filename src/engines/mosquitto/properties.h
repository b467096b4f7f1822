// libmosquitto's property lists as values: built with an owner, read without leaks.
#pragma once

#include <mosquitto.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/message.h"
#include "holdfast/config.h"

namespace holdfast::engines {

/// A list being built. After the first failure further additions do nothing.
class Properties {
 public:
  Properties() = default;
  ~Properties() { mosquitto_property_free_all(&list_); }
  Properties(const Properties&) = delete;
  Properties& operator=(const Properties&) = delete;

  void add_u16(int id, std::uint16_t value);
  void add_u32(int id, std::uint32_t value);
  void add_string(int id, const std::string& value);
  void add_binary(int id, const Bytes& value);
  void add_pair(int id, const std::string& name, const std::string& value);
  /// What a message to publish says beside its expiry.
  void add_message(const StoredMessage& message);
  /// All of a will.
  void add_will(const StatusMessage& will);

  [[nodiscard]] const mosquitto_property* get() const noexcept { return list_; }
  /// Gives the list away.
  [[nodiscard]] mosquitto_property* release() noexcept { return std::exchange(list_, nullptr); }
  /// 0, or the library's error number of the first failure.
  [[nodiscard]] int result() const noexcept { return result_; }

 private:
  void add_pairs(const std::vector<std::pair<std::string, std::string>>& pairs);

  mosquitto_property* list_ = nullptr;
  int result_ = 0;
};

// Readers of a list that may be null; an absent property is nothing or empty.
[[nodiscard]] std::optional<std::uint8_t> read_u8(const mosquitto_property* list, int id);
[[nodiscard]] std::optional<std::uint16_t> read_u16(const mosquitto_property* list, int id);
[[nodiscard]] std::optional<std::uint32_t> read_u32(const mosquitto_property* list, int id);
[[nodiscard]] std::string read_string(const mosquitto_property* list, int id);
[[nodiscard]] Bytes read_binary(const mosquitto_property* list, int id);
[[nodiscard]] std::vector<std::pair<std::string, std::string>> read_pairs(
    const mosquitto_property* list, int id);

}  // namespace holdfast::engines
