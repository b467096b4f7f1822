// Goal:   every way in which TLS can fail has its own verdict, and what should work does.
// Method: real OpenSSL servers on 127.0.0.1 with certificates made for each case, raw alerts, and
//         peers that are silent, hang up, or speak something else.
#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "transport/credentials.h"
#include "transport/test_attempt.h"
#include "transport/test_server.h"
#include "transport/tls_errors.h"

namespace holdfast::transport {
namespace {

using std::chrono::milliseconds;

class TlsTest : public SecureAttemptTest {
 protected:
  void use_client(Target& target, const Identity& identity) {
    target.tls.cert_file = files_.write("client.pem", identity.certificate_pem());
    target.tls.key_file = files_.write("client.key", identity.key_pem());
  }

  /// What connecting to a server with this certificate ends with.
  void expect_server_verdict(const Identity& identity, Verdict verdict, const std::string& words) {
    const TlsServerContext context({&identity, nullptr, 0, ""});
    const TestServer server([&](int fd) { context.serve(fd, echo); });
    expect_failure(secure(server.port()), verdict, words);
  }

  /// Connects to a server that wants a certificate of `client_ca_`, then writes and reads, as an
  /// engine does; gives the first failure on the way.
  env::Failure refusal(Target target, int max_version) {
    const TlsServerContext context({&server_, &client_ca_, max_version, ""});
    const TestServer server([&](int fd) { context.serve(fd, echo); });
    target.port = server.port();
    Connector::Outcome outcome = attempt(target);
    if (auto* failure = std::get_if<env::Failure>(&outcome)) return *failure;
    auto& stream = *std::get<std::unique_ptr<Stream>>(outcome);
    const Bytes hello(100);
    if (Transfer put = write(stream, hello); put.failure) return *put.failure;
    std::array<std::byte, 16> into{};
    if (Transfer got = read(stream, into); got.failure) return *got.failure;
    return {Verdict::none, 0, "it worked"};
  }

  Identity client_ca_ = make_ca("client CA");
};

TEST_F(TlsTest, ConnectsWithTls13AndTls12) {
  for (const auto& [version, name] :
       {std::pair{0, "TLSv1.3"}, std::pair{TLS1_2_VERSION, "TLSv1.2"}}) {
    const TlsServerContext context({&server_, nullptr, version, ""});
    const TestServer server([&](int fd) { context.serve(fd, echo); });
    const auto stream = stream_to(secure(server.port()));
    ASSERT_NE(stream, nullptr);
    EXPECT_EQ(stream->description(), "127.0.0.1:" + std::to_string(server.port()) + " " + name);
  }
}

TEST_F(TlsTest, OffersNoSuiteThatAwsIotCoreLacks) {
  const auto context = load_context(secure(1).tls);
  ASSERT_TRUE(context.ok());
  const STACK_OF(SSL_CIPHER)* const suites = ::SSL_CTX_get_ciphers(context->get());
  std::vector<std::string> names;
  for (int i = 0; i < sk_SSL_CIPHER_num(suites); ++i) {
    names.emplace_back(::SSL_CIPHER_get_name(sk_SSL_CIPHER_value(suites, i)));
  }
  EXPECT_EQ(names.size(), 3U + 18U);  // of TLS 1.3 and 1.2
  EXPECT_EQ(names.at(3), "ECDHE-ECDSA-AES128-GCM-SHA256");
  for (const std::string& name : names) {
    EXPECT_FALSE(name.starts_with("DHE") || name.ends_with("CHACHA20-POLY1305")) << name;
  }
}

TEST_F(TlsTest, VerifiesANumericHostAndSendsNoNameForIt) {
  std::promise<bool> named;
  const TlsServerContext context({&server_, nullptr, 0, ""});
  const TestServer server([&](int fd) {
    context.serve(fd, [&](SSL* ssl) {
      named.set_value(::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != nullptr);
      echo(ssl);
    });
  });
  Target target = secure(server.port());
  target.host = "127.0.0.1";
  ASSERT_NE(stream_to(target), nullptr);
  EXPECT_FALSE(named.get_future().get());
}

TEST_F(TlsTest, SendsTheNameAndTheProtocol) {
  std::promise<std::string> named;
  const TlsServerContext context({&server_, nullptr, 0, "x-amzn-mqtt-ca"});
  const TestServer server([&](int fd) {
    context.serve(fd, [&](SSL* ssl) {
      const char* name = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
      named.set_value(name != nullptr ? name : "");
      echo(ssl);
    });
  });
  Target target = secure(server.port());
  target.host = "192.0.2.1";  // The scripted resolver answers 127.0.0.1 for everything.
  target.tls.server_name = "localhost";
  target.tls.alpn = "x-amzn-mqtt-ca";
  ASSERT_NE(stream_to(target), nullptr);
  EXPECT_EQ(named.get_future().get(), "localhost");
}

TEST_F(TlsTest, TellsWhatWasAgreed) {
  const TlsServerContext context({&server_, nullptr, 0, "x-amzn-mqtt-ca"});
  const TestServer server([&](int fd) { context.serve(fd, echo); });
  Target target = secure(server.port());
  target.tls.alpn = "x-amzn-mqtt-ca";
  Secured agreed;
  target.secured = [&](const Secured& told) { agreed = told; };
  ASSERT_NE(stream_to(target), nullptr);
  EXPECT_EQ(agreed.version, "TLSv1.3");
  EXPECT_EQ(agreed.suite, "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(agreed.alpn, "x-amzn-mqtt-ca");
  EXPECT_EQ(agreed.peer.subject, "CN=server");
  EXPECT_NE(agreed.peer.issuer, agreed.peer.subject);
}

TEST_F(TlsTest, AProtocolTheServerDoesNotTakeFails) {
  const TlsServerContext context({&server_, nullptr, 0, "other"});
  const TestServer server([&](int fd) { context.serve(fd, echo); });
  Target target = secure(server.port());
  target.tls.alpn = "x-amzn-mqtt-ca";
  expect_failure(target, Verdict::tls_failed, "no application protocol");
}

TEST_F(TlsTest, AnAbsoluteNameIsVerifiedWithoutItsDot) {
  const TlsServerContext context({&server_, nullptr, 0, ""});
  const TestServer server([&](int fd) { context.serve(fd, echo); });
  Target target = secure(server.port());
  target.host = "localhost.";
  EXPECT_NE(stream_to(target), nullptr);
}

TEST_F(TlsTest, AnotherNameIsTlsServerName) {
  CertificateWish wish;
  wish.common_name = "other.example";
  wish.alt_names = "DNS:other.example,IP:192.0.2.7";
  const Identity other = issue(ca_, wish);
  expect_server_verdict(other, Verdict::tls_server_name, "expected localhost");
  const TlsServerContext context({&other, nullptr, 0, ""});
  const TestServer server([&](int fd) { context.serve(fd, echo); });
  Target target = secure(server.port());
  target.host = "127.0.0.1";
  expect_failure(target, Verdict::tls_server_name, "CN=other.example");
}

TEST_F(TlsTest, AnotherCaIsTlsServerUntrusted) {
  const Identity stranger = make_ca("stranger");
  expect_server_verdict(issue(stranger, {}), Verdict::tls_server_untrusted, "CN=stranger");
  expect_server_verdict(make_ca("alone"), Verdict::tls_server_untrusted, "self-signed");
}

TEST_F(TlsTest, TheSystemStoreDoesNotTrustOurCa) {
  const TlsServerContext context({&server_, nullptr, 0, ""});
  const TestServer server([&](int fd) { context.serve(fd, echo); });
  Target target = secure(server.port());
  target.tls.ca_file.clear();
  expect_failure(target, Verdict::tls_server_untrusted, "");
}

TEST_F(TlsTest, AnExpiredCertificateIsTlsServerExpired) {
  CertificateWish wish;
  wish.valid_from_s = -7200;
  wish.valid_for_s = 3600;
  clock_.set_wall(WallTime{std::max(build_time().ms, clock_.wall().ms)});
  expect_server_verdict(issue(ca_, wish), Verdict::tls_server_expired, "expired");
}

TEST_F(TlsTest, NotYetValidIsTlsClock) {
  CertificateWish wish;
  wish.valid_from_s = 3600;
  expect_server_verdict(issue(ca_, wish), Verdict::tls_clock, "not yet valid");
}

TEST_F(TlsTest, AClockBeforeTheBuildIsTlsClockEvenWhenTheCertificateSeemsExpired) {
  CertificateWish wish;
  wish.valid_from_s = -2L * 365 * 86400;
  wish.valid_for_s = 86400;
  clock_.set_wall(WallTime{build_time().ms - 365L * 86400 * 1000});
  expect_server_verdict(issue(ca_, wish), Verdict::tls_clock, "expired");
}

TEST_F(TlsTest, AClockIn1970IsTlsClock) {
  clock_.set_wall(WallTime{0});
  expect_server_verdict(server_, Verdict::tls_clock, "not yet valid");
}

TEST_F(TlsTest, AClientCertificateThatFitsIsTaken) {
  const Identity device = issue(client_ca_, {"device", "", -3600, 7200});
  Target target = secure(0);
  use_client(target, device);
  for (const int version : {0, TLS1_2_VERSION}) {
    EXPECT_EQ(refusal(target, version).verdict, Verdict::none);
  }
}

TEST_F(TlsTest, AMissingClientCertificateIsTlsClientRefused) {
  for (const int version : {0, TLS1_2_VERSION}) {
    const env::Failure failure = refusal(secure(0), version);
    EXPECT_EQ(failure.verdict, Verdict::tls_client_refused) << failure.detail;
  }
}

TEST_F(TlsTest, AClientCertificateOfAnotherCaIsTlsClientRefused) {
  const Identity device = issue(make_ca("stranger"), {"device", "", -3600, 7200});
  Target target = secure(0);
  use_client(target, device);
  for (const int version : {0, TLS1_2_VERSION}) {
    const env::Failure failure = refusal(target, version);
    EXPECT_EQ(failure.verdict, Verdict::tls_client_refused) << failure.detail;
    EXPECT_NE(failure.detail.find("unknown CA"), std::string::npos) << failure.detail;
  }
}

TEST_F(TlsTest, AnExpiredClientCertificateIsTlsClientRefused) {
  const Identity device = issue(client_ca_, {"device", "", -7200, 3600});
  Target target = secure(0);
  use_client(target, device);
  const env::Failure failure = refusal(target, 0);
  EXPECT_EQ(failure.verdict, Verdict::tls_client_refused) << failure.detail;
}

TEST_F(TlsTest, ARefusalIsTheReasonEvenWhenTheWriteFailsFirst) {
  const TlsServerContext context({&server_, &client_ca_, 0, ""});
  std::promise<void> refused;
  std::optional<TestServer> server(std::in_place, [&](int fd) {
    context.serve(fd, echo, AfterRefusal::close);  // Sends the alert.
    reset_on_close(fd);
    refused.set_value();
  });
  const auto stream = stream_to(secure(server->port()));
  ASSERT_NE(stream, nullptr);
  refused.get_future().wait();
  server.reset();  // Joins its thread: the connection has been reset.
  const Transfer put = write(*stream, Bytes(100));
  ASSERT_TRUE(put.failure);
  EXPECT_EQ(put.failure->verdict, Verdict::tls_client_refused) << put.failure->detail;
  std::array<std::byte, 16> into{};
  const Transfer got = read(*stream, into);
  ASSERT_TRUE(got.failure);
  EXPECT_EQ(got.failure->verdict, Verdict::tls_client_refused) << got.failure->detail;
}

TEST_F(TlsTest, AlertsAgainstOurCertificateAreTlsClientRefusedOthersAreNot) {
  struct Case {
    char alert;
    Verdict verdict;
  };
  for (const Case& each :
       {Case{42, Verdict::tls_client_refused}, Case{43, Verdict::tls_client_refused},
        Case{44, Verdict::tls_client_refused}, Case{45, Verdict::tls_client_refused},
        Case{46, Verdict::tls_client_refused}, Case{48, Verdict::tls_client_refused},
        Case{49, Verdict::tls_client_refused}, Case{116, Verdict::tls_client_refused},
        Case{40, Verdict::tls_failed}, Case{70, Verdict::tls_failed}, Case{80, Verdict::tls_failed},
        Case{112, Verdict::tls_failed}}) {
    const TestServer server([&](int fd) {
      std::array<char, 4096> hello{};
      if (::recv(fd, hello.data(), hello.size(), 0) <= 0) return;
      const char record[] = {21, 3, 3, 0, 2, 2, each.alert};
      static_cast<void>(::send(fd, record, sizeof(record), MSG_NOSIGNAL));
      hold(fd);
    });
    SCOPED_TRACE(static_cast<int>(each.alert));
    expect_failure(secure(server.port()), each.verdict, "the server sent the TLS alert");
  }
}

TEST_F(TlsTest, APeerThatSpeaksSomethingElseIsTlsFailed) {
  for (const char* words : {"HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n"}) {
    const TestServer server([&](int fd) {
      static_cast<void>(::send(fd, words, std::char_traits<char>::length(words), MSG_NOSIGNAL));
      hold(fd);
    });
    expect_failure(secure(server.port()), Verdict::tls_failed, "does not seem to speak TLS");
  }
}

TEST_F(TlsTest, AHangUpDuringTheHandshakeIsTlsFailedWithItsUsualCause) {
  const TestServer ending([](int fd) {
    std::array<char, 4096> hello{};
    static_cast<void>(::recv(fd, hello.data(), hello.size(), 0));
  });
  expect_failure(secure(ending.port()), Verdict::tls_failed, "not registered");
  const TestServer resetting([](int fd) {
    std::array<char, 4096> hello{};
    static_cast<void>(::recv(fd, hello.data(), hello.size(), 0));
    reset_on_close(fd);
  });
  expect_failure(secure(resetting.port()), Verdict::tls_failed, "not registered");
}

TEST_F(TlsTest, ASilentPeerIsTlsTimeout) {
  const TestServer server(hold);
  Target target = secure(server.port());
  target.connect_timeout = milliseconds(200);
  expect_failure(target, Verdict::tls_timeout, "within 200 ms");
}

TEST_F(TlsTest, CancelledDuringTheHandshakeLeavesNoCallbackAndNoDescriptor) {
  const TestListener silent;
  const std::size_t before = open_descriptors();
  bool called = false;
  auto connector =
      connect(loop_, resolver_, clock_, secure(silent.port()), [&](auto) { called = true; });
  const posix::UniqueFd peer([&] {
    turn(milliseconds(20));
    return ::accept4(silent.fd(), nullptr, nullptr, SOCK_CLOEXEC);
  }());
  ASSERT_TRUE(peer);
  EXPECT_EQ(open_descriptors(), before + 2);
  connector.reset();
  EXPECT_EQ(open_descriptors(), before + 1);
  turn();
  EXPECT_FALSE(called);
}

TEST_F(TlsTest, AHundredConnectionsLeaveNothing) {
  const TlsServerContext context({&server_, nullptr, 0, ""});
  const TestServer server([&](int fd) { context.serve(fd, echo); });
  const Target target = secure(server.port());
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 100; ++i) ASSERT_NE(stream_to(target), nullptr) << i;
  // The server handles one connection at a time, so one end at most is still open on its side.
  EXPECT_LE(open_descriptors(), before + 1);
}

class CredentialsTest : public TlsTest {
 protected:
  void expect_problem(const TlsConfig& tls, Errc code, const std::string& words) {
    const Status status = check_credentials(tls);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(to_string(status.error().code), to_string(code));
    EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
    Target target = target_of(1);
    target.tls = tls;
    expect_failure(target, Verdict::no_credentials, words);
    EXPECT_EQ(resolver_.asked, 0);
  }

  TlsConfig good() {
    Target target = secure(1);
    use_client(target, device_);
    return target.tls;
  }

  Identity device_ = issue(client_ca_, {"device", "", -3600, 7200});
};

TEST_F(CredentialsTest, GoodOnesAreFineAndSoAreNone) {
  EXPECT_TRUE(check_credentials(good()).ok());
  EXPECT_TRUE(check_credentials(TlsConfig{}).ok());
}

TEST_F(CredentialsTest, ValidityIsLeftToTheHandshake) {
  const Identity old = issue(client_ca_, {"device", "", -7200, 3600});
  TlsConfig tls = good();
  tls.cert_file = files_.write("old.pem", old.certificate_pem());
  tls.key_file = files_.write("old.key", old.key_pem());
  EXPECT_TRUE(check_credentials(tls).ok());
}

TEST_F(CredentialsTest, MissingFilesAreNamed) {
  TlsConfig tls = good();
  tls.ca_file = files_.path() / "absent-ca.pem";
  expect_problem(tls, Errc::not_found, "absent-ca.pem: No such file");
  tls = good();
  tls.cert_file = files_.path() / "absent.pem";
  expect_problem(tls, Errc::not_found, "absent.pem: No such file");
  tls = good();
  tls.key_file = files_.path() / "absent.key";
  expect_problem(tls, Errc::not_found, "absent.key: No such file");
}

TEST_F(CredentialsTest, FilesThatAreNoPemAreNamed) {
  const auto junk = files_.write("junk.pem", "this is not PEM\n");
  const auto empty = files_.write("empty.pem", "");
  TlsConfig tls = good();
  tls.ca_file = junk;
  expect_problem(tls, Errc::corrupt, "CA file " + junk.string() + ": no PEM certificate in it");
  tls.ca_file = empty;
  expect_problem(tls, Errc::corrupt, "empty.pem: the file is empty");
  tls = good();
  tls.cert_file = junk;
  expect_problem(tls, Errc::corrupt, "certificate " + junk.string() + ": no PEM certificate");
  tls = good();
  tls.key_file = junk;
  expect_problem(tls, Errc::corrupt, "key " + junk.string() + ": no PEM private key in it");
  tls.key_file = files_.path();
  expect_problem(tls, Errc::invalid_argument, "not a regular file");
}

TEST_F(CredentialsTest, DamageIsNamed) {
  std::string damaged = ca_.certificate_pem();
  damaged.replace(100, 20, "####################");
  TlsConfig tls = good();
  tls.ca_file = files_.write("damaged.pem", ca_.certificate_pem() + damaged);
  expect_problem(tls, Errc::corrupt, "certificate 2 in it is damaged");
  tls = good();
  tls.cert_file = files_.write("damaged.pem", device_.certificate_pem() + damaged);
  expect_problem(tls, Errc::corrupt, "a certificate of the chain is damaged");
}

TEST_F(CredentialsTest, AKeyOfAnotherCertificateIsNamedAndItsContentIsNot) {
  TlsConfig tls = good();
  const Identity other = issue(client_ca_, {"other", "", -3600, 7200});
  tls.key_file = files_.write("other.key", other.key_pem());
  expect_problem(tls, Errc::invalid_argument, "does not fit the certificate");
  const std::string message = check_credentials(tls).error().message;
  EXPECT_EQ(message.find(other.key_pem().substr(40, 20)), std::string::npos);
}

TEST_F(CredentialsTest, AKeyWithAPasswordIsRefusedWithoutAsking) {
  TlsConfig tls = good();
  tls.key_file = files_.write("locked.key", device_.key_pem("secret"));
  expect_problem(tls, Errc::invalid_argument, "protected by a password");
}

TEST_F(CredentialsTest, HalfAnIdentityIsNamed) {
  TlsConfig tls = good();
  tls.key_file.clear();
  expect_problem(tls, Errc::invalid_argument, "set tls.key_file");
  tls = good();
  tls.cert_file.clear();
  expect_problem(tls, Errc::invalid_argument, "set tls.cert_file");
}

TEST_F(CredentialsTest, AFileTooLargeIsNamed) {
  TlsConfig tls = good();
  tls.key_file = files_.write("large.key", std::string(100'000, 'x'));
  expect_problem(tls, Errc::too_large, "large.key");
}

// The state of a failure that a loopback test cannot bring about at will.
TEST(TlsFailure, OfAnEstablishedStreamFollowsTheSocket) {
  TlsTrouble trouble;
  trouble.handshaking = false;
  trouble.os_error = ETIMEDOUT;
  EXPECT_EQ(tls_failure(trouble).verdict, Verdict::silent_peer);
  trouble.os_error = EHOSTUNREACH;
  EXPECT_EQ(tls_failure(trouble).verdict, Verdict::no_route);
  trouble.os_error = ECONNRESET;
  EXPECT_EQ(tls_failure(trouble).verdict, Verdict::server_gone);
  trouble.handshaking = true;
  trouble.os_error = ETIMEDOUT;
  EXPECT_EQ(tls_failure(trouble).verdict, Verdict::tls_timeout);
}

}  // namespace
}  // namespace holdfast::transport
