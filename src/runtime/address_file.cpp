// See address_file.h.
#include "runtime/address_file.h"

#include <utility>

#include "base/limits.h"
#include "posix/system.h"

namespace holdfast::runtime {

AddressFile::AddressFile(const env::Clock& clock, Storage& storage,
                         const std::filesystem::path& directory, LogHandler log)
    : path_(directory / kName),
      log_(std::move(log)),
      writes_(storage, LogArea::connection, "good addresses were not kept", log_),
      book_(clock, [this](std::string text) {
        writes_.post(
            [path = path_, text = std::move(text)] { return posix::replace_file(path, text); });
      }) {
  load();
}

void AddressFile::load() {
  const Result<std::string> text = posix::read_file(path_, limits::kAddressFileMax);
  Status loaded = text ? book_.load(*text) : Status(text.error());
  if (loaded.ok() || loaded.error().code == Errc::not_found) return;
  const std::string reason =
      text ? path_.string() + ": " + loaded.error().message : loaded.error().message;
  log_({LogLevel::warning, LogArea::connection,
        "addresses that were good before are not known: " + reason});
}

}  // namespace holdfast::runtime
