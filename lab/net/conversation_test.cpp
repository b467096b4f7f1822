// Goal:   a conversation does what its stages wish, in order, and ends as they and the peers want.
// Method: scripted stages between a device and a broker over loopback.
#include "lab/net/conversation.h"

#include <gtest/gtest.h>

#include "lab/net/test_net.h"

namespace holdfast::lab::net {
namespace {

using mqtt::Ending;
using mqtt::Side;
using mqtt::Wishes;
using namespace std::string_literals;

constexpr std::string_view kPingreq{"\xc0\x00", 2};
constexpr std::string_view kPingresp{"\xd0\x00", 2};

std::string publish(const std::string& topic, const std::string& payload) {
  mqtt::Publish out;
  out.topic = topic;
  out.payload = payload;
  return mqtt::encode(mqtt::Version::v5, out);
}

/// A stage whose every reaction is given by the test; by default it passes on.
struct Scripted final : mqtt::Stage {
  void on_frame(BootTime now, Side from, std::string_view frame, Wishes& out) override {
    if (frames) {
      frames(now, from, frame, out);
    } else {
      out.send(other(from), std::string(frame));
    }
  }
  void on_garbage(BootTime now, Side from, std::string_view bytes, Wishes& out) override {
    *garbage = bytes;
    Stage::on_garbage(now, from, bytes, out);
  }
  void on_closed(BootTime now, Side side, Wishes& out) override {
    if (closed) {
      closed(now, side, out);
    } else {
      Stage::on_closed(now, side, out);
    }
  }
  BootTime wake() const override { return next; }
  void on_wake(BootTime now, Wishes& out) override {
    next = kNever;
    woken(now, out);
  }

  std::function<void(BootTime, Side, std::string_view, Wishes&)> frames;
  std::function<void(BootTime, Side, Wishes&)> closed;
  std::function<void(BootTime, Wishes&)> woken;
  /// Outlives the stage, which is gone when the conversation is over.
  std::shared_ptr<std::string> garbage = std::make_shared<std::string>();
  BootTime next = kNever;
};

class ConversationTest : public NetTest {
 protected:
  // One stage unless told otherwise; stages[0] is the device's neighbour.
  void start(std::size_t count = 1, bool packets = true) {
    Pair up = make_pair();
    Pair down = make_pair();
    device = up.client;
    broker = down.server;
    Conversation::Options options;
    options.id = 5;
    options.packets = packets;
    options.over = [this] { over = true; };
    for (std::size_t i = 0; i < count; ++i) {
      auto stage = std::make_unique<Scripted>();
      stages.push_back(stage.get());
      options.stages.push_back(std::move(stage));
    }
    talk = std::make_shared<Conversation>(loop, trace, up.server, down.client, std::move(options));
    talk->start();
    at_device = read_all(device);
    at_broker = read_all(broker);
  }

  std::shared_ptr<Stream> device;
  std::shared_ptr<Stream> broker;
  std::shared_ptr<Reader> at_device;
  std::shared_ptr<Reader> at_broker;
  std::vector<Scripted*> stages;
  std::shared_ptr<Conversation> talk;
  bool over = false;
};

// A stage that says when it goes.
class Mortal : public mqtt::Stage {
 public:
  explicit Mortal(bool& gone) : gone_(gone) {}
  ~Mortal() override { gone_ = true; }
  void on_frame(BootTime /*now*/, Side /*from*/, std::string_view /*frame*/,
                Wishes& /*out*/) override {}

 private:
  bool& gone_;
};

TEST_F(ConversationTest, WhenItIsAbandonedItsStagesAreGoneThoughHandlersKeepTheRest) {
  Pair up = make_pair();
  Pair down = make_pair();
  bool gone = false;
  Conversation::Options options;
  options.stages.push_back(std::make_unique<Mortal>(gone));
  talk = std::make_shared<Conversation>(loop, trace, up.server, down.client, std::move(options));
  talk->start();
  const std::weak_ptr<Conversation> kept = talk;
  talk->abandon();
  talk.reset();
  EXPECT_TRUE(gone);
  EXPECT_FALSE(kept.expired());  // its reads are still under way
  EXPECT_TRUE(until([&] { return kept.expired(); }));
}

TEST_F(ConversationTest, PassesPacketsAndTracesThem) {
  start();
  mqtt::Connect connect;
  connect.client_id = "pump";
  connect.password = "secret";
  write(device, mqtt::encode(mqtt::Version::v5, connect));
  write(broker, mqtt::encode(mqtt::Version::v5, mqtt::Connack{}));
  ASSERT_TRUE(until([&] { return events_named("packet").size() == 2; }));
  const Json up = events_named("packet")[0];
  EXPECT_EQ(up["conn"], 5);
  EXPECT_EQ(up["way"], "up");
  EXPECT_EQ(up["type"], "CONNECT");
  EXPECT_EQ(up["client"], "pump");
  EXPECT_EQ(up["passed"], true);
  EXPECT_EQ(up.dump().find("secret"), std::string::npos);
  EXPECT_EQ(events_named("packet")[1]["type"], "CONNACK");
  EXPECT_EQ(talk->facts().client_id, "pump");
  EXPECT_EQ(talk->facts().packets, 2U);
}

TEST_F(ConversationTest, PacketsInPiecesAndInHeapsAreTheSame) {
  start();
  const std::string both = publish("a", "1") + publish("b", std::string(70'000, '2'));
  write(device, both.substr(0, 3));
  turn_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(at_broker->bytes.empty());
  write(device, both.substr(3));
  EXPECT_TRUE(until([&] { return at_broker->bytes == both; }));
  EXPECT_EQ(events_named("packet").size(), 2U);
}

TEST_F(ConversationTest, WhatAStageKeepsIsNotPassedAndWhatItMakesIsTold) {
  start();
  stages[0]->frames = [](BootTime, Side from, std::string_view, Wishes& out) {
    out.note("answered itself");
    out.send(from, std::string(kPingresp));
  };
  write(device, std::string(kPingreq));
  ASSERT_TRUE(until([&] { return at_device->bytes == kPingresp; }));
  EXPECT_TRUE(at_broker->bytes.empty());
  const auto packets = events_named("packet");
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0]["type"], "PINGRESP");  // It went out while the other was being handled.
  EXPECT_EQ(packets[0]["by"], "lab");
  EXPECT_EQ(packets[1]["type"], "PINGREQ");
  EXPECT_EQ(packets[1]["passed"], false);
  EXPECT_EQ(packets[1]["notes"], Json::array({"answered itself"}));
}

TEST_F(ConversationTest, FramesGoThroughTheStagesInOrderFromEitherSide) {
  start(2);
  std::string order;
  for (std::size_t i = 0; i < 2; ++i) {
    stages[i]->frames = [&order, i](BootTime, Side from, std::string_view frame, Wishes& out) {
      order += std::to_string(i);
      out.send(other(from), std::string(frame));
    };
  }
  write(device, std::string(kPingreq));
  ASSERT_TRUE(until([&] { return at_broker->bytes == kPingreq; }));
  write(broker, std::string(kPingresp));
  ASSERT_TRUE(until([&] { return at_device->bytes == kPingresp; }));
  EXPECT_EQ(order, "0110");
}

TEST_F(ConversationTest, AnEndByThePeerReachesTheOtherSideAfterWhatWasSent) {
  start();
  const std::string last = publish("last", std::string(100'000, 'w'));
  broker->write(last, [this](const ErrorCode&) { broker->close([] {}); });
  ASSERT_TRUE(until([&] { return at_device->end.has_value(); }));
  EXPECT_EQ(at_device->bytes, last);
  EXPECT_EQ(*at_device->end, "fin");
  ASSERT_TRUE(until([&] { return over; }));
  const auto ends = events_named("end");
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_EQ(ends[0]["side"], "broker");
  EXPECT_EQ(ends[0]["by"], "peer");
  EXPECT_EQ(ends[0]["how"], "fin");
  EXPECT_EQ(ends[1]["side"], "device");
  EXPECT_EQ(ends[1]["by"], "lab");
}

TEST_F(ConversationTest, AResetByTheDeviceIsTold) {
  start();
  device->reset();
  ASSERT_TRUE(until([&] { return over; }));
  EXPECT_EQ(events_named("end")[0]["side"], "device");
  EXPECT_EQ(events_named("end")[0]["how"], "reset");
  ASSERT_TRUE(until([&] { return at_broker->end.has_value(); }));
  EXPECT_EQ(*at_broker->end, "fin");
}

TEST_F(ConversationTest, AStageEndsTheDeviceAfterSending) {
  start();
  stages[0]->frames = [](BootTime, Side, std::string_view, Wishes& out) {
    out.send(Side::device, publish("bye", "x"));
    out.close(Side::device, Ending::after_sending);
    out.close(Side::broker, Ending::reset);
  };
  write(device, std::string(kPingreq));
  ASSERT_TRUE(until([&] { return at_device->end && at_broker->end; }));
  EXPECT_EQ(at_device->bytes, publish("bye", "x"));
  EXPECT_EQ(*at_device->end, "fin");
  EXPECT_EQ(*at_broker->end, "reset");
}

TEST_F(ConversationTest, AnOrderlyEndWaitsForWhatStagesOnTheWayStillHold) {
  start(2);
  std::string held;
  // The device's neighbour delays what comes from the broker, and the end with it.
  stages[0]->frames = [&](BootTime now, Side from, std::string_view frame, Wishes& out) {
    if (from == Side::device) {
      out.send(Side::broker, std::string(frame));
      return;
    }
    held = frame;
    stages[0]->next = now + std::chrono::milliseconds(50);
  };
  stages[0]->closed = [](BootTime, Side, Wishes&) {};
  stages[0]->woken = [&](BootTime, Wishes& out) {
    out.send(Side::device, held);
    out.close(Side::device, Ending::after_sending);
  };
  stages[1]->frames = [](BootTime, Side from, std::string_view, Wishes& out) {
    out.send(from, std::string(kPingresp));
    out.close(from, Ending::after_sending);
  };
  write(device, std::string(kPingreq));
  ASSERT_TRUE(until([&] { return at_device->end.has_value(); }));
  EXPECT_EQ(at_device->bytes, kPingresp);
}

TEST_F(ConversationTest, SilenceNeitherReadsNorWritesNorEnds) {
  start();
  stages[0]->frames = [](BootTime, Side, std::string_view, Wishes& out) {
    out.close(Side::device, Ending::silence);
  };
  write(device, std::string(kPingreq));
  ASSERT_TRUE(until([&] { return !events_named("end").empty(); }));
  write(device, std::string(kPingreq));
  write(broker, std::string(kPingresp));
  broker->close([] {});
  turn_for(std::chrono::milliseconds(200));
  EXPECT_TRUE(at_device->bytes.empty());
  EXPECT_FALSE(at_device->end);
  EXPECT_FALSE(over);
  device->close([] {});
  EXPECT_TRUE(until([&] { return over; }));
  EXPECT_EQ(events_named("end").back()["how"], "gone while silent");
}

TEST_F(ConversationTest, WakesAStageWhenItWants) {
  start();
  const BootTime begin = clock->now();
  stages[0]->frames = [&](BootTime now, Side, std::string_view, Wishes&) {
    stages[0]->next = now + std::chrono::milliseconds(60);
  };
  stages[0]->woken = [](BootTime, Wishes& out) { out.send(Side::device, std::string(kPingresp)); };
  write(device, std::string(kPingreq));
  ASSERT_TRUE(until([&] { return at_device->bytes == kPingresp; }));
  EXPECT_GE(clock->now() - begin, std::chrono::milliseconds(60));
}

TEST_F(ConversationTest, GarbageGoesToTheNearestStageAndEndsBothSides) {
  start(2);
  const auto nearest = stages[1]->garbage;
  const auto other = stages[0]->garbage;
  write(broker, "\x00\x00"s);  // Type 0 does not exist.
  ASSERT_TRUE(until([&] { return at_device->end && at_broker->end; }));
  EXPECT_EQ(*nearest, "\x00\x00"s);
  EXPECT_EQ(*other, "");
  EXPECT_EQ(events_named("garbage").at(0)["from"], "broker");
}

TEST_F(ConversationTest, WithoutPacketsAnyBytesPass) {
  start(0, false);
  write(device, "\x00\x00 any"s);
  write(broker, "thing");
  EXPECT_TRUE(
      until([&] { return at_broker->bytes == "\x00\x00 any"s && at_device->bytes == "thing"; }));
  EXPECT_TRUE(events_named("packet").empty());
  device->close([] {});
  EXPECT_TRUE(until([&] { return over; }));
}

TEST_F(ConversationTest, ASlowSideHoldsTheOtherBack) {
  Pair up = make_pair();
  Pair down = make_pair();
  talk =
      std::make_shared<Conversation>(loop, trace, up.server, down.client, Conversation::Options{});
  talk->start();
  // Nobody reads at the broker: what the conversation holds stays bounded, and so the device's
  // writes come to a stop.
  std::size_t sent = 0;
  const std::string frame = publish("t", std::string(60'000, 'f'));
  std::function<void(const ErrorCode&)> more = [&](const ErrorCode& error) {
    if (error) return;
    sent += frame.size();
    up.client->write(frame, more);
  };
  up.client->write(frame, more);
  std::size_t before = 1;
  ASSERT_TRUE(until([&] {
    const bool same = before == sent;
    before = sent;
    if (!same) turn_for(std::chrono::milliseconds(100));
    return same;
  }));
  EXPECT_LT(talk->facts().up, std::size_t{64} * 1024 * 1024);
  const auto got = read_all(down.server);
  EXPECT_TRUE(until([&] { return got->bytes.size() >= before; }));
  up.client->reset();
  turn_for(std::chrono::milliseconds(20));
}

TEST_F(ConversationTest, IsKickedWithADisconnectPacket) {
  start();
  talk->kick({Kick::How::disconnect, 0x8E});
  ASSERT_TRUE(until([&] { return at_device->end && at_broker->end && over; }));
  EXPECT_EQ(at_device->bytes, "\xe0\x01\x8e"s);
  EXPECT_EQ(*at_device->end, "fin");
}

TEST_F(ConversationTest, IsKickedWithAReset) {
  start();
  talk->kick({Kick::How::reset});
  ASSERT_TRUE(until([&] { return at_device->end && at_broker->end && over; }));
  EXPECT_EQ(*at_device->end, "reset");
}

TEST_F(ConversationTest, ADeviceOfMqtt311IsKickedWithoutADisconnectPacket) {
  start();
  mqtt::Connect connect;
  connect.version = mqtt::Version::v311;
  write(device, mqtt::encode(mqtt::Version::v311, connect));
  ASSERT_TRUE(until([&] { return !at_broker->bytes.empty(); }));
  talk->kick({Kick::How::disconnect, 0x8E});
  ASSERT_TRUE(until([&] { return at_device->end.has_value(); }));
  EXPECT_EQ(at_device->bytes, "");
}

}  // namespace
}  // namespace holdfast::lab::net
