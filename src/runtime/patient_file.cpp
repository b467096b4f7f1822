#include "runtime/patient_file.h"

#include <chrono>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "posix/system.h"

namespace holdfast::runtime {

/// What the writing threads share.
struct PatientFile::File {
  std::mutex writing;
  std::filesystem::path path;
};

PatientFile::PatientFile() : file_(std::make_shared<File>()) {}

void PatientFile::at(std::filesystem::path path) { file_->path = std::move(path); }

const std::filesystem::path& PatientFile::path() const { return file_->path; }

Status PatientFile::write(std::string text, Milliseconds patience) const {
  std::packaged_task<Status()> write([file = file_, text = std::move(text)] {
    const std::lock_guard lock(file->writing);
    return posix::replace_file(file->path, text);
  });
  std::future<Status> done = write.get_future();
  try {
    std::thread(std::move(write)).detach();
  } catch (const std::system_error& error) {
    return Error{Errc::full, error.what()};
  }
  if (done.wait_for(patience) == std::future_status::ready) return done.get();
  return Error{Errc::timeout, "the disk does not answer"};
}

}  // namespace holdfast::runtime
