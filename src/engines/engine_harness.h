// What every engine test needs: a loop that runs until something is true, a sink that remembers,
// and the list of engines to test. Test code only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engines/engine_list.h"
#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "posix/event_loop.h"
#include "posix/sanitized.h"
#include "posix/system.h"

namespace holdfast::engines::test {

struct EngineUnderTest {
  std::string name;
  EngineFactory make = nullptr;
  Capabilities can;
};
/// Every engine compiled in.
[[nodiscard]] std::vector<EngineUnderTest> engines_under_test();

/// Remembers everything, and fails the test when the order of the port is broken.
class RecordingSink final : public env::EngineSink {
 public:
  void engine_up(env::AttemptId attempt, const env::UpInfo& up) override;
  void engine_failed(env::AttemptId attempt, const env::Failure& why) override;
  void engine_down(env::AttemptId attempt, const env::Failure& why) override;
  void engine_published(env::AttemptId attempt, env::Token token, std::uint8_t code) override;
  void engine_subscribed(env::AttemptId attempt, env::Token token,
                         std::span<const std::uint8_t> codes) override;
  void engine_message(env::AttemptId attempt, env::Arrival arrival) override;

  [[nodiscard]] bool up() const { return phase == Phase::up; }
  [[nodiscard]] bool ended() const { return phase == Phase::ended; }
  /// Begins to expect this attempt; calls for any other fail the test.
  void expect(env::AttemptId attempt);
  /// From now on no call at all is right.
  void expect_silence() { phase = Phase::silent; }

  enum class Phase { none, connecting, up, ended, silent };
  Phase phase = Phase::none;
  env::AttemptId current = 0;
  env::UpInfo info;
  bool failed = false;  ///< Ended by failed() and not by down().
  env::Failure failure;
  std::vector<std::pair<env::Token, std::uint8_t>> published;
  std::vector<std::pair<env::Token, std::vector<std::uint8_t>>> subscribed;
  std::vector<InboundMessage> messages;
  std::size_t message_count = 0;
  std::size_t repeated = 0;                   ///< Sent again before they were taken.
  std::function<void()> on_event;             ///< Called at the end of each call.
  std::function<void(env::Token)> on_ticket;  ///< What is to become of a ticket.
  /// Each message is taken at once.
  void take_all(env::Engine& engine) {
    on_ticket = [&engine](env::Token ticket) { engine.taken(ticket); };
  }

 private:
  void check(env::AttemptId attempt, Phase wanted);
};

class Harness {
 public:
  explicit Harness(EngineFactory make);

  /// A request to 127.0.0.1:`port` without TLS; attempts are numbered.
  [[nodiscard]] env::ConnectRequest request(std::uint16_t port);
  void connect(const env::ConnectRequest& request);
  /// Connects and waits; true when up.
  [[nodiscard]] bool connect_up(const env::ConnectRequest& request);
  /// Runs the loop until `done` holds; false after `limit`.
  [[nodiscard]] bool run_until(const std::function<bool()>& done,
                               Duration limit = std::chrono::seconds(10));
  /// From any thread: run_until() looks again.
  void wake() {
    loop.post([] {});
  }
  [[nodiscard]] bool run_until_ended() {
    return run_until([this] { return sink.ended(); });
  }
  /// Lets everything that is due happen, such as a callback that should not come.
  void run_for(Duration time);

  posix::EventLoop loop;
  RecordingSink sink;
  std::unique_ptr<env::Resolver> resolver;
  std::unique_ptr<env::Clock> clock;
  std::unique_ptr<env::Engine> engine;

 private:
  env::AttemptId attempts_ = 0;
};

[[nodiscard]] StoredMessage make_message(std::string topic, std::string_view payload,
                                         Qos qos = Qos::at_least_once);
[[nodiscard]] Bytes bytes(std::string_view text);
[[nodiscard]] std::string text(const Bytes& bytes);
/// Open descriptors of this process.
[[nodiscard]] std::size_t count_descriptors();
/// Whether memory figures mean anything: sanitizers keep what is freed.
inline constexpr bool kMemoryIsMeasurable = !posix::kAddressSanitizer && !posix::kThreadSanitizer;
/// Resident memory of this process, in bytes.
[[nodiscard]] std::size_t resident_bytes();

}  // namespace holdfast::engines::test
