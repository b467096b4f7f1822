// Goal:   an attempt begins with the address that may work; where the name service gives no answer,
//         addresses that were good before are used, but never where a stranger could gain by it.
// Method: scripted look-ups and a real address book; real TLS servers on 127.0.0.1.
#include "transport/address_book.h"
#include "transport/test_attempt.h"
#include "transport/test_server.h"

namespace holdfast::transport {
namespace {

using std::chrono::milliseconds;

class LastGoodTest : public SecureAttemptTest {
 protected:
  static constexpr const char* kHost = "localhost";  // what the server's certificate says

  Target with_book(Target target) {
    target.addresses = &book_;
    return target;
  }

  /// As an engine does: connects, and is let in if `broker` says so. The end of the stream's life
  /// is left to the test.
  Connector::Outcome run_attempt(const Target& target, bool broker = true) {
    std::optional<Connector::Outcome> outcome;
    connector_ = connect(loop_, resolver_, clock_, target, [&](Connector::Outcome result) {
      outcome = std::move(result);
      loop_.stop();
    });
    run();
    if (!outcome) return env::Failure{Verdict::none, 0, "no outcome"};
    if (broker && std::holds_alternative<std::unique_ptr<Stream>>(*outcome)) connector_->let_in();
    return std::move(*outcome);
  }
  bool connects(const Target& target) {
    return std::holds_alternative<std::unique_ptr<Stream>>(run_attempt(target));
  }
  env::Failure fails(const Target& target) {
    Connector::Outcome outcome = run_attempt(target);
    if (auto* failure = std::get_if<env::Failure>(&outcome)) return *failure;
    ADD_FAILURE() << "connected, which was not expected";
    return {};
  }
  void no_answer(Errc code) { resolver_.answer = Error{code, "the resolver's words", 0}; }
  bool knows(std::uint16_t port) { return !book_.last_good({kHost, port}).empty(); }

  AddressBook book_{clock_, [](const std::string&) {}};
  std::unique_ptr<Connector> connector_;
  TlsServerContext tls_{{&server_, nullptr, 0, ""}};
};

TEST_F(LastGoodTest, TheNextAttemptBeginsWithAnAddressThatMayWork) {
  const TestServer server(hold);
  const Target target = with_book(target_of(server.port()));
  const env::Address dead{"127.0.0.2", false};
  resolver_.answer = std::vector<env::Address>{dead, {"127.0.0.1", false}};
  ASSERT_TRUE(connects(target));
  EXPECT_TRUE(book_.failed_at({kHost, target.port}, dead)) << "it lost the race by saying no";
  EXPECT_EQ(order_of_attempts(*resolver_.answer->operator->(), {kHost, target.port}, &book_)
                .front()
                .numeric,
            "127.0.0.1");
}

TEST_F(LastGoodTest, WhoIsLetInButNotServedGoesElsewhereNext) {
  const TestServer server(hold);
  const Target target = with_book(target_of(server.port()));
  const env::Place place{kHost, target.port};
  const env::Address here{"127.0.0.1", false};
  ASSERT_TRUE(connects(target));
  for (const Verdict ours : {Verdict::none, Verdict::not_authorized, Verdict::no_route,
                             Verdict::tls_client_refused, Verdict::throttled}) {
    connector_->ended(ours);
    EXPECT_FALSE(book_.failed_at(place, here)) << to_string(ours);
  }
  for (const Verdict theirs : {Verdict::mqtt_timeout, Verdict::silent_peer, Verdict::server_gone}) {
    ASSERT_TRUE(connects(target));
    EXPECT_FALSE(book_.failed_at(place, here));
    connector_->ended(theirs);
    EXPECT_TRUE(book_.failed_at(place, here)) << to_string(theirs);
  }
}

TEST_F(LastGoodTest, WithoutAnAnswerTheLastGoodAddressIsUsedAndSaysSo) {
  const TestServer server([&](int fd) { tls_.serve(fd, echo); });
  const Target target = with_book(secure(server.port()));
  ASSERT_TRUE(connects(target));
  EXPECT_EQ(connector_->unresolved(), nullptr);
  for (const auto& [code, verdict] :
       {std::pair{Errc::io, Verdict::dns_failed}, std::pair{Errc::timeout, Verdict::dns_timeout},
        std::pair{Errc::full, Verdict::dns_timeout}}) {
    no_answer(code);
    ASSERT_TRUE(connects(target));
    ASSERT_NE(connector_->unresolved(), nullptr);
    EXPECT_EQ(connector_->unresolved()->verdict, verdict);
    EXPECT_EQ(connector_->unresolved()->detail, "the resolver's words");
  }
}

TEST_F(LastGoodTest, ASlowNameServiceIsNotWaitedForToTheEnd) {
  const TestServer server([&](int fd) { tls_.serve(fd, echo); });
  Target target = with_book(secure(server.port()));
  target.resolve_timeout = std::chrono::hours(1);
  ASSERT_TRUE(connects(target));
  resolver_.answer.reset();
  ASSERT_TRUE(connects(target));
  ASSERT_NE(connector_->unresolved(), nullptr);
  EXPECT_EQ(connector_->unresolved()->verdict, Verdict::dns_timeout);
  EXPECT_EQ(resolver_.cancelled, 1) << "its answer is not wanted any more";
}

// A name service that is only slow is not left out for ever: where its answer is needed, it has all
// its time.
TEST_F(LastGoodTest, ASlowNameServiceIsWaitedForOnceTheLastGoodOnesFail) {
  const std::uint16_t port = closed_port();
  const Target target = with_book(secure(port));
  book_.worked({kHost, port}, {"127.0.0.1", false}, true);
  resolver_.answer.reset();
  const env::Failure failure = fails(target);
  EXPECT_EQ(failure.verdict, Verdict::dns_timeout) << "the port is not what is wrong";
  EXPECT_NE(failure.detail.find("last good address 127.0.0.1:"), std::string::npos)
      << failure.detail;
  EXPECT_NE(failure.detail.find("refused"), std::string::npos) << failure.detail;
  connector_ = connect(loop_, resolver_, clock_, target, [](auto) { FAIL() << "gave up waiting"; });
  turn(kSlowLookup + milliseconds(500));
  EXPECT_EQ(resolver_.cancelled, 1) << "only by the attempt before";
}

// RFC 8767 section 4: an answer, also a negative one, takes the place of what was known before.
TEST_F(LastGoodTest, ANameThatDoesNotExistIsBelieved) {
  const TestServer server([&](int fd) { tls_.serve(fd, echo); });
  const Target target = with_book(secure(server.port()));
  ASSERT_TRUE(connects(target));
  no_answer(Errc::not_found);
  EXPECT_EQ(fails(target).verdict, Verdict::dns_failed);
}

TEST_F(LastGoodTest, AStrangerAtTheOldAddressIsFoundOut) {
  const Identity stranger = issue(ca_, {"stranger", "DNS:stranger.example"});
  const TlsServerContext strangers({&stranger, nullptr, 0, ""});
  const TestServer server([&](int fd) { strangers.serve(fd, echo); });
  const Target target = with_book(secure(server.port()));
  const env::Address here{"127.0.0.1", false};
  book_.worked({kHost, target.port}, here, true);
  no_answer(Errc::io);
  const env::Failure failure = fails(target);
  EXPECT_EQ(failure.verdict, Verdict::tls_server_name);
  EXPECT_NE(failure.detail.find("an address of before was used"), std::string::npos);
  EXPECT_TRUE(book_.failed_at({kHost, target.port}, here));
}

// In the clear nothing tells a stranger from the broker.
TEST_F(LastGoodTest, WithoutTlsOnlyTheNameServiceIsBelieved) {
  const TestServer server(hold);
  const Target target = with_book(target_of(server.port()));
  ASSERT_TRUE(connects(target));
  ASSERT_TRUE(knows(target.port));
  no_answer(Errc::io);
  EXPECT_EQ(fails(target).verdict, Verdict::dns_failed);
}

TEST_F(LastGoodTest, AProxyThatGetsAPasswordIsLookedUp) {
  const std::uint16_t port = closed_port();
  Target target = with_book(secure(8883));
  target.proxy.host = "proxy.example";
  target.proxy.port = port;
  book_.worked({"proxy.example", port}, {"127.0.0.1", false}, true);
  no_answer(Errc::io);
  EXPECT_NE(fails(target).detail.find("last good address"), std::string::npos);
  target.proxy.username = "device";
  EXPECT_EQ(fails(target).detail, "the resolver's words");
}

// TCP and TLS alone prove no broker; and an answer of the name service makes an address good, not
// its use without one.
TEST_F(LastGoodTest, OnlyABrokerMakesAnAddressGood) {
  const TestServer server([&](int fd) { tls_.serve(fd, echo); });
  const Target target = with_book(secure(server.port()));
  static_cast<void>(run_attempt(target, false));
  EXPECT_FALSE(knows(target.port));
  ASSERT_TRUE(connects(target));
  EXPECT_TRUE(knows(target.port));
}

TEST_F(LastGoodTest, CancelledWhileItWaitsForASlowNameServiceNothingIsTold) {
  const TestServer server([&](int fd) { tls_.serve(fd, echo); });
  const Target target = with_book(secure(server.port()));
  ASSERT_TRUE(connects(target));
  resolver_.answer.reset();
  const int accepted = server.accepted();
  connector_ = connect(loop_, resolver_, clock_, target, [](auto) { FAIL() << "told"; });
  turn();
  connector_.reset();
  turn(kSlowLookup + milliseconds(200));
  EXPECT_EQ(server.accepted(), accepted);
}

}  // namespace
}  // namespace holdfast::transport
