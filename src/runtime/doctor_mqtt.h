// The doctor's own connection to the broker, and its question to a live agent.
//
// Purpose:  one CONNECT with an id of its own, then one operation at a time, so that an end of the
//           connection belongs to the operation that was unanswered.
// Threads:  the one that owns the loop; nobody else may run it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "health/doctor_mqtt.h"
#include "holdfast/config.h"
#include "posix/event_loop.h"
#include "runtime/doctor_network.h"

namespace holdfast::runtime {

/// Asks the agent at `socket`, which may be empty.
[[nodiscard]] health::AgentFacts agent_facts(const std::filesystem::path& socket,
                                             Milliseconds timeout);

class MqttProbe final : public env::EngineSink {
 public:
  /// All must outlive this. `request` has its logins filled in, the doctor's client id, and no
  /// will.
  MqttProbe(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock, MqttEngine engine,
            env::ConnectRequest request);
  ~MqttProbe() override;

  /// Connects. Fills in `up`, or `failure`, and the time.
  void log_in(health::LoginFacts& facts);
  /// Each connects anew where the operation before ended the connection.
  [[nodiscard]] health::TopicFacts subscribe(const std::string& filter);
  [[nodiscard]] health::TopicFacts publish(const std::string& topic, const std::string& payload,
                                           bool retain);
  /// Says good-bye, if there is a connection.
  void leave();
  /// Lets time pass, for brokers that count operations on one thing in a second.
  void pause(Duration time) { wait_.pause(time); }

  void engine_up(env::AttemptId attempt, const env::UpInfo& info) override;
  void engine_failed(env::AttemptId attempt, const env::Failure& failure) override;
  void engine_down(env::AttemptId attempt, const env::Failure& failure) override;
  void engine_published(env::AttemptId attempt, env::Token token,
                        std::uint8_t reason_code) override;
  void engine_subscribed(env::AttemptId attempt, env::Token token,
                         std::span<const std::uint8_t> reason_codes) override;
  void engine_message(env::AttemptId attempt, env::Arrival arrival) override;

 private:
  void connect();
  /// Connects if need be, starts the operation, awaits its answer.
  template <class Start>
  health::TopicFacts operate(const std::string& name, Start start);
  void end(const env::Failure& failure);

  env::Clock& clock_;
  env::ConnectRequest request_;
  LoopWait wait_;
  std::optional<env::UpInfo> up_;        ///< While connected.
  std::optional<env::Failure> failure_;  ///< Why not, or no longer.
  std::optional<std::uint8_t> answer_;   ///< Of the operation under way.
  env::Token token_ = 0;
  bool connected_before_ = false;
  BootTime begun_{};                     ///< The last attempt.
  std::unique_ptr<env::Engine> engine_;  // last: destroyed first
};

/// What the doctor publishes to, where nobody names a topic: below a status topic of the device, or
/// beside its responses, or holdfast/doctor.
[[nodiscard]] std::string doctors_topic(const Config& config);
}  // namespace holdfast::runtime
