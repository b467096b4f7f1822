// See ingress.h.
#include "runtime/ingress.h"

#include "base/check.h"
#include "base/limits.h"

namespace holdfast::runtime {

bool Ingress::enter(std::size_t cost) {
  const std::lock_guard lock(mutex_);
  if (costs_.size() >= limits::kIngressMessages) return false;
  if (!costs_.empty() && bytes_ + cost > max_bytes_) return false;
  costs_.push_back(cost);
  bytes_ += cost;
  return true;
}

void Ingress::leave(std::size_t count) {
  const std::lock_guard lock(mutex_);
  HF_CHECK(count <= costs_.size());
  for (std::size_t i = 0; i < count; ++i) {
    HF_CHECK(bytes_ >= costs_.front());
    bytes_ -= costs_.front();
    costs_.pop_front();
  }
}

}  // namespace holdfast::runtime
