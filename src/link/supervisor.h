// When to connect, stay, leave and wait.
//
// Purpose:  keeps one connection up for ever: one engine attempt at a time, a verdict for each
//           failure, a delay that fits it. No messages here; those belong to flow.
// Method:   events only note what happened; the desired state and the current state are two
//           fields, and service() is the one function that brings them together.
// Threads:  one thread, the core's. Time and randomness come in from outside.
// Errors:   none; whatever the world does is a verdict.
// Source:   DESIGN sections 3, 5 and 6 (reconnect-bound, no-hot-loop, delay-resets-late).
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "env/engine.h"
#include "env/random.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "holdfast/types.h"
#include "link/backoff.h"
#include "link/endpoints.h"
#include "link/name_watch.h"
#include "link/network.h"
#include "link/policy.h"

namespace holdfast::link {

/// Never more than one attempt within this time, whoever asks.
inline constexpr Duration kAttemptGap = std::chrono::seconds(1);
/// At most kConnectsPerMinute connects in any minute by our own decision, also when each of them
/// is accepted and then dropped; reconnect_now() is not held back by it.
inline constexpr std::size_t kConnectsPerMinute = 10;
inline constexpr Duration kMinute = std::chrono::seconds(60);
/// Grace beyond the sum of an attempt's stage deadlines before its engine counts as hung.
inline constexpr Duration kAttemptMargin = std::chrono::seconds(5);
/// A certificate that is registered just in time is refused at first: so many times, this apart.
inline constexpr std::uint64_t kJustInTimeTries = 20;
inline constexpr Duration kJustInTimeLeast = std::chrono::seconds(1);
inline constexpr Duration kJustInTimeMost = std::chrono::seconds(5);
/// Longest wait for a DISCONNECT to be written.
inline constexpr Duration kLeaveTime = std::chrono::milliseconds(300);
/// However long a peer has made us wait because too many come at once: no single wait is longer.
inline constexpr Duration kPacedMost = std::chrono::hours(1);
/// While offline with nothing new to say, one line so often (144 a day).
inline constexpr Duration kLogAgain = std::chrono::minutes(10);

/// The request for an attempt, as the configuration wants it; attempt number and password unset.
[[nodiscard]] env::ConnectRequest request_from(const Config& config);

/// Whether a connection made with `a` is as good as one made with `b`.
[[nodiscard]] bool same_connection(const Config& a, const Config& b);

/// What service() wants done, in this order: abort, disconnect, connect; then logs.
struct Orders {
  bool abort = false;       ///< Destroy the engine; the attempt is over.
  bool disconnect = false;  ///< Send DISCONNECT; on_down() will follow.
  std::optional<env::ConnectRequest> connect;
  /// Look whether this endpoint is well, without MQTT, beside the present connection; probed() is
  /// to follow.
  std::optional<env::ConnectRequest> probe;
  /// The endpoint to begin with after a restart.
  std::optional<std::string> remember;
  std::string look_up;         ///< Where does this name lead to? looked_up() is to follow.
  bool check_network = false;  ///< The network manager is to look how far its network leads.
  std::vector<LogLine> log;
};

class Supervisor {
 public:
  /// `random` must outlive the supervisor.
  Supervisor(const Config& config, env::Random& random);

  // ---- wishes: they set the desired state only -------------------------------------------------

  /// The endpoint where the last run was stable. Before start().
  void start_at(std::string_view endpoint) { endpoints_.start_at(endpoint); }
  /// Be connected, from now on and for ever.
  void start();
  /// Make no new attempt, but keep a connection that is up (its last messages are on their way).
  void drain();
  /// Leave: DISCONNECT if connected, abort if connecting. `by` bounds the polite part.
  void leave(BootTime now, BootTime by);
  /// True: leave in order and make no attempt until told otherwise. False: be connected again.
  void stay_away(BootTime now, bool away);
  /// The next attempt as soon as one a second allows. No effect while connecting or connected.
  void reconnect_now(BootTime now);
  /// Something has changed around the device: the same, if that may have been the trouble. Another
  /// identity also ends the present connection, in order.
  void changed(BootTime now, Mend what);
  /// What the network's managers say now.
  void network(BootTime now, const NetworkState& state);
  /// New settings. If the connection depends on a changed one, it is renewed at once.
  void reconfigure(BootTime now, const Config& config);

  // ---- events of the engine; those of an attempt that is over are ignored ----------------------

  void on_up(BootTime now, env::AttemptId attempt, const env::UpInfo& info);
  void on_failed(BootTime now, env::AttemptId attempt, const env::Failure& failure);
  /// `excused`: what ended it may be something that we sent, not the endpoint.
  void on_down(BootTime now, env::AttemptId attempt, const env::Failure& failure,
               bool excused = false);
  /// The answer to Orders::probe; Verdict::none: it is well.
  void probed(BootTime now, std::string_view endpoint, Verdict verdict) {
    endpoints_.probed(now, endpoint, verdict);
  }

  /// The answer to Orders::look_up; `canonical` is empty when there was none.
  void looked_up(BootTime now, std::string_view host, std::string_view canonical) {
    names_.looked_up(now, host, canonical);
  }

  /// A verdict that ends no connection.
  void note(Verdict verdict) { ++verdicts_[static_cast<std::size_t>(verdict)]; }

  // ---- the one service function ----------------------------------------------------------------

  /// Reconciles current with desired state. `answer_due` is when the peer must have answered what
  /// it has been sent (kNever: it owes nothing); past it the peer is dead. Call after each event
  /// and at next_wake().
  [[nodiscard]] Orders service(BootTime now, BootTime answer_due);

  /// The latest time for the next service(); always later than the last one's.
  [[nodiscard]] BootTime next_wake(BootTime answer_due) const;

  // ---- what is ---------------------------------------------------------------------------------

  [[nodiscard]] bool up() const { return state_ == State::connected; }
  /// The engine may still report on what it was given: up, or leaving.
  [[nodiscard]] bool attached() const { return up() || state_ == State::leaving; }
  /// Connected or on the way there: worth getting messages ready.
  [[nodiscard]] bool near() const { return up() || state_ == State::connecting; }
  /// Whether an event of this attempt still counts.
  [[nodiscard]] bool is_current(env::AttemptId attempt) const {
    return attempt == attempt_ && attached();
  }
  [[nodiscard]] env::AttemptId attempt() const { return attempt_; }
  /// There is no connection, and none is wanted for now.
  [[nodiscard]] bool is_away() const {
    return desired_ == Desired::away && (state_ == State::waiting || state_ == State::idle);
  }
  [[nodiscard]] bool stopped() const { return state_ == State::stopped; }
  [[nodiscard]] ConnectionState connection(BootTime now) const;
  [[nodiscard]] EndpointsState endpoints(BootTime now) const { return endpoints_.state(now); }
  [[nodiscard]] const NetworkAdvice& advice() const { return advice_; }
  /// The configuration as the endpoint of the present, or the last, attempt has it.
  [[nodiscard]] const Config& config() const { return config_; }
  /// Grows with each change that an observer of connection() could see.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  [[nodiscard]] std::uint64_t connects() const { return connects_; }
  [[nodiscard]] std::uint64_t attempts_total() const { return attempts_total_; }
  [[nodiscard]] const std::array<std::uint64_t, kVerdicts>& verdicts() const { return verdicts_; }

 private:
  enum class Desired : std::uint8_t {
    nothing,    ///< Before start().
    connected,  ///< The normal wish.
    away,       ///< No connection until stay_away(false).
    drained,    ///< No new attempt; an existing connection stays until leave().
    stopped,    ///< No connection, for good.
  };

  enum class State : std::uint8_t {
    /// Waits for: start(). Interrupted by: leave(), drain().
    /// Next: connecting (started), stopped (told to stop).
    idle,
    /// Waits for: the engine's up or failed; before it, with a role alias, for keys; at most the
    /// sum of the stage deadlines + margin.
    /// Interrupted by: drain(), leave(), stay_away(), changed settings (the attempt is aborted).
    /// Next: connected (up), waiting (failed, overdue, changed settings), stopped.
    connecting,
    /// Waits for: nothing; messages flow. After stable_after the connection counts as stable and
    /// the backoff starts over.
    /// Interrupted by: down, an answer overdue, leave(), stay_away(), changed settings.
    /// Next: waiting (down, overdue), leaving (told to leave or to stay away, changed settings).
    connected,
    /// Waits for: retry_at_, at most the backoff cap, a verdict's hold-off or kPacedMost; where the
    /// network manager sees no way, once more, until kSpareMost after the last attempt; while it is
    /// to stay away, for stay_away(false) only.
    /// Interrupted by: reconnect_now(), changed(), changed settings (all bring retry_at_
    /// forward), drain(), leave(). Next: connecting (time has come), stopped.
    waiting,
    /// Waits for: down after our DISCONNECT, at most kLeaveTime (or the time given to leave()).
    /// Interrupted by: nothing. Next: waiting (settings changed: for the next attempt, at once;
    /// told
    /// to stay away), stopped (told to leave).
    leaving,
    /// Waits for: nothing, interrupted by nothing, no next state.
    stopped,
  };

  void renew(BootTime now);
  void begin_attempt(BootTime now, Orders& orders);
  [[nodiscard]] bool spare_attempt(BootTime now);
  void check_overdue(BootTime now, BootTime answer_due, Orders& orders);
  void reconcile(BootTime now, Orders& orders);
  void fail(BootTime now, const env::Failure& seen, bool excused = false);
  /// Where the endpoint's name leads to, while connected.
  void follow_name(BootTime now, Orders& orders);
  /// What the endpoints' machine has decided.
  void follow_endpoints(BootTime now, Orders& orders);
  void decide_endpoint(BootTime now);
  void use_endpoint();
  [[nodiscard]] BootTime last_sign(BootTime now, Verdict verdict) const;
  void wait_until(BootTime at);
  void after_leaving(BootTime now);
  void enter(State state);
  void note_stable(BootTime now);
  void say_offline(BootTime now, const env::Failure& failure);
  /// Whether the broker may be registering our certificate just now (tls.just_in_time).
  [[nodiscard]] bool is_registering(Verdict verdict) const;
  [[nodiscard]] Duration delay_for(Verdict verdict, bool was_up);
  [[nodiscard]] Duration paced_delay(Duration at_least);
  [[nodiscard]] BootTime earliest_attempt() const;
  [[nodiscard]] BootTime connect_budget() const;
  [[nodiscard]] Duration attempt_bound() const;

  Config whole_;
  Config config_;  ///< ... as the endpoint in_use_ has it.
  std::size_t in_use_ = 0;
  env::Random& random_;
  Backoff backoff_;
  Endpoints endpoints_;
  Endpoints::Decision decided_;  ///< Not given out yet.
  bool abandon_ = false;         ///< The attempt goes to an endpoint that we have left.
  NameWatch names_;
  NetworkAdvice advice_;
  bool insist_ = false;         ///< Somebody wants this attempt, whatever the advice.
  bool check_network_ = false;  ///< Not given out yet.

  Desired desired_ = Desired::nothing;
  State state_ = State::idle;
  bool renew_ = false;  ///< The settings changed under the present attempt or connection.

  env::AttemptId attempt_ = 0;
  bool attempted_ = false;
  BootTime attempt_at_{};  ///< Start of the last attempt.
  BootTime up_at_{};       ///< Of the present connection.
  bool stable_ = false;
  BootTime retry_at_ = kNever;          ///< While waiting.
  Duration paced_{};                    ///< Waited since last stable because too many came.
  BootTime leave_until_ = kNever;       ///< While leaving.
  BootTime leave_by_ = kNever;          ///< The limit given to leave().
  BootTime health_at_ = kNever;         ///< The next check that no event asked for.
  std::deque<BootTime> connect_times_;  ///< The last kConnectsPerMinute.

  Verdict verdict_ = Verdict::not_started;
  std::string detail_;
  std::string assigned_id_;  ///< By the broker; kept to the end.
  bool session_present_ = false;
  std::uint32_t attempts_ = 0;  ///< Since last connected.
  std::uint64_t version_ = 0;
  std::uint64_t connects_ = 0;
  std::uint64_t registering_ = 0;  ///< Failures that may have been our certificate's registration.
  std::bitset<limits::kEndpointsMax> let_in_;  ///< By the endpoints, at least once.
  std::uint64_t attempts_total_ = 0;
  std::array<std::uint64_t, kVerdicts> verdicts_{};

  std::bitset<kVerdicts> said_;  ///< Verdicts logged in this outage (until stable).
  BootTime said_at_{};
  bool offline_said_ = true;  ///< An offline line (or the start) asks for a connected line.
  std::vector<LogLine> lines_;
};

}  // namespace holdfast::link
