// See pace.h.
#include "pace.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace telemetry {

using holdfast::Errc;
using holdfast::Error;

holdfast::Result<double> parse_command(std::string_view command, std::size_t readings) {
  const auto json = nlohmann::json::parse(command, nullptr, false);
  double rate = 0;
  if (json.is_number()) {
    const double seconds = json.get<double>();
    if (!(seconds > 0)) {
      return Error{Errc::invalid_argument, "the interval must be above 0 seconds"};
    }
    rate = static_cast<double>(readings) / seconds;
  } else if (json.is_object() && json.size() == 1 && json.contains("rate") &&
             json["rate"].is_number()) {
    rate = json["rate"].get<double>();
  } else {
    return Error{Errc::invalid_argument,
                 "it must be a number of seconds, or {\"rate\":readings a second}"};
  }
  if (!(rate >= 0) || rate > kRateMax) {
    return Error{Errc::invalid_argument, "the rate must be from 0 to 100000 readings a second"};
  }
  return rate;
}

bool Pace::take(Time now) {
  if (rate_ <= 0 || now < next_) return false;
  const auto step = std::chrono::duration_cast<Time::duration>(
      std::chrono::duration<double>(std::min(1 / rate_, 86400.0)));
  const bool late = now - next_ > std::chrono::seconds(1);
  next_ = (late ? now : next_) + step;
  return true;
}

std::chrono::nanoseconds Pace::wait(Time now, std::chrono::nanoseconds longest) const {
  if (rate_ <= 0) return longest;
  return std::clamp<std::chrono::nanoseconds>(next_ - now, std::chrono::nanoseconds(0), longest);
}

}  // namespace telemetry
