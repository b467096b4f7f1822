// A library to preload into a program that keeps an outbox: it breaks the promise of the disk, so
// that the torture rig can show that it would notice.
//
// Use:      LD_PRELOAD=sabotage.so HF_SABOTAGE=MODE program
//           nosync  fsync() and fdatasync() succeed and do nothing
//           late    a write to a segment reaches the kernel only with the next call on a segment:
//                   what kill -9 finds unwritten is lost
//           deaf    a write that fails is reported as done
//           poison  who reads "POISON" from a segment crashes, as by a defect that one message
//           meets short   a write of many bytes writes the first half only, and says so: this one
//           is fair
// Threads:  the outbox has one writer; a lock keeps the held write whole anyway.
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace {

using WriteAt = ssize_t (*)(int, const void*, size_t, off_t);
using ReadAt = ssize_t (*)(int, void*, size_t, off_t);
using Sync = int (*)(int);

bool mode_is(const char* mode) {
  const char* wanted = std::getenv("HF_SABOTAGE");
  return wanted != nullptr && std::strcmp(wanted, mode) == 0;
}

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool is_segment(int fd) {
  std::array<char, 512> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size() - 1);
  return size > 4 && std::strcmp(target.data() + size - 4, ".seg") == 0;
}

struct Held {
  std::mutex mutex;
  int fd = -1;
  off_t offset = 0;
  std::vector<char> bytes;

  void write_out() {
    static const auto write_at = real<WriteAt>("pwrite64");
    if (fd >= 0 && write_at(fd, bytes.data(), bytes.size(), offset) < 0) std::abort();
    fd = -1;
  }
};

Held& held() {
  static Held one;
  return one;
}

ssize_t write_badly(int fd, const void* bytes, size_t size, off_t offset) {
  static const auto write_at = real<WriteAt>("pwrite64");
  if (!mode_is("late") || !is_segment(fd)) {
    const ssize_t done = write_at(fd, bytes, mode_is("short") ? (size + 1) / 2 : size, offset);
    return done < 0 && mode_is("deaf") ? static_cast<ssize_t>(size) : done;
  }
  const std::lock_guard lock(held().mutex);
  held().write_out();
  held().fd = fd;
  held().offset = offset;
  held().bytes.assign(static_cast<const char*>(bytes), static_cast<const char*>(bytes) + size);
  return static_cast<ssize_t>(size);
}

ssize_t read_now(int fd, void* bytes, size_t size, off_t offset) {
  static const auto read_at = real<ReadAt>("pread64");
  if (mode_is("late") && is_segment(fd)) {
    const std::lock_guard lock(held().mutex);
    held().write_out();
  }
  const ssize_t done = read_at(fd, bytes, size, offset);
  if (done > 0 && mode_is("poison") && is_segment(fd)) {
    constexpr char kPoison[] = {'P', 'O', 'I', 'S', 'O', 'N'};
    const size_t read = static_cast<size_t>(done);
    if (::memmem(bytes, read, kPoison, sizeof kPoison) != nullptr) std::abort();
  }
  return done;
}

}  // namespace

// The parameters have the C library's names, without its underscores.
extern "C" {

ssize_t pwrite(int fd, const void* buf, size_t n, off_t offset) {
  return write_badly(fd, buf, n, offset);
}
ssize_t pwrite64(int fd, const void* buf, size_t n, off_t offset) {
  return write_badly(fd, buf, n, offset);
}
ssize_t pread(int fd, void* buf, size_t nbytes, off_t offset) {
  return read_now(fd, buf, nbytes, offset);
}
ssize_t pread64(int fd, void* buf, size_t nbytes, off_t offset) {
  return read_now(fd, buf, nbytes, offset);
}
int fdatasync(int fildes) { return mode_is("nosync") ? 0 : real<Sync>("fdatasync")(fildes); }
int fsync(int fd) { return mode_is("nosync") ? 0 : real<Sync>("fsync")(fd); }

}  // extern "C"
