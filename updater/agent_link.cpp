// See agent_link.h.
#include "agent_link.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace holdfast::updater {
namespace {

using nlohmann::json;

constexpr std::uint64_t kExpirySeconds = 60;  // of a question: it is repeated anyway

bool is_wanted(const std::vector<std::string>& filters, const std::string& filter) {
  return std::find(filters.begin(), filters.end(), filter) != filters.end();
}

}  // namespace

AgentLink::AgentLink(std::filesystem::path socket, Events events)
    : socket_(std::move(socket)), events_(std::move(events)) {}

void AgentLink::subscribe(std::vector<std::string> filters) {
  filters_ = std::move(filters);
  if (!client_) return;
  for (const std::string& filter : filters_) {
    if (!subscriptions_.emplace(filter, 0).second) continue;
    ask(json{{"op", "subscribe"}, {"filter", filter}}.dump(),
        [this, filter](bool ok, const std::string& line) { subscribed(filter, ok, line); });
  }
  for (auto one = subscriptions_.begin(); one != subscriptions_.end();) {
    const bool stays = one->second == 0 || is_wanted(filters_, one->first);
    if (!stays) unsubscribe(one->second);
    one = stays ? std::next(one) : subscriptions_.erase(one);
  }
}

void AgentLink::subscribed(const std::string& filter, bool ok, const std::string& line) {
  if (!there()) return;
  if (!ok) return events_.say("cannot subscribe: " + line);
  const json answer = json::parse(line, nullptr, false);
  const auto number = answer.value("subscription", std::uint64_t{0});
  subscriptions_[filter] = number;
  if (is_wanted(filters_, filter)) return;
  subscriptions_.erase(filter);
  unsubscribe(number);
}

void AgentLink::unsubscribe(std::uint64_t subscription) {
  ask(json{{"op", "unsubscribe"}, {"subscription", subscription}}.dump(), {});
}

void AgentLink::step(BootTime now) {
  if (!client_ && now >= retry_) open(now);
  if (!client_) return;
  const auto pumped = client_->pump(Milliseconds(0));
  while (client_) {
    const auto line = client_->next_line();
    if (!line) break;
    take(*line);
  }
  if (!pumped && client_) close(now, pumped.error().message);
}

void AgentLink::open(BootTime now) {
  auto client = runtime::LocalClient::connect(socket_);
  if (!client) return close(now, client.error().message);
  client_ = std::move(client).value();
  pause_ = kRetryFirst;
  if (!said_.empty()) events_.say("the agent is back");
  said_.clear();
  ask(R"({"op":"events"})", {});
  subscribe(std::exchange(filters_, {}));
}

void AgentLink::close(BootTime now, const std::string& why) {
  client_.reset();
  subscriptions_.clear();
  retry_ = now + pause_;
  pause_ = std::min(pause_ * 2, kRetryCap);
  if (said_ != why) events_.say(why);
  said_ = why;
  for (auto& [number, answer] : std::exchange(waiting_, {})) {
    if (answer) answer(false, "the agent has gone");
  }
  if (std::exchange(connected_, false)) events_.connection(false);
}

void AgentLink::take(const std::string& line) {
  const json message = json::parse(line, nullptr, false);
  if (!message.is_object()) return;
  const std::string event = message.value("event", "");
  if (event == "message") {
    const auto topic = message.find("topic");
    const auto payload = message.find("payload");
    if (topic == message.end() || !topic->is_string()) return;
    if (payload == message.end() || !payload->is_string()) return;
    events_.message(topic->get<std::string>(), payload->get<std::string>());
  } else if (event == "connection") {
    client_id_ = message.value("client_id", "");
    const bool connected = message.value("state", "") == "connected";
    if (connected != connected_) events_.connection(connected_ = connected);
  } else if (message.contains("id") && message["id"].is_number_unsigned()) {
    const auto found = waiting_.find(message["id"].get<std::uint64_t>());
    if (found == waiting_.end()) return;
    const Answer answer = std::move(found->second);
    waiting_.erase(found);
    if (answer) answer(message.value("ok", false), line);
  }
}

bool AgentLink::publish(const std::string& topic, const std::string& payload, bool durable) {
  json request = {{"op", "publish"}, {"topic", topic}, {"payload", payload}, {"receipt", "none"}};
  if (!durable) {
    request["durability"] = "memory";
    request["expiry"] = kExpirySeconds;
  }
  if (client_) client_->send(request.dump() + "\n");
  return there();
}

bool AgentLink::ask(std::string fields, Answer answer) {
  if (!client_) return false;
  const std::uint64_t number = ++number_;
  fields.insert(1, "\"id\":" + std::to_string(number) + ",");
  if (answer) waiting_.emplace(number, std::move(answer));
  client_->send(fields + "\n");
  return true;
}

}  // namespace holdfast::updater
