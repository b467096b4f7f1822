// The slots as files of one directory: each is there whole, or not there.
//
// Purpose:  writing in the order in which no cut of the power, and no kill, can strand the device.
// Files:    active.pem, next.pem, previous.pem: certificate, chain and private key, as PEM, in one
//           file, so that the two can never be torn apart. last-rotation: the record.
// Method:   a new content goes to NAME.new (mode 0600 from the first byte), is synced, gets its
//           name, and the directory is synced. keep() never takes `active` away: first a copy of it
//           becomes `previous`, then what was tried replaces it, then `next` goes.
// Threads:  one at a time; the caller has the disk's lock while it changes something.
// Errors:   of env::Disk; too_large over kSlotFileMax. After an error all slots are as whole as
//           before, and what was asked for can be asked for again.
#pragma once

#include <optional>
#include <string_view>

#include "base/limits.h"
#include "base/secret.h"
#include "env/disk.h"
#include "holdfast/result.h"
#include "holdfast/types.h"
#include "identity/record.h"

namespace holdfast::identity {

inline constexpr std::size_t kSlotFileMax = 64 * limits::kKiB;

/// "active.pem"
[[nodiscard]] std::string_view file_of(IdentitySlot slot) noexcept;
inline constexpr std::string_view kRecordFile = "last-rotation";

class Store {
 public:
  /// `disk` must outlive the store.
  explicit Store(env::Disk& disk) : disk_(disk) {}

  /// Removes what cut writes have left: it may hold keys.
  [[nodiscard]] Status tidy();

  /// The content as it is; not_found: there is none.
  [[nodiscard]] Result<Secret> read(IdentitySlot slot);

  /// Puts `content` into the slot `next`, in place of what is there.
  [[nodiscard]] Status install(const Secret& content);
  /// Empties the slot `next`; not_found if it is empty.
  [[nodiscard]] Status withdraw();

  /// Makes `tried` the active one, and `before` (if given) the previous one. `next` is emptied if
  /// it still has the content of `tried`. What has been done already is not done again.
  [[nodiscard]] Status keep(const Secret& tried, const Secret* before);

  /// None: there is no record.
  [[nodiscard]] Result<std::optional<Record>> read_record();
  [[nodiscard]] Status write_record(const Record& record);

 private:
  env::Disk& disk_;
};

}  // namespace holdfast::identity
