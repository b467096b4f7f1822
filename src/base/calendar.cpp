// See calendar.h.
#include "base/calendar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace holdfast {

namespace {

constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct Fields {
  std::chrono::year_month_day day;
  std::string clock;  ///< "09:18:06"
};

Fields fields_of(WallTime time) {
  using namespace std::chrono;  // NOLINT: for the calendar only
  const sys_time<milliseconds> at{milliseconds(time.ms)};
  const auto midnight = floor<days>(at);
  const hh_mm_ss clock{floor<seconds>(at - midnight)};
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%02d:%02d:%02d", static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return {year_month_day{midnight}, text.data()};
}

/// Whether `text` has a digit where `form` has a d, any letter where it has an a, and else the
/// same.
bool has_form(std::string_view text, std::string_view form) {
  return std::equal(text.begin(), text.end(), form.begin(), form.end(), [](char c, char wanted) {
    if (wanted == 'd') return c >= '0' && c <= '9';
    if (wanted == 'a') return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return c == wanted;
  });
}

unsigned number(std::string_view text, std::size_t at, std::size_t digits) {
  unsigned value = 0;
  std::from_chars(text.data() + at, text.data() + at + digits, value);
  return value;
}

/// `clock`: "09:18:06".
std::optional<WallTime> wall_time(unsigned year, unsigned month, unsigned day,
                                  std::string_view clock) {
  namespace chrono = std::chrono;
  const chrono::year_month_day date(chrono::year(static_cast<int>(year)), chrono::month(month),
                                    chrono::day(day));
  const unsigned hour = number(clock, 0, 2);
  const unsigned minute = number(clock, 3, 2);
  const unsigned second = number(clock, 6, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;  // 60: a leap
  const auto at = chrono::sys_time<chrono::milliseconds>(chrono::sys_days(date)) +
                  chrono::hours(hour) + chrono::minutes(minute) + chrono::seconds(second);
  return WallTime{at.time_since_epoch().count()};
}

}  // namespace

std::string iso_time(WallTime time) {
  const Fields at = fields_of(time);
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT", static_cast<int>(at.day.year()),
                static_cast<unsigned>(at.day.month()), static_cast<unsigned>(at.day.day()));
  return text.data() + at.clock + 'Z';
}

std::string http_date(WallTime time) {
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  const Fields at = fields_of(time);
  const std::size_t weekday = std::chrono::weekday(at.day).c_encoding();
  const std::size_t month = static_cast<unsigned>(at.day.month()) - 1;
  std::array<char, 40> date{};
  std::snprintf(date.data(), date.size(), ", %02u %.3s %04d ", static_cast<unsigned>(at.day.day()),
                kMonths.substr(month * 3).data(), static_cast<int>(at.day.year()));
  return std::string(kDays.substr(weekday * 3, 3)) + date.data() + at.clock + " GMT";
}

std::optional<WallTime> parse_iso_time(std::string_view text) {
  if (!has_form(text, "dddd-dd-ddTdd:dd:ddZ")) return std::nullopt;
  return wall_time(number(text, 0, 4), number(text, 5, 2), number(text, 8, 2), text.substr(11));
}

std::optional<WallTime> parse_http_date(std::string_view text) {
  if (!has_form(text, "aaa, dd aaa dddd dd:dd:dd GMT")) return std::nullopt;
  const std::size_t month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  return wall_time(number(text, 12, 4), static_cast<unsigned>(month / 3 + 1), number(text, 5, 2),
                   text.substr(17));
}

}  // namespace holdfast
