#include "lab/iot/cbor.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/utf8.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::uint64_t kIndefinite = std::numeric_limits<std::uint64_t>::max();

/// Walks over data items without recursion, to know how deep they are nested.
class Walk {
 public:
  Walk(std::string_view bytes, std::size_t deepest) : bytes_(bytes), deepest_(deepest) {}

  /// Up to the first byte that makes no sense; the parser will come no further.
  bool is_too_deep() {
    while (at_ < bytes_.size()) {
      if (!step() || too_deep_ || open_.empty()) break;
    }
    return too_deep_;
  }

 private:
  bool step() {
    const auto head = static_cast<unsigned char>(bytes_[at_++]);
    if (head == 0xFF) {
      if (open_.empty() || open_.back() != kIndefinite) return false;
      open_.pop_back();
      close_item();
      return true;
    }
    const auto argument = read_argument(head & 31U);
    if (!argument) return false;
    switch (head >> 5) {
      case 2:
      case 3:
        if (*argument == kIndefinite) break;  // the parser recurses for the pieces of a text
        if (*argument > bytes_.size() - at_) return false;
        at_ += *argument;
        close_item();
        return true;
      case 4:
        break;
      case 5:
        // More members than there are bytes never come; the parser finds that out at the end only.
        open(*argument == kIndefinite ? kIndefinite
                                      : 2 * std::min<std::uint64_t>(*argument, bytes_.size()));
        return true;
      case 6:
        return false;  // tags: refused by the parser
      default:
        close_item();
        return true;
    }
    open(*argument);
    return true;
  }

  std::optional<std::uint64_t> read_argument(unsigned info) {
    if (info < 24) return info;
    if (info == 31) return kIndefinite;
    if (info > 27) return std::nullopt;
    const std::size_t length = std::size_t{1} << (info - 24);
    if (length > bytes_.size() - at_) return std::nullopt;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < length; ++i) {
      value = (value << 8) | static_cast<unsigned char>(bytes_[at_++]);
    }
    return value;
  }

  void open(std::uint64_t items) {
    too_deep_ = open_.size() == deepest_;
    if (items == 0) return close_item();
    open_.push_back(items);
  }

  void close_item() {
    while (!open_.empty() && open_.back() != kIndefinite && --open_.back() == 0) open_.pop_back();
  }

  std::string_view bytes_;
  std::size_t deepest_;
  std::size_t at_ = 0;
  bool too_deep_ = false;
  std::vector<std::uint64_t> open_;  ///< Items that are still to come, outermost first.
};

/// Whether JSON could hold the value, but for bytes. Recursion ends: the depth was looked at.
bool fits_json(const Json& value, bool with_bytes) {
  if (value.is_binary()) return with_bytes;
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  if (const auto* text = value.get_ptr<const std::string*>()) return valid_utf8(*text);
  if (!value.is_structured()) return true;
  return std::all_of(value.items().begin(), value.items().end(), [&](const auto& item) {
    const bool named = value.is_array() || valid_utf8(item.key());
    return named && fits_json(item.value(), with_bytes);
  });
}

}  // namespace

Result<Json> parse_cbor(std::string_view bytes, const JsonLimits& limits, bool with_bytes) {
  if (bytes.size() > limits.bytes) {
    return Error{Errc::too_large, "CBOR of " + std::to_string(bytes.size()) + " bytes; at most " +
                                      std::to_string(limits.bytes) + " are allowed"};
  }
  if (Walk(bytes, limits.depth).is_too_deep()) {
    return Error{Errc::too_large, "CBOR nested deeper than " + std::to_string(limits.depth)};
  }
  try {
    Json value = Json::from_cbor(bytes);
    if (fits_json(value, with_bytes)) return value;
  } catch (const Json::exception&) {
    // Reported below: no position that the parser knows helps more.
  }
  return Error{Errc::corrupt, "no CBOR that JSON could hold"};
}

std::string to_cbor(const Json& value) {
  std::string bytes;
  Json::to_cbor(value, bytes);
  return bytes;
}

}  // namespace holdfast::lab::iot
