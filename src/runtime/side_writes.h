// Small files beside the outbox, written by the storage thread, since the loop waits for no disk.
//
// Threads: loop thread, or before the loop runs.
// Errors:  nobody waits for a write: how it has failed is logged with the next one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "holdfast/log.h"
#include "holdfast/result.h"
#include "runtime/storage.h"

namespace holdfast::runtime {

class SideWrites {
 public:
  using Write = std::function<Status()>;

  /// `complaint` begins the line about a failure. `storage` must outlive this.
  SideWrites(Storage& storage, LogArea area, std::string complaint, LogHandler log);

  /// `write` must refer to nothing of its caller's: the storage thread may be left behind with a
  /// disk that hangs. It is dropped if the store is closed first.
  void post(Write write);

 private:
  struct Last;

  Storage& storage_;
  LogArea area_;
  std::string complaint_;
  LogHandler log_;
  std::shared_ptr<Last> last_;
};

}  // namespace holdfast::runtime
