// Goal:   a bridge to a library with a thread of its own keeps what that has not taken, ends its
//         input behind the last byte, stops reading without answers, and tells each packet.
// Method: a socket pair whose far end is read and written by the test, at its own pace, and a
// stream
//         that gives one scripted piece with each read.
#include "engines/bridge.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/executor_work_guard.hpp>
#include <deque>
#include <string>
#include <vector>

#include "posix/system.h"

namespace holdfast::engines {
namespace {

using std::chrono::seconds;

/// What the broker's side has sent, and what it has got.
struct Script {
  std::deque<std::string> inbound;
  bool ends = false;  ///< An orderly end behind the last piece.
  std::string outbound;
};

class ScriptedStream final : public transport::Stream {
 public:
  ScriptedStream(posix::EventLoop& loop, Script& script) : loop_(loop), script_(script) {}

  void read_some(std::span<std::byte> into, Done done) override {
    if (script_.inbound.empty()) {
      if (script_.ends) loop_.post([done] { done(0, nullptr); });
      return;
    }
    const std::string piece = script_.inbound.front();
    script_.inbound.pop_front();
    ASSERT_LE(piece.size(), into.size());
    const auto bytes = std::as_bytes(std::span(piece));
    std::copy(bytes.begin(), bytes.end(), into.begin());
    loop_.post([done, count = piece.size()] { done(count, nullptr); });
  }
  void write_all(std::span<const std::byte> bytes, Done done) override {
    for (const std::byte byte : bytes) script_.outbound.push_back(static_cast<char>(byte));
    loop_.post([done, count = bytes.size()] { done(count, nullptr); });
  }
  void shutdown(std::function<void()> done) override { loop_.post(std::move(done)); }
  [[nodiscard]] posix::Way way() const override { return posix::Way::stands; }
  [[nodiscard]] std::string description() const override { return "scripted"; }

 private:
  posix::EventLoop& loop_;
  Script& script_;
};

class BridgeTest : public ::testing::Test, public BridgeOwner {
 protected:
  BridgeTest() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    library = posix::UniqueFd(ends[1]);
    bridge = std::make_shared<Bridge>(loop, *clock, posix::UniqueFd(ends[0]),
                                      Bridge::Library::on_its_own,
                                      std::make_unique<ScriptedStream>(loop, script), *this);
  }
  ~BridgeTest() override { bridge->close(); }

  void bridge_input() override {}
  void bridge_room() override {}
  bool bridge_header(const Framing& /*packet*/) override { return true; }
  void bridge_packet(const Framing& /*packet*/) override {}
  void bridge_leaving(const Framing& packet) override { leaving.push_back(packet.type()); }
  void bridge_farewell(const Framing& /*packet*/) override { bridge->end_input(); }
  void bridge_malformed() override { ADD_FAILURE(); }
  void bridge_written(std::uint64_t total) override { written = total; }
  void bridge_drained() override { drained = true; }
  void bridge_ended(const env::Failure* /*failure*/) override { bridge->end_input(); }

  /// Turns the loop until `done`; false after a second without.
  bool turn_until(const std::function<bool()>& done, Duration limit = seconds(5)) {
    const auto guard = boost::asio::make_work_guard(loop.context());
    loop.context().restart();
    bool late = false;
    posix::Timer timer(loop);
    timer.arm_after(limit, [&late] { late = true; });
    while (!done() && !late) loop.context().run_one();
    return done();
  }
  void turn_for(Duration time) {
    EXPECT_FALSE(turn_until([] { return false; }, time));
  }
  /// Takes what lies in the library's end; false at its end.
  bool take() {
    const ssize_t count = recv(library.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count > 0) taken.append(buffer, static_cast<std::size_t>(count));
    return count != 0;
  }

  posix::EventLoop loop;
  std::unique_ptr<env::Clock> clock = posix::make_clock();
  Script script;
  posix::UniqueFd library;
  char buffer[16 * 1024] = {};
  std::string taken;
  std::vector<PacketType> leaving;
  std::uint64_t written = 0;
  bool drained = false;
  std::shared_ptr<Bridge> bridge;
};

/// A PUBLISH of 30,000 bytes, told apart by its letter.
std::string large_publish(char letter) {
  return std::string("\x30\xAD\xEA\x01\x00\x01t\x00", 8) + std::string(29993, letter);
}

TEST_F(BridgeTest, WhatTheLibraryHasNotTakenWaitsAndTheEndComesBehindIt) {
  std::string all;
  for (int i = 0; i < 100; ++i) {
    script.inbound.push_back(large_publish(static_cast<char>('A' + i % 26)));
    all += script.inbound.back();
  }
  script.ends = true;
  bridge->start();
  turn_for(std::chrono::milliseconds(50));
  EXPECT_GT(script.inbound.size(), 50U) << "read on although nobody takes it";

  bool open = true;
  ASSERT_TRUE(turn_until([&] {
    open = take();
    if (open) loop.post([] {});
    return !open;
  }));
  EXPECT_TRUE(taken == all);
}

TEST_F(BridgeTest, WithoutAnswersNoMoreIsRead) {
  const std::string publish("\x32\x07\x00\x01t\x00\x05\x00x", 9);
  script.inbound.assign(Bridge::kUnansweredMax + 500, publish);
  bridge->start();
  const auto left = [this](std::size_t count) {
    while (recv(library.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) continue;
    loop.post([] {});
    return script.inbound.size() <= count;
  };
  ASSERT_TRUE(turn_until([&] { return left(500); }));
  EXPECT_FALSE(turn_until([&] { return left(499); }, std::chrono::milliseconds(50)));

  std::string answers;
  for (int i = 0; i < 100; ++i) answers += std::string("\x40\x02\x00\x05", 4);
  ASSERT_EQ(send(library.get(), answers.data(), answers.size(), 0),
            static_cast<ssize_t>(answers.size()));
  ASSERT_TRUE(turn_until([&] { return left(400); }));
  EXPECT_FALSE(turn_until([&] { return left(399); }, std::chrono::milliseconds(50)));
  EXPECT_EQ(script.outbound, answers);
  EXPECT_EQ(written, answers.size());
  EXPECT_EQ(leaving, std::vector<PacketType>(100, PacketType::puback));
}

TEST_F(BridgeTest, APubackWaitsForItsMessageAndNothingWaitsForIt) {
  const std::string before("\x30\x04\x00\x01t1", 6);
  const std::string ack("\x40\x02\x00\x05", 4);
  const std::string after("\x30\x04\x00\x01t2", 6);
  const std::string ping("\xC0\x00", 2);
  const auto library_writes = [this](const std::string& bytes) {
    ASSERT_EQ(send(library.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  };
  const auto leaves = [this](const std::string& bytes) {
    return turn_until([&] { return script.outbound.size() >= bytes.size(); }) &&
           script.outbound == bytes;
  };
  bridge->start();
  EXPECT_EQ(bridge->came(5), AckGate::Came::held);
  library_writes(before + ack + after);
  EXPECT_TRUE(leaves(before + after));
  ASSERT_TRUE(turn_until([&] { return written > 0; }));
  EXPECT_EQ(written, before.size() + ack.size() + after.size()) << "positions are the library's";
  bridge->taken(5);
  bridge->flush();
  EXPECT_TRUE(leaves(before + after + ack));

  // In pieces, and with a ping between them.
  script.outbound.clear();
  EXPECT_EQ(bridge->came(5), AckGate::Came::held);
  library_writes(before.substr(0, 3));
  EXPECT_TRUE(leaves(before.substr(0, 3)));
  bridge->ping();
  turn_for(std::chrono::milliseconds(20));
  EXPECT_EQ(script.outbound, before.substr(0, 3)) << "not into the middle of a packet";
  library_writes(before.substr(3) + ack.substr(0, 1));
  EXPECT_TRUE(leaves(before + ping));
  bridge->ping();
  EXPECT_TRUE(leaves(before + ping + ping)) << "of half a PUBACK nothing has left";
  library_writes(ack.substr(1) + after);
  EXPECT_TRUE(leaves(before + ping + ping + after));
  bridge->taken(5);
  bridge->flush();
  EXPECT_TRUE(leaves(before + ping + ping + after + ack));
}

TEST_F(BridgeTest, TheLibrarysEndIsTold) {
  bridge->start();
  const std::string disconnect("\xE0\x00", 2);
  ASSERT_EQ(send(library.get(), disconnect.data(), disconnect.size(), 0), 2);
  library.reset();
  ASSERT_TRUE(turn_until([&] { return drained; }));
  EXPECT_EQ(script.outbound, disconnect);
  EXPECT_EQ(leaving, std::vector<PacketType>{PacketType::disconnect});
}

}  // namespace
}  // namespace holdfast::engines
