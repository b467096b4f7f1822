// Which operation makes the server hang up: learned from the ends of connections.
//
// Problem:  a server whose policy forbids a publish or a subscription may say so (0x87), or simply
//           end the connection. Who only comes back and sends the same again is thrown out for
//           ever, with everything else that could be sent.
// Method:   an end by the server's hand, soon after something was sent that it did not answer,
//           makes that suspect. When the same stays unanswered for kEndsToDoubt ends in a row,
//           one operation at a time is sent: what is answered is innocent, what the server hangs
//           up on is set aside, and the connection goes on without it. Only then is it tried,
//           alone, on a connection that has lasted kControl without it. kStrikes ends in a row, the
//           first included, and it is denied: still set aside, and tried again at a slow pace. An
//           answer at any time releases it.
// Innocent: a broker that restarts, or a network that fails, would have to end the connection
//           between the only message in flight and its answer kStrikes times in a row, and at no
//           other time. An end by the server with nothing unanswered forgives all that is not
//           denied yet: such connections end anyway.
// Bound:    kEndsToDoubt + kStrikes connections for the first forbidden operation, kStrikes for
//           each further one.
// Threads:  one thread, the core's. Nothing is kept over a restart of the process.
// Source:   AWS IoT Core: an unauthorized publish closes a 3.1.1 connection; MQTT 5.0 3.14.2.1.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast::flow {

/// The end of a connection is the answer to what was sent so shortly before it, at the latest.
inline constexpr Duration kSoon = std::chrono::seconds(10);
/// So many ends in a row, with the same unanswered, before operations go one at a time.
inline constexpr std::uint32_t kEndsToDoubt = 2;
/// So many ends in a row, with nothing else unanswered, prove it.
inline constexpr std::uint32_t kStrikes = 4;
/// A connection has lasted so long without what is suspected before that is tried.
inline constexpr Duration kControl = std::chrono::seconds(30);
/// What is not denied after this long, since no connection lasts, is let go.
inline constexpr Duration kDoubtMost = std::chrono::minutes(10);
/// One operation at a time for so long in one connection: then what is suspected may not come.
inline constexpr Duration kCarefulMost = std::chrono::seconds(60);
/// What is denied is tried again after this long, doubling up to the cap.
inline constexpr Duration kTrialFirst = std::chrono::minutes(5);
inline constexpr Duration kTrialCap = std::chrono::hours(1);

/// Something the server may forbid: a publish to a topic, or a subscription to a filter.
struct Operation {
  enum class Kind : std::uint8_t { publish, subscribe };
  Kind kind = Kind::publish;
  std::string name;

  [[nodiscard]] Verdict verdict() const {
    return kind == Kind::publish ? Verdict::publish_denied : Verdict::subscribe_denied;
  }
  friend auto operator<=>(const Operation&, const Operation&) = default;
};

/// Sent, and not answered.
struct OpenOperation {
  Operation operation;
  BootTime since{};
};

using Names = std::set<std::string, std::less<>>;

class Suspicion {
 public:
  /// How a connection ended.
  enum class End : std::uint8_t {
    hang_up,    ///< By the server, without a word, or with "not authorized".
    told,       ///< By the server, for a reason that it told.
    elsewhere,  ///< By us, or by the network.
  };
  /// One operation that is set aside.
  struct Case {
    Operation operation;
    bool denied = false;        ///< Proven; until then suspected.
    std::uint8_t code = 0;      ///< The answer's, if there was one.
    std::uint32_t strikes = 0;  ///< Ends of connections that it caused.
    BootTime since{};           ///< Set aside, or denied.
    BootTime next{};            ///< Not tried before.
    Duration pace{};
    bool at_once = false;  ///< Somebody asked: no need to wait for kControl.
  };

  // ---- the connection --------------------------------------------------------------------------

  void connected(BootTime now);
  /// `open`: everything unanswered. Gives what the end was due to, if that is proven.
  [[nodiscard]] std::optional<Operation> ended(BootTime now, End end,
                                               std::span<const OpenOperation> open);
  /// The server has answered, and did not deny it.
  void answered(const Operation& operation);
  /// The server has answered: denied, with this code. True: it was not known to be.
  bool denied(BootTime now, const Operation& operation, std::uint8_t code);

  // ---- trials ----------------------------------------------------------------------------------

  /// What is to be tried now, if anything is and no trial is under way. It is under way from then
  /// on, until its answer, the end of the connection or give_up_trial().
  [[nodiscard]] std::optional<Operation> next_trial(BootTime now);
  [[nodiscard]] const std::optional<Operation>& trial() const { return trial_; }
  /// It could not be made; `nothing`: there is nothing to send.
  void give_up_trial(BootTime now, bool nothing);
  /// Somebody asks, or the credentials are new: everything is tried as soon as possible.
  void try_now(BootTime now);
  /// Nobody wants this operation any more.
  void forget(const Operation& operation);

  // ---- what is ---------------------------------------------------------------------------------

  [[nodiscard]] bool up() const { return up_; }
  /// Nothing is suspected, nothing set aside: no answer matters.
  [[nodiscard]] bool idle() const { return suspects_.empty() && cases_.empty(); }
  /// Whether only one operation at a time may be unanswered.
  [[nodiscard]] bool careful() const { return ends_ >= kEndsToDoubt && !relaxed_; }
  [[nodiscard]] const std::vector<Case>& cases() const { return cases_; }
  [[nodiscard]] const Case* find(const Operation& operation) const;
  [[nodiscard]] Names names(Operation::Kind kind) const;
  /// Grows with each change of what is set aside.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  /// Ends the careful time. Call it after each event.
  void service(BootTime now);
  /// When next_trial() or service() could do something; kNever if only an event helps.
  [[nodiscard]] BootTime next_wake() const;

 private:
  void suspect(BootTime now, std::span<const OpenOperation> open);
  bool strike(BootTime now, Case& found);
  void set_aside(Case fresh);
  void clear_suspects();
  [[nodiscard]] BootTime due(const Case& c) const;
  [[nodiscard]] Case* look_for(const Operation& operation);
  template <typename Which>
  void release(const Which& which);

  bool up_ = false;
  BootTime up_at_{};
  std::vector<Operation> suspects_;
  std::uint32_t ends_ = 0;  ///< In a row, with all suspects unanswered.
  bool relaxed_ = false;    ///< This connection was careful for long enough.
  std::vector<Case> cases_;
  std::optional<Operation> trial_;
  std::uint64_t version_ = 0;
};

}  // namespace holdfast::flow
