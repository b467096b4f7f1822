// See duplicates.h.
#include "flow/duplicates.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "base/limits.h"

namespace holdfast::flow {

// "5c0291aa-0000000800000001": as the engines write it.
std::optional<Duplicates::Id> Duplicates::id_of(std::string_view text) {
  constexpr std::size_t kStore = 8;
  constexpr std::size_t kMessage = 16;
  if (text.size() != kStore + 1 + kMessage || text[kStore] != '-') return std::nullopt;
  Id id;
  const auto read = [](std::string_view digits, auto& into) {
    const char* const end = digits.data() + digits.size();
    const auto [stop, failure] = std::from_chars(digits.data(), end, into, 16);
    return failure == std::errc{} && stop == end;
  };
  const bool good =
      read(text.substr(0, kStore), id.store) && read(text.substr(kStore + 1), id.message);
  return good ? std::optional(id) : std::nullopt;
}

std::optional<Delivery> Duplicates::first_of(const InboundMessage& message,
                                             std::string_view property, Delivery delivery) {
  if (property.empty() || message.retain) return std::nullopt;
  const auto& properties = message.user_properties;
  const auto stamp = std::find_if(properties.begin(), properties.end(),
                                  [&](const auto& pair) { return pair.first == property; });
  if (stamp == properties.end()) return std::nullopt;
  std::optional<Id> id = id_of(stamp->second);
  if (!id) return std::nullopt;
  id->topic = std::hash<std::string_view>{}(message.topic);
  const auto [seen, added] = seen_.emplace(*id, delivery);
  if (!added) return seen->second;
  order_.push_back(*id);
  if (order_.size() > limits::kInboundIds) {
    seen_.erase(order_.front());
    order_.pop_front();
  }
  return std::nullopt;
}

}  // namespace holdfast::flow
