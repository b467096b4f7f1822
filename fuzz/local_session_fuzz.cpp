// Goal:   whatever sequence of lines programs send on the local socket, and whenever they go away,
// each
//         may do what its section allows and no more, and of the messages that are acknowledged
//         none is lost, given to two, or held for ever.
// Method: the parts of the local API that decide, without sockets: parse_request(), Grant,
// AckGroups and
//         JobBoard, driven by the input as three clients, a broker and a clock; a model beside
//         them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "flow/topic.h"
#include "runtime/ack_groups.h"
#include "runtime/job_board.h"
#include "runtime/local_access.h"
#include "runtime/local_protocol.h"

namespace {

using namespace holdfast;           // NOLINT: a short program
using namespace holdfast::runtime;  // NOLINT

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr std::uint64_t kClients = 3;
constexpr std::uint64_t kPlain =
    1;  // a client with a section; the others: with control, and without
constexpr std::uint64_t kControl = 2;

/// Bytes of the input, one decision after the other; zeros once they are used up.
class Input {
 public:
  explicit Input(std::string_view bytes) : left_(bytes) {}
  [[nodiscard]] bool over() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return byte;
  }
  /// Up to the next newline.
  std::string_view line() {
    const std::size_t end = std::min(left_.find('\n'), left_.size());
    const std::string_view line = left_.substr(0, end);
    left_.remove_prefix(std::min(end + 1, left_.size()));
    return line;
  }

 private:
  std::string_view left_;
};

ClientRules rules_of(bool control) {
  ClientRules rules;
  rules.publish = {"plant/#", "a/+/c"};
  rules.subscribe = {"cmd/#"};
  rules.lanes = {"normal"};
  rules.heartbeats = {"pump"};
  rules.control = control;
  rules.messages_per_second = 5;
  return rules;
}

class Session {
 public:
  explicit Session(std::string_view bytes) : in_(bytes) {}
  ~Session() { check_end(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void run() {
    while (!in_.over()) {
      step(in_.byte());
      give();
      check();
    }
  }

 private:
  void step(std::uint8_t what) {
    const std::uint64_t client = 1 + what / 8U % kClients;
    switch (what % 8U) {
      case 0:
      case 1:
        return take(client, in_.line());
      case 2:
        return subscribe(client, in_.byte());
      case 3:
        return arrive(in_.byte());
      case 4:
        return acknowledge(client, in_.byte());
      case 5:
        now_ += Milliseconds(std::int64_t{in_.byte()} * in_.byte());
        return look();
      case 6:
        return unsubscribe(client, in_.byte());
      default:
        return leave(client);
    }
  }

  // ---- lines

  void take(std::uint64_t client, std::string_view line) {
    const auto parsed = parse_request(line);
    const auto* const request = std::get_if<LocalRequest>(&parsed);
    if (request == nullptr) return require(!std::get<LocalRefusal>(parsed).error.empty());
    Grant* const grant = client == kPlain ? &plain_ : client == kControl ? &control_ : nullptr;
    if (grant != nullptr && !allowed(*grant, client == kControl, *request)) return;
    if (const auto* one = std::get_if<SubscribeRequest>(&request->what)) join(client, *one);
    if (const auto* one = std::get_if<JobsRequest>(&request->what)) {
      board_.tell(client, one->jobs);
      teller_ = client;
    }
    if (const auto* one = std::get_if<UnsubscribeRequest>(&request->what)) {
      end_subscription(client, one->subscription);
    }
    const auto* const done = std::get_if<AcknowledgeRequest>(&request->what);
    if (done == nullptr) return;
    for (const std::uint64_t delivery : done->deliveries) settle(client, delivery);
  }

  /// The grant's answer, which must be that of the rules.
  bool allowed(Grant& grant, bool control, const LocalRequest& request) {
    const Status status = grant.allows(request, now_);
    const ClientRules rules = rules_of(control);
    const auto covered = [&](const auto& filters, const std::string& name) {
      return std::any_of(filters.begin(), filters.end(),
                         [&](const std::string& filter) { return flow::covers(filter, name); });
    };
    if (status.ok()) {
      if (const auto* one = std::get_if<PublishRequest>(&request.what)) {
        require(covered(rules.publish, one->message.topic) && one->message.lane == "normal");
      } else if (const auto* two = std::get_if<SubscribeRequest>(&request.what)) {
        require(covered(rules.subscribe, two->filter));
      } else if (const auto* three = std::get_if<HeartbeatRequest>(&request.what)) {
        require(three->name == "pump");
      }
      const bool takes_control = std::holds_alternative<JobsRequest>(request.what) ||
                                 std::holds_alternative<GoingDownRequest>(request.what) ||
                                 std::holds_alternative<PowerFailRequest>(request.what) ||
                                 std::holds_alternative<PageRequest>(request.what) ||
                                 std::holds_alternative<SafeModeEndRequest>(request.what);
      require(control || !takes_control);
    } else {
      require(status.error().code == Errc::permission || status.error().code == Errc::full);
    }
    return status.ok();
  }

  // ---- groups

  void subscribe(std::uint64_t client, std::uint8_t how) {
    SubscribeRequest request;
    request.filter = how % 2 == 0 ? "cmd/#" : "cmd/one";
    request.acknowledge = AckTerms{how % 3 == 0 ? "" : "log", 1U + how % 5U,
                                   Milliseconds(limits::kLocalWithinMs), Milliseconds(how * 1000)};
    join(client, request);
  }

  void join(std::uint64_t client, const SubscribeRequest& request) {
    if (!request.acknowledge) return;
    const AckTerms& terms = *request.acknowledge;
    const std::uint64_t subscription = ++last_subscription_;
    const auto joined =
        groups_.join({request.filter, terms.group, request.qos, terms.within, terms.linger},
                     {client, subscription, terms.window}, now_);
    if (!joined) return require(joined.error().code == Errc::full);
    require(joined->made == !alive_.contains(joined->group));
    alive_.insert(joined->group);
    members_[subscription] = {client, joined->group, terms.window};
  }

  void arrive(std::uint8_t how) {
    if (alive_.empty()) return;
    auto group = alive_.begin();
    std::advance(group, how % alive_.size());
    InboundMessage message;
    message.topic = "cmd/one";
    message.qos = Qos::at_least_once;
    message.duplicate = how % 16U == 15;
    message.payload = Bytes(how % 4U == 3 ? 40'000 : how);
    ++held_;
    const Hold hold(std::make_shared<int>().get(), [this](const void*) { --held_; });
    groups_.arrived(*group, std::move(message), hold, now_);
  }

  void give() {
    while (const auto gift =
               groups_.next([this](std::uint64_t client) { return client != full_; })) {
      const auto member = members_.find(gift->to.subscription);
      require(member != members_.end() && member->second.client == gift->to.client);
      require(gift->to.client != full_);
      require(!given_.contains(gift->delivery));
      given_[gift->delivery] = gift->to.subscription;
      require(std::count_if(given_.begin(), given_.end(), [&](const auto& one) {
                return one.second == gift->to.subscription;
              }) <= static_cast<std::ptrdiff_t>(member->second.window));
      const std::string line =
          held_line(gift->to.subscription, gift->delivery, gift->duplicate, *gift->message);
      require(line.find('\n') == line.size() - 1);
    }
  }

  void acknowledge(std::uint64_t client, std::uint8_t which) {
    full_ = which >= 200 ? client : 0;
    if (given_.empty()) return settle(client, which);
    auto one = given_.begin();
    std::advance(one, which % given_.size());
    settle(client, one->first);
  }

  void settle(std::uint64_t client, std::uint64_t delivery) {
    const auto found = given_.find(delivery);
    const bool own = found != given_.end() && members_.at(found->second).client == client;
    require(groups_.acknowledge(client, delivery, now_) == own);
    if (own) given_.erase(found);
  }

  void unsubscribe(std::uint64_t client, std::uint8_t which) {
    if (members_.empty()) return;
    auto one = members_.begin();
    std::advance(one, which % members_.size());
    end_subscription(client, one->first);
  }

  void end_subscription(std::uint64_t client, std::uint64_t subscription) {
    const auto found = members_.find(subscription);
    if (found == members_.end() || found->second.client != client) return;
    drop(found, true);
  }

  void leave(std::uint64_t client) {
    board_.leave(client, now_);
    for (auto one = members_.begin(); one != members_.end();) {
      const auto next = std::next(one);
      if (one->second.client == client) drop(one, false);
      one = next;
    }
  }

  struct Member {
    std::uint64_t client = 0;
    AckGroups::Group group = 0;
    std::size_t window = 0;
  };
  void drop(std::map<std::uint64_t, Member>::iterator member, bool for_good) {
    const AckGroups::Group group = member->second.group;
    const bool others = std::any_of(members_.begin(), members_.end(), [&](const auto& one) {
      return one.first != member->first && one.second.group == group;
    });
    const bool over = groups_.leave(group, member->first, for_good, now_);
    require(over == (for_good && !others));
    if (over) alive_.erase(group);
    std::erase_if(given_, [&](const auto& one) { return one.second == member->first; });
    members_.erase(member);
  }

  void look() {
    for (const AckGroups::Group group : groups_.look(now_)) {
      require(alive_.erase(group) == 1);
      require(std::none_of(members_.begin(), members_.end(),
                           [&](const auto& one) { return one.second.group == group; }));
    }
  }

  // ---- what must hold

  void check() {
    const AcknowledgementCounts counts = tally_.counts();
    require(counts.groups == alive_.size() && alive_.size() <= limits::kLocalGroups);
    require(counts.waiting <= limits::kLocalHeld && counts.waiting >= given_.size());
    require(held_ <= counts.waiting);
    const auto view = board_.view(now_);
    if (view) require(teller_ != 0 && view->jobs.versions.size() <= kLocalJobsVersions);
  }

  void check_end() {
    for (std::uint64_t client = 1; client <= kClients; ++client) leave(client);
    now_ += Milliseconds(limits::kLocalLingerMaxMs + limits::kLocalWithinMaxMs);
    look();
    require(alive_.empty() && held_ == 0 && tally_.counts().waiting == 0);
    require(!board_.view(now_ + kJobsLinger));
  }

  Input in_;
  BootTime now_ = BootTime() + Milliseconds(5000);
  Grant plain_{"plain", rules_of(false)};
  Grant control_{"control", rules_of(true)};
  JobBoard board_;
  std::uint64_t teller_ = 0;
  std::size_t held_ = 0;  // before the groups, whose end gives back what they hold
  AckTally tally_;
  AckGroups groups_{100, tally_, [](LogLevel, const std::string& text) { require(!text.empty()); }};
  std::set<AckGroups::Group> alive_;
  std::map<std::uint64_t, Member> members_;       // by subscription
  std::map<std::uint64_t, std::uint64_t> given_;  // delivery to subscription
  std::uint64_t last_subscription_ = 0;
  std::uint64_t full_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Session session({reinterpret_cast<const char*>(data), size});
  session.run();
  return 0;
}
