// That the engine goes on: what its library's own thread has finished.
//
// Purpose:  a library with a thread of its own may hang while everything else goes on. It is asked
//           for a proof again and again; one that is owed keeps the number from growing.
// Threads:  look() from any; ask() and renewed() on the loop thread, which owns the engine. While
//           that stands still nobody is asked, so a stuck loop is not blamed on the engine.
// Bounds:   one proof is owed at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "env/engine.h"

namespace holdfast::runtime {

class EngineProof {
 public:
  /// Grows with each call, unless the engine owes a proof.
  [[nodiscard]] std::uint64_t look();

  /// Has the engine give a proof, unless it owes one.
  void ask(env::Engine& engine);

  /// There is another engine: what the one before it owes does not matter any more.
  void renewed();

 private:
  std::mutex mutex_;
  std::uint64_t looks_ = 0;
  std::uint64_t asked_ = 0;  // of the engine of now, as is what `given_` counts
  env::Proofs given_ = std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace holdfast::runtime
