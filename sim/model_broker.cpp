#include "sim/model_broker.h"

#include <span>
#include <utility>

#include "flow/sender.h"

namespace holdfast::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// AWS IoT Core's limit of publishes for one connection.
constexpr std::uint64_t kPublishesPerSecond = 100;
/// AWS IoT Core's own words for a session that is full, made small.
constexpr std::size_t kWaitingMax = 50;
/// Where MQTT 3.1.1 cannot say for how long, the account does (AWS IoT Core's default).
constexpr Seconds kSessionExpiryV311{3600};
/// PUBACK and SUBACK.
constexpr std::uint8_t kDenied = 0x87;
constexpr std::uint8_t kQuota = 0x97;
constexpr std::uint8_t kFailureV311 = 0x80;

Bytes bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

void ModelBroker::forget() {
  session_ = false;
  filters_.clear();
  waiting_.clear();
}

void ModelBroker::forget_at(std::size_t endpoint) {
  if (endpoint == endpoint_) return forget();
  elsewhere_.erase(endpoint);
}

void ModelBroker::go_to(std::size_t endpoint) {
  if (endpoint == endpoint_) return;
  elsewhere_[endpoint_] = {session_,         session_until_, session_expiry_,
                           session_version_, filters_,       waiting_};
  endpoint_ = endpoint;
  Session there = std::exchange(elsewhere_[endpoint], {});
  session_ = there.there;
  session_until_ = there.until;
  session_expiry_ = there.expiry;
  session_version_ = there.version;
  filters_ = std::move(there.filters);
  waiting_ = std::move(there.waiting);
}

env::UpInfo ModelBroker::connect(const env::ConnectRequest& request) {
  go_to(request.endpoint);
  // A session of one version of MQTT cannot go on in the other.
  const bool other = session_ && request.version != session_version_;
  if (sim_.now >= session_until_ || request.clean_start || other) forget();
  request_ = request;
  if (session_ && sim_.strikes(Fault::session_lost, rates_.session_lost)) forget();
  env::UpInfo info;
  info.session_present = session_;
  const std::uint64_t window = sim_.random.below(4) == 0 ? 1 + sim_.random.below(20) : 100;
  if (v5()) info.receive_maximum = static_cast<std::uint16_t>(window);
  receive_maximum_ = info.receive_maximum;
  session_ = true;
  session_version_ = request.version;
  session_expiry_ = v5() ? request.session_expiry : kSessionExpiryV311;
  session_until_ = kSimNever;
  connected_ = true;
  resumed_ = false;
  unanswered_ = withheld_ = 0;
  dawdled_ = false;
  return info;
}

void ModelBroker::resume() {
  resumed_ = true;
  const std::deque<Command> waiting = waiting_;
  for (const Command& command : waiting) send(command);
}

void ModelBroker::disconnected(bool politely) {
  connected_ = resumed_ = false;
  observer_.sees_end(request_.will, politely);
  if (!politely && request_.will && request_.will->retain) {
    retain(request_.will->topic, bytes_of(request_.will->payload));
  }
  session_until_ = sim_.now + session_expiry_;
}

/// What a new client began under our id is there when we come back, without our subscriptions; only
/// MQTT 3.1.1 ends a clean session with its connection.
void ModelBroker::intruded(bool clean) {
  if (clean) forget();
  waiting_.clear();
  session_ = !clean || v5();
  session_until_ = sim_.now + session_expiry_;
}

bool ModelBroker::over_rate() {
  const SimTime second = std::chrono::floor<seconds>(sim_.now);
  if (second != second_) in_second_ = 0;
  second_ = second;
  if (++in_second_ <= kPublishesPerSecond) return false;
  return sim_.strikes(Fault::rate_drop, 1);
}

void ModelBroker::retain(const std::string& topic, const Bytes& payload) {
  if (payload.empty()) {
    retained_.erase(topic);
  } else {
    retained_[topic] = payload;
  }
}

Bytes ModelBroker::retained(const std::string& topic) const {
  const auto found = retained_.find(topic);
  return found == retained_.end() ? Bytes{} : found->second;
}

void ModelBroker::take(env::Token token, const StoredMessage& message,
                       std::optional<std::uint8_t> code) {
  const bool taken = code && *code < 0x80;
  if (taken && message.retain) retain(message.topic, message.payload);
  if (token != flow::kBirthToken) return book_.arrived(message, code);
  if (taken) return observer_.sees_birth(message);
  if (code == kDenied) return observer_.birth_denied();
  if (code) observer_.put_off();
}

// ---- its policy ---------------------------------------------------------------------------------

void ModelBroker::deny(const std::string& name, bool answers, SimTime until) {
  denials_[name] = {answers, until};
  hang_ups_.erase(name);
}

const ModelBroker::Denial* ModelBroker::denial_of(const std::string& name) const {
  const auto found = denials_.find(name);
  return found == denials_.end() || sim_.now >= found->second.until ? nullptr : &found->second;
}

bool ModelBroker::denies(const std::string& name) const { return denial_of(name) != nullptr; }

bool ModelBroker::hangs_up_on(const std::string& name, std::uint8_t& farewell) {
  const Denial* denial = denial_of(name);
  if (denial == nullptr) {
    hang_ups_.erase(name);
    return false;
  }
  if (v5() && denial->answers) return false;
  farewell = v5() && sim_.random.below(2) == 0 ? kDenied : 0;
  hung_up_.insert(name);
  ++hang_ups_[name];
  return true;
}

// ---- packets ------------------------------------------------------------------------------------

ModelBroker::Ack ModelBroker::publish(env::Token token, const StoredMessage& message) {
  Ack denied{std::nullopt, {}, true};
  if (hangs_up_on(message.topic, denied.farewell)) {
    take(token, message, std::nullopt);
    return denied;
  }
  if (message.qos == Qos::at_most_once) {
    take(token, message, over_rate() ? std::nullopt : std::optional{std::uint8_t{0}});
    return {};
  }
  ++unanswered_;
  sim_.checks.expect(Check::dup_bound, unanswered_ <= receive_maximum_, [&] {
    return std::to_string(unanswered_) + " messages without PUBACK; Receive Maximum is " +
           std::to_string(receive_maximum_);
  });
  if (over_rate()) {
    take(token, message, std::nullopt);
    ++withheld_;
    return {};
  }
  Ack ack{std::uint8_t{0}, sim_.between(milliseconds(1), milliseconds(20))};
  if (denies(message.topic)) {
    said_no_.insert(message.topic);
    ack.code = kDenied;
    take(token, message, ack.code);
    return ack;
  }
  if (v5() && sim_.strikes(Fault::puback_quota, rates_.per_message)) ack.code = kQuota;
  if (sim_.strikes(Fault::puback_denied, rates_.per_message)) {
    ack.code = kDenied;
    ack.hang_up = !v5();
    if (v5()) said_no_.insert(message.topic);
  }
  take(token, message, ack.hang_up ? std::nullopt : ack.code);
  if (ack.hang_up) return ack;
  if (sim_.strikes(Fault::puback_late, rates_.per_message)) {
    ack.after = sim_.between(seconds(1), seconds(25));
    dawdled_ = true;
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

std::optional<std::vector<std::uint8_t>> ModelBroker::subscribe(
    const std::vector<env::FilterRequest>& filters, std::uint8_t& farewell) {
  for (const env::FilterRequest& filter : filters) {
    if (hangs_up_on(filter.filter, farewell)) return std::nullopt;
  }
  std::vector<std::uint8_t> codes;
  for (const env::FilterRequest& filter : filters) {
    if (denies(filter.filter) || sim_.strikes(Fault::suback_refused, 10)) {
      said_no_.insert(filter.filter);
      codes.push_back(v5() ? kDenied : kFailureV311);
      continue;
    }
    codes.push_back(static_cast<std::uint8_t>(filter.qos));
    const bool anew = filters_.insert(filter.filter).second;
    if (anew || !filter.verify) send_retained(filter.filter);
  }
  return codes;
}

/// What a topic retains comes with every subscription to it, before its SUBACK or a bit later.
void ModelBroker::send_retained(const std::string& filter) {
  if (!retained_.contains(filter)) return;
  sim_.after(sim_.scattered(milliseconds(1), seconds(1)), Side::world, [this, filter] {
    const Bytes payload = retained(filter);
    if (!connected_ || !filters_.contains(filter) || payload.empty()) return;
    issue({serial_of(payload), filter, true, false});
  });
}

std::vector<std::uint8_t> ModelBroker::unsubscribe(const std::vector<std::string>& filters) {
  for (const std::string& filter : filters) filters_.erase(filter);
  return std::vector<std::uint8_t>(filters.size(), 0);
}

void ModelBroker::command(const std::string& topic) {
  const std::uint64_t kind = sim_.random.below(12);
  if (kind < 3) {
    command_retained(topic, kind == 0);
    return;
  }
  issued_.push_back({topic});
  issue({issued_.size(), topic, false, false});
}

std::uint64_t ModelBroker::command_retained(const std::string& topic, bool empty) {
  issued_.push_back({topic});
  const std::uint64_t number = issued_.size();
  retain(topic, empty ? Bytes{} : payload_of(number, sizeof(Serial)));
  issue({number, topic, false, empty});
  return number;
}

void ModelBroker::issue(const Command& command) {
  if (!connected_ && sim_.now >= session_until_) forget();
  if (!filters_.contains(command.topic) || waiting_.size() >= kWaitingMax) return;
  Issued& issued = issued_[command.number - 1];
  (command.retain ? issued.retained : issued.live) = true;
  waiting_.push_back(command);
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
  if (command.number < 1 || command.number > issued_.size()) return false;
  const Issued& issued = issued_[command.number - 1];
  return issued.topic == command.topic && (command.retain ? issued.retained : issued.live);
}

}  // namespace holdfast::sim
