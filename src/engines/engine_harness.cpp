#include "engines/engine_harness.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <filesystem>
#include <fstream>

namespace holdfast::engines::test {

std::vector<EngineUnderTest> engines_under_test() {
  std::vector<EngineUnderTest> result;
  for (const EngineKind& kind : known_engines()) {
    if (kind.make != nullptr) result.push_back({std::string(kind.name), kind.make, kind.can});
  }
  return result;
}

void RecordingSink::expect(env::AttemptId attempt) {
  phase = Phase::connecting;
  current = attempt;
  failed = false;
  failure = {};
  published.clear();
  subscribed.clear();
  messages.clear();
  message_count = 0;
}

void RecordingSink::check(env::AttemptId attempt, Phase wanted) {
  EXPECT_EQ(attempt, current);
  EXPECT_EQ(phase, wanted) << "a call in the wrong phase";
}

void RecordingSink::engine_up(env::AttemptId attempt, const env::UpInfo& up) {
  check(attempt, Phase::connecting);
  phase = Phase::up;
  info = up;
  if (on_event) on_event();
}

void RecordingSink::engine_failed(env::AttemptId attempt, const env::Failure& why) {
  check(attempt, Phase::connecting);
  phase = Phase::ended;
  failed = true;
  failure = why;
  if (on_event) on_event();
}

void RecordingSink::engine_down(env::AttemptId attempt, const env::Failure& why) {
  check(attempt, Phase::up);
  phase = Phase::ended;
  failure = why;
  if (on_event) on_event();
}

void RecordingSink::engine_published(env::AttemptId attempt, env::Token token, std::uint8_t code) {
  check(attempt, Phase::up);
  published.emplace_back(token, code);
  if (on_event) on_event();
}

void RecordingSink::engine_subscribed(env::AttemptId attempt, env::Token token,
                                      std::span<const std::uint8_t> codes) {
  check(attempt, Phase::up);
  subscribed.emplace_back(token, std::vector<std::uint8_t>(codes.begin(), codes.end()));
  if (on_event) on_event();
}

void RecordingSink::engine_message(env::AttemptId attempt, env::Arrival arrival) {
  check(attempt, Phase::up);
  if (arrival.again) {
    ++repeated;
  } else {
    ++message_count;
    messages.push_back(std::move(arrival.message));
  }
  if (arrival.ticket != 0) on_ticket(arrival.ticket);
  if (on_event) on_event();
}

Harness::Harness(EngineFactory make)
    : resolver(posix::make_resolver(loop)),
      clock(posix::make_clock()),
      engine(make(loop, *resolver, *clock, sink)) {
  sink.take_all(*engine);
}

env::ConnectRequest Harness::request(std::uint16_t port) {
  env::ConnectRequest result;
  result.attempt = ++attempts_;
  result.host = "127.0.0.1";
  result.port = port;
  result.tls.enabled = false;
  result.client_id = "conformance";
  result.resolve_timeout = std::chrono::seconds(5);
  result.connect_timeout = std::chrono::seconds(5);
  result.connack_timeout = std::chrono::seconds(5);
  result.silent_after = std::chrono::seconds(30);
  return result;
}

void Harness::connect(const env::ConnectRequest& request) {
  sink.expect(request.attempt);
  engine->connect(request);
  EXPECT_EQ(sink.phase, RecordingSink::Phase::connecting) << "the sink was called from inside";
}

bool Harness::connect_up(const env::ConnectRequest& request) {
  connect(request);
  const bool done = run_until([this] { return sink.up() || sink.ended(); });
  EXPECT_TRUE(sink.up()) << to_string(sink.failure.verdict) << ": " << sink.failure.detail;
  return done && sink.up();
}

bool Harness::run_until(const std::function<bool()>& done, Duration limit) {
  const auto guard = boost::asio::make_work_guard(loop.context());
  loop.context().restart();  // it counts as stopped when the last guard left it without work
  bool late = false;
  posix::Timer timer(loop);
  timer.arm_after(limit, [&late] { late = true; });
  while (!done() && !late) loop.context().run_one();
  return done();
}

void Harness::run_for(Duration time) {
  EXPECT_FALSE(run_until([] { return false; }, time));
}

StoredMessage make_message(std::string topic, std::string_view payload, Qos qos) {
  StoredMessage message;
  message.topic = std::move(topic);
  message.qos = qos;
  message.payload = bytes(payload);
  return message;
}

Bytes bytes(std::string_view text) {
  Bytes result;
  for (const char c : text) result.push_back(static_cast<std::byte>(c));
  return result;
}

std::string text(const Bytes& bytes) {
  std::string result;
  for (const std::byte byte : bytes) result.push_back(static_cast<char>(byte));
  return result;
}

std::size_t count_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace holdfast::engines::test
