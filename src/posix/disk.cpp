// env::Disk over one directory of a Linux file system. Every name is opened relative to the
// directory's descriptor, so that renaming or replacing the path above it changes nothing.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <limits>

#include "base/check.h"
#include "posix/os_error.h"
#include "posix/system.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

namespace {

constexpr const char* kLockName = "LOCK";
constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

off_t to_offset(std::uint64_t offset) {
  HF_CHECK(offset <= static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()));
  return static_cast<off_t>(offset);
}

class PosixFile final : public env::File {
 public:
  PosixFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(fd_.get(), out.data() + done, out.size() - done, to_offset(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return make_os_error(errno, "cannot read " + path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t put =
          ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, to_offset(offset + done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return make_os_error(errno, "cannot write " + path_);
      if (put == 0) return make_os_error(EIO, "cannot write " + path_);
      done += static_cast<std::size_t>(put);
    }
    return {};
  }

  Status sync() override {
    int result = -1;
    do {
      result = ::fdatasync(fd_.get());
    } while (result != 0 && errno == EINTR);
    if (result != 0) return make_os_error(errno, "cannot sync " + path_);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat about {};
    if (::fstat(fd_.get(), &about) != 0) return make_os_error(errno, "cannot examine " + path_);
    return static_cast<std::uint64_t>(about.st_size);
  }

 private:
  UniqueFd fd_;
  std::string path_;
};

bool plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= NAME_MAX &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

int open_flags(env::OpenMode mode) {
  // O_NONBLOCK: opening a FIFO without a writer must not hang the caller.
  constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  switch (mode) {
    case env::OpenMode::read:
      return O_RDONLY | kAlways;
    case env::OpenMode::read_write:
      return O_RDWR | kAlways;
    case env::OpenMode::create:
      return O_RDWR | O_CREAT | O_EXCL | kAlways;
  }
  return O_RDONLY | kAlways;
}

struct CloseDirectory {
  void operator()(DIR* stream) const noexcept { ::closedir(stream); }
};

class PosixDisk final : public env::Disk {
 public:
  PosixDisk(UniqueFd directory, std::string path)
      : directory_(std::move(directory)), path_(std::move(path)) {}

  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override {
    if (!plain_name(name)) return bad_name(name);
    const std::string text(name);
    UniqueFd fd(::openat(directory_.get(), text.c_str(), open_flags(mode), kFileMode));
    if (!fd) {
      const char* verb = mode == env::OpenMode::create ? "cannot create " : "cannot open ";
      return make_os_error(errno, verb + full(text));
    }
    return std::unique_ptr<env::File>(std::make_unique<PosixFile>(std::move(fd), full(text)));
  }

  // A second descriptor, because fdopendir() takes its descriptor over.
  Result<std::vector<std::string>> list() override {
    UniqueFd again(::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!again) return make_os_error(errno, "cannot list " + path_);
    const std::unique_ptr<DIR, CloseDirectory> stream(::fdopendir(again.get()));
    if (!stream) return make_os_error(errno, "cannot list " + path_);
    static_cast<void>(again.release());
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string name = entry->d_name;
      if (is_file(*entry) && name != kLockName) names.push_back(name);
      errno = 0;
    }
    if (errno != 0) return make_os_error(errno, "cannot list " + path_);
    return names;
  }

  Status remove(std::string_view name) override {
    if (!plain_name(name)) return bad_name(name);
    const std::string text(name);
    if (::unlinkat(directory_.get(), text.c_str(), 0) != 0) {
      return make_os_error(errno, "cannot remove " + full(text));
    }
    return {};
  }

  Status rename(std::string_view from, std::string_view to) override {
    if (!plain_name(from)) return bad_name(from);
    if (!plain_name(to)) return bad_name(to);
    const std::string before(from);
    const std::string after(to);
    if (::renameat(directory_.get(), before.c_str(), directory_.get(), after.c_str()) != 0) {
      return make_os_error(errno, "cannot replace " + full(after));
    }
    return {};
  }

  Status sync_directory() override {
    int result = -1;
    do {
      result = ::fsync(directory_.get());
    } while (result != 0 && errno == EINTR);
    if (result != 0) return make_os_error(errno, "cannot sync " + path_);
    return {};
  }

  Status lock() override {
    if (lock_) return {};
    auto fd = open_lock();
    if (!fd) return std::move(fd).error();
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return make_os_error(errno, "cannot lock " + full(kLockName));
      return taken(fd->get());
    }
    lock_ = std::move(fd).value();
    note_holder();
    return {};
  }

  Result<std::uint64_t> free_bytes() override {
    struct statvfs about {};
    if (::fstatvfs(directory_.get(), &about) != 0) {
      return make_os_error(errno, "cannot ask for free space in " + path_);
    }
    return std::uint64_t{about.f_bavail} * std::uint64_t{about.f_frsize};
  }

 private:
  [[nodiscard]] std::string full(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }

  [[nodiscard]] static Error bad_name(std::string_view name) {
    return Error{Errc::invalid_argument, "not a plain file name: " + std::string(name), 0};
  }

  [[nodiscard]] bool is_file(const dirent& entry) const {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_REG;
    struct stat about {};
    return ::fstatat(directory_.get(), entry.d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(about.st_mode);
  }

  // The file LOCK stays for ever, so that a full disk cannot keep us from locking later. On a
  // read-only file system without one, the directory itself is locked.
  Result<UniqueFd> open_lock() {
    constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW;
    UniqueFd fd(::openat(directory_.get(), kLockName, O_RDWR | O_CREAT | kAlways, kFileMode));
    if (!fd && errno == EROFS) fd.reset(::openat(directory_.get(), kLockName, O_RDONLY | kAlways));
    if (!fd && (errno == EROFS || errno == ENOENT)) {
      fd.reset(::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    if (!fd) return make_os_error(errno, "cannot open " + full(kLockName));
    return fd;
  }

  // For people only; the lock does not depend on it, so failure (a full disk) is no error.
  void note_holder() const {
    const std::string line = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock_.get(), 0) == 0) {
      static_cast<void>(::pwrite(lock_.get(), line.data(), line.size(), 0) > 0);
    }
  }

  [[nodiscard]] Error taken(int fd) const {
    std::array<char, 16> text{};
    const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    int pid = 0;
    if (got > 0) std::from_chars(text.data(), text.data() + got, pid);
    const std::string who = pid > 0 ? "process " + std::to_string(pid) : "another process";
    return Error{Errc::in_use,
                 path_ + " is in use by " + who + "; stop it or use another directory", 0};
  }

  UniqueFd directory_;
  std::string path_;
  UniqueFd lock_;
};

// A new directory survives a power cut only once its parent has been synced.
Status sync_parent(const std::filesystem::path& directory) {
  const std::filesystem::path parent =
      directory.has_parent_path() ? directory.parent_path() : std::filesystem::path(".");
  const UniqueFd fd(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return make_os_error(errno, "cannot open " + parent.string());
  if (::fsync(fd.get()) != 0) return make_os_error(errno, "cannot sync " + parent.string());
  return {};
}

Error unusable(int os_error, const std::string& what) {
  Error error = make_os_error(os_error, what);
  error.message += "; give a directory that this user can make and write in";
  return error;
}

Status make_directories(const std::filesystem::path& directory) {
  std::filesystem::path so_far;
  for (const std::filesystem::path& part : directory) {
    so_far /= part;
    if (part.empty() || part == "/" || part == "." || part == "..") continue;
    if (::mkdir(so_far.c_str(), kDirectoryMode) == 0) {
      if (Status synced = sync_parent(so_far); !synced) return synced;
    } else if (errno != EEXIST) {
      // A parent may exist and still refuse mkdir (read-only, no permission): only a component
      // that is really absent, or no directory, is a failure here.
      const int why = errno;
      struct stat about {};
      if (::stat(so_far.c_str(), &about) != 0) {
        return unusable(why, "cannot create " + so_far.string());
      }
    }
  }
  return {};
}

Error writable_by_others(const std::string& path, mode_t mode) {
  std::array<char, 8> octal{};
  std::to_chars(octal.data(), octal.data() + octal.size() - 1, mode & 07777U, 8);
  return Error{Errc::permission,
               path + ": others may write to this directory (mode " + octal.data() +
                   "); run: chmod go-w " + path,
               0};
}

}  // namespace

Result<std::unique_ptr<env::Disk>> open_disk(const std::filesystem::path& directory) {
  if (directory.empty()) {
    return Error{Errc::invalid_argument, "the directory's name is empty", 0};
  }
  if (Status made = make_directories(directory); !made) return std::move(made).error();
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return unusable(errno, "cannot open " + directory.string());
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) {
    return make_os_error(errno, "cannot examine " + directory.string());
  }
  if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return writable_by_others(directory.string(), about.st_mode);
  }
  return std::unique_ptr<env::Disk>(std::make_unique<PosixDisk>(std::move(fd), directory.string()));
}

Result<std::unique_ptr<env::Disk>> open_existing_disk(const std::filesystem::path& directory) {
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return make_os_error(errno, "cannot open " + directory.string());
  return std::unique_ptr<env::Disk>(std::make_unique<PosixDisk>(std::move(fd), directory.string()));
}

}  // namespace holdfast::posix
