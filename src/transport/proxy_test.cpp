// Attempts that go through an HTTP proxy.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <mutex>
#include <string>

#include "transport/test_attempt.h"
#include "transport/test_server.h"

namespace holdfast::transport {
namespace {

/// A proxy that answers each CONNECT with `answer` and then is the endpoint itself.
class TestProxy {
 public:
  explicit TestProxy(std::string answer, TestServer::Talk endpoint = hold)
      : answer_(std::move(answer)), endpoint_(std::move(endpoint)), server_([this](int fd) {
          std::string request;
          std::array<char, 512> piece{};
          while (request.find("\r\n\r\n") == std::string::npos) {
            const ssize_t got = ::recv(fd, piece.data(), piece.size(), 0);
            if (got <= 0) return;
            request.append(piece.data(), static_cast<std::size_t>(got));
          }
          {
            const std::lock_guard lock(mutex_);
            request_ = request;
          }
          if (answer_.empty()) return;  // It just closes.
          EXPECT_EQ(::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL),
                    static_cast<ssize_t>(answer_.size()));
          endpoint_(fd);
        }) {}

  [[nodiscard]] std::uint16_t port() const { return server_.port(); }
  [[nodiscard]] std::string request() {
    const std::lock_guard lock(mutex_);
    return request_;
  }

 private:
  const std::string answer_;
  const TestServer::Talk endpoint_;
  std::mutex mutex_;
  std::string request_;
  TestServer server_;
};

constexpr char kEstablished[] = "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n";

class ProxyTest : public SecureAttemptTest {
 protected:
  Target through(const TestProxy& proxy) {
    Target target = target_of(8883);
    target.host = "broker.example";
    target.proxy.host = "proxy.example";
    target.proxy.port = proxy.port();
    return target;
  }
};

TEST_F(ProxyTest, ThroughItTlsIsSpokenWithTheEndpoint) {
  TlsServerOptions options;
  options.identity = &server_;
  const TlsServerContext tls(options);
  TestProxy proxy(kEstablished, [&tls](int fd) { tls.serve(fd, echo); });
  Target target = through(proxy);
  target.tls.enabled = true;
  target.tls.ca_file = files_.write("ca.pem", ca_.certificate_pem());
  target.tls.server_name = "localhost";
  const auto stream = stream_to(target);
  ASSERT_NE(stream, nullptr);
  EXPECT_NE(stream->description().find(" to broker.example:8883 TLS"), std::string::npos)
      << stream->description();
  const std::string words = "through the tunnel";
  EXPECT_EQ(write(*stream, std::as_bytes(std::span(words))).bytes, words.size());
  std::array<std::byte, 64> answer{};
  EXPECT_EQ(read(*stream, answer).bytes, words.size());
  EXPECT_EQ(proxy.request(),
            "CONNECT broker.example:8883 HTTP/1.1\r\nHost: broker.example:8883\r\n\r\n");
}

TEST_F(ProxyTest, AnAddressOfTheSixthVersionStandsInBrackets) {
  TestProxy proxy(kEstablished);
  Target target = through(proxy);
  target.host = "2001:db8::1";
  EXPECT_NE(stream_to(target), nullptr);
  EXPECT_EQ(proxy.request().substr(0, 32), "CONNECT [2001:db8::1]:8883 HTTP/");
}

TEST_F(ProxyTest, TheLoginIsSentAndInNoFailure) {
  TestProxy proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  Target target = through(proxy);
  target.proxy.username = "pump";
  target.proxy_password = "open sesame";
  const env::Failure failure = failure_of(target);
  EXPECT_EQ(failure.verdict, Verdict::proxy_failed);
  EXPECT_NE(failure.detail.find("the proxy answered 407 Proxy Authentication Required"),
            std::string::npos)
      << failure.detail;
  EXPECT_EQ(failure.detail.find("sesame"), std::string::npos);
  EXPECT_NE(proxy.request().find("Proxy-Authorization: Basic cHVtcDpvcGVuIHNlc2FtZQ==\r\n"),
            std::string::npos)
      << proxy.request();
}

TEST_F(ProxyTest, WhateverElseItAnswersIsNamed) {
  struct Case {
    std::string answer;
    std::string words;
  };
  const std::array<Case, 6> cases{{
      {"HTTP/1.1 503 No\xffway\r\n\r\n", "answered 503 No?way"},
      {"HTTP/1.0 302 \r\nLocation: http://portal/\r\n\r\n", "answered 302"},
      {"SSH-2.0-OpenSSH_9\r\n", "does not speak HTTP"},
      {"", "ended the connection without an answer"},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(9000, 'x') + "\r\n\r\n", "does not speak HTTP"},
      {std::string(kEstablished) + "early", "sent bytes behind its answer"},
  }};
  for (const Case& wrong : cases) {
    TestProxy proxy(wrong.answer);
    expect_failure(through(proxy), Verdict::proxy_failed, wrong.words);
  }
}

TEST_F(ProxyTest, ASilentOneIsGivenUpInTime) {
  TestServer silent(hold);
  Target target = target_of(8883);
  target.proxy.host = "proxy.example";
  target.proxy.port = silent.port();
  target.connect_timeout = std::chrono::milliseconds(50);
  expect_failure(target, Verdict::proxy_failed, "the proxy did not answer within 50 ms");
}

TEST_F(ProxyTest, AnAttemptCanBeGivenUpWhileItIsAsked) {
  TestServer silent(hold);
  Target target = target_of(8883);
  target.proxy.host = "proxy.example";
  target.proxy.port = silent.port();
  const std::size_t before = open_descriptors();
  {
    auto connector = connect(loop_, resolver_, clock_, target, [](Connector::Outcome) { FAIL(); });
    while (silent.accepted() == 0) turn();
    turn();
  }
  turn();
  EXPECT_LE(open_descriptors(), before + 1) << "the server's end may still be open";
}

}  // namespace
}  // namespace holdfast::transport
