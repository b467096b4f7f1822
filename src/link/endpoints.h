// Which endpoint the next attempt goes to: fail-over, and the way back.
//
// Purpose:  a device whose Region is lost finds the other one within a stated time, and returns
//           when the first is well again, without a stampede and without flapping.
// Method:   the verdicts of the attempts say what is lost (link/policy.h, Blame). An endpoint is
//           left when it has kept us out, by its own fault, for failover.after: time in which the
//           link was down, or the clock wrong, does not count. Then the others are tried in turn,
//           the healthiest first; the first time at once, afterwards at the supervisor's pace. What
//           is stable is where we live. From there the better ones are probed (TCP and TLS, no
//           MQTT, so that there is never a second session), and one that has been well for
//           failback.healthy_for is returned to, at a moment drawn from a time that the whole fleet
//           fills evenly. If it then fails, we are back at once, and stay away longer each time.
// Health:   100 when stable, halved by each failure it is to blame for and each bad probe, half of
//           what is missing regained by each good probe. It orders the search; it moves nobody.
// Threads:  one thread, the core's. Time and randomness come in from outside.
// Errors:   none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "env/random.h"
#include "holdfast/config.h"
#include "holdfast/types.h"
#include "link/policy.h"

namespace holdfast::link {

inline constexpr unsigned kHealthBest = 100;
/// A probe without an answer for so long has failed.
inline constexpr Duration kProbeBound = std::chrono::minutes(2);
/// Lost again so soon after a return, an endpoint is stayed away from longer than the time before.
inline constexpr Duration kReturnProven = std::chrono::hours(1);
/// The longest time to stay away.
inline constexpr Duration kHoldOffMost = std::chrono::hours(24);

/// The time over which `fleet_size` devices spread their return so that in no second more than
/// `connect_quota` of them come: evenly, with five standard deviations of room for chance. Below a
/// quota of 7 there is no such room, and a twentieth of the quota is used.
[[nodiscard]] Duration return_spread(std::uint32_t fleet_size, std::uint32_t connect_quota);

class Endpoints {
 public:
  /// `random` must outlive this.
  Endpoints(const Config& config, env::Random& random);

  /// Where the last run was stable. An unknown name is ignored. Before the first attempt.
  void start_at(std::string_view name);
  /// What is known is kept by name. True: the endpoint in use is gone.
  bool reconfigure(const Config& config);

  // ---- what happens ----------------------------------------------------------------------------

  /// An attempt at current() begins.
  void began();
  /// It has let us in.
  void up(BootTime now);
  /// The connection has lasted.
  void stable(BootTime now);
  /// The attempt or the connection has failed. `since`: the attempt began, or the last sign of life
  /// came, then. `excused`: something else may have caused it.
  void failed(BootTime now, Verdict verdict, BootTime since, bool excused);
  /// We have left it, or given it up, because we wanted to.
  void left() { link_ = Link::down; }
  /// The answer to Decision::probe.
  void probed(BootTime now, std::string_view name, Verdict verdict);

  // ---- what to do ------------------------------------------------------------------------------

  struct Decision {
    /// current() is another one: the present attempt, wait or connection ends, in order.
    bool moved = false;
    bool at_once = false;                 ///< ... and the attempt needs no wait but those for all.
    std::optional<std::size_t> probe;     ///< Look whether this one is well; probed() is to follow.
    std::optional<std::string> remember;  ///< Where to begin after a restart.
    std::string say;                      ///< For people; empty: nothing.
  };
  /// Decides. Call it after each event and at next_wake().
  [[nodiscard]] Decision service(BootTime now);
  /// The latest time for the next service(), as of the last one.
  [[nodiscard]] BootTime next_wake() const;

  // ---- what is ---------------------------------------------------------------------------------

  [[nodiscard]] std::size_t count() const { return all_.size(); }
  /// Where the next attempt goes to.
  [[nodiscard]] std::size_t current() const { return current_; }
  /// For people. Empty where there is only one.
  [[nodiscard]] EndpointsState state(BootTime now) const;

 private:
  enum class State : std::uint8_t {
    /// current_ is where we live, or want to. Waits for: failures that it is to blame for, over the
    /// time limit_; while stable and not the first: for probes, then for return_at_.
    /// Interrupted by: nothing. Next: searching (limit_ is over), returning (return_at_ has come).
    settled,
    /// Each attempt goes to another one, in turn; as long as the device itself is the cause, to the
    /// same. Waits for: a connection that lasts; the attempts' own bounds end each of them.
    /// Interrupted by: nothing. Next: settled (it lasts; or nothing but unclear failures in a whole
    /// round: at home_ again), else itself.
    searching,
    /// current_ is a better one that was left or never used; good_ was left for it in order.
    /// Waits for: a connection that lasts; bounded as every attempt.
    /// Interrupted by: nothing. Next: settled (it lasts, or it failed: at good_ again).
    returning,
  };
  enum class Link : std::uint8_t { down, trying, up, stable };

  struct One {
    std::string name;
    std::string address;
    unsigned health = kHealthBest;
    Verdict verdict = Verdict::not_started;  ///< Of the last attempt, connection or probe.
    bool tried = false;                      ///< In this round of the search.
    bool hurried = false;                    ///< In this search, it had its attempt at once.
    BootTime well_since = kNever;            ///< Every probe since then was good.
    BootTime probe_at = kNever;
    BootTime returned_at = kNever;  ///< The last return to it.
    Duration hold{};                ///< The last time to stay away.
    BootTime hold_until = BootTime::min();
  };

  [[nodiscard]] static std::vector<One> list_of(const Config& config);
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;
  void settle_at(std::size_t index);
  [[nodiscard]] Duration lost(BootTime now) const;
  void begin_search(BootTime now, Decision& decision);
  void advance(Decision& decision);
  void give_up_return(BootTime now, Blame blame, Decision& decision);
  void stay_away(One& from, BootTime now);
  void go_to(std::size_t index, Decision& decision);
  void look_at_better(BootTime now, Decision& decision);
  void plan_return(BootTime now);
  [[nodiscard]] Duration drawn(Duration most);

  env::Random& random_;
  Config::Failover failover_;
  Config::Failback failback_;
  std::vector<One> all_;
  std::size_t current_ = 0;
  std::size_t home_ = 0;  ///< Where a connection lasted the last time.
  State state_ = State::settled;
  Link link_ = Link::down;

  // of the outage at current_
  Duration lost_{};              ///< Counted before mark_.
  BootTime mark_ = kNever;       ///< Lost since then, too; kNever: not counting.
  BootTime doubt_ = kNever;      ///< An excused failure: lost since then if the next one is none.
  Duration limit_{};             ///< So much makes it lost. Zero: not drawn yet.
  bool blamed_ = false;          ///< Some failure was certainly an endpoint's.
  Verdict why_ = Verdict::none;  ///< The last that counted.
  bool advance_ = false;         ///< Searching: this one had its turn.
  Blame return_failed_ = Blame::nobody;
  bool back_ = false;  ///< Returning has failed.

  // of the return
  std::optional<std::size_t> probing_;
  BootTime probing_since_{};
  std::size_t target_ = 0;
  BootTime return_at_ = kNever;
  std::size_t good_ = 0;

  std::optional<std::string> remember_;
  std::optional<std::size_t> last_up_;
  EndpointChange change_;
  BootTime changed_at_{};
  Verdict moved_for_ = Verdict::none;
  std::uint64_t changes_ = 0;
};

}  // namespace holdfast::link
