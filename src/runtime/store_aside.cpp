// See store_aside.h.
#include "runtime/store_aside.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

#include "outbox/slots.h"
#include "posix/system.h"

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = "set-aside-";
constexpr const char* kUnfinished = "set-aside";  // until all files are in it

}  // namespace

std::size_t stores_aside(const fs::path& directory) {
  std::size_t count = 0;
  std::error_code ignored;
  for (fs::directory_iterator entry(directory, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    if (entry->path().filename().string().starts_with(kFolder)) ++count;
  }
  return count;
}

Result<AsideStore> move_store_aside(const fs::path& directory) {
  auto disk = posix::open_existing_disk(directory);
  if (!disk) return std::move(disk).error();
  auto names = (*disk)->list();
  if (!names) return std::move(names).error();
  AsideStore aside;
  for (const std::string& name : *names) {
    if (!outbox::slot_number(name)) continue;
    auto moved = posix::move_aside(directory, name, kUnfinished);
    if (!moved) return std::move(moved).error();
    ++aside.files;
  }
  // Beside files that are there already, so that no name is given twice.
  std::size_t number = stores_aside(directory) + 1;
  while (fs::exists(directory / (std::string(kFolder) + std::to_string(number)))) ++number;
  aside.folder = std::string(kFolder) + std::to_string(number);
  if (Status renamed = (*disk)->rename(kUnfinished, aside.folder); !renamed) {
    return std::move(renamed).error();
  }
  if (Status synced = (*disk)->sync_directory(); !synced) return std::move(synced).error();
  return aside;
}

}  // namespace holdfast::runtime
