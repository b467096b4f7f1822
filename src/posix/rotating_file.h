// A file of lines that never grows beyond a size: FILE, and before it FILE.1, FILE.2, …
//
// Bounds:  each file has at most `max_size` bytes (a block larger than that has a file of its own),
//          and there are at most `keep` older ones.
// Flash:   appended to, never synced and never rewritten: what a power cut takes is the last
//          seconds.
// Threads: one at a time. It may wait for the disk.
// Errors:  of the operating system, naming the path; the next write tries anew.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "holdfast/result.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

class RotatingFile {
 public:
  RotatingFile(std::filesystem::path path, std::uint64_t max_size, std::size_t keep);

  /// Appends whole lines. On failure none or some of them are in the file.
  [[nodiscard]] Status append(std::string_view lines);

 private:
  [[nodiscard]] Status open();
  [[nodiscard]] Status rotate();
  [[nodiscard]] std::filesystem::path older(std::size_t number) const;
  [[nodiscard]] Status failure(const char* what) const;

  std::filesystem::path path_;
  std::uint64_t max_size_;
  std::size_t keep_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
};

}  // namespace holdfast::posix
