// Diaries: a line at the end of a file, which begins anew when it is long.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "posix/os_error.h"
#include "posix/system.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

namespace {

constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
constexpr mode_t kMode = 0600;

bool ends_in_newline(int fd, off_t size) {
  char last = 0;
  return ::pread(fd, &last, 1, size - 1) == 1 && last == '\n';
}

}  // namespace

Status append_line(const std::filesystem::path& path, const std::filesystem::path& older,
                   std::string_view line, std::size_t max_bytes) {
  UniqueFd fd(::open(path.c_str(), kFlags, kMode));
  struct stat about {};
  if (!fd || ::fstat(fd.get(), &about) != 0) {
    return make_os_error(errno, "cannot open " + path.string());
  }
  if (static_cast<std::size_t>(about.st_size) >= max_bytes) {
    if (::rename(path.c_str(), older.c_str()) != 0) {
      return make_os_error(errno, "cannot rename " + path.string());
    }
    fd = UniqueFd(::open(path.c_str(), kFlags, kMode));
    if (!fd) return make_os_error(errno, "cannot open " + path.string());
    about.st_size = 0;
  }
  std::string text;
  // A power cut may have left half a line, which must not spoil this one.
  if (about.st_size > 0 && !ends_in_newline(fd.get(), about.st_size)) text += '\n';
  text.append(line) += '\n';
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return {};
  return make_os_error(written < 0 ? errno : ENOSPC, "cannot write " + path.string());
}

}  // namespace holdfast::posix
