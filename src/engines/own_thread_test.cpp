// Goal:   an engine proves that it goes on, whichever thread its library has; an attempt whose
//         library has a thread of its own reports all of it before the end, ends without it when it
//         stands still, and keeps a stranger out who comes first.
// Method: a session whose library is the test: it dials the private socket, writes what it is told
//         and reports when it is told. The broker is a scripted peer.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <atomic>
#include <memory>

#include "engines/attempt_engine.h"
#include "engines/engine_harness.h"
#include "engines/scripted_peer.h"
#include "posix/unique_fd.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::milliseconds;

posix::UniqueFd dial(const std::string& path) {
  posix::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  EXPECT_EQ(connect(fd.get(), generic, sizeof(address)), 0);
  return fd;
}

/// What the test plays; outlives the session.
struct Library {
  std::vector<SessionEvent> events;
  std::string path;
  std::function<void()> news;
  posix::UniqueFd socket;

  void connect() {
    socket = dial(path);
    const std::string packet("\x10\x0D\x00\x04MQTT\x05\x02\x00\x1E\x00\x00\x00", 15);
    EXPECT_EQ(send(socket.get(), packet.data(), packet.size(), 0), 15);
  }
  void report(SessionEvent event) {
    events.push_back(std::move(event));
    news();
  }
  /// Whether the bridge has ended what it gives, taking all before that.
  [[nodiscard]] bool at_end() const {
    char buffer[4096];
    ssize_t count = 0;
    while ((count = recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0) continue;
    return count == 0;
  }
};

class PlayedSession final : public Session {
 public:
  explicit PlayedSession(Library& library) : library_(library) {}
  Status publish(env::Token, const StoredMessage&, BootTime) override { return {}; }
  Status subscribe(env::Token, std::span<const env::FilterRequest>) override { return {}; }
  Status unsubscribe(env::Token, std::span<const std::string>) override { return {}; }
  void disconnect() override {}
  std::vector<SessionEvent> take_events() override { return std::exchange(library_.events, {}); }
  bool own_thread() const override { return true; }

 private:
  Library& library_;
};

class OwnThread : public ::testing::Test {
 protected:
  OwnThread() {
    harness.engine = make_attempt_engine(
        harness.loop, *harness.resolver, *harness.clock, harness.sink,
        [this](const SessionRequest& request) -> Result<std::unique_ptr<Session>> {
          library.path = request.path;
          library.news = request.news;
          return std::unique_ptr<Session>(std::make_unique<PlayedSession>(library));
        });
  }
  /// A connection whose peer has said yes and farewell in one go, at the point where the library
  /// has been given all of it.
  void connect_and_part() {
    harness.connect(harness.request(peer.port()));
    ASSERT_TRUE(harness.run_until([this] { return !library.path.empty(); }));
    library.connect();
    ASSERT_TRUE(harness.run_until([this] {
      harness.wake();
      return library.at_end();
    }));
  }

  Library library;
  Harness harness{known_engines().front().make};
  RecordingSink& sink = harness.sink;
  ScriptedPeer peer{[](PeerConnection& client) {
    if (!client.read(1)) return;
    Octets all = connack_v5(0);
    for (const Octets& more : {publish_v5("t", "last", 0), test::packet(0xE0, {0x8E})}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    client.send(all);
    client.drain();
  }};
};

TEST_F(OwnThread, TheEndWaitsForWhatTheLibraryHasToSay) {
  connect_and_part();
  EXPECT_EQ(sink.phase, RecordingSink::Phase::connecting) << "ended before the library has spoken";
  library.report(Accepted{});
  EXPECT_TRUE(sink.up());
  env::Arrival arrival;
  arrival.message.topic = "t";
  library.report(std::move(arrival));
  EXPECT_EQ(sink.message_count, 1U);
  EXPECT_TRUE(sink.up());
  library.report(Closed{false, Verdict::engine_failed, "its end of the socket"});
  EXPECT_TRUE(sink.ended());
  EXPECT_EQ(sink.failure.verdict, Verdict::id_taken_over);
}

TEST_F(OwnThread, WhatThePeerBrokeGoesBeforeItsFarewell) {
  connect_and_part();
  library.report(Closed{false, Verdict::protocol_error, "a broken packet before it"});
  EXPECT_TRUE(sink.ended());
  EXPECT_EQ(sink.failure.verdict, Verdict::protocol_error);
}

TEST_F(OwnThread, ALibraryThatStandsStillIsNotWaitedForLong) {
  connect_and_part();
  ASSERT_TRUE(harness.run_until_ended());
  EXPECT_EQ(sink.failure.verdict, Verdict::id_taken_over);
}

TEST_F(OwnThread, AStrangerWhoComesFirstDoesNotEndTheAttempt) {
  harness.connect(harness.request(peer.port()));
  ASSERT_TRUE(harness.run_until([this] { return !library.path.empty(); }));
  const pid_t child = fork();
  if (child == 0) _exit(dial(library.path) ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  harness.run_for(milliseconds(20));
  EXPECT_EQ(sink.phase, RecordingSink::Phase::connecting) << sink.failure.detail;
  library.connect();
  ASSERT_TRUE(harness.run_until([this] {
    harness.wake();
    return library.at_end();
  }));
  library.report(Accepted{});
  EXPECT_TRUE(sink.up());
}

class Proofs : public ::testing::TestWithParam<EngineUnderTest> {
 protected:
  Harness harness{GetParam().make};
};

TEST_P(Proofs, ItProvesThatItGoesOnBeforeAConnectionInOneAndAtItsEnd) {
  const auto proofs = std::make_shared<std::atomic<std::uint64_t>>(0);
  harness.engine->prove(proofs);
  EXPECT_TRUE(harness.run_until([&] { return *proofs == 1; }));
  ScriptedPeer peer([](PeerConnection& client) {
    if (client.read(1)) client.send(connack_v5(0, {}));
    client.drain();
  });
  ASSERT_TRUE(harness.connect_up(harness.request(peer.port())));
  harness.engine->prove(proofs);
  EXPECT_TRUE(harness.run_until([&] { return *proofs == 2; }));
  harness.engine->prove(proofs);  // its thread may end with it, and counts it nevertheless
  harness.engine.reset();
  EXPECT_TRUE(harness.run_until([&] { return *proofs == 3; }));
}

INSTANTIATE_TEST_SUITE_P(Engines, Proofs, ::testing::ValuesIn(engines_under_test()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace holdfast::engines::test
