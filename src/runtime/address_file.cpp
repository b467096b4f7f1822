// See address_file.h.
#include "runtime/address_file.h"

#include <mutex>
#include <utility>

#include "base/limits.h"
#include "posix/system.h"

namespace holdfast::runtime {

/// How the write before has ended; told with the next one, as there is nobody to wait for it.
struct AddressFile::LastWrite {
  std::mutex mutex;
  std::string problem;
};

AddressFile::AddressFile(const env::Clock& clock, Storage& storage,
                         const std::filesystem::path& directory, Log log)
    : storage_(storage),
      path_(directory / kName),
      log_(std::move(log)),
      last_write_(std::make_shared<LastWrite>()),
      book_(clock, [this](std::string text) { write(std::move(text)); }) {
  load();
}

void AddressFile::load() {
  const Result<std::string> text = posix::read_file(path_, limits::kAddressFileMax);
  Status loaded = text ? book_.load(*text) : Status(text.error());
  if (loaded.ok() || loaded.error().code == Errc::not_found) return;
  const std::string reason =
      text ? path_.string() + ": " + loaded.error().message : loaded.error().message;
  log_(LogLevel::warning, "addresses that were good before are not known: " + reason);
}

void AddressFile::write(std::string text) {
  {
    const std::lock_guard lock(last_write_->mutex);
    if (!last_write_->problem.empty()) {
      log_(LogLevel::warning, "good addresses were not kept: " + last_write_->problem);
    }
  }
  storage_.look([path = path_, text = std::move(text), last = last_write_](outbox::Outbox&) {
    const Status written = posix::replace_file(path, text);
    const std::lock_guard lock(last->mutex);
    last->problem = written ? std::string() : written.error().message;
    return true;
  });
}

}  // namespace holdfast::runtime
