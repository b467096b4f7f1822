#include "posix/rotating_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "posix/os_error.h"

namespace holdfast::posix {
namespace {

constexpr mode_t kMode = 0640;  // the group may read it, as it may ask over the local API

}  // namespace

RotatingFile::RotatingFile(std::filesystem::path path, std::uint64_t max_size, std::size_t keep)
    : path_(std::move(path)), max_size_(max_size), keep_(keep) {}

Status RotatingFile::failure(const char* what) const {
  const int code = errno;
  return Error{errc_of(code), path_.string() + ": " + what + ": " + os_words(code), code};
}

std::filesystem::path RotatingFile::older(std::size_t number) const {
  return number == 0 ? path_ : std::filesystem::path(path_.string() + "." + std::to_string(number));
}

Status RotatingFile::open() {
  // Anew if somebody else has moved or removed it.
  struct stat named {};
  struct stat opened {};
  const bool ours = fd_ && ::fstat(fd_.get(), &opened) == 0 && ::stat(path_.c_str(), &named) == 0 &&
                    named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
  if (ours) return {};
  fd_.reset(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, kMode));
  if (!fd_ || ::fstat(fd_.get(), &opened) != 0) return failure("cannot be opened");
  if (!S_ISREG(opened.st_mode)) {
    fd_.reset();
    return Error{Errc::invalid_argument, path_.string() + ": is not a file", 0};
  }
  size_ = static_cast<std::uint64_t>(opened.st_size);
  return {};
}

Status RotatingFile::rotate() {
  fd_.reset();
  if (keep_ == 0 && ::unlink(path_.c_str()) != 0) return failure("cannot be removed");
  for (std::size_t number = keep_; number > 0; --number) {
    const bool moved = ::rename(older(number - 1).c_str(), older(number).c_str()) == 0;
    if (!moved && !(errno == ENOENT && number > 1)) return failure("cannot be renamed");
  }
  return open();
}

Status RotatingFile::append(std::string_view lines) {
  if (Status opened = open(); !opened) return opened;
  if (size_ > 0 && size_ + lines.size() > max_size_) {
    if (Status rotated = rotate(); !rotated) return rotated;
  }
  while (!lines.empty()) {
    const ssize_t written = ::write(fd_.get(), lines.data(), lines.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure("cannot be written");
    size_ += static_cast<std::uint64_t>(written);
    lines.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace holdfast::posix
