// See unpack.h.
#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>

#include "posix/os_error.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 64 * std::size_t{1024};
constexpr mode_t kModeKept = 0777;

struct Free {
  void operator()(archive* one) const noexcept { ::archive_free(one); }
};
using ArchivePtr = std::unique_ptr<archive, Free>;

Error refused(const std::string& what) { return Error{Errc::corrupt, what, 0}; }

Error said(archive* one, const std::string& what) {
  const char* const words = ::archive_error_string(one);
  const int number = ::archive_errno(one);
  const std::string text = what + ": " + (words == nullptr ? "unknown" : words);
  if (number == ENOSPC || number == EDQUOT) return Error{Errc::no_space, text, number};
  return Error{Errc::corrupt, text, number};
}

/// A relative path without "..": it stays below the directory.
bool stays(const fs::path& path) {
  if (path.empty() || path.is_absolute()) return false;
  for (const fs::path& part : path) {
    if (part == "..") return false;
  }
  return true;
}

/// A link's target, seen from the link: it stays below the directory, too.
bool link_stays(const fs::path& link, const fs::path& target) {
  if (target.empty() || target.is_absolute()) return false;
  const fs::path whole = (link.parent_path() / target).lexically_normal();
  return whole.empty() || *whole.begin() != "..";
}

std::string problem_of(archive_entry* entry) {
  const char* const name = ::archive_entry_pathname(entry);
  if (name == nullptr || !stays(name)) return "its path leads out of the directory";
  const auto type = ::archive_entry_filetype(entry);
  const char* const hard = ::archive_entry_hardlink(entry);
  if (hard != nullptr) return stays(hard) ? "" : "it is a link that leads out of the directory";
  if (type == AE_IFLNK) {
    const char* const target = ::archive_entry_symlink(entry);
    const bool good = target != nullptr && link_stays(fs::path(name).lexically_normal(), target);
    return good ? "" : "it is a link that leads out of the directory";
  }
  return type == AE_IFREG || type == AE_IFDIR ? "" : "it is neither a file nor a directory";
}

Status copy_bytes(archive* from, archive* to, std::uint64_t& left, const std::string& name) {
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  for (;;) {
    const int got = ::archive_read_data_block(from, &bytes, &size, &offset);
    if (got == ARCHIVE_EOF) return {};
    if (got != ARCHIVE_OK) return said(from, "cannot read " + name);
    if (size > left) return refused("unpacked it is larger than update.max_size");
    left -= size;
    if (::archive_write_data_block(to, bytes, size, offset) != ARCHIVE_OK) {
      return said(to, "cannot write " + name);
    }
  }
}

}  // namespace

Status unpack(const fs::path& archive_file, const fs::path& directory, std::uint64_t most) {
  const ArchivePtr from(::archive_read_new());
  const ArchivePtr to(::archive_write_disk_new());
  ::archive_read_support_filter_all(from.get());
  ::archive_read_support_format_tar(from.get());
  ::archive_read_support_format_zip(from.get());
  ::archive_write_disk_set_options(to.get(), ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
                                                 ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                                 ARCHIVE_EXTRACT_SECURE_SYMLINKS);
  std::error_code failure;
  fs::current_path(directory, failure);
  if (failure) return posix::make_os_error(failure.value(), "cannot enter " + directory.string());
  if (::archive_read_open_filename(from.get(), archive_file.c_str(), kBlock) != ARCHIVE_OK) {
    return said(from.get(), "cannot read the archive");
  }
  for (std::size_t entries = 0;; ++entries) {
    archive_entry* entry = nullptr;
    const int got = ::archive_read_next_header(from.get(), &entry);
    if (got == ARCHIVE_EOF)
      return entries == 0 ? Status(refused("the archive is empty")) : Status();
    if (got != ARCHIVE_OK) return said(from.get(), "cannot read the archive");
    if (entries == kEntriesMax) return refused("it has too many entries");
    const char* const raw = ::archive_entry_pathname(entry);
    const std::string name = raw == nullptr ? "an entry" : raw;
    if (const std::string problem = problem_of(entry); !problem.empty()) {
      return refused(name + ": " + problem);
    }
    ::archive_entry_set_perm(entry, ::archive_entry_perm(entry) & kModeKept);
    if (::archive_write_header(to.get(), entry) != ARCHIVE_OK) {
      return said(to.get(), "cannot make " + name);
    }
    if (::archive_entry_size(entry) > 0 || ::archive_entry_size_is_set(entry) == 0) {
      if (Status copied = copy_bytes(from.get(), to.get(), most, name); !copied) return copied;
    }
    if (::archive_write_finish_entry(to.get()) != ARCHIVE_OK) {
      return said(to.get(), "cannot make " + name);
    }
  }
}

}  // namespace holdfast::updater
