// Small files, read whole and bounded, without ever hanging on what is no file.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "posix/os_error.h"
#include "posix/system.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

namespace {

Error too_large(const std::filesystem::path& path, std::size_t max_bytes) {
  return Error{Errc::too_large,
               path.string() + ": larger than " + std::to_string(max_bytes) + " bytes", 0};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t max_bytes) {
  // O_NONBLOCK: opening a FIFO without a writer must not hang the caller.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return make_os_error(errno, path.string());
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return make_os_error(errno, path.string());
  if (!S_ISREG(about.st_mode)) {
    return Error{Errc::invalid_argument, path.string() + ": not a regular file", 0};
  }
  // The size is a hint only: files in /proc have none, and a file may grow while it is read.
  std::string content;
  char block[4096];
  while (true) {
    const ssize_t got = ::read(fd.get(), block, sizeof(block));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return make_os_error(errno, path.string());
    if (got == 0) return content;
    content.append(block, static_cast<std::size_t>(got));
    if (content.size() > max_bytes) return too_large(path, max_bytes);
  }
}

}  // namespace holdfast::posix
