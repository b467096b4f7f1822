// Goal:   the lab's TLS server is wrong exactly as told, and writes down what really happened.
// Method: OpenSSL's client at the other end of a real connection.
#include "lab/net/tls.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lab/net/entry.h"
#include "lab/net/test_net.h"

namespace holdfast::lab::net {
namespace {

class TlsTest : public NetTest {
 protected:
  // What came of a handshake at both ends.
  struct Outcome {
    std::shared_ptr<TlsStream> server;
    std::shared_ptr<TlsStream> client;
    std::optional<ErrorCode> server_said;
    std::optional<ErrorCode> client_said;
  };

  Outcome shake(TlsServerOptions server, TlsClientOptions client) {
    const auto server_side = TlsServer::make(std::move(server));
    const auto client_side = TlsClient::make(std::move(client));
    EXPECT_TRUE(server_side) << server_side.error().message;
    EXPECT_TRUE(client_side) << client_side.error().message;
    Pair pair = make_pair();
    Outcome out;
    out.server = server_side->wrap(loop, pair.server);
    out.client = client_side->wrap(loop, pair.client);
    out.server->handshake([&, s = out.server](const ErrorCode& error) {
      out.server_said = error;
      if (error) s->close([] {});
    });
    out.client->handshake([&, c = out.client](const ErrorCode& error) {
      out.client_said = error;
      if (error) c->close([] {});
    });
    EXPECT_TRUE(until([&] { return out.server_said && out.client_said; }));
    return out;
  }

  static bool has_alert(const TlsFacts& facts, bool from_peer, int number) {
    return std::any_of(facts.alerts.begin(), facts.alerts.end(), [&](const TlsAlert& alert) {
      return alert.from_peer == from_peer && alert.number == number;
    });
  }
};

constexpr int kCloseNotify = 0;
constexpr int kHandshakeFailure = 40;
constexpr int kBadCertificate = 42;
constexpr int kCertificateRevoked = 44;
constexpr int kCertificateExpired = 45;
constexpr int kCertificateUnknown = 46;
constexpr int kUnknownCa = 48;
constexpr int kUnrecognizedName = 112;
constexpr int kCertificateRequired = 116;
constexpr int kNoApplicationProtocol = 120;

TEST_F(TlsTest, CarriesBytesBothWaysAndTellsTheFacts) {
  auto both = shake(server_options(), client_options());
  ASSERT_FALSE(*both.server_said);
  ASSERT_FALSE(*both.client_said);
  const TlsFacts& facts = both.server->facts();
  EXPECT_TRUE(facts.established);
  EXPECT_EQ(facts.version, "TLSv1.3");
  EXPECT_EQ(facts.suite.substr(0, 4), "TLS_");
  EXPECT_EQ(facts.server_name, "localhost");
  const auto up = read_all(both.server);
  const auto down = read_all(both.client);
  const std::string much(200'000, 'u');
  write(both.client, much);
  write(both.server, "down");
  EXPECT_TRUE(until([&] { return up->bytes == much && down->bytes == "down"; }));
  both.client->close([] {});
  ASSERT_TRUE(until([&] { return up->end.has_value(); }));
  EXPECT_EQ(*up->end, "fin");
  EXPECT_TRUE(has_alert(facts, true, kCloseNotify));
}

TEST_F(TlsTest, AnEndWithoutCloseNotifyIsToldApart) {
  auto both = shake(server_options(), client_options());
  const auto up = read_all(both.server);
  both.client->reset();
  ASSERT_TRUE(until([&] { return up->end.has_value(); }));
  EXPECT_EQ(*up->end, "reset");
  EXPECT_TRUE(both.server->facts().alerts.empty());
}

TEST_F(TlsTest, KeepsToTheVersionsAndSuitesItIsGiven) {
  TlsServerOptions options = server_options();
  options.highest = TlsVersion::tls12;
  options.suites_1_2 = "ECDHE-ECDSA-AES128-GCM-SHA256";
  const auto both = shake(options, client_options());
  EXPECT_EQ(both.server->facts().version, "TLSv1.2");
  EXPECT_EQ(both.server->facts().suite, "ECDHE-ECDSA-AES128-GCM-SHA256");
}

TEST_F(TlsTest, OldVersionsOnlyAreRefusedByAClientOfToday) {
  TlsServerOptions options = server_options();
  options.lowest = TlsVersion::tls10;
  options.highest = TlsVersion::tls11;
  const auto both = shake(options, client_options());
  EXPECT_TRUE(*both.server_said);
  EXPECT_TRUE(*both.client_said);
}

TEST_F(TlsTest, TheAlertOfAClientThatDistrustsTheServerIsWrittenDown) {
  TlsClientOptions client = client_options();
  client.ca_file = chain("other");
  const auto both = shake(server_options(), client);
  EXPECT_EQ(words_of(*both.server_said), "tls");
  EXPECT_TRUE(has_alert(both.server->facts(), true, kUnknownCa));
  EXPECT_FALSE(both.server->facts().established);
}

TEST_F(TlsTest, AnExpiredServerCertificateIsAnsweredWithItsAlert) {
  TlsServerOptions options = server_options();
  options.chain_file = chain("expired");
  options.key_file = key("expired");
  const auto both = shake(options, client_options());
  EXPECT_TRUE(has_alert(both.server->facts(), true, kCertificateExpired));
}

TEST_F(TlsTest, SendsRecordsOfTheSizeItIsGiven) {
  TlsServerOptions options = server_options();
  auto both = shake(options, client_options());
  auto down = read_all(both.client);
  write(both.server, std::string(100'000, 'r'));
  ASSERT_TRUE(until([&] { return down->bytes.size() == 100'000; }));
  constexpr std::size_t kWhole = 16384;
  EXPECT_GE(both.server->facts().largest_record_sent, kWhole);
  EXPECT_LT(both.server->facts().largest_record_sent, kWhole + 64);
  options.record_size = 64;
  both = shake(options, client_options());
  down = read_all(both.client);
  const std::size_t handshake = both.server->facts().largest_record_sent;
  write(both.server, std::string(100'000, 'r'));
  ASSERT_TRUE(until([&] { return down->bytes.size() == 100'000; }));
  EXPECT_EQ(both.server->facts().largest_record_sent, handshake);
}

TEST_F(TlsTest, NeverResumesASession) {
  // A ticket would come as a record of its own after the handshake of TLS 1.3, and as a message
  // within it in TLS 1.2; either way OpenSSL's client would hold a session that can be resumed.
  for (const TlsVersion version : {TlsVersion::tls12, TlsVersion::tls13}) {
    TlsServerOptions options = server_options();
    options.lowest = options.highest = version;
    auto both = shake(options, client_options());
    const auto down = read_all(both.client);
    write(both.server, "x");
    ASSERT_TRUE(until([&] { return down->bytes == "x"; }));
    EXPECT_FALSE(both.client->facts().ticket_received);
  }
}

// ---- client certificates

class ClientCertificate : public TlsTest {
 protected:
  ClientCertificate() {
    options = server_options();
    options.client = TlsServerOptions::Client::required;
    options.client_ca_file = ca();
    shown = client_options();
    shown.chain_file = chain("client");
    shown.key_file = key("client");
  }
  TlsServerOptions options;
  TlsClientOptions shown;
};

TEST_F(ClientCertificate, IsJudgedByItsChainByDefault) {
  const auto both = shake(options, shown);
  ASSERT_FALSE(*both.server_said);
  const auto& peer = both.server->facts().peer;
  ASSERT_TRUE(peer);
  EXPECT_TRUE(peer->chain_valid);
  EXPECT_EQ(peer->subject, "CN=client");
  EXPECT_EQ(peer->fingerprint.size(), 64U);
  EXPECT_TRUE(peer->pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
}

TEST_F(ClientCertificate, OfAForeignCaIsRefusedWithUnknownCa) {
  shown.chain_file = chain("other");
  shown.key_file = key("other");
  const auto both = shake(options, shown);
  EXPECT_TRUE(*both.server_said);
  ASSERT_TRUE(both.server->facts().peer);
  EXPECT_FALSE(both.server->facts().peer->chain_valid);
  EXPECT_FALSE(both.server->facts().peer->chain_problem.empty());
  EXPECT_TRUE(has_alert(both.server->facts(), false, kUnknownCa));
}

TEST_F(ClientCertificate, OfAForeignCaIsFineWhenTheJudgeSaysSo) {
  shown.chain_file = chain("other");
  shown.key_file = key("other");
  std::string seen;
  options.judge = [&](const PeerCertificate& peer) {
    seen = peer.fingerprint;
    return ClientVerdict::accept;
  };
  const auto both = shake(options, shown);
  EXPECT_FALSE(*both.server_said);
  EXPECT_EQ(seen, both.server->facts().peer->fingerprint);
}

TEST_F(ClientCertificate, IsRefusedWithTheAlertOfTheJudgesVerdict) {
  const std::vector<std::pair<ClientVerdict, int>> kinds = {
      {ClientVerdict::unknown_ca, kUnknownCa},       {ClientVerdict::revoked, kCertificateRevoked},
      {ClientVerdict::expired, kCertificateExpired}, {ClientVerdict::bad, kBadCertificate},
      {ClientVerdict::unknown, kCertificateUnknown}, {ClientVerdict::failure, kHandshakeFailure}};
  for (const auto& [verdict, alert] : kinds) {
    options.judge = [verdict = verdict](const PeerCertificate&) { return verdict; };
    const auto both = shake(options, shown);
    EXPECT_TRUE(*both.server_said);
    EXPECT_TRUE(has_alert(both.server->facts(), false, alert)) << alert;
  }
}

TEST_F(ClientCertificate, MayBeRefusedWithoutAnAlert) {
  for (const TlsVersion version : {TlsVersion::tls12, TlsVersion::tls13}) {
    options.highest = version;
    options.judge = [](const PeerCertificate&) { return ClientVerdict::silent; };
    const auto both = shake(options, shown);
    EXPECT_TRUE(*both.server_said);
    const auto down = read_all(both.client);
    ASSERT_TRUE(until([&] { return down->end.has_value(); }));
    EXPECT_TRUE(both.client->facts().alerts.empty());
  }
}

TEST_F(ClientCertificate, IsMissedWhenItIsRequiredAndOnlyThen) {
  auto both = shake(options, client_options());
  EXPECT_TRUE(has_alert(both.server->facts(), false, kCertificateRequired));
  EXPECT_EQ(both.server->facts().alerts.at(0).name, "certificate required");
  options.client = TlsServerOptions::Client::optional;
  both = shake(options, client_options());
  EXPECT_FALSE(*both.server_said);
  EXPECT_FALSE(both.server->facts().peer);
}

// ---- names and protocols

TEST_F(TlsTest, AgreesOnTheProtocolThatIsChosen) {
  TlsServerOptions options = server_options();
  options.choose_alpn = [](const std::vector<std::string>& offered) {
    return std::optional<std::string>(offered.at(0) == "x-amzn-mqtt-ca" ? offered[0] : "");
  };
  TlsClientOptions client = client_options();
  client.alpn = "x-amzn-mqtt-ca";
  const auto both = shake(options, client);
  EXPECT_EQ(both.server->facts().alpn, "x-amzn-mqtt-ca");
  EXPECT_EQ(both.server->facts().alpn_offered, std::vector<std::string>{"x-amzn-mqtt-ca"});
  client.alpn = "other";
  EXPECT_EQ(shake(options, client).server->facts().alpn, "");
}

TEST_F(TlsTest, RefusesAProtocolOrANameWithItsAlert) {
  TlsServerOptions options = server_options();
  options.choose_alpn = [](const auto&) { return std::optional<std::string>(); };
  options.accept_name = [](const std::string& name) { return name == "localhost"; };
  TlsClientOptions client = client_options();
  client.alpn = "x";
  EXPECT_TRUE(has_alert(shake(options, client).server->facts(), false, kNoApplicationProtocol));
  client.server_name = "127.0.0.1";  // Sends no name.
  EXPECT_TRUE(has_alert(shake(options, client).server->facts(), false, kUnrecognizedName));
}

TEST_F(TlsTest, FilesThatDoNotFitAreNamed) {
  TlsServerOptions options = server_options();
  options.key_file = key("client");
  const auto mixed = TlsServer::make(options);
  ASSERT_FALSE(mixed);
  EXPECT_NE(mixed.error().message.find("client.key"), std::string::npos) << mixed.error().message;
  options.chain_file = "missing.crt";
  const auto missing = TlsServer::make(options);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("missing.crt"), std::string::npos);
  options = server_options();
  options.suites_1_2 = "NONSENSE";
  EXPECT_FALSE(TlsServer::make(options));
  options = server_options();
  options.record_size = 16385;
  EXPECT_FALSE(TlsServer::make(options));
}

TEST_F(TlsTest, TheDoorTracesAHandshakeThatFails) {
  const auto server = TlsServer::make(server_options());
  Pair pair = make_pair();
  bool over = false;
  open_tls(loop, trace, 7, *server, pair.server, [&](auto stream) {
    over = true;
    EXPECT_EQ(stream, nullptr);
  });
  write(pair.client, "GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(until([&] { return over; }));
  const auto told = events_named("tls");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0]["conn"], 7);
  EXPECT_EQ(told[0]["established"], false);
  EXPECT_EQ(told[0]["problem"], "http request");
}

}  // namespace
}  // namespace holdfast::lab::net
