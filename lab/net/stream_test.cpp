// Goal:   streams over sockets end as they are told to, and listeners receive as they are told to.
// Method: both ends are ours, over loopback.
#include "lab/net/stream.h"

#include <gtest/gtest.h>

#include "lab/net/endpoint.h"
#include "lab/net/test_net.h"

namespace holdfast::lab::net {
namespace {

class StreamTest : public NetTest {};

TEST_F(StreamTest, WhatIsWrittenArrivesBeforeTheFin) {
  auto [client, server] = make_pair();
  const auto got = read_all(client);
  const std::string much(300'000, 'x');
  bool closed = false;
  server->write(much, [&, s = server](const ErrorCode& error) {
    EXPECT_FALSE(error);
    s->close([&] { closed = true; });
  });
  ASSERT_TRUE(until([&] { return got->end.has_value(); }));
  EXPECT_EQ(*got->end, "fin");
  EXPECT_EQ(got->bytes, much);
  client->close([] {});
  EXPECT_TRUE(until([&] { return closed; }));
}

TEST_F(StreamTest, BytesThatNobodyReadDoNotTurnAFinIntoAReset) {
  auto [client, server] = make_pair();
  const auto got = read_all(client);
  write(client, std::string(50'000, 'y'));  // Never read by the server.
  write(server, "answer");
  server->close([] {});
  ASSERT_TRUE(until([&] { return got->end.has_value(); }));
  EXPECT_EQ(*got->end, "fin");
  EXPECT_EQ(got->bytes, "answer");
}

TEST_F(StreamTest, ResetIsSeenAsResetAndEndsWhatIsUnderWay) {
  auto [client, server] = make_pair();
  const auto theirs = read_all(client);
  const auto ours = read_all(server);
  server->reset();
  ASSERT_TRUE(until([&] { return theirs->end && ours->end; }));
  EXPECT_EQ(*theirs->end, "reset");
  EXPECT_EQ(*ours->end, "here");
}

TEST_F(StreamTest, KnowsThatThePeerHasGoneAlthoughNobodyReads) {
  const Pair pair = make_pair();
  write(pair.client, "unread");
  EXPECT_FALSE(pair.server->peer_is_gone());
  pair.client->close([] {});
  EXPECT_TRUE(until([&] { return pair.server->peer_is_gone(); }));
}

TEST_F(StreamTest, AFarewellThatIsNotAnsweredEndsAfterAWhile) {
  auto [client, server] = make_pair();
  bool closed = false;
  server->close([&] { closed = true; });
  turn_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(closed);
  EXPECT_TRUE(until([&] { return closed; }));
}

class ListenerTest : public NetTest {
 protected:
  // A listener that does `what` with all that comes.
  std::unique_ptr<Listener> make(Reception what) {
    auto out = std::make_unique<Listener>(
        loop, Listener::Handlers{[what](const std::string&) { return what; },
                                 [this](std::shared_ptr<Stream> stream, const std::string& peer) {
                                   served = std::move(stream);
                                   peer_name = peer;
                                 }});
    EXPECT_TRUE(out->listen({"127.0.0.1", 0, ""}).ok());
    return out;
  }
  std::shared_ptr<Stream> served;
  std::string peer_name;
};

TEST_F(ListenerTest, TellsThePeersAddress) {
  const auto listener = make(Reception::serve);
  const auto client = dial(listener->port());
  ASSERT_TRUE(until([&] { return served != nullptr; }));
  EXPECT_EQ(peer_name.substr(0, 10), "127.0.0.1:");
}

TEST_F(ListenerTest, RefusesWithAReset) {
  const auto listener = make(Reception::refuse);
  const auto client = dial(listener->port());
  ASSERT_NE(client, nullptr);
  const auto got = read_all(client);
  ASSERT_TRUE(until([&] { return got->end.has_value(); }));
  EXPECT_EQ(*got->end, "reset");
}

TEST_F(ListenerTest, IgnoresWithoutAWord) {
  const auto listener = make(Reception::ignore);
  const auto client = dial(listener->port());
  ASSERT_NE(client, nullptr);
  const auto got = read_all(client);
  write(client, "hello?");
  turn_for(std::chrono::milliseconds(200));
  EXPECT_FALSE(got->end.has_value());
  EXPECT_EQ(served, nullptr);
}

TEST_F(ListenerTest, APortWithoutItsListenerIsRefusedBySystem) {
  auto listener = make(Reception::serve);
  const std::uint16_t port = listener->port();
  EXPECT_NE(dial(port), nullptr);
  listener.reset();
  EXPECT_EQ(dial(port), nullptr);
}

TEST_F(ListenerTest, ServesUnixSocketsToo) {
  Endpoint at;
  at.path = file("socket");
  Listener listener(loop, {[](const std::string&) { return Reception::serve; },
                           [this](std::shared_ptr<Stream> stream, const std::string& peer) {
                             served = std::move(stream);
                             peer_name = peer;
                           }});
  ASSERT_TRUE(listener.listen(at).ok());
  std::shared_ptr<Stream> client;
  connect(loop, at, [&](auto connected) { client = *connected; });
  ASSERT_TRUE(until([&] { return client != nullptr && served != nullptr; }));
  EXPECT_EQ(peer_name, "unix");
  const auto got = read_all(served);
  write(client, "through a file");
  EXPECT_TRUE(until([&] { return got->bytes == "through a file"; }));
}

TEST_F(ListenerTest, APortInUseIsAnError) {
  const auto first = make(Reception::serve);
  Listener second(loop, {});
  const Status status = second.listen({"127.0.0.1", first->port(), ""});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Errc::in_use) << status.error().message;
}

TEST(Endpoint, IsReadAndWritten) {
  for (const char* text : {"127.0.0.1:80", "broker.example:8883", "[::1]:1", "unix:/run/x"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(to_string(*endpoint), text);
  }
  EXPECT_EQ(to_string(*parse_endpoint("1883")), "127.0.0.1:1883");
}

TEST(Endpoint, RefusesWhatIsNone) {
  for (const char* text : {"", ":", "host:", ":80", "host:70000", "host:8x", "host:-1", "unix:"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
  EXPECT_FALSE(parse_endpoint("unix:" + std::string(200, 'x')));
}

}  // namespace
}  // namespace holdfast::lab::net
