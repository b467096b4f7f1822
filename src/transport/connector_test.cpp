// Goal:   every way in which a name look-up or a TCP connection can end has its verdict; an attempt
//         can be cancelled in every stage; nothing leaks.
// Method: scripted look-ups, real sockets on 127.0.0.1 that refuse, swallow, accept or hang up.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "posix/sanitized.h"
#include "transport/socket_options.h"
#include "transport/tcp_race.h"
#include "transport/test_attempt.h"
#include "transport/test_server.h"

namespace holdfast::transport {

namespace {

using std::chrono::milliseconds;

/// A port that swallows SYNs: its accept queue is full and nobody accepts.
class BlackHole {
 public:
  BlackHole() {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(listener_.port());
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (posix::UniqueFd& fd : fill_) {
      fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      static_cast<void>(
          ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof(where)));
    }
  }
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

 private:
  TestListener listener_{0};
  std::array<posix::UniqueFd, 4> fill_;
};

class ConnectorTest : public AttemptTest {
 protected:
  void expect_dns(Errc code, Verdict verdict) {
    resolver_.answer = Error{code, "the resolver's words", 0};
    expect_failure(target_of(1), verdict, "the resolver's words");
  }
};

TEST_F(ConnectorTest, ConnectsAndSaysWhereTo) {
  const TestServer server(hold);
  const auto stream = stream_to(target_of(server.port()));
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->description(), "127.0.0.1:" + std::to_string(server.port()) + " plain");
}

TEST_F(ConnectorTest, NamesTheFailuresOfTheLookUp) {
  expect_dns(Errc::not_found, Verdict::dns_failed);
  expect_dns(Errc::io, Verdict::dns_failed);
  expect_dns(Errc::timeout, Verdict::dns_timeout);
  expect_dns(Errc::full, Verdict::dns_timeout);
}

TEST_F(ConnectorTest, RefusedIsTcpRefused) {
  expect_failure(target_of(closed_port()), Verdict::tcp_refused, "Connection refused");
}

TEST_F(ConnectorTest, AHoleIsTcpTimeoutWithinTheDeadline) {
  const BlackHole hole;
  Target target = target_of(hole.port());
  target.connect_timeout = milliseconds(400);
  expect_failure(target, Verdict::tcp_timeout, "no answer in time");
}

TEST_F(ConnectorTest, NoWayToTheAddressIsNoRoute) {
  resolver_.answer = std::vector<env::Address>{{"255.255.255.255", false}};
  expect_failure(target_of(1), Verdict::no_route, "unreachable");
}

TEST_F(ConnectorTest, AnAddressThatIsNoneIsAFailureToo) {
  resolver_.answer = std::vector<env::Address>{{"no address", false}};
  EXPECT_EQ(failure_of(target_of(1)).verdict, Verdict::no_route);
}

TEST_F(ConnectorTest, TriesTheNextAddressWhenTheFirstRefuses) {
  const TestServer server(hold);
  resolver_.answer = std::vector<env::Address>{{"127.0.0.2", false}, {"127.0.0.1", false}};
  const auto stream = stream_to(target_of(server.port()));
  ASSERT_NE(stream, nullptr);
  EXPECT_EQ(stream->description(), "127.0.0.1:" + std::to_string(server.port()) + " plain");
}

TEST_F(ConnectorTest, DoesNotWaitForASilentAddressLongerThanTheStagger) {
  const BlackHole hole;
  // The same port on another loopback address, where somebody listens.
  const posix::UniqueFd live(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(hole.port());
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
  ASSERT_EQ(::bind(live.get(), reinterpret_cast<const sockaddr*>(&where), sizeof(where)), 0);
  ASSERT_EQ(::listen(live.get(), 8), 0);
  resolver_.answer = std::vector<env::Address>{{"127.0.0.1", false}, {"127.0.0.2", false}};
  const std::size_t before = open_descriptors();
  {
    const auto stream = stream_to(target_of(hole.port()));
    ASSERT_NE(stream, nullptr);
    EXPECT_EQ(stream->description(), "127.0.0.2:" + std::to_string(hole.port()) + " plain");
    EXPECT_EQ(open_descriptors(), before + 1) << "the loser of the race is still open";
  }
}

TEST_F(ConnectorTest, TellsAllAddressesAndTheVerdictThatKnowsMost) {
  resolver_.answer = std::vector<env::Address>{{"255.255.255.255", false}, {"127.0.0.1", false}};
  const env::Failure failure = failure_of(target_of(closed_port()));
  EXPECT_EQ(failure.verdict, Verdict::tcp_refused);
  EXPECT_NE(failure.detail.find("255.255.255.255"), std::string::npos);
  EXPECT_NE(failure.detail.find("127.0.0.1"), std::string::npos);
}

TEST_F(ConnectorTest, ManyAddressesAreBoundedAndSoAreTheWords) {
  resolver_.answer = std::vector<env::Address>(500, env::Address{"127.0.0.1", false});
  const env::Failure failure = failure_of(target_of(closed_port()));
  EXPECT_EQ(failure.verdict, Verdict::tcp_refused);
  EXPECT_LE(failure.detail.size(), std::size_t{512});
}

TEST_F(ConnectorTest, NoDescriptorLeftIsAFailureNotALoop) {
  if (posix::kAddressSanitizer) GTEST_SKIP() << "the sanitizer's own checks need descriptors";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const std::uint16_t port = closed_port();
  // The lowest free number becomes the limit, so that nothing can be opened.
  const int lowest = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(lowest, 0);
  ::close(lowest);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(lowest);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const env::Failure failure = failure_of(target_of(port));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(failure.verdict, Verdict::engine_failed);
  EXPECT_NE(failure.detail.find("Too many open files"), std::string::npos) << failure.detail;
}

TEST_F(ConnectorTest, CancelledBeforeItBeginsNothingIsAsked) {
  bool called = false;
  {
    const auto gone = connect(loop_, resolver_, clock_, target_of(1), [&](auto) { called = true; });
  }
  turn();
  EXPECT_FALSE(called);
  EXPECT_EQ(resolver_.asked, 0);
}

TEST_F(ConnectorTest, CancelledWhileResolvingTheResolverIsTold) {
  resolver_.answer.reset();
  bool called = false;
  auto connector = connect(loop_, resolver_, clock_, target_of(1), [&](auto) { called = true; });
  turn();
  EXPECT_EQ(resolver_.asked, 1);
  connector.reset();
  turn();
  EXPECT_FALSE(called);
  EXPECT_EQ(resolver_.cancelled, 1);
}

// Field lesson 57.
TEST_F(ConnectorTest, CancelledWhileConnectingLeavesNoCallbackAndNoDescriptor) {
  const BlackHole hole;
  const std::size_t before = open_descriptors();
  bool called = false;
  Target target = target_of(hole.port());
  auto connector = connect(loop_, resolver_, clock_, target, [&](auto) { called = true; });
  // On a busy machine one turn may end before the attempt has begun.
  for (int i = 0; i < 1000 && open_descriptors() == before; ++i) turn();
  EXPECT_EQ(open_descriptors(), before + 1);
  connector.reset();
  EXPECT_EQ(open_descriptors(), before);
  turn();
  EXPECT_FALSE(called);
}

TEST_F(ConnectorTest, AReceiverMayDestroyTheConnectorAndDropTheStream) {
  const TestServer server(hold);
  const std::size_t before = open_descriptors();
  std::unique_ptr<Connector> connector;
  connector = connect(loop_, resolver_, clock_, target_of(server.port()), [&](auto) {
    connector.reset();
    loop_.stop();
  });
  run();
  EXPECT_EQ(connector, nullptr);
  turn();
  EXPECT_LE(open_descriptors(), before + 1);  // The server may still hold its end.
}

TEST_F(ConnectorTest, AThousandConnectionsLeaveNothing) {
  const TestListener listener(1024);
  const std::uint16_t refusing = closed_port();
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_NE(stream_to(target_of(listener.port())), nullptr) << i;
    const posix::UniqueFd accepted(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(accepted);
    ASSERT_EQ(failure_of(target_of(refusing)).verdict, Verdict::tcp_refused);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(TcpRaceOrder, AlternatesFamiliesFromTheFirstOne) {
  const auto order = interleave({{"::1", true}, {"::2", true}, {"1.1.1.1", false}, {"::3", true}});
  std::vector<std::string> names;
  for (const auto& address : order) names.push_back(address.numeric);
  EXPECT_EQ(names, (std::vector<std::string>{"::1", "1.1.1.1", "::2", "::3"}));
}

TEST(TcpRaceOrder, WritesAddressesAsPeopleDo) {
  EXPECT_EQ(address_text("203.0.113.7", 8883), "203.0.113.7:8883");
  EXPECT_EQ(address_text("2001:db8::7", 443), "[2001:db8::7]:443");
}

TEST(TcpVerdict, FollowsTheCause) {
  EXPECT_EQ(connect_verdict(ECONNREFUSED), Verdict::tcp_refused);
  EXPECT_EQ(connect_verdict(ETIMEDOUT), Verdict::tcp_timeout);
  EXPECT_EQ(connect_verdict(ENETUNREACH), Verdict::no_route);
  EXPECT_EQ(connect_verdict(EHOSTUNREACH), Verdict::no_route);
  EXPECT_EQ(connect_verdict(EINVAL), Verdict::no_route);
  EXPECT_EQ(connect_verdict(EMFILE), Verdict::engine_failed);
}

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

TEST(SocketOptions, NoticeADeadPathWithinTheTimeGiven) {
  for (const int seconds : {3, 10, 30, 120}) {
    const KeepAlive options = keep_alive_for(std::chrono::seconds(seconds));
    // The kernel gives up at the first probe after the user timeout.
    EXPECT_LE(options.user_timeout_ms + 1000U * static_cast<unsigned>(options.interval_s),
              1000U * static_cast<unsigned>(seconds));
    EXPECT_LT(options.idle_s, seconds);
  }
}

TEST(SocketOptions, ReachTheSocket) {
  const posix::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  set_socket_options(fd.get(), std::chrono::seconds(30));
  EXPECT_EQ(option(fd.get(), IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(fd.get(), SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE), 15);
  EXPECT_EQ(option(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL), 3);
  EXPECT_EQ(option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT), 20000);
}

}  // namespace
}  // namespace holdfast::transport
