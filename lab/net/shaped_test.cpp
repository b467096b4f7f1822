// Goal:   byte faults reach real sockets: what they delay, hold, break or cut is seen at both ends.
// Method: a shaped stream at one end of a loopback connection.
#include "lab/net/shaped_stream.h"

#include <gtest/gtest.h>

#include "lab/net/test_net.h"

namespace holdfast::lab::net {
namespace {

class ShapedTest : public NetTest {
 protected:
  void start(const fault::ByteSettings& up = {}, const fault::ByteSettings& down = {}) {
    Pair pair = make_pair();
    device = pair.client;
    ShapedOptions options;
    options.tap = [this](std::string_view bytes) {
      tapped += bytes;
      return tapped.size() < 5;
    };
    options.end_held = [this](std::string_view how) { held = how; };
    shaped = make_shaped_stream(loop, *clock, *random, pair.server, std::move(options));
    shaped->set(up, down);
    at_device = read_all(device);
    at_relay = read_all(shaped);
  }

  std::unique_ptr<env::Random> random = posix::make_random();
  std::shared_ptr<Stream> device;
  std::shared_ptr<ShapedStream> shaped;
  std::shared_ptr<Reader> at_device;
  std::shared_ptr<Reader> at_relay;
  std::string tapped;
  std::string held;
};

fault::ByteSettings black_hole() {
  fault::ByteSettings out;
  out.black_hole = true;
  return out;
}

TEST_F(ShapedTest, WithoutFaultsEverythingPassesAndEnds) {
  start();
  const std::string much(3'000'000, 'm');  // More than the queue holds.
  write(device, "up");
  device->write("date", [](const ErrorCode&) {});
  write(shaped, much);
  ASSERT_TRUE(until([&] { return at_device->bytes == much && at_relay->bytes == "update"; }));
  EXPECT_EQ(tapped, "update");
  shaped->close([] {});
  ASSERT_TRUE(until([&] { return at_device->end.has_value(); }));
  EXPECT_EQ(*at_device->end, "fin");
  EXPECT_EQ(held, "");
}

TEST_F(ShapedTest, LatencyDelaysBothWays) {
  fault::ByteSettings slow;
  slow.latency = std::chrono::milliseconds(60);
  start(slow, slow);
  const BootTime begin = clock->now();
  write(device, "up");
  ASSERT_TRUE(until([&] { return at_relay->bytes == "up"; }));
  EXPECT_GE(clock->now() - begin, std::chrono::milliseconds(60));
  const BootTime back = clock->now();
  write(shaped, "down");
  ASSERT_TRUE(until([&] { return at_device->bytes == "down"; }));
  EXPECT_GE(clock->now() - back, std::chrono::milliseconds(60));
}

TEST_F(ShapedTest, ABlackHoleKeepsEverythingUntilItIsOver) {
  start(black_hole(), black_hole());
  write(device, "up");
  write(shaped, "down");
  turn_for(std::chrono::milliseconds(100));
  EXPECT_EQ(at_relay->bytes + at_device->bytes, "");
  shaped->set({}, {});
  EXPECT_TRUE(until([&] { return at_relay->bytes == "up" && at_device->bytes == "down"; }));
}

TEST_F(ShapedTest, ABlackHoleHidesTheDevicesEndFromTheBrokerNotFromTheTrace) {
  start(black_hole(), black_hole());
  device->close([] {});
  ASSERT_TRUE(until([&] { return held == "fin"; }));
  EXPECT_FALSE(at_relay->end);
  shaped->set({}, {});
  ASSERT_TRUE(until([&] { return at_relay->end.has_value(); }));
  EXPECT_EQ(*at_relay->end, "fin");
}

TEST_F(ShapedTest, ABlackHoleHidesOurEndFromTheDevice) {
  start({}, black_hole());
  bool closed = false;
  shaped->close([&] { closed = true; });
  turn_for(std::chrono::milliseconds(150));
  EXPECT_FALSE(at_device->end);
  EXPECT_FALSE(closed);
  device->close([] {});  // It has had enough: there is nobody to hide from any more.
  EXPECT_TRUE(until([&] { return closed; }));
}

TEST_F(ShapedTest, StoppedReadingStillSeesTheDeviceGo) {
  fault::ByteSettings stopped;
  stopped.stop_reading = true;
  start(stopped);
  turn_for(std::chrono::milliseconds(20));
  write(device, "unread");
  device->close([] {});
  EXPECT_TRUE(until([&] { return !held.empty(); }));
  EXPECT_FALSE(at_relay->end);
}

TEST_F(ShapedTest, HalfOpenNeverTellsTheEnd) {
  fault::ByteSettings half;
  half.half_open = true;
  start(half);
  write(device, "last");
  device->close([] {});
  ASSERT_TRUE(until([&] { return at_relay->bytes == "last" && held == "fin"; }));
  turn_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(at_relay->end);
}

TEST_F(ShapedTest, ResetsAfterSoManyBytes) {
  fault::ByteSettings cut;
  cut.reset_after_bytes = 10;
  start({}, cut);
  write(shaped, std::string(20, 'r'));
  ASSERT_TRUE(until([&] { return at_device->end && at_relay->end; }));
  EXPECT_EQ(*at_device->end, "reset");
  EXPECT_EQ(*at_relay->end, "fault");
  EXPECT_LE(at_device->bytes.size(), 10U);
}

TEST_F(ShapedTest, CorruptsTheBytesItIsTold) {
  fault::ByteSettings wrong;
  wrong.corrupt_from = 1;
  wrong.corrupt_to = 2;
  start(wrong);
  write(device, "abc");
  ASSERT_TRUE(until([&] { return at_relay->bytes.size() == 3; }));
  EXPECT_EQ(at_relay->bytes[0], 'a');
  EXPECT_NE(at_relay->bytes[1], 'b');
  EXPECT_EQ(at_relay->bytes[2], 'c');
}

TEST_F(ShapedTest, ADeviceThatDoesNotReadHoldsTheWriterBack) {
  Pair pair = make_pair();
  shaped = make_shaped_stream(loop, *clock, *random, pair.server, {});
  shaped->set({}, {});
  std::size_t taken = 0;
  std::function<void(const ErrorCode&)> more = [&](const ErrorCode& error) {
    if (error) return;
    taken += 100'000;
    shaped->write(std::string(100'000, 'w'), more);
  };
  more(ErrorCode());
  std::size_t before = 1;
  ASSERT_TRUE(until([&] {
    const bool same = before == taken;
    before = taken;
    if (!same) turn_for(std::chrono::milliseconds(100));
    return same;
  }));
  EXPECT_GT(taken, 1'000'000U);
  shaped->reset();
  turn_for(std::chrono::milliseconds(10));
}

TEST_F(ShapedTest, ResetEndsWhatIsUnderWay) {
  start();
  shaped->reset();
  ASSERT_TRUE(until([&] { return at_relay->end && at_device->end; }));
  EXPECT_EQ(*at_relay->end, "here");
  EXPECT_EQ(*at_device->end, "reset");
}

}  // namespace
}  // namespace holdfast::lab::net
