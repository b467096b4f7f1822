#include "runtime/engine_proof.h"

namespace holdfast::runtime {

std::uint64_t EngineProof::look() {
  const std::lock_guard lock(mutex_);
  if (*given_ == asked_) ++looks_;
  return looks_;
}

void EngineProof::ask(env::Engine& engine) {
  const std::lock_guard lock(mutex_);
  if (*given_ != asked_) return;
  ++asked_;
  engine.prove(given_);
}

void EngineProof::renewed() {
  const std::lock_guard lock(mutex_);
  asked_ = 0;
  given_ = std::make_shared<std::atomic<std::uint64_t>>(0);
}

}  // namespace holdfast::runtime
