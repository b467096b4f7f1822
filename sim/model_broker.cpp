#include "sim/model_broker.h"

#include "flow/sender.h"

namespace holdfast::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// AWS IoT Core's limit of publishes for one connection.
constexpr std::uint64_t kPublishesPerSecond = 100;
/// AWS IoT Core's own words for a session that is full, made small.
constexpr std::size_t kWaitingMax = 50;

}  // namespace

void ModelBroker::forget() {
  session_ = false;
  filters_.clear();
  waiting_.clear();
}

env::UpInfo ModelBroker::connect(const env::ConnectRequest& request) {
  if (sim_.now >= session_until_ || request.clean_start) forget();
  if (session_ && sim_.strikes(Fault::session_lost, rates_.session_lost)) forget();
  env::UpInfo info;
  info.session_present = session_;
  const std::uint64_t window = sim_.random.below(4) == 0 ? 1 + sim_.random.below(20) : 100;
  info.receive_maximum = static_cast<std::uint16_t>(window);
  receive_maximum_ = info.receive_maximum;
  session_ = true;
  session_expiry_ = request.session_expiry;
  session_until_ = kSimNever;
  connected_ = true;
  resumed_ = false;
  unanswered_ = withheld_ = 0;
  return info;
}

void ModelBroker::resume() {
  resumed_ = true;
  const std::deque<Command> waiting = waiting_;
  for (const Command& command : waiting) send(command);
}

void ModelBroker::disconnected() {
  connected_ = resumed_ = false;
  session_until_ = sim_.now + session_expiry_;
}

bool ModelBroker::over_rate() {
  const SimTime second = std::chrono::floor<seconds>(sim_.now);
  if (second != second_) in_second_ = 0;
  second_ = second;
  if (++in_second_ <= kPublishesPerSecond) return false;
  return sim_.strikes(Fault::rate_drop, 1);
}

ModelBroker::Ack ModelBroker::publish(env::Token token, const StoredMessage& message) {
  const bool birth = token == flow::kBirthToken;
  if (message.qos == Qos::at_most_once) {
    if (!birth) book_.arrived(message, over_rate() ? std::nullopt : std::optional{std::uint8_t{0}});
    return {};
  }
  ++unanswered_;
  sim_.checks.expect(Check::dup_bound, unanswered_ <= receive_maximum_, [&] {
    return std::to_string(unanswered_) + " messages without PUBACK; Receive Maximum is " +
           std::to_string(receive_maximum_);
  });
  if (over_rate()) {
    if (!birth) book_.arrived(message, std::nullopt);
    ++withheld_;
    return {};
  }
  Ack ack{std::uint8_t{0}, sim_.between(milliseconds(1), milliseconds(20))};
  if (sim_.strikes(Fault::puback_quota, rates_.per_message)) ack.code = 0x97;
  if (sim_.strikes(Fault::puback_denied, rates_.per_message)) ack.code = 0x87;
  if (!birth) book_.arrived(message, ack.code);
  if (sim_.strikes(Fault::puback_late, rates_.per_message)) {
    ack.after = sim_.between(seconds(1), seconds(25));
  }
  if (sim_.strikes(Fault::puback_reordered, rates_.per_message / 8 + 1)) {
    ack.after = sim_.between(milliseconds(20), seconds(2));
  }
  if (sim_.strikes(Fault::puback_withheld, rates_.acks_none > 0 ? 1 : rates_.per_message)) {
    ack.code.reset();
    ++withheld_;
  }
  return ack;
}

std::vector<std::uint8_t> ModelBroker::subscribe(const std::vector<env::FilterRequest>& filters) {
  std::vector<std::uint8_t> codes;
  for (const env::FilterRequest& filter : filters) {
    if (sim_.strikes(Fault::suback_refused, 10)) {
      codes.push_back(0x87);
      continue;
    }
    codes.push_back(static_cast<std::uint8_t>(filter.qos));
    filters_.insert(filter.filter);
  }
  return codes;
}

std::vector<std::uint8_t> ModelBroker::unsubscribe(const std::vector<std::string>& filters) {
  for (const std::string& filter : filters) filters_.erase(filter);
  return std::vector<std::uint8_t>(filters.size(), 0);
}

void ModelBroker::command(std::string topic) {
  if (!connected_ && sim_.now >= session_until_) forget();
  if (!filters_.contains(topic) || waiting_.size() >= kWaitingMax) return;
  topics_.push_back(topic);
  waiting_.push_back({topics_.size(), std::move(topic)});
  if (resumed_) send(waiting_.back());
}

void ModelBroker::send(const Command& command) {
  sim_.note("command number", {command.number});
  if (to_client) to_client(command);
}

void ModelBroker::command_taken(std::uint64_t number) {
  std::optional<Command> taken;
  std::erase_if(waiting_, [&](const Command& waiting) {
    if (waiting.number != number) return false;
    taken = waiting;
    return true;
  });
  if (taken && resumed_ && sim_.strikes(Fault::redelivered, 4)) send(*taken);
}

bool ModelBroker::knows(const Command& command) const {
  return command.number >= 1 && command.number <= topics_.size() &&
         topics_[command.number - 1] == command.topic;
}

}  // namespace holdfast::sim
