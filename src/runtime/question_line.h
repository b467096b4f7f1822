// A connection of its own, with one operation at a time: each ends within its time, and an end of
// the connection belongs to the operation that was unanswered.
//
// Purpose:  what a device asks of a service before it has an identity, or beside the agent.
// Threads:  the one that owns the loop; nobody else may run it. Whoever stops the loop ends what is
//           waited for, as if its time were over.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "holdfast/config.h"
#include "posix/event_loop.h"
#include "runtime/doctor_network.h"

namespace holdfast::runtime {

/// Reason codes from here on are a no (MQTT 5.0 section 2.4).
inline constexpr std::uint8_t kFirstRefusal = 0x80;

class QuestionLine final : public env::EngineSink {
 public:
  /// All must outlive this.
  QuestionLine(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock,
               MqttEngine engine);
  ~QuestionLine() override;

  /// Connects anew. None: it is up.
  [[nodiscard]] std::optional<env::Failure> connect(env::ConnectRequest request);

  /// How something that was sent has ended.
  struct End {
    bool answered = false;
    std::uint8_t code = 0;                ///< Of the acknowledgement; from kFirstRefusal on no.
    std::optional<env::Failure> failure;  ///< The connection's end, or why it was not sent; none:
                                          ///< no answer in time.
  };
  [[nodiscard]] End subscribe(const env::FilterRequest& filter);
  /// Ends with the acknowledgement. `message.id` is given here.
  [[nodiscard]] End publish(StoredMessage message);

  struct Answer : End {
    std::string topic;
    std::string payload;
  };
  /// Publishes, and awaits a message on one of two topics.
  [[nodiscard]] Answer ask(const std::string& topic, const std::string& payload,
                           const std::string& accepted, const std::string& rejected,
                           Duration longest);

  /// While connected.
  [[nodiscard]] const std::optional<env::UpInfo>& up() const noexcept { return up_; }
  /// Says good-bye, if there is a connection. Harmless otherwise.
  void leave();
  /// Lets time pass.
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
  /// Sends with `start(token)`, awaits the end of it.
  template <class Start>
  [[nodiscard]] End operate(Duration longest, Start start);
  void end(const env::Failure& failure);

  env::Clock& clock_;
  LoopWait wait_;
  std::optional<env::UpInfo> up_;
  env::AttemptId attempt_ = 0;
  Duration acknowledged_within_{};
  std::optional<env::Failure> failure_;  ///< Why not up, or no longer.
  env::Token token_ = 0;
  std::optional<std::uint8_t> code_;  ///< Of what is under way.
  std::string accepted_;              ///< Empty: the code is all that is awaited.
  std::string rejected_;
  std::optional<InboundMessage> message_;
  std::unique_ptr<env::Engine> engine_;  // last: destroyed first
};

}  // namespace holdfast::runtime
