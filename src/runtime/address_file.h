// The address book across restarts: the file `addresses` in the outbox's directory.
//
// Purpose:  a device that starts while the name service fails still finds its broker.
// Threads:  loop thread (constructed before the loop runs). The file is written by the
//           storage thread (side_writes.h).
// Errors:   none ends anything. A file that cannot be used is said, and written anew in time.
#pragma once

#include <filesystem>

#include "env/clock.h"
#include "holdfast/device.h"
#include "runtime/side_writes.h"
#include "transport/address_book.h"

namespace holdfast::runtime {

class AddressFile {
 public:
  static constexpr const char* kName = "addresses";

  /// Reads the file of `directory`, which the caller has locked. `clock` and `storage` must outlive
  /// this; `log` is called from here and from the book.
  AddressFile(const env::Clock& clock, Storage& storage, const std::filesystem::path& directory,
              LogHandler log);

  [[nodiscard]] transport::AddressBook& book() { return book_; }

 private:
  void load();

  std::filesystem::path path_;
  LogHandler log_;
  SideWrites writes_;
  transport::AddressBook book_;
};

}  // namespace holdfast::runtime
