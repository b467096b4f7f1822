// See network_files.h.
#include "runtime/network_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "posix/os_error.h"
#include "posix/system.h"

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyfileMax = 64 * 1024;
constexpr const char* kDeadLinks = "/proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown";

health::ProfileFile read(const fs::path& file) {
  health::ProfileFile one;
  one.name = file.filename().string();
  struct stat look {};
  if (::stat(file.c_str(), &look) == 0) {
    one.too_open = look.st_uid != 0 || (look.st_mode & (S_IRWXG | S_IRWXO)) != 0;
  }
  Result<std::string> text = posix::read_file(file, kKeyfileMax);
  if (text) {
    one.text = std::move(text).value();
  } else {
    one.problem = text.error().message;
  }
  return one;
}

}  // namespace

Result<health::PlanFacts> plan_facts(const fs::path& directory) {
  health::PlanFacts facts;
  std::error_code failure;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(directory, failure), end; !failure && it != end;
       it.increment(failure)) {
    // NetworkManager passes over hidden files, backups and the like (nm-settings-keyfile(5)).
    const std::string name = it->path().filename().string();
    std::error_code ignored;
    if (name.front() == '.' || name.back() == '~' || !it->is_regular_file(ignored)) continue;
    files.push_back(it->path());
  }
  if (failure) return posix::make_os_error(failure.value(), directory.string());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) facts.files.push_back(read(file));
  if (const Result<std::string> said = posix::read_file(kDeadLinks, 16)) {
    facts.passes_over_dead_links = said->starts_with('1');
  }
  return facts;
}

Status write_examples(const fs::path& directory, const std::string& ssid, const std::string& apn) {
  for (const std::string& text : {ssid, apn}) {
    const bool plain = std::all_of(text.begin(), text.end(),
                                   [](unsigned char c) { return c >= 0x20 && c != 0x7F; });
    if (text.empty() || !plain) {
      return Error{Errc::invalid_argument,
                   "the Wi-Fi's name or the APN is empty, or has control "
                   "characters; give it as it is printed"};
    }
  }
  std::error_code failure;
  const auto examples = health::example_profiles(ssid, apn);
  for (const health::ExampleFile& one : examples) {
    if (!fs::exists(directory / one.name, failure)) continue;
    return Error{Errc::in_use, (directory / one.name).string() +
                                   " is there; move it away, or give another folder"};
  }
  fs::create_directories(directory, failure);
  if (failure) return posix::make_os_error(failure.value(), directory.string());
  for (const health::ExampleFile& one : examples) {
    if (Status written = posix::replace_file(directory / one.name, one.text); !written) {
      return written;
    }
  }
  return {};
}

}  // namespace holdfast::runtime
