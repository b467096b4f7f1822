// The named checkers of a simulated device (DESIGN section 6) and how often each was asked.
//
// Purpose:  a checker that never ran proves nothing, so each question is counted.
// Threads:  one.
// Errors:   the first answer that is wrong is kept; the run then ends.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast::sim {

enum class Check : std::uint8_t {
  no_loss,              ///< What counts as delivered has reached the broker; in the end all has.
  no_silent_drop,       ///< Each count of the ledger has the causes that were seen, one by one.
  accept_is_durable,    ///< After a restart each accepted message waits, or its end is known.
  order,                ///< First sends, and first arrivals, in the order of acceptance, per lane.
  dup_bound,            ///< A repeat has its reason; never more in flight than the window.
  ack_owner,            ///< An end has its own answer, of the connection that it was sent on.
  no_forgery,           ///< Bytes that arrive are the bytes that were published.
  recovery_idempotent,  ///< What one opening finds the next one finds, too.
  bounded_memory,       ///< Messages in RAM stay within limits.memory.
  bounded_disk,         ///< The files of the outbox stay within outbox.max_bytes.
  clock_proof,          ///< No message expires early, whatever the wall clock says.
  shutdown_bound,       ///< stop() ends within its deadline.
  no_hot_loop,          ///< At most 10 connects a minute, a second between attempts, no spinning.
  delay_resets_late,    ///< Connections that don't last don't make the delays start over.
  progress,             ///< No state of the connection is held beyond its bound.
  reconnect_bound,      ///< Healed: connected within the longest delay and one attempt.
  drain_bound,          ///< Healed: the backlog goes at 80 % of what is allowed, or faster.
  subscribed,           ///< Healed: the broker holds the subscriptions that are wanted.
  will_after_loss,      ///< Outside: the will after an unclean end only; birth at each connect.
  retained_last,        ///< Retained is the newest one delivered, and comes with a subscription.
  verdict_named,        ///< Whatever ends an attempt or a connection is shown by its own verdict.
  hold_off,             ///< Nobody who took our id over is thrown out again at once.
  blame,                ///< What is shown as denied was; what was, again and again, is shown.
  denied_alone,         ///< Policy: what is allowed goes on beside what is denied.
  command_kept,  ///< The broker may forget a message only when the application is done with it.
  secrets,       ///< No log line and no detail of the state shows a payload.
};
inline constexpr std::size_t kDeviceChecks = 26;

[[nodiscard]] std::string_view to_string(Check check) noexcept;

class DeviceChecks {
 public:
  using Counts = std::array<std::uint64_t, kDeviceChecks>;
  struct Failure {
    Check check{};
    std::string what;
  };

  /// `what` makes the sentence that says what was wrong; only then is it called.
  template <typename What>
  bool expect(Check check, bool good, const What& what) {
    ++counts_[static_cast<std::size_t>(check)];
    if (!good && !failure_) failure_ = Failure{check, what()};
    return good;
  }
  [[nodiscard]] bool failed() const { return failure_.has_value(); }
  [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  Counts counts_{};
  std::optional<Failure> failure_;
};

}  // namespace holdfast::sim
