// The gate in front of publish(): bounds what is on its way to the disk.
//
// Purpose:  publish() answers queue_full instead of letting RAM grow while the disk is slow.
// Threads:  any.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>

namespace holdfast::runtime {

class Ingress {
 public:
  explicit Ingress(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// True, and the message counted in, if there is room. One message always fits an empty gate.
  [[nodiscard]] bool enter(std::size_t cost);
  /// The oldest `count` messages have left, in the order in which they entered.
  void leave(std::size_t count);

 private:
  std::mutex mutex_;
  std::deque<std::size_t> costs_;
  std::size_t bytes_ = 0;
  std::size_t max_bytes_;
};

}  // namespace holdfast::runtime
