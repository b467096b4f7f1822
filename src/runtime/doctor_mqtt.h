// The doctor's own connection to the broker, and its question to a live agent.
//
// Purpose:  one CONNECT with an id of its own, then what the doctor tries, each told as facts.
// Threads:  the one that owns the loop; nobody else may run it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "health/doctor_mqtt.h"
#include "holdfast/config.h"
#include "posix/event_loop.h"
#include "runtime/question_line.h"

namespace holdfast::runtime {

/// Asks the agent at `socket`, which may be empty.
[[nodiscard]] health::AgentFacts agent_facts(const std::filesystem::path& socket,
                                             Milliseconds timeout);

class MqttProbe {
 public:
  /// All must outlive this. `request` has its logins filled in, the doctor's client id, and no
  /// will.
  MqttProbe(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock, MqttEngine engine,
            env::ConnectRequest request);

  /// Connects. Fills in `up`, or `failure`, and the time.
  void log_in(health::LoginFacts& facts);
  /// Each connects anew where the operation before ended the connection.
  [[nodiscard]] health::TopicFacts subscribe(const std::string& filter);
  [[nodiscard]] health::TopicFacts publish(const std::string& topic, const std::string& payload,
                                           bool retain);
  /// Says good-bye, if there is a connection.
  void leave() { line_.leave(); }
  /// Lets time pass, for brokers that count operations on one thing in a second.
  void pause(Duration time) { line_.pause(time); }

 private:
  /// None: it is up.
  std::optional<env::Failure> connect();
  /// Connects if need be, has the operation done, and says how it ended.
  template <class Operation>
  health::TopicFacts operate(const std::string& name, Operation operation);

  env::Clock& clock_;
  env::ConnectRequest request_;
  QuestionLine line_;
  bool connected_before_ = false;
  BootTime begun_{};  ///< The last attempt.
};

/// What the doctor publishes to, where nobody names a topic: below a status topic of the device, or
/// beside its responses, or holdfast/doctor.
[[nodiscard]] std::string doctors_topic(const Config& config);
}  // namespace holdfast::runtime
