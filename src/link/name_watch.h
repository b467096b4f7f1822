// When a name leads elsewhere: a fail-over that the name service orders.
//
// Purpose:  where one name stands for all Regions (a CNAME that somebody in the cloud changes), a
// device that
//           is connected follows it. Without this it would stay until its connection ends.
// Method:   while connected the name is looked up every failover.follow_dns, and what it leads to
// is compared
//           with what it led to for this connection. Only the name at the end of its CNAMEs counts:
//           addresses behind it change all the time and mean nothing. Another one must be seen
//           twice, kConfirmAfter apart. Then the connection is left, in order, at a moment that
//           each device draws from a time that the fleet fills evenly (return_spread()).
// Rule:     a look-up that fails, or says nothing of CNAMEs, is no news: a working connection is
// worth more
//           than a name service. After a move there is none for kMoveGap, whatever the names say.
// Threads:  one thread, the core's. Time and randomness come in from outside.
// Errors:   none.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "env/random.h"
#include "holdfast/config.h"

namespace holdfast::link {

/// Another name must still be there after this.
inline constexpr Duration kConfirmAfter = std::chrono::seconds(5);
/// At least so long from one move to the next: who flaps is not followed.
inline constexpr Duration kMoveGap = std::chrono::minutes(5);
/// The name service has so long to answer.
inline constexpr Duration kLookTime = std::chrono::seconds(30);
/// Whoever looks up has not said how it went: it never will.
inline constexpr Duration kLookBound = std::chrono::minutes(2);
static_assert(kLookBound > kLookTime);

class NameWatch {
 public:
  /// `random` must outlive this.
  NameWatch(const Config& config, env::Random& random);
  void reconfigure(const Config& config);

  /// A connection to this host is there; its name led to `canonical` (empty: not known).
  void up(BootTime now, std::string_view host, std::string_view canonical);
  /// It has ended, or ends.
  void down();
  /// The answer to Decision::look. `canonical` is empty when there was none.
  void looked_up(BootTime now, std::string_view host, std::string_view canonical);

  struct Decision {
    std::string look;   ///< This name is to be looked up; looked_up() is to follow.
    bool move = false;  ///< The connection is to be left, in order, and made anew.
    std::string say;    ///< For people; empty: nothing.
  };
  /// Decides. Call it after each event and at next_wake().
  [[nodiscard]] Decision service(BootTime now);
  [[nodiscard]] BootTime next_wake() const { return at_; }

 private:
  enum class State : std::uint8_t {
    /// Not connected, or not asked to watch. Waits for: up(). Interrupted by: nothing. Next:
    /// watching.
    resting,
    /// Waits for: the time of the next look-up. Interrupted by: down(). Next: looking, resting.
    watching,
    /// Waits for: the answer, at most kLookBound. Interrupted by: down().
    /// Next: watching (no news, or the first sight of another name), leaving (its second), resting.
    looking,
    /// Waits for: the moment drawn. Interrupted by: down(). Next: resting (moved, or down).
    leaving,
  };
  void watch_from(BootTime at);

  env::Random& random_;
  Duration every_{};  ///< Zero: off.
  Duration spread_{};

  State state_ = State::resting;
  BootTime at_ = kNever;  ///< Of the next thing to do.
  std::string host_;
  std::string here_;   ///< What the name led to for this connection.
  std::string there_;  ///< Another one, seen once; empty: none.
  bool moved_ = false;
  BootTime moved_at_{};
};

}  // namespace holdfast::link
