// A disk that writes down all that is done to it, so that every moment of it can be made again.
//
// Use:      hf_write_log IMAGE LOG MOUNTPOINT      (a FUSE file system; stays in the foreground)
//           MOUNTPOINT/disk shows the file IMAGE; put a loop device on it. MOUNTPOINT/mark takes
//           lines. LOG gets one entry for each write, sync and mark, in the order in which they
//           came.
// Entry:    kind u8 ('W' write, 'F' sync of the disk, 'M' mark), 3 bytes 0, size u32, offset u64,
//           then `size` bytes. Little endian.
// Threads:  one, so that the order is the order. What returns after a sync is behind it in LOG.
#define FUSE_USE_VERSION 31
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

constexpr std::string_view kDisk = "/disk";
constexpr std::string_view kMark = "/mark";

int image = -1;
int log_file = -1;

struct Entry {
  char kind = 0;
  std::array<char, 3> zero{};
  std::uint32_t size = 0;
  std::uint64_t offset = 0;
};
static_assert(sizeof(Entry) == 16);

bool note(char kind, const char* bytes, std::size_t size, off_t offset) {
  const Entry entry{kind, {}, static_cast<std::uint32_t>(size), static_cast<std::uint64_t>(offset)};
  return ::write(log_file, &entry, sizeof entry) == ssize_t{sizeof entry} &&
         ::write(log_file, bytes, size) == static_cast<ssize_t>(size);
}

int get_attributes(const char* path, struct stat* about, fuse_file_info*) {
  *about = {};
  const std::string_view name(path);
  if (name == "/") {
    about->st_mode = S_IFDIR | 0700;
    about->st_nlink = 2;
    return 0;
  }
  if (name != kDisk && name != kMark) return -ENOENT;
  if (name == kDisk && ::fstat(image, about) != 0) return -errno;
  about->st_mode = S_IFREG | 0600;
  about->st_nlink = 1;
  return 0;
}

int list(const char*, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*,
         fuse_readdir_flags) {
  for (const char* name : {".", "..", "disk", "mark"}) {
    if (fill(buffer, name, nullptr, 0, fuse_fill_dir_flags{}) != 0) return -ENOMEM;
  }
  return 0;
}

int open_file(const char*, fuse_file_info* file) {
  file->direct_io = 1;  // nothing may be held back above us
  return 0;
}

int read_file(const char* path, char* bytes, std::size_t size, off_t offset, fuse_file_info*) {
  if (path != kDisk) return 0;
  const ssize_t got = ::pread(image, bytes, size, offset);
  return got < 0 ? -errno : static_cast<int>(got);
}

int write_file(const char* path, const char* bytes, std::size_t size, off_t offset,
               fuse_file_info*) {
  const bool disk = path == kDisk;
  if (!note(disk ? 'W' : 'M', bytes, size, offset)) return -EIO;
  if (disk && ::pwrite(image, bytes, size, offset) != static_cast<ssize_t>(size)) return -EIO;
  return static_cast<int>(size);
}

int sync_file(const char* path, int, fuse_file_info*) {
  return path != kDisk || note('F', "", 0, 0) ? 0 : -EIO;
}

int set_size(const char*, off_t, fuse_file_info*) { return 0; }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: hf_write_log IMAGE LOG MOUNTPOINT\n", stderr);
    return 2;
  }
  image = ::open(argv[1], O_RDWR | O_CLOEXEC);
  log_file = ::open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (image < 0 || log_file < 0) {
    std::fprintf(stderr, "hf_write_log: cannot open %s or %s: %s\n", argv[1], argv[2],
                 std::strerror(errno));
    return 2;
  }
  fuse_operations operations{};
  operations.getattr = get_attributes;
  operations.readdir = list;
  operations.open = open_file;
  operations.read = read_file;
  operations.write = write_file;
  operations.fsync = sync_file;
  operations.truncate = set_size;
  std::array<char*, 4> words{argv[0], const_cast<char*>("-f"), const_cast<char*>("-s"), argv[3]};
  return fuse_main(static_cast<int>(words.size()), words.data(), &operations, nullptr);
}
