#include "device/disk_watch.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::device {

void DiskWatch::asked(BootTime now, std::size_t count) {
  outstanding_ += count;
  since_.emplace_back(now, count);
}

void DiskWatch::answered(std::size_t count) {
  HF_CHECK(outstanding_ >= count);
  outstanding_ -= count;
  while (count > 0) {
    HF_CHECK(!since_.empty());
    std::size_t& unanswered = since_.front().second;
    const std::size_t answered = std::min(unanswered, count);
    count -= answered;
    unanswered -= answered;
    if (unanswered == 0) since_.pop_front();
  }
}

bool DiskWatch::look(BootTime now) {
  const bool late = !since_.empty() && now >= since_.front().first + kSlowDisk;
  return late != std::exchange(slow_, late);
}

BootTime DiskWatch::next_look() const {
  return slow_ || since_.empty() ? kNever : since_.front().first + kSlowDisk;
}

}  // namespace holdfast::device
