#include "runtime/doctor_mqtt.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "engines/engine_list.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"

namespace holdfast::runtime {

namespace {

using nlohmann::json;

/// Stages keep their own deadlines; this is only in case one does not.
constexpr Duration kGrace = std::chrono::seconds(2);
/// AWS IoT Core takes one connect a second from one client id.
constexpr Duration kConnectSpacing = std::chrono::milliseconds(1100);
constexpr Duration kLeaveTime = std::chrono::seconds(1);
/// A retained message that could not be removed again goes by itself (MQTT 5).
constexpr std::uint32_t kExpirySeconds = 60;
constexpr std::uint8_t kFirstRefusal = 0x80;

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t count_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

void read_status(const json& status, health::AgentFacts& facts) {
  facts.state = text_of(status, "state");
  facts.verdict = text_of(status, "verdict");
  facts.detail = text_of(status, "detail");
  facts.client_id = text_of(status, "client_id");
  facts.storage = text_of(status, "storage");
  facts.connects = count_of(status, "connects");
  facts.attempts = count_of(status, "attempts_total");
  facts.backlog = count_of(status, "backlog");
  for (const json& one : status.value("quarantine", json::array())) {
    if (one.is_object()) facts.set_aside.push_back(text_of(one, "name"));
  }
  for (const json& one : status.value("filters", json::array())) {
    const bool refused =
        one.is_object() && !one.contains("granted") && count_of(one, "code") >= kFirstRefusal;
    const std::string name = refused ? text_of(one, "filter") : std::string();
    const auto& known = facts.set_aside;
    if (refused && std::find(known.begin(), known.end(), name) == known.end()) {
      facts.refused.push_back(name);
    }
  }
}

}  // namespace

health::AgentFacts agent_facts(const std::filesystem::path& socket, Milliseconds timeout) {
  health::AgentFacts facts;
  facts.socket = socket.string();
  if (socket.empty()) return facts;
  Result<LocalClient> client = LocalClient::connect(socket);
  if (!client) {
    facts.problem = client.error().message;
    return facts;
  }
  client->send(op_line(1, "status", "{}"));
  const Result<std::string> line = client->receive(timeout);
  if (!line) {
    facts.problem = line.error().message;
    return facts;
  }
  const json answer = json::parse(*line, nullptr, false);
  const auto status = answer.is_object() ? answer.find("status") : answer.end();
  if (status == answer.end() || !status->is_object()) {
    facts.problem = "its answer is no status; is it holdfastd?";
  } else {
    read_status(*status, facts);
  }
  return facts;
}

MqttProbe::MqttProbe(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock,
                     MqttEngine engine, env::ConnectRequest request)
    : clock_(clock), request_(std::move(request)), wait_(loop) {
  const engines::EngineKind& kind = engines::kind_of(engine);
  HF_CHECK(kind.make != nullptr);  // check_values() has refused what this build has not.
  engine_ = kind.make(loop, resolver, clock, *this);
}

MqttProbe::~MqttProbe() { engine_->abort(); }

void MqttProbe::connect() {
  if (std::exchange(connected_before_, true)) wait_.pause(kConnectSpacing);
  ++request_.attempt;
  failure_.reset();
  wait_.begin();
  begun_ = clock_.now();
  engine_->connect(request_);
  const Duration longest =
      request_.resolve_timeout + 4 * request_.connect_timeout + request_.connack_timeout + kGrace;
  if (!wait_.wait(longest)) {
    engine_->abort();
    failure_ = env::Failure{Verdict::mqtt_timeout, 0, "no end in time"};
  }
}

void MqttProbe::log_in(health::LoginFacts& facts) {
  connect();
  if (failure_ &&
      (failure_->verdict == Verdict::quota_exceeded || failure_->verdict == Verdict::throttled)) {
    connect();  // Perhaps only because the doctor was here a moment ago.
  }
  facts.ms = std::chrono::duration<double, std::milli>(clock_.now() - begun_).count();
  facts.up = up_;
  if (!up_) facts.failure = failure_;
}

template <class Start>
health::TopicFacts MqttProbe::operate(const std::string& name, Start start) {
  health::TopicFacts facts;
  facts.name = name;
  if (!up_) connect();
  if (!up_) {
    facts.detail = failure_ ? failure_->detail : std::string();
    return facts;
  }
  ++token_;
  answer_.reset();
  wait_.begin();
  const BootTime begun = clock_.now();
  if (const Status started = start(token_); !started) {
    facts.detail = started.error().message;
    return facts;
  }
  const bool over = wait_.wait(request_.connack_timeout);
  facts.ms = std::chrono::duration<double, std::milli>(clock_.now() - begun).count();
  using Outcome = health::TopicFacts::Outcome;
  if (answer_) {
    facts.code = *answer_;
    facts.outcome = facts.code < kFirstRefusal ? Outcome::done : Outcome::refused;
  } else if (over) {
    facts.outcome = Outcome::hung_up;
    facts.detail = failure_ ? failure_->detail : std::string();
  } else {
    facts.outcome = Outcome::no_answer;
  }
  return facts;
}

health::TopicFacts MqttProbe::subscribe(const std::string& filter) {
  return operate(filter, [&](env::Token token) {
    const std::array<env::FilterRequest, 1> wanted{{{filter, Qos::at_least_once, true}}};
    return engine_->subscribe(token, wanted);
  });
}

health::TopicFacts MqttProbe::publish(const std::string& topic, const std::string& payload,
                                      bool retain) {
  return operate(topic, [&](env::Token token) {
    StoredMessage message;
    message.id = token;
    message.retain = retain;
    message.topic = topic;
    const auto bytes = std::as_bytes(std::span(payload));
    message.payload.assign(bytes.begin(), bytes.end());
    message.expiry_seconds = kExpirySeconds;
    message.expires = clock_.now() + std::chrono::seconds(kExpirySeconds);
    return engine_->publish(token, message);
  });
}

void MqttProbe::leave() {
  if (!up_) return;
  wait_.begin();
  engine_->disconnect();
  static_cast<void>(wait_.wait(kLeaveTime));
  engine_->abort();
  up_.reset();
}

void MqttProbe::engine_up(env::AttemptId, const env::UpInfo& info) {
  up_ = info;
  wait_.finish();
}

void MqttProbe::engine_failed(env::AttemptId, const env::Failure& failure) { end(failure); }
void MqttProbe::engine_down(env::AttemptId, const env::Failure& failure) { end(failure); }

void MqttProbe::end(const env::Failure& failure) {
  up_.reset();
  failure_ = failure;
  wait_.finish();
}

void MqttProbe::engine_published(env::AttemptId, env::Token token, std::uint8_t reason_code) {
  if (token != token_) return;
  answer_ = reason_code;
  wait_.finish();
}

void MqttProbe::engine_subscribed(env::AttemptId, env::Token token,
                                  std::span<const std::uint8_t> reason_codes) {
  if (token != token_ || reason_codes.empty()) return;
  answer_ = reason_codes.front();
  wait_.finish();
}

void MqttProbe::engine_message(env::AttemptId, env::Arrival) {
  // What the filters bring is the agent's affair.
}

std::string doctors_topic(const Config& config) {
  for (const auto* status : {&config.will, &config.birth}) {
    if (*status) return (*status)->topic + "/doctor";
  }
  return config.client_id.empty() ? "holdfast/doctor" : config.client_id + "/doctor";
}

}  // namespace holdfast::runtime
