// A disk that counts what is written to it and how often it is flushed.
//
// Threads:  one uses the disk, any may read the counts.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "env/disk.h"

namespace holdfast::runtime {

struct DiskCounts {
  std::atomic<std::uint64_t> written_bytes{0};  ///< Of writes that succeeded.
  std::atomic<std::uint64_t> flushes{0};        ///< Of files and of the directory, failed or not.
};

/// `disk`, with all it does counted in `counts`.
[[nodiscard]] std::unique_ptr<env::Disk> count_writes(std::unique_ptr<env::Disk> disk,
                                                      std::shared_ptr<DiskCounts> counts);

}  // namespace holdfast::runtime
