#include "lab/fault/values.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

namespace holdfast::lab::fault {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::array<Unit, 7> kTimes{{{"d", 86'400 * kSecond},
                                      {"h", 3'600 * kSecond},
                                      {"min", 60 * kSecond},
                                      {"s", kSecond},
                                      {"ms", 1'000'000},
                                      {"us", 1'000},
                                      {"ns", 1}}};
constexpr std::array<Unit, 4> kSizes{
    {{"GiB", 1U << 30U}, {"MiB", 1U << 20U}, {"KiB", 1U << 10U}, {"B", 1}}};

std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units,
                                   std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{}) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    if (number > most / known.factor) return std::nullopt;
    return number * known.factor;
  }
  return std::nullopt;
}

std::string text_of(std::uint64_t number, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (number >= unit.factor && number % unit.factor == 0) {
      return std::to_string(number / unit.factor).append(unit.name);
    }
  }
  return "0" + std::string(units.back().name);
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const auto ns = parse(text, kTimes, static_cast<std::uint64_t>(kDurationMax.count()));
  if (ns) return Duration(static_cast<std::int64_t>(*ns));
  return Error{Errc::invalid_argument,
               R"(is no duration; write a whole number with ms, s, min or h, such as "250ms")"};
}

std::string duration_text(Duration duration) {
  if (duration <= Duration::zero()) return "0s";
  return text_of(static_cast<std::uint64_t>(duration.count()), kTimes);
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bytes = parse(text, kSizes, std::numeric_limits<std::int64_t>::max());
  if (bytes) return *bytes;
  return Error{Errc::invalid_argument,
               R"(is no size; write a whole number with B, KiB or MiB, such as "16KiB")"};
}

std::string size_text(std::uint64_t bytes) { return text_of(bytes, kSizes); }

}  // namespace holdfast::lab::fault
