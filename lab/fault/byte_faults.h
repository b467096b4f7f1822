// What happens to the bytes of one direction of one connection.
//
// Purpose:  latency, bandwidth, slices, silence, corruption and resets, with the order kept.
// Driving:  while wants_reading(): read and push(). Write what take() gives, and take() again until
//           it gives nothing. Then, or after set(): end both connections with RST if wants_reset();
//           else be back at wake(). Tell the receiver of the sender's closing when idle(), unless
//           the settings say half_open.
// Memory:   kQueueMax, and what one push() brings.
// Threads:  one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "base/time.h"
#include "env/random.h"
#include "lab/fault/faults.h"

namespace holdfast::lab::fault {

class ByteFaults {
 public:
  /// `random` outlives this.
  explicit ByteFaults(env::Random& random) : random_(random) {}

  /// At any time. What waits for its latency does not wait longer than the new one.
  void set(BootTime now, const ByteSettings& settings);
  void push(BootTime now, std::string bytes);
  /// What may be written now, in one write; empty: nothing. Call it until then.
  [[nodiscard]] std::string take(BootTime now);
  /// When take() gives something; kNever: not before something changes.
  [[nodiscard]] BootTime wake() const;

  [[nodiscard]] bool wants_reading() const noexcept {
    return !settings_.stop_reading && queued_ < kQueueMax;
  }
  [[nodiscard]] bool wants_reset() const noexcept { return until_reset_ == 0; }
  /// Nothing waits in here.
  [[nodiscard]] bool idle() const noexcept { return queued_ == 0; }
  [[nodiscard]] std::size_t queued() const noexcept { return queued_; }
  [[nodiscard]] const ByteSettings& settings() const noexcept { return settings_; }

  static constexpr std::size_t kQueueMax = std::size_t{1} << 20;

 private:
  struct Chunk {
    std::string bytes;
    BootTime due;
  };
  void corrupt(std::string& bytes);
  [[nodiscard]] std::size_t step() const noexcept;
  [[nodiscard]] Duration cost(std::size_t bytes) const noexcept;

  env::Random& random_;
  ByteSettings settings_;
  std::deque<Chunk> queue_;
  std::size_t front_used_ = 0;  ///< Of queue_.front(), already taken.
  std::size_t queued_ = 0;
  std::uint64_t pushed_ = 0;  ///< Since the connection began.
  BootTime free_at_{};        ///< When the next piece may leave.
  static constexpr std::uint64_t kNoReset = UINT64_MAX;
  std::uint64_t until_reset_ = kNoReset;
};

}  // namespace holdfast::lab::fault
