// Goal:   the answer to one question comes whole, or there is one verdict and one sentence.
// Method: a real TLS server that wants a certificate; for damaged answers a plain one that says
//         what it is told to.
#include "transport/https_get.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "transport/test_attempt.h"
#include "transport/test_server.h"

namespace holdfast::transport {
namespace {

constexpr char kWhole[] =
    "HTTP/1.1 403 Forbidden\r\nDate: Thu, 29 Feb 2024 23:59:59 GMT\r\nContent-Length: 7\r\n\r\n"
    "refused";

class HttpsGetTest : public SecureAttemptTest {
 protected:
  std::variant<HttpsAnswer, env::Failure> get(Target target) {
    std::optional<std::variant<HttpsAnswer, env::Failure>> outcome;
    const HttpsGet one(loop_, resolver_, clock_,
                       {std::move(target), "/a/b?c", {{"x-name", "value"}}, 64},
                       [&](std::variant<HttpsAnswer, env::Failure> result) {
                         outcome = std::move(result);
                         loop_.stop();
                       });
    EXPECT_FALSE(outcome.has_value()) << "called from inside";
    run();
    return outcome ? std::move(*outcome) : env::Failure{Verdict::none, 0, "no outcome"};
  }

  /// Of a plain server that says this and closes, or with `then` = hold, stays.
  std::variant<HttpsAnswer, env::Failure> get_from(const std::string& says,
                                                   const TestServer::Talk& then = reset_nothing,
                                                   Duration patience = std::chrono::seconds(10)) {
    const TestServer server([&](int fd) {
      std::array<char, 512> request{};
      asked_.assign(request.data(), static_cast<std::size_t>(std::max<ssize_t>(
                                        0, ::recv(fd, request.data(), request.size(), 0))));
      EXPECT_EQ(::send(fd, says.data(), says.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(says.size()));
      then(fd);
    });
    Target target = target_of(server.port());
    target.connect_timeout = patience;
    return get(target);
  }
  static void reset_nothing(int /*fd*/) {}

  static void expect_failure(const std::variant<HttpsAnswer, env::Failure>& outcome,
                             Verdict verdict, const std::string& words) {
    const auto* failure = std::get_if<env::Failure>(&outcome);
    ASSERT_NE(failure, nullptr);
    EXPECT_EQ(to_string(failure->verdict), to_string(verdict));
    EXPECT_NE(failure->detail.find(words), std::string::npos) << failure->detail;
  }

  std::string asked_;
};

TEST_F(HttpsGetTest, AsksWithTheCertificateAndGivesTheAnswer) {
  const Identity own = issue(ca_, {});
  TlsServerOptions options;
  options.identity = &server_;
  options.client_ca = &ca_;
  const TlsServerContext tls(options);
  const TestServer server([&](int fd) {
    tls.serve(fd, [](SSL* ssl) {
      std::array<char, 512> request{};
      EXPECT_GT(::SSL_read(ssl, request.data(), static_cast<int>(request.size())), 0);
      ::SSL_write(ssl, kWhole, static_cast<int>(sizeof kWhole - 1));
    });
  });
  Target target = secure(server.port());
  target.tls.cert_file = files_.write("own.pem", own.certificate_pem());
  target.tls.key_file = files_.write("own.key", own.key_pem());
  const auto outcome = get(target);
  const auto* answer = std::get_if<HttpsAnswer>(&outcome);
  ASSERT_NE(answer, nullptr) << std::get<env::Failure>(outcome).detail;
  EXPECT_EQ(answer->status, 403U);
  EXPECT_EQ(answer->words, "403 Forbidden");
  EXPECT_EQ(answer->body.text(), "refused");
  EXPECT_EQ(answer->date, WallTime{1709251199000});

  target.tls.cert_file.clear();
  target.tls.key_file.clear();
  expect_failure(get(target), Verdict::tls_client_refused, "");
}

TEST_F(HttpsGetTest, TheQuestionHasWhatItTakes) {
  (void)get_from(kWhole);
  EXPECT_TRUE(asked_.starts_with("GET /a/b?c HTTP/1.1\r\nHost: localhost:")) << asked_;
  EXPECT_NE(asked_.find("\r\nx-name: value\r\n"), std::string::npos) << asked_;
  EXPECT_NE(asked_.find("\r\nConnection: close\r\n"), std::string::npos) << asked_;
}

TEST_F(HttpsGetTest, DamagedAnswersHaveAVerdict) {
  const std::string whole = kWhole;
  expect_failure(get_from("SSH-2.0-OpenSSH_9.2\r\n"), Verdict::protocol_error, "no HTTP");
  expect_failure(get_from(""), Verdict::server_gone, "");
  expect_failure(get_from(whole.substr(0, 40)), Verdict::server_gone, "");
  expect_failure(get_from(whole.substr(0, whole.size() - 1)), Verdict::server_gone, "");
  expect_failure(get_from("HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n"), Verdict::protocol_error,
                 "longer than 64 bytes");
  expect_failure(get_from("HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n" + std::string(65, 'x')),
                 Verdict::protocol_error, "longer than 64 bytes");  // with its header, in one piece
  expect_failure(get_from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n" +
                          std::string(65, 'x') + "\r\n0\r\n\r\n"),
                 Verdict::protocol_error, "longer than 64 bytes");
  expect_failure(get_from("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x')),
                 Verdict::protocol_error, "");
}

TEST_F(HttpsGetTest, ASilentServerIsNotAwaitedForEver) {
  expect_failure(get_from("HTTP/1.1 200", hold, std::chrono::milliseconds(100)),
                 Verdict::silent_peer, "in time");
}

TEST_F(HttpsGetTest, DestroyedItSaysNothingMore) {
  const TestServer server(hold);
  {
    const HttpsGet one(loop_, resolver_, clock_, {target_of(server.port()), "/", {}, 64},
                       [](const std::variant<HttpsAnswer, env::Failure>&) { FAIL(); });
    turn(std::chrono::milliseconds(50));
  }
  turn();
}

}  // namespace
}  // namespace holdfast::transport
