// A Disk that can only be read, and that shows files no further than they were when looked at.
//
// Purpose:  a recovery on it changes nothing, takes no lock and may run beside a writer. The file
//           that is being written is cut at the last record that was complete (`show_until`), so
//           that what is appended meanwhile cannot look like a hole.
// Threads:  one. Ownership: the disk below must outlive it.
// Errors:   everything that would write, sync, create, remove or lock answers read_only.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "env/disk.h"

namespace holdfast::outbox {

class SnapshotDisk final : public env::Disk {
 public:
  explicit SnapshotDisk(env::Disk& disk) : disk_(disk) {}

  /// Bytes of `name` behind `limit` read as zeros, in files opened from now on.
  void show_until(const std::string& name, std::uint64_t limit) { limits_[name] = limit; }

  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override;
  Result<std::vector<std::string>> list() override { return disk_.list(); }
  Status remove(std::string_view name) override;
  Status rename(std::string_view from, std::string_view to) override;
  Status sync_directory() override;
  Status lock() override;
  Result<std::uint64_t> free_bytes() override { return disk_.free_bytes(); }

 private:
  env::Disk& disk_;
  std::map<std::string, std::uint64_t> limits_;
};

}  // namespace holdfast::outbox
