// Putting files out of the way without losing a byte of them: for `holdfast outbox repair`.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "posix/os_error.h"
#include "posix/system.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {
namespace {

constexpr mode_t kFolderMode = 0700;
constexpr mode_t kFileMode = 0600;
constexpr int kNamesTried = 10'000;

struct Folder {
  UniqueFd parent;
  UniqueFd fd;
};

Result<Folder> open_folder(const std::filesystem::path& directory, const std::string& name) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  Folder folder;
  folder.parent.reset(::open(directory.c_str(), kFlags));
  if (!folder.parent) return make_os_error(errno, "cannot open " + directory.string());
  const std::string path = (directory / name).string();
  if (::mkdirat(folder.parent.get(), name.c_str(), kFolderMode) != 0 && errno != EEXIST) {
    return make_os_error(errno, "cannot create " + path);
  }
  folder.fd.reset(::openat(folder.parent.get(), name.c_str(), kFlags | O_NOFOLLOW));
  if (!folder.fd) return make_os_error(errno, "cannot open " + path);
  return folder;
}

Status sync_both(const Folder& folder, const std::string& path) {
  for (const int fd : {folder.fd.get(), folder.parent.get()}) {
    if (::fsync(fd) != 0) return make_os_error(errno, "cannot sync " + path);
  }
  return {};
}

/// NAME, then NAME.1, NAME.2 …
std::string numbered(const std::string& name, int i) {
  return i == 0 ? name : name + "." + std::to_string(i);
}

}  // namespace

Result<std::string> move_aside(const std::filesystem::path& directory, const std::string& name,
                               const std::string& folder_name) {
  auto folder = open_folder(directory, folder_name);
  if (!folder) return std::move(folder).error();
  const std::string path = (directory / name).string();
  for (int i = 0; i < kNamesTried; ++i) {
    const std::string to = numbered(name, i);
    if (::renameat2(folder->parent.get(), name.c_str(), folder->fd.get(), to.c_str(),
                    RENAME_NOREPLACE) == 0) {
      if (Status synced = sync_both(*folder, path); !synced) return std::move(synced).error();
      return folder_name + "/" + to;
    }
    if (errno != EEXIST) return make_os_error(errno, "cannot move " + path);
  }
  return Error{Errc::full, path + ": " + folder_name + " holds too many files of this name", 0};
}

Result<std::string> write_aside(const std::filesystem::path& directory, const std::string& name,
                                const std::string& folder_name, const std::string& content) {
  auto folder = open_folder(directory, folder_name);
  if (!folder) return std::move(folder).error();
  for (int i = 0; i < kNamesTried; ++i) {
    const std::string to = numbered(name, i);
    const std::string path = (directory / folder_name / to).string();
    const UniqueFd fd(
        ::openat(folder->fd.get(), to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
    if (!fd && errno == EEXIST) continue;
    if (!fd) return make_os_error(errno, "cannot create " + path);
    std::size_t done = 0;
    while (done < content.size()) {
      const ssize_t put = ::write(fd.get(), content.data() + done, content.size() - done);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return make_os_error(put < 0 ? errno : EIO, "cannot write " + path);
      done += static_cast<std::size_t>(put);
    }
    if (::fsync(fd.get()) != 0) return make_os_error(errno, "cannot sync " + path);
    if (Status synced = sync_both(*folder, path); !synced) return std::move(synced).error();
    return folder_name + "/" + to;
  }
  return Error{Errc::full, "too many files " + folder_name + "/" + name, 0};
}

Status require_owner(const std::filesystem::path& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    return make_os_error(errno, "cannot examine " + path.string());
  }
  if (about.st_uid == ::geteuid()) return {};
  return Error{Errc::permission,
               path.string() + " belongs to user " + std::to_string(about.st_uid) +
                   "; run this as that user, such as with: sudo -u '#" +
                   std::to_string(about.st_uid) + "'",
               0};
}

}  // namespace holdfast::posix
