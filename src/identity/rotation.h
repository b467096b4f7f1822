// Which credential the next connection uses, and what becomes of a new one: tried by a real
// connection, kept when it is proven, rolled back when it is to blame.
//
// Purpose:  a device whose new certificate does not work is back with the old one in one attempt;
//           a network that is down never costs a certificate its chance.
// Method:   a failure alone proves nothing. What a server says about credentials, or failures that
//           go on, call for a comparison: the fallback is used. If that gets in, the new one is to
//           blame (at once after words about credentials, after kComparisons otherwise); if it does
//           not, either, the new one is tried again. So no state can hold a device that could get
//           in with any of its slots.
// Threads:  one. Time comes in from outside; whatever is done comes out as Orders.
// Errors:   none; every outcome is a phase with a reason.
// Source:   the public guidance on rotating device certificates: new one beside the old, connect
//           with it, keep it only then, fall back on failure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/log.h"
#include "holdfast/types.h"
#include "identity/record.h"
#include "identity/slots.h"

namespace holdfast::identity {

/// Failures that may be the credential's fault, in a row, before the fallback is compared.
inline constexpr unsigned kStrikes = 2;
/// Failures that rather are the network's, and the time over which they must go on.
inline constexpr unsigned kMisses = 5;
inline constexpr Duration kPatience = std::chrono::minutes(10);
/// Comparisons lost that roll back where no server spoke of credentials, and the pause between.
inline constexpr unsigned kComparisons = 2;
inline constexpr Duration kComparePause = std::chrono::minutes(5);
/// So often in a row the broker refuses a credential in use before another slot is tried.
inline constexpr unsigned kRefusals = 3;
/// Files that could not be moved are moved again after this.
inline constexpr Duration kKeepAgain = std::chrono::seconds(30);
/// The longest wait for a certificate's time without a look at the clock.
inline constexpr Duration kLookAgain = std::chrono::hours(1);

class Rotation {
 public:
  /// What service() wants done, in this order.
  struct Orders {
    bool renew = false;            ///< The connection is to be made anew, with in_use().
    bool keep = false;             ///< Make the slot `next` the active one; kept() is to follow.
    std::optional<Record> record;  ///< To be written.
    std::vector<LogLine> log;
  };

  /// `proof`: connected so long, a credential is proven.
  explicit Rotation(Duration proof) : proof_(proof) {}
  void set_proof(Duration proof) { proof_ = proof; }

  // ---- what happens ----------------------------------------------------------------------------

  /// What an earlier run has written. Before the first look().
  void remember(const Record& record) { record_ = record; }
  /// The slots as they are now. Call it first of all, and whenever a file may have changed.
  void look(const Slots& slots);
  /// An attempt with in_use() begins.
  void began();
  /// It has let us in.
  void up(BootTime now);
  /// The attempt, or the connection, has ended; Verdict::none: because we wanted it so.
  void ended(BootTime now, Verdict verdict, std::string_view detail);
  /// The answer to Orders::keep. Look at the slots before the next service().
  void kept(BootTime now, const Status& done);

  /// Decides. Call it after each event, when the clock was set, and at next_wake().
  [[nodiscard]] Orders service(BootTime now, const KnownTime& time);
  /// The latest time for the next service(), as of the last one.
  [[nodiscard]] BootTime next_wake() const { return wake_at_; }

  // ---- what is ---------------------------------------------------------------------------------

  [[nodiscard]] IdentitySlot in_use() const { return in_use_; }
  /// The slot that replaces it if it is kept: what becomes `previous`. None: none is usable.
  [[nodiscard]] std::optional<IdentitySlot> fallback() const;
  [[nodiscard]] RotationPhase phase() const;
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] const Record& record() const { return record_; }
  [[nodiscard]] std::uint64_t kept_count() const { return kept_; }
  [[nodiscard]] std::uint64_t rolled_back_count() const { return rolled_back_; }

 private:
  enum class State : std::uint8_t {
    /// Waits for: something to try (another `next`, its time, the end of a pause). in_use_ is the
    /// fallback. Interrupted by: nothing.
    /// Next: trying (there is something to try, or the broker keeps refusing in_use_).
    resting,
    /// in_use_ is `next`. Waits for: proof_ of connection, words about credentials, kStrikes, or
    /// kMisses over kPatience; the attempts' own bounds end each of them.
    /// Interrupted by: another `next`, or none (resting).
    /// Next: keeping (proven), comparing (failed, and there is a fallback), else itself.
    trying,
    /// in_use_ is the fallback. Waits for: its attempt to get in or fail, as bounded as any.
    /// Interrupted by: another `next`, or none (resting).
    /// Next: resting (it got in: refused, or paused before another try), trying (it did not; where
    /// `next` was refused in words, only after it was, too, or kMisses).
    comparing,
    /// in_use_ is `next`, proven. Waits for: kept(), asked for again after kKeepAgain.
    /// Interrupted by: another `next` (resting).
    /// Next: resting (its content is the active one).
    keeping,
  };

  void decide(BootTime now, const KnownTime& time, Orders& orders);
  void rest(BootTime now, const KnownTime& time, Orders& orders);
  void begin_trial(BootTime now, Orders& orders);
  void compare(BootTime now, std::string why, bool blamed);
  void judge_comparison(BootTime now, const KnownTime& time, Orders& orders);
  void roll_back(const KnownTime& time, Orders& orders);
  void failed_trial(BootTime now, Verdict verdict, std::string why);
  void failed_rest(Verdict verdict, std::string_view why);
  void note_kept(const KnownTime& time);
  void order_keep(BootTime now, Orders& orders);
  void forget_trial();
  void say_changed(IdentitySlot slot, const View& now);
  [[nodiscard]] bool use(IdentitySlot slot);
  /// The first of active and previous that is usable and not `but`.
  [[nodiscard]] std::optional<IdentitySlot> other(std::optional<IdentitySlot> but) const;
  /// Why `next` is not tried now; empty: it is. `until` is set if time alone mends it.
  [[nodiscard]] std::string hindrance(BootTime now, const KnownTime& time);
  [[nodiscard]] bool proven(BootTime now) const {
    return up_at_ != kNever && now >= up_at_ + proof_;
  }
  void say(bool warning, std::string text) {
    lines_.push_back(
        {warning ? LogLevel::warning : LogLevel::info, LogArea::identity, std::move(text)});
  }

  Duration proof_;
  Slots slots_;
  Record record_;
  State state_ = State::resting;
  IdentitySlot in_use_ = IdentitySlot::active;
  std::string used_id_;      ///< The content that in_use_ had when the attempt began.
  bool current_ = false;     ///< An attempt or a connection with in_use_ is under way.
  BootTime up_at_ = kNever;  ///< Of the present connection.
  bool renew_ = false;       ///< Owed to the next service().
  BootTime wake_at_ = kNever;
  std::string reason_;       ///< Why nothing is tried now.
  bool over_ = false;        ///< ... and no waiting alone changes that.
  std::string reason_said_;  ///< ... as it was logged.

  // of the trial
  BootTime since_{};  ///< Failures are counted from here.
  unsigned strikes_ = 0;
  unsigned misses_ = 0;
  unsigned lost_ = 0;                     ///< Comparisons.
  bool blamed_ = false;                   ///< A server has spoken of credentials.
  std::string why_;                       ///< The last failure of `next`.
  std::optional<IdentitySlot> compared_;  ///< The fallback used last.
  BootTime pause_until_ = BootTime::min();
  BootTime keep_again_ = BootTime::min();
  bool asked_to_keep_ = false;
  std::string keep_said_;  ///< Why files could not be moved, as logged.

  // of the credential in use
  unsigned refusals_ = 0;      ///< In a row.
  bool refusal_said_ = false;  ///< Since a credential was proven.
  bool insist_ = false;        ///< Nothing else gets in: `next` is tried, refused before or not.

  std::uint64_t kept_ = 0;
  std::uint64_t rolled_back_ = 0;
  std::vector<LogLine> lines_;
};

}  // namespace holdfast::identity
