// What the application wants to hear, against what the broker has acknowledged.
//
// Purpose:  every wanted filter is brought to the broker at every connection that has lost it, in
//           small SUBSCRIBE packets, one at a time; each SUBACK code is looked at; refused filters
//           are asked for again at a slow pace. Messages that arrive find their subscriptions.
// Session:  a filter acknowledged in this process is trusted over a reconnect when the session is
//           present. What an earlier process left in the session is not: at the first connect
//           everything is subscribed once. So it is after each change of the endpoint: two of them
//           may have sessions of their own, or lead to the same one, and nobody tells.
// Verified: on an interval the acknowledged filters are asked for again, slowly, so that one that
//           the broker has lost or now refuses is noticed. Retained messages of those that it still
//           has are not wanted again, which only MQTT 5 can say: with 3.1.1 nothing is verified.
// Sharing:  several subscriptions may have one filter; the broker sees it once, with the highest
//           QoS.
// Threads:  one thread, the core's.
// Errors:   as values; a refusal by the broker is no error but a state, told as a Notice.
// Source:   MQTT 5.0 sections 3.8 to 3.11 and 4.7; DESIGN section 3.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "env/engine.h"
#include "env/random.h"
#include "flow/suspicion.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::flow {

/// As SubscriptionId of the public API.
using SubId = std::uint64_t;

/// A refused filter is asked for again after this long, doubling up to the cap.
inline constexpr Duration kSubscribeRetryFirst = std::chrono::seconds(5);
inline constexpr Duration kSubscribeRetryCap = std::chrono::minutes(5);
/// A SUBACK or UNSUBACK later than this means that the connection is dead.
inline constexpr Duration kSubscribeAnswer = std::chrono::seconds(10);
/// Verification: so long between two requests, and never so early after a connect.
inline constexpr Duration kVerifyPace = std::chrono::seconds(1);
inline constexpr Duration kVerifyCalm = std::chrono::minutes(1);
/// A broker that ends so many connections one after the other while it owes the answer to a
/// verification does not know what is asked (a Retain Handling): it is not asked any more.
inline constexpr unsigned kVerifyLosses = 2;

class Subscriptions {
 public:
  /// One request to the broker; exactly one of the lists is filled.
  struct Request {
    env::Token token = 0;
    std::vector<env::FilterRequest> subscribe;
    std::vector<std::string> unsubscribe;
  };
  /// The broker's word on one filter that the operator should see.
  struct Notice {
    std::string filter;
    std::uint8_t code = 0;
    Duration retry_in{};
  };

  /// A filter that it refuses: since when, and when it is asked for again.
  struct Refusal {
    std::string filter;
    std::uint8_t code = 0;
    BootTime since{};
    BootTime retry_at{};
  };

  /// Requests get the tokens after `first_token`. `random` must outlive this.
  Subscriptions(env::Token first_token, env::Random& random)
      : token_(first_token), random_(random) {}

  /// Zero: nothing is verified. The times are drawn from half to all of the interval.
  void verify_every(Duration interval);

  /// `id` is new and `filter` was checked.
  void add(SubId id, std::string filter, Qos qos);
  /// Unknown ids are ignored.
  void remove(SubId id);

  /// `endpoint`: whose session it is. What was acknowledged at another one is not trusted here, and
  /// what was left there is unsubscribed when we are back, if nobody wants it any more.
  void connected(bool session_present, std::string_view endpoint = {});
  /// Somebody else has used our client id: a session that is present may be that one's, without our
  /// filters. From now on every connection asks for all of them again.
  void distrust_sessions() { shared_id_ = true; }
  void disconnected();

  /// SUBACK or UNSUBACK. Missing codes count as refused (SUBACK) or done (UNSUBACK: version 3.1.1
  /// has none). Unknown tokens are ignored.
  [[nodiscard]] std::vector<Notice> answered(BootTime now, env::Token token,
                                             std::span<const std::uint8_t> codes);
  /// The engine could not send the request; its filters are asked for again later.
  [[nodiscard]] std::vector<Notice> refused(BootTime now, env::Token token);

  /// The next request, if one is due, none is outstanding and the connection is up: of at most so
  /// many filters.
  [[nodiscard]] std::optional<Request> next(BootTime now,
                                            std::size_t most = limits::kFiltersPerSubscribe);
  /// From now on these filters, and no others, are not asked for.
  void set_aside(Names filters);
  /// Asks for one that is set aside. Nothing if that is not wanted, or one is outstanding.
  [[nodiscard]] std::optional<Request> next_trial(BootTime now, const std::string& filter);
  /// What was asked for and not answered; nothing while it is to be unsubscribed.
  [[nodiscard]] std::vector<OpenOperation> open() const;
  [[nodiscard]] bool outstanding() const { return outstanding_.has_value(); }
  [[nodiscard]] bool wants(const std::string& filter) const;
  /// The filters that the broker refuses.
  [[nodiscard]] std::vector<Refusal> refusals() const;

  /// When next() could do more without any event; kNever if only an event helps.
  [[nodiscard]] BootTime next_wake() const;
  /// When the outstanding request must have been answered; kNever without one.
  [[nodiscard]] BootTime answer_due() const;

  /// The subscriptions that a message on `topic` belongs to, in the order of their ids.
  [[nodiscard]] std::vector<SubId> match(std::string_view topic) const;

  [[nodiscard]] std::size_t size() const { return by_id_.size(); }
  /// Filters that the broker has acknowledged in this process, as far as we know.
  [[nodiscard]] std::size_t acknowledged() const;

  /// Each wanted filter, by name; times relative to `now`.
  [[nodiscard]] std::vector<FilterState> states(BootTime now) const;
  /// Grows when states() has changed by more than time.
  [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
  /// Desired against acknowledged, for one filter. Gone when neither side has it.
  struct Filter {
    std::map<SubId, Qos> wanted;       ///< Empty: to be unsubscribed.
    std::optional<Qos> granted_for;    ///< The QoS that the acknowledged request asked for.
    bool maybe_there = false;          ///< A request was sent whose fate is unknown.
    bool asked = false;                ///< Part of the outstanding request.
    bool doubted = false;              ///< Acknowledged, and to be verified.
    std::optional<std::uint8_t> code;  ///< The last SUBACK's.
    BootTime retry_at = BootTime::min();
    Duration retry_delay{};
    BootTime refused_since{};  ///< It was refused at each request since then.
  };
  using Filters = std::map<std::string, Filter, std::less<>>;
  enum class Kind : std::uint8_t { subscribe, verify, unsubscribe };
  struct Outstanding {
    env::Token token = 0;
    Kind kind = Kind::subscribe;
    BootTime since{};
    std::vector<env::FilterRequest> filters;  ///< As asked for, QoS included.
  };

  [[nodiscard]] static Qos wanted_qos(const Filter& filter);
  /// What is to be asked about it, if anything.
  [[nodiscard]] static std::optional<Kind> need(const Filter& filter);
  [[nodiscard]] static bool needs_unsubscribe(const Filter& filter);
  [[nodiscard]] Request ask(Outstanding request);
  void conclude(BootTime now, const env::FilterRequest& asked, Kind kind, std::uint8_t code,
                std::vector<Notice>& notices);
  void begin_verification(BootTime now);
  void change_endpoint(std::string_view endpoint);
  void forget_if_gone(std::string_view name);

  Filters filters_;
  std::string endpoint_;                            ///< Whose session filters_ tells of.
  std::map<std::string, Names, std::less<>> left_;  ///< By endpoint: what its session may have.
  std::unordered_map<SubId, std::string> by_id_;
  Names aside_;
  std::vector<std::string> wild_;  ///< Wanted filters with wildcards or a share; few.
  env::Token token_;
  env::Random& random_;
  std::optional<Outstanding> outstanding_;
  bool connected_ = false;
  bool shared_id_ = false;
  bool any_refused_ = false;      ///< Possibly.
  bool dirty_ = false;            ///< Something may be due; look at all filters once.
  BootTime retry_wake_ = kNever;  ///< The earliest retry_at of those that wait.
  std::uint64_t version_ = 1;

  Duration verify_interval_{};
  BootTime verify_at_ = kNever;             ///< The next round; kNever: none.
  BootTime verify_next_ = BootTime::min();  ///< Within a round, the next request.
  bool calm_down_ = false;                  ///< A connection has just begun.
  unsigned verify_losses_ = 0;
};

}  // namespace holdfast::flow
