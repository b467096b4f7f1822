#include "posix/power_supply.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <vector>

#include "posix/system.h"

namespace holdfast::posix {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWordMax = 256;
constexpr std::size_t kSuppliesMax = 32;

std::string value_of(const fs::path& supply, const char* name) {
  const Result<std::string> text = read_file(supply / name, kWordMax);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

std::optional<unsigned> number_of(const fs::path& supply, const char* name) {
  const std::string text = value_of(supply, name);
  unsigned number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = problem == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

template <class T>
void take_least(std::optional<T>& least, std::optional<T> value) {
  if (value) least = std::min(least.value_or(*value), *value);
}

void add_words(SupplyLook& look, const std::string& words) {
  look.words += (look.words.empty() ? "" : "; ") + words;
}

struct Seen {
  bool feeder = false;  // something that could feed the machine
  bool online = false;  // ... and does
  bool discharging = false;
  bool charging = false;
};

void look_at_battery(const fs::path& supply, SupplyLook& look, Seen& seen) {
  if (value_of(supply, "present") == "0") return;
  const std::string status = value_of(supply, "status");
  const auto charge = number_of(supply, "capacity");
  if (charge && *charge <= 100) take_least(look.charge, charge);
  for (const char* name : {"time_to_empty_now", "time_to_empty_avg"}) {
    const auto seconds = number_of(supply, name);
    if (status == "Discharging" && seconds && *seconds > 0) {
      take_least(look.runtime, std::optional(Seconds(*seconds)));
      break;
    }
  }
  look.critical = look.critical || value_of(supply, "capacity_level") == "Critical";
  seen.discharging = seen.discharging || status == "Discharging";
  seen.charging =
      seen.charging || status == "Charging" || status == "Full" || status == "Not charging";
  add_words(look, supply.filename().string() + ": " + (status.empty() ? "unknown" : status) +
                      (charge ? ", " + std::to_string(*charge) + " %" : ""));
}

}  // namespace

Result<SupplyLook> look_at_supplies(const fs::path& directory) {
  std::error_code failure;
  std::vector<fs::path> supplies;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    if (supplies.size() < kSuppliesMax) supplies.push_back(entry.path());
  }
  if (failure) return Error{Errc::io, directory.string() + ": " + failure.message()};
  std::sort(supplies.begin(), supplies.end());
  SupplyLook look;
  Seen seen;
  for (const fs::path& supply : supplies) {
    const std::string type = value_of(supply, "type");
    if (value_of(supply, "scope") == "Device") continue;
    if (type == "Battery" || type == "UPS") {
      look_at_battery(supply, look, seen);
    } else if (const auto online = number_of(supply, "online")) {
      seen.feeder = true;
      seen.online = seen.online || *online != 0;
      add_words(look, supply.filename().string() + (*online != 0 ? ": on" : ": off"));
    }
  }
  if (seen.feeder) {
    look.mains = seen.online;
  } else if (seen.discharging || seen.charging) {
    look.mains = !seen.discharging;
  }
  return look;
}

}  // namespace holdfast::posix
