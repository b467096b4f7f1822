// See calendar.h.
#include "base/calendar.h"

#include <array>
#include <chrono>
#include <cstdio>

namespace holdfast {

std::string iso_time(WallTime time) {
  using namespace std::chrono;  // NOLINT: for the calendar only
  const sys_time<milliseconds> at{milliseconds(time.ms)};
  const auto midnight = floor<days>(at);
  const year_month_day day{midnight};
  const hh_mm_ss clock{floor<seconds>(at - midnight)};
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ",
                static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                static_cast<unsigned>(day.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

}  // namespace holdfast
