// See local_groups.h.
#include "runtime/local_groups.h"

#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"
#include "posix/system.h"

namespace holdfast::runtime {

using nlohmann::json;

/// Where the device's handlers leave messages for the loop. One wake-up per batch.
class LocalGroups::Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  using Arrivals = std::vector<std::pair<AckGroups::Group, std::pair<InboundMessage, Hold>>>;

  Inbox(posix::EventLoop& loop, LocalGroups& groups) : loop_(loop), groups_(&groups) {}

  void put(AckGroups::Group group, const InboundMessage& message, const Hold& hold) {
    const std::lock_guard lock(mutex_);
    arrivals_.emplace_back(group, std::pair(message, hold));
    // What comes when nobody is there is kept, since to let it go would acknowledge it.
    if (groups_ == nullptr || arrivals_.size() > 1) return;
    loop_.post([self = shared_from_this()] { self->deliver(); });
  }

  /// From here on neither loop nor groups are touched. Loop thread.
  void close() {
    const std::lock_guard lock(mutex_);
    groups_ = nullptr;
  }

 private:
  void deliver() {
    if (groups_ == nullptr) return;
    Arrivals arrivals;
    {
      const std::lock_guard lock(mutex_);
      arrivals.swap(arrivals_);
    }
    groups_->take(std::move(arrivals));
  }

  posix::EventLoop& loop_;
  std::mutex mutex_;
  LocalGroups* groups_;  // written on the loop thread only, under the lock
  Arrivals arrivals_;
};

LocalGroups::LocalGroups(Options options, Outlet outlet)
    : options_(std::move(options)),
      outlet_(std::move(outlet)),
      groups_(options_.first, *options_.tally,
              [log = options_.log](LogLevel level, std::string text) {
                log->write({level, LogArea::local_api, std::move(text)});
              }),
      inbox_(std::make_shared<Inbox>(options_.loop, *this)),
      timer_(options_.loop) {}

LocalGroups::~LocalGroups() {
  inbox_->close();
  timer_.cancel();
}

// ---- members ------------------------------------------------------------------------------------

Status LocalGroups::join(std::uint64_t client, std::uint64_t subscription,
                         const SubscribeRequest& request) {
  const AckTerms& wanted = *request.acknowledge;
  const AckGroups::Terms terms{request.filter, wanted.group, request.qos, wanted.within,
                               wanted.linger};
  const BootTime now = options_.clock.now();
  const auto joined = groups_.join(terms, {client, subscription, wanted.window}, now);
  if (!joined) return joined.error();
  save();  // ahead of what the broker sends: that must find its group after whatever ends us
  if (joined->made) {
    if (Status done = subscribe(joined->group, terms); !done) {
      groups_.end(joined->group);
      save();
      return done;
    }
  }
  members_[subscription] = joined->group;
  arm();
  return {};
}

Status LocalGroups::subscribe(AckGroups::Group group, const AckGroups::Terms& terms) {
  auto subscribed = options_.device.subscribe_held(
      terms.filter, terms.qos,
      [inbox = inbox_, group](const InboundMessage& message, const Hold& hold) {
        inbox->put(group, message, hold);
      });
  if (!subscribed) return std::move(subscribed).error();
  subscribed_[group] = *subscribed;
  return {};
}

void LocalGroups::leave(std::uint64_t subscription, bool for_good) {
  const auto member = members_.extract(subscription);
  if (member.empty()) return;
  if (groups_.leave(member.mapped(), subscription, for_good, options_.clock.now())) {
    ended(member.mapped());
  }
  arm();
}

void LocalGroups::ended(AckGroups::Group group) {
  const auto subscription = subscribed_.extract(group);
  if (!subscription.empty()) {
    static_cast<void>(options_.device.unsubscribe(subscription.mapped()).ok());
  }
  save();
}

// ---- messages -----------------------------------------------------------------------------------

void LocalGroups::take(
    std::vector<std::pair<AckGroups::Group, std::pair<InboundMessage, Hold>>> arrivals) {
  const BootTime now = options_.clock.now();
  for (auto& [group, arrival] : arrivals) {
    groups_.arrived(group, std::move(arrival.first), std::move(arrival.second), now);
  }
  offer();
  arm();
}

std::size_t LocalGroups::acknowledge(std::uint64_t client,
                                     const std::vector<std::uint64_t>& deliveries) {
  const BootTime now = options_.clock.now();
  std::size_t done = 0;
  for (const std::uint64_t delivery : deliveries) {
    if (groups_.acknowledge(client, delivery, now)) ++done;
  }
  return done;
}

void LocalGroups::offer() {
  while (const auto gift = groups_.next(outlet_.room)) {
    outlet_.give(gift->to.client,
                 held_line(gift->to.subscription, gift->delivery, gift->duplicate, *gift->message));
  }
}

// ---- time and file ------------------------------------------------------------------------------

void LocalGroups::arm() {
  const BootTime next = groups_.next_look();
  if (std::exchange(armed_, next) == next) return;
  timer_.arm_at(next, [this] { look(); });
}

void LocalGroups::look() {
  armed_ = kNever;
  for (const AckGroups::Group group : groups_.look(options_.clock.now())) ended(group);
  arm();
}

void LocalGroups::save() {
  json all = json::array();
  for (const AckGroups::Terms& one : groups_.terms()) {
    all.push_back({{"filter", one.filter},
                   {"group", one.name},
                   {"qos", static_cast<unsigned>(one.qos)},
                   {"within_ms", one.within.count()},
                   {"linger_ms", one.linger.count()}});
  }
  std::string text = all.dump() + "\n";
  if (text == saved_ || !options_.write) return;
  saved_ = text;
  options_.write([path = options_.directory / kFile, text = std::move(text)] {
    return posix::replace_file(path, text);
  });
}

void LocalGroups::restore() {
  const std::filesystem::path path = options_.directory / kFile;
  const auto text = posix::read_file(path, limits::kLocalGroupsFileMax);
  if (!text && text.error().code == Errc::not_found) return;
  std::string trouble = text ? std::string() : text.error().message;
  try {
    const json all = text ? json::parse(*text) : json::array();
    for (const json& one : all) {
      const AckGroups::Terms terms{
          one.at("filter").get<std::string>(), one.at("group").get<std::string>(),
          one.at("qos").get<unsigned>() == 0 ? Qos::at_most_once : Qos::at_least_once,
          Milliseconds(one.at("within_ms").get<std::uint32_t>()),
          Milliseconds(one.at("linger_ms").get<std::uint32_t>())};
      const auto group = groups_.restore(terms, options_.clock.now());
      if (!group) break;
      if (const Status done = subscribe(*group, terms); !done) {
        groups_.end(*group);
        trouble = done.error().message;
      }
    }
    if (text) saved_ = *text;
  } catch (const std::exception& error) {
    trouble = path.string() + ": " + error.what();
  }
  if (!trouble.empty()) {
    options_.log->write({LogLevel::warning, LogArea::local_api,
                         "who acknowledged messages before is not all known: " + trouble});
  }
  arm();
}

}  // namespace holdfast::runtime
