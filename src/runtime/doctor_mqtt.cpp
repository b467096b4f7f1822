#include "runtime/doctor_mqtt.h"

#include <algorithm>
#include <chrono>
#include <span>

#include <nlohmann/json.hpp>

#include "runtime/local_client.h"
#include "runtime/local_protocol.h"

namespace holdfast::runtime {

namespace {

using nlohmann::json;

/// AWS IoT Core takes one connect a second from one client id.
constexpr Duration kConnectSpacing = std::chrono::milliseconds(1100);
/// A retained message that could not be removed again goes by itself (MQTT 5).
constexpr std::uint32_t kExpirySeconds = 60;

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
    : clock_(clock), request_(std::move(request)), line_(loop, resolver, clock, engine) {}

std::optional<env::Failure> MqttProbe::connect() {
  if (std::exchange(connected_before_, true)) line_.pause(kConnectSpacing);
  begun_ = clock_.now();
  return line_.connect(request_);
}

void MqttProbe::log_in(health::LoginFacts& facts) {
  facts.failure = connect();
  if (facts.failure && (facts.failure->verdict == Verdict::quota_exceeded ||
                        facts.failure->verdict == Verdict::throttled)) {
    facts.failure = connect();  // Perhaps only because the doctor was here a moment ago.
  }
  facts.ms = std::chrono::duration<double, std::milli>(clock_.now() - begun_).count();
  facts.up = line_.up();
}

template <class Operation>
health::TopicFacts MqttProbe::operate(const std::string& name, Operation operation) {
  health::TopicFacts facts;
  facts.name = name;
  if (!line_.up()) {
    if (const auto failure = connect()) {
      facts.detail = failure->detail;
      return facts;
    }
  }
  const BootTime begun = clock_.now();
  const QuestionLine::End over = operation();
  facts.ms = std::chrono::duration<double, std::milli>(clock_.now() - begun).count();
  using Outcome = health::TopicFacts::Outcome;
  if (over.answered) {
    facts.code = over.code;
    facts.outcome = facts.code < kFirstRefusal ? Outcome::done : Outcome::refused;
    return facts;
  }
  if (over.failure) facts.detail = over.failure->detail;
  if (!line_.up()) {
    facts.outcome = Outcome::hung_up;
  } else if (!over.failure) {
    facts.outcome = Outcome::no_answer;
  }
  return facts;
}

health::TopicFacts MqttProbe::subscribe(const std::string& filter) {
  return operate(filter, [&] { return line_.subscribe({filter, Qos::at_least_once, true}); });
}

health::TopicFacts MqttProbe::publish(const std::string& topic, const std::string& payload,
                                      bool retain) {
  return operate(topic, [&] {
    StoredMessage message;
    message.retain = retain;
    message.topic = topic;
    const auto bytes = std::as_bytes(std::span(payload));
    message.payload.assign(bytes.begin(), bytes.end());
    message.expiry_seconds = kExpirySeconds;
    message.expires = clock_.now() + std::chrono::seconds(kExpirySeconds);
    return line_.publish(std::move(message));
  });
}

std::string doctors_topic(const Config& config) {
  for (const auto* status : {&config.will, &config.birth}) {
    if (*status) return (*status)->topic + "/doctor";
  }
  return config.client_id.empty() ? "holdfast/doctor" : config.client_id + "/doctor";
}

}  // namespace holdfast::runtime
