#include "posix/machine.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <sstream>
#include <utility>

#include "posix/os_error.h"
#include "posix/system.h"
#include "posix/unique_fd.h"

extern char** environ;

namespace holdfast::posix {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kWordMax = 4096;
constexpr std::size_t kOutputMax = 65536;
constexpr std::size_t kLocksMax = std::size_t{4} * 1024 * 1024;

using Steady = std::chrono::steady_clock;

/// One line of a file of /proc or /sys; empty if it cannot be read.
std::string first_line(const fs::path& file) {
  const Result<std::string> text = read_file(file, kWordMax);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

std::string file_system_name(long type) {
  constexpr std::array<std::pair<long, const char*>, 16> kNames{{
      {0xEF53, "ext4"},
      {0x58465342, "xfs"},
      {0x9123683E, "btrfs"},
      {0xF2F52010, "f2fs"},
      {0x01021994, "tmpfs"},
      {0x858458F6, "ramfs"},
      {0x794C7630, "overlay"},
      {0x4D44, "vfat"},
      {0x2011BAB0, "exfat"},
      {0x6969, "nfs"},
      {0xFF534D42, "cifs"},
      {0x65735546, "fuse"},
      {0x24051905, "ubifs"},
      {0x72B6, "jffs2"},
      {0x73717368, "squashfs"},
      {0x2FC12FC1, "zfs"},
  }};
  for (const auto& [number, name] : kNames) {
    if (number == type) return name;
  }
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%lX", static_cast<unsigned long>(type));
  return text.data();
}

std::uint64_t bytes_in(const fs::path& directory) {
  std::uint64_t sum = 0;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    struct stat about {};
    if (::lstat(entry.path().c_str(), &about) == 0 && S_ISREG(about.st_mode)) {
      sum += static_cast<std::uint64_t>(about.st_blocks) * 512;
    }
  }
  return sum;
}

/// Why this process cannot make files here.
std::string unusable(const fs::path& existing, bool exists) {
  struct stat about {};
  if (::stat(existing.c_str(), &about) != 0) return os_words(errno);
  if (!S_ISDIR(about.st_mode)) return existing.string() + " is not a directory";
  if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    return (exists ? "cannot write to it: " : "cannot make it in " + existing.string() + ": ") +
           os_words(errno);
  }
  if (exists && (about.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "others may write to it";
  return {};
}

/// A file without a name, or one whose name is gone at once where the file system knows no such.
UniqueFd nameless_file(const fs::path& directory) {
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd || errno == ENOSPC || errno == EACCES || errno == EROFS) return fd;
  std::string name = (directory / ".holdfast-doctor-XXXXXX").string();
  fd.reset(::mkostemp(name.data(), O_CLOEXEC));
  if (fd) ::unlink(name.c_str());
  return fd;
}

bool write_block(int fd, std::size_t index, std::byte fill) {
  std::array<std::byte, kBlock> block{};
  block.fill(fill);
  return ::pwrite(fd, block.data(), block.size(), static_cast<off_t>(index * kBlock)) ==
         static_cast<ssize_t>(block.size());
}

/// A child whose output is read; killed and awaited with its owner.
class Child {
 public:
  Child() = default;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int start(const std::vector<std::string>& command, int output) {
    std::vector<char*> words;
    words.reserve(command.size() + 1);
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    if (const int why = ::posix_spawn_file_actions_init(&actions); why != 0) return why;
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    const int why = ::posix_spawnp(&pid_, words.front(), &actions, nullptr, words.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (why != 0) pid_ = 0;
    return why;
  }

  /// Its exit code; negative: a signal ended it.
  int wait() {
    int status = 0;
    const pid_t gone = ::waitpid(std::exchange(pid_, 0), &status, 0);
    return gone > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
};

}  // namespace

FileLook look_at_file(const fs::path& file) {
  FileLook look;
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) {
    look.problem = os_words(errno);
    return look;
  }
  look.mode = about.st_mode & 07777U;
  if (S_ISDIR(about.st_mode)) {
    look.problem = "is a directory";
  } else if (::access(file.c_str(), R_OK) != 0) {
    look.problem = os_words(errno);
  }
  return look;
}

std::optional<Written> latest_written(const fs::path& directory) {
  std::optional<Written> latest;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(directory, failure)) {
    struct stat about {};
    if (::lstat(entry.path().c_str(), &about) != 0 || !S_ISREG(about.st_mode)) continue;
    const WallTime at{std::int64_t{about.st_mtim.tv_sec} * 1000 +
                      about.st_mtim.tv_nsec / 1'000'000};
    if (!latest || latest->at < at) latest = Written{at, entry.path()};
  }
  return latest;
}

std::vector<std::string> running(std::span<const std::string_view> programs) {
  std::vector<bool> seen(programs.size());
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator("/proc", failure)) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string name = first_line(entry.path() / "comm");
    for (std::size_t i = 0; i < programs.size(); ++i) {
      if (name == programs[i].substr(0, 15)) seen[i] = true;
    }
  }
  std::vector<std::string> list;
  for (std::size_t i = 0; i < programs.size(); ++i) {
    if (seen[i]) list.emplace_back(programs[i]);
  }
  return list;
}

bool is_locked(const fs::path& file) {
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) return false;
  const Result<std::string> locks = read_file("/proc/locks", kLocksMax);
  if (!locks) return false;
  // "1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF". The device is left out of the comparison:
  // some file systems show another one here than stat(2) does.
  std::istringstream lines(*locks);
  const std::string inode = ":" + std::to_string(about.st_ino);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string number, kind, strictness, access, pid, place;
    words >> number >> kind >> strictness >> access >> pid >> place;
    if (kind == "FLOCK" && place.ends_with(inode)) return true;
  }
  return false;
}

bool in_container() {
  std::error_code failure;
  return fs::exists("/.dockerenv", failure) || fs::exists("/run/.containerenv", failure) ||
         fs::exists("/run/systemd/container", failure);
}

std::vector<WatchdogLook> look_for_watchdogs() {
  std::vector<WatchdogLook> found;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator("/sys/class/watchdog", failure)) {
    found.push_back({entry.path().filename().string(), first_line(entry.path() / "identity"),
                     first_line(entry.path() / "state"), first_line(entry.path() / "timeout")});
  }
  if (found.empty() && fs::exists("/dev/watchdog", failure))
    found.push_back({"watchdog", "", "", ""});
  return found;
}

DirectoryLook look_at_directory(const fs::path& directory) {
  DirectoryLook look;
  std::error_code failure;
  fs::path existing = directory;
  while (!fs::exists(existing, failure) && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  look.exists = existing == directory;
  look.problem = unusable(existing, look.exists);
  struct statfs kind {};
  struct statvfs room {};
  if (::statfs(existing.c_str(), &kind) == 0) {
    look.file_system = file_system_name(static_cast<long>(kind.f_type));
  }
  if (::statvfs(existing.c_str(), &room) == 0) {
    look.read_only = (room.f_flag & ST_RDONLY) != 0;
    look.free_bytes = std::uint64_t{room.f_bavail} * room.f_frsize;
    look.total_bytes = std::uint64_t{room.f_blocks} * room.f_frsize;
  }
  if (look.exists) look.used_bytes = bytes_in(directory);
  return look;
}

Result<std::vector<double>> time_synced_writes(const fs::path& directory, unsigned times) {
  const UniqueFd file = nameless_file(directory);
  if (!file) return make_os_error(errno, directory.string());
  for (unsigned i = 0; i < times; ++i) {
    if (!write_block(file.get(), i, std::byte{0})) return make_os_error(errno, directory.string());
  }
  if (::fsync(file.get()) != 0) return make_os_error(errno, directory.string());
  std::vector<double> taken;
  for (unsigned i = 0; i < times; ++i) {
    const auto begun = Steady::now();
    if (!write_block(file.get(), i, std::byte{0x5A}) || ::fdatasync(file.get()) != 0) {
      return make_os_error(errno, directory.string());
    }
    taken.push_back(std::chrono::duration<double, std::milli>(Steady::now() - begun).count());
  }
  return taken;
}

Result<double> time_synced_bulk(const fs::path& directory, std::size_t bytes) {
  const UniqueFd file = nameless_file(directory);
  if (!file) return make_os_error(errno, directory.string());
  const auto write_all = [&](std::byte fill) {
    for (std::size_t i = 0; i < bytes / kBlock; ++i) {
      if (!write_block(file.get(), i, fill)) return false;
    }
    return ::fdatasync(file.get()) == 0;
  };
  if (!write_all(std::byte{0})) return make_os_error(errno, directory.string());
  const auto begun = Steady::now();
  if (!write_all(std::byte{0x5A})) return make_os_error(errno, directory.string());
  return std::chrono::duration<double, std::milli>(Steady::now() - begun).count();
}

Result<std::string> output_of(const std::vector<std::string>& command, Duration timeout) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return make_os_error(errno, command.front());
  const UniqueFd mine(ends[0]);
  UniqueFd theirs(ends[1]);
  Child child;
  if (const int why = child.start(command, theirs.get()); why != 0) {
    return make_os_error(why, command.front());
  }
  theirs.reset();
  std::string output;
  const auto deadline = Steady::now() + timeout;
  std::array<char, kBlock> block{};
  while (output.size() < kOutputMax) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now());
    pollfd waiting{mine.get(), POLLIN, 0};
    const int ready =
        ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Error{Errc::timeout, command.front() + ": no end in time", 0};
    const ssize_t got = ::read(mine.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    output.append(block.data(), static_cast<std::size_t>(got));
  }
  if (output.size() >= kOutputMax) return output;
  if (const int code = child.wait(); code != 0) {
    return Error{code == 127 ? Errc::not_found : Errc::io,
                 command.front() + " ended with " + std::to_string(code), 0};
  }
  return output;
}

}  // namespace holdfast::posix
