// See application.h.
#include "application.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "posix/os_error.h"
#include "posix/unique_fd.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVersions = "versions";
constexpr const char* kPart = ".part";  // no version's name begins with a point

Error failed(const std::error_code& code, const std::string& what) {
  return posix::make_os_error(code.value(), what);
}

Status sync_directory(const fs::path& directory) {
  const posix::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) {
    return posix::make_os_error(errno, "cannot sync " + directory.string());
  }
  return {};
}

/// All that was written below it: a whole file system, but each file is in it.
Status sync_tree(const fs::path& directory) {
  const posix::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::syncfs(fd.get()) != 0) {
    return posix::make_os_error(errno, "cannot sync " + directory.string());
  }
  return {};
}

}  // namespace

fs::path Application::place_of(const std::string& version) const {
  return directory_ / kVersions / version;
}

std::string Application::version_at(const char* link) const {
  std::error_code failure;
  const fs::path target = fs::read_symlink(directory_ / link, failure);
  if (failure || target.parent_path() != kVersions) return "";
  return target.filename().string();
}

Status Application::point(const char* link, const std::string& version) {
  const fs::path fresh = directory_ / (std::string(link) + ".new");
  std::error_code failure;
  fs::remove(fresh, failure);
  fs::create_symlink(fs::path(kVersions) / version, fresh, failure);
  if (failure) return failed(failure, "cannot make " + fresh.string());
  fs::rename(fresh, directory_ / link, failure);
  if (failure) return failed(failure, "cannot change " + (directory_ / link).string());
  return sync_directory(directory_);
}

Status Application::remove_link(const char* link) {
  std::error_code failure;
  fs::remove(directory_ / link, failure);
  if (failure) return failed(failure, "cannot remove " + (directory_ / link).string());
  return sync_directory(directory_);
}

Result<fs::path> Application::begin_install(const std::string& version) {
  const fs::path part = directory_ / kVersions / (kPart + version);
  std::error_code failure;
  fs::remove_all(part, failure);
  if (!failure && version != current()) fs::remove_all(place_of(version), failure);
  if (!failure) fs::create_directories(part, failure);
  if (failure) return failed(failure, "cannot make " + part.string() + " anew");
  return part;
}

Status Application::end_install(const std::string& version) {
  const fs::path part = directory_ / kVersions / (kPart + version);
  if (Status synced = sync_tree(part); !synced) return synced;
  std::error_code failure;
  fs::rename(part, place_of(version), failure);
  if (failure) return failed(failure, "cannot name " + place_of(version).string());
  return sync_directory(directory_ / kVersions);
}

Status Application::activate(const std::string& version) {
  const std::string old = current();
  if (old == version) return {};
  std::error_code failure;
  if (!fs::is_directory(place_of(version), failure)) {
    return Error{Errc::not_found, place_of(version).string() + " is not there", 0};
  }
  Status kept = old.empty() ? remove_link("previous") : point("previous", old);
  return kept ? point("current", version) : kept;
}

Status Application::take_back(const std::string& version) {
  if (current() != version) return {};
  const std::string old = previous();
  return old.empty() ? remove_link("current") : point("current", old);
}

Status Application::tidy() {
  const std::string now = current();
  const std::string before = previous();
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory_ / kVersions, failure)) {
    const std::string name = entry.path().filename().string();
    if (name == now || name == before) continue;
    std::error_code ignored;  // the next update tries again
    fs::remove_all(entry.path(), ignored);
  }
  if (failure) return failed(failure, "cannot look into " + (directory_ / kVersions).string());
  return {};
}

}  // namespace holdfast::updater
