#include "runtime/local_access.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "flow/topic.h"
#include "posix/accounts.h"
#include "runtime/config_keys.h"

namespace holdfast::runtime {

namespace {

template <class T, class... Kinds>
inline constexpr bool kIsOneOf = (std::is_same_v<T, Kinds> || ...);

/// What shows state only, or ends what the client itself has begun. Whatever else there is, and
/// whatever comes to be, is control.
template <class T>
inline constexpr bool kHarmless =
    kIsOneOf<T, StatusRequest, EventsRequest, PingRequest, AcknowledgeRequest, UnsubscribeRequest,
             OutboxStatRequest, FateRequest, HistoryRequest>;

}  // namespace

Error Grant::denied(const std::string& what) const {
  return Error{Errc::permission, "permission denied: [client." + name_ + "] " + what, 0};
}

Status Grant::may_publish(const Message& message, BootTime now) {
  const auto& filters = rules_.publish;
  if (std::none_of(filters.begin(), filters.end(), [&](const std::string& filter) {
        return flow::matches(filter, message.topic);
      })) {
    return denied("does not allow to publish to " + in_quotes(message.topic));
  }
  const auto& lanes = rules_.lanes;
  if (!lanes.empty() && std::find(lanes.begin(), lanes.end(), message.lane) == lanes.end()) {
    return denied("does not allow the lane " + in_quotes(message.lane));
  }
  if (now < pacer_.ready_at()) {
    return Error{Errc::full,
                 "[client." + name_ + "] allows " + std::to_string(rules_.messages_per_second) +
                     " messages a second",
                 0};
  }
  pacer_.sent(now, 1);
  return {};
}

Status Grant::may_subscribe(std::string_view filter) const {
  const auto& filters = rules_.subscribe;
  if (std::any_of(filters.begin(), filters.end(),
                  [&](const std::string& allowed) { return flow::covers(allowed, filter); })) {
    return {};
  }
  return denied("does not allow to subscribe to " + in_quotes(filter));
}

Status Grant::may_beat(const std::string& name) const {
  const auto& names = rules_.heartbeats;
  if (std::find(names.begin(), names.end(), name) != names.end()) return {};
  return denied("does not allow the heartbeat " + in_quotes(name));
}

Status Grant::may_control() const {
  return rules_.control ? Status() : denied("does not allow that; it takes control = true");
}

Status Grant::allows(const LocalRequest& request, BootTime now) {
  return std::visit(
      [&](const auto& what) -> Status {
        using Request = std::decay_t<decltype(what)>;
        if constexpr (kIsOneOf<Request, PublishRequest, AskRequest>) {
          return may_publish(what.message, now);
        } else if constexpr (std::is_same_v<Request, SubscribeRequest>) {
          return may_subscribe(what.filter);
        } else if constexpr (kIsOneOf<Request, HeartbeatRequest, HeartbeatEndRequest>) {
          return may_beat(what.name);
        } else if constexpr (kHarmless<Request>) {
          return {};
        } else {
          return may_control();
        }
      },
      request.what);
}

Result<LocalAccess> LocalAccess::make(const Rules& rules) {
  LocalAccess access;
  for (const auto& [name, one] : rules) {
    const bool of_user = !one.user.empty();
    const auto id = of_user ? posix::user_id(one.user) : posix::group_id(one.group);
    if (!id) {
      return Error{Errc::not_found,
                   "client." + name + (of_user ? ".user: " : ".group: ") +
                       in_quotes(of_user ? one.user : one.group) +
                       " is not known to this machine; create it, or mend the name",
                   0};
    }
    access.sections_.push_back({name, of_user, *id, std::make_shared<Grant>(name, one)});
  }
  std::stable_sort(
      access.sections_.begin(), access.sections_.end(),
      [](const Section& one, const Section& other) { return one.of_user > other.of_user; });
  return access;
}

Result<std::shared_ptr<Grant>> LocalAccess::grant_of(const Peer& peer) const {
  if (sections_.empty() || peer.owner) return std::shared_ptr<Grant>();
  const auto found = std::find_if(sections_.begin(), sections_.end(), [&](const Section& section) {
    if (section.of_user) return section.id == peer.user;
    return std::find(peer.groups.begin(), peer.groups.end(), section.id) != peer.groups.end();
  });
  if (found != sections_.end()) return found->grant;
  return Error{Errc::permission, "permission denied: no section [client.NAME] is for this user", 0};
}

}  // namespace holdfast::runtime
