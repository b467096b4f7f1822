// Small files, replaced whole: after a power cut there is the old content or the new one.
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

Status write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return make_os_error(errno, "cannot write " + path);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return make_os_error(errno, "cannot sync " + path);
  return {};
}

Status sync_folder(const std::filesystem::path& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return make_os_error(errno, "cannot sync " + folder.string());
  return {};
}

}  // namespace

Status replace_file(const std::filesystem::path& path, std::string_view content,
                    unsigned permissions) {
  const std::string fresh = path.string() + ".new";
  {
    // What an earlier, cut attempt left must not lend its permissions.
    ::unlink(fresh.c_str());
    const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                             static_cast<mode_t>(permissions)));
    if (!fd) return make_os_error(errno, "cannot create " + fresh);
    if (Status written = write_all(fd.get(), content, fresh); !written) {
      ::unlink(fresh.c_str());
      return written;
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    const int why = errno;
    ::unlink(fresh.c_str());
    return make_os_error(why, "cannot replace " + path.string());
  }
  return sync_folder(path.has_parent_path() ? path.parent_path() : ".");
}

}  // namespace holdfast::posix
