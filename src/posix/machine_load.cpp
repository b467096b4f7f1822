#include "posix/machine_load.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <system_error>

#include "posix/system.h"

namespace holdfast::posix {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileMax = 1024;

std::string text_of(const fs::path& file) {
  const Result<std::string> text = read_file(file, kFileMax);
  return text ? *text : std::string();
}

/// "some avg10=12.34 avg60=…"
std::optional<double> pressure(const fs::path& file) {
  constexpr std::string_view kBefore = "some avg10=";
  const std::string text = text_of(file);
  if (!text.starts_with(kBefore)) return std::nullopt;
  return std::strtod(text.c_str() + kBefore.size(), nullptr);
}

void look_for_heat(const fs::path& folder, MachineLoad& load) {
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    if (!entry.path().filename().string().starts_with("thermal_zone")) continue;
    const std::string text = text_of(entry.path() / "temp");
    if (text.empty()) continue;
    const double celsius = std::strtod(text.c_str(), nullptr) / 1000;
    if (load.temperature && *load.temperature >= celsius) continue;
    load.temperature = celsius;
    const std::string type = text_of(entry.path() / "type");
    load.zone = type.substr(0, type.find('\n'));
  }
}

/// "0x02 0x0B": each step is a tenth of the life; 0x0B: more than all of it.
void look_at_flash(const fs::path& folder, MachineLoad& load) {
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(folder, failure)) {
    std::istringstream words(text_of(entry.path() / "device" / "life_time"));
    for (std::string word; words >> word;) {
      const unsigned long step = std::strtoul(word.c_str(), nullptr, 16);
      if (step == 0) continue;  // not told
      const double used = std::min(static_cast<double>(step) * 10, 110.0);
      if (load.flash && *load.flash >= used) continue;
      load.flash = used;
      load.flash_name = entry.path().filename().string();
    }
  }
}

}  // namespace

MachineLoad look_at_load(const fs::path& directory, const fs::path& root) {
  MachineLoad load;
  load.memory = pressure(root / "proc/pressure/memory");
  load.io = pressure(root / "proc/pressure/io");
  look_for_heat(root / "sys/class/thermal", load);
  look_at_flash(root / "sys/block", load);
  std::error_code failure;
  const fs::space_info room = fs::space(directory, failure);
  if (!failure && room.capacity > 0) {
    const double used = static_cast<double>(room.capacity - room.free);
    // As df reckons: what is kept for root is neither used nor free.
    load.disk = 100 * used / std::max(used + static_cast<double>(room.available), 1.0);
  }
  return load;
}

}  // namespace holdfast::posix
