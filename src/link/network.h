// What a network manager's word is worth for the next attempt.
//
// Purpose:  attempt at once when a way opens; spare an attempt that cannot lead anywhere; call what
//           fails behind a captive portal by its name.
// Rule:     a manager may be wrong: it looks at one page of its own, and may not know the interface
//           that we use. So its word puts an attempt off by kSpareMost at most, and counts for
//           nothing from the moment when the network proves it wrong, until it changes.
// Threads:  one thread, the core's.
// Errors:   none.
#pragma once

#include <optional>

#include "base/time.h"
#include "env/engine.h"
#include "holdfast/types.h"

namespace holdfast::link {

/// Never longer than this between two attempts on the word of a network manager.
inline constexpr Duration kSpareMost = std::chrono::minutes(5);
/// The manager is asked to look again no sooner than this after the time before.
inline constexpr Duration kCheckGap = std::chrono::seconds(60);

class NetworkAdvice {
 public:
  /// What the managers say now. True: a way may have opened, so that an attempt is worth it.
  [[nodiscard]] bool told(const NetworkState& now);
  /// An endpoint has let us in: a manager that sees no way is wrong.
  void up();
  /// Looks at a failure: the same, or what it is to be called. `was_up`: of a connection.
  [[nodiscard]] env::Failure understood(const env::Failure& failure, bool was_up);

  /// Why an attempt would lead nowhere; nothing: it may be made.
  [[nodiscard]] std::optional<env::Failure> hindrance() const;
  /// Whether the manager is to look again, after this failure; then it counts as asked.
  [[nodiscard]] bool ask_again(BootTime now, Verdict verdict);

  [[nodiscard]] const NetworkState& state() const { return state_; }
  [[nodiscard]] const NetworkCounts& counts() const { return counts_; }
  void spared() { ++counts_.spared; }

 private:
  [[nodiscard]] bool believed() const { return state_.managed && !contradicted_; }

  NetworkState state_;
  NetworkCounts counts_;
  bool contradicted_ = false;  ///< By the network, since the connectivity last changed.
  BootTime check_at_ = BootTime::min();
};

}  // namespace holdfast::link
