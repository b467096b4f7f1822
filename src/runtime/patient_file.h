// A small file beside the outbox that is written whole, by a thread that may be left behind.
//
// Purpose:  a record of the program's own life: a disk that hangs must not hold up its end.
// Threads:  any; one at a time writes.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::runtime {

class PatientFile {
 public:
  PatientFile();

  /// Once, before the first write().
  void at(std::filesystem::path path);
  [[nodiscard]] const std::filesystem::path& path() const;

  /// Replaces it whole; waits no longer than `patience`, also where the disk does not answer.
  /// Errors: as posix::replace_file(), timeout, full (no thread is left).
  [[nodiscard]] Status write(std::string text, Milliseconds patience) const;

 private:
  struct File;
  std::shared_ptr<File> file_;
};

}  // namespace holdfast::runtime
