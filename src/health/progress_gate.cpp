#include "health/progress_gate.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::health {

namespace {

constexpr int kSignsPerLimit = 2;              // as sd_watchdog_enabled(3) advises
constexpr int kCloserLooks = 16;               // per limit, once something is stuck
constexpr int kNamedAtPart = 3;                // of the four quarters of the limit
constexpr Duration kLeastLimit(kCloserLooks);  // no look without a pause

}  // namespace

ProgressGate::ProgressGate(Duration limit) : limit_(std::max(limit, kLeastLimit)) {}

ProgressGate::Answer ProgressGate::look(BootTime now, std::span<const Proof> proofs) {
  HF_CHECK(finished_.empty() || finished_.size() == proofs.size());
  Answer answer;
  for (std::size_t i = 0; i < finished_.size(); ++i) {
    if (proofs[i].finished == finished_[i]) answer.stuck.push_back(proofs[i].part);
  }
  if (answer.stuck.empty()) {
    answer.alive = true;
    finished_.clear();
    for (const Proof& proof : proofs) finished_.push_back(proof.finished);
    alive_at_ = now;
    named_ = false;
    next_look_ = now + limit_ / kSignsPerLimit;
    return answer;
  }
  next_look_ = now + limit_ / kCloserLooks;
  if (named_ || now - alive_at_ < limit_ / 4 * kNamedAtPart) {
    answer.stuck.clear();
  } else {
    named_ = true;
  }
  return answer;
}

}  // namespace holdfast::health
