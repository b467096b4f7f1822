// ClientHellos: a real one, cut anywhere, and what is none.
#include "lab/fault/client_hello.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/seeded_random.h"

namespace holdfast::lab::fault {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::SizeIs;

/// OpenSSL 3.0 as a client: three suites of TLS 1.3, three of TLS 1.2, SNI, ALPN, no ticket yet.
constexpr std::string_view kOpenssl =
    "1603010200010001fc03031fc3c4b5a67a655061898151ad1fbb6ad89369de806cc9c65d6a48d0632105e9208c0e"
    "3e90ea24256bb714899f263ec6d9c4f547da6a7992305b4d24fd2bbade0d000e130213031301c02fcca8002f00ff"
    "010001a500000013001100000e61312e696f742e6578616d706c65000b000403000102000a00160014001d001700"
    "1e00190018010001010102010301040023000000100011000f0e782d616d7a6e2d6d7174742d6361001600000017"
    "0000000d002a0028040305030603080708080809080a080b08040805080604010501060103030301030204020502"
    "0602002b00050403040303002d00020101003300260024001d0020f1e2d2c05fc878dd0f4672884b23e6c86219a3"
    "8bd796914f4fd3fabd88bfc736001500e0";

std::string openssl_hello() {
  std::string bytes;
  for (std::size_t i = 0; i < kOpenssl.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(kOpenssl.substr(i, 2)), nullptr, 16));
  }
  return bytes + std::string(224, '\0');  // its padding
}

ClientHello read(std::string_view bytes) {
  const auto hello = parse_client_hello(bytes);
  EXPECT_TRUE(hello.ok() && hello->has_value());
  return hello.ok() && hello->has_value() ? **hello : ClientHello{};
}

std::string complaint(std::string_view bytes) {
  const auto hello = parse_client_hello(bytes);
  return hello.ok() ? (hello->has_value() ? "a hello" : "more") : hello.error().message;
}

TEST(LabClientHello, ReadsWhatOpensslOffers) {
  const ClientHello hello = read(openssl_hello());
  EXPECT_EQ(hello.legacy_version, 0x0303);
  EXPECT_THAT(hello.versions, ElementsAre(0x0304, 0x0303));
  EXPECT_THAT(hello.suites, ElementsAre(0x1302, 0x1303, 0x1301, 0xC02F, 0xCCA8, 0x002F, 0x00FF));
  EXPECT_EQ(hello.server_name, "a1.iot.example");
  EXPECT_THAT(hello.alpn, ElementsAre("x-amzn-mqtt-ca"));
  EXPECT_THAT(hello.groups, SizeIs(10));
  EXPECT_THAT(hello.signature_algorithms, SizeIs(20));
  EXPECT_TRUE(hello.session_ticket);
  EXPECT_FALSE(hello.session_ticket_sent);
  EXPECT_FALSE(hello.pre_shared_key);
}

TEST(LabClientHello, IsShownAsJson) {
  const auto json = to_json(read(openssl_hello()));
  EXPECT_EQ(json["versions"].dump(), R"(["TLS 1.3","TLS 1.2"])");
  EXPECT_EQ(
      json["suites"][3].dump(),
      R"({"id":"0xC02F","name":"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256","aws":"recommended"})");
  EXPECT_EQ(json["suites"][4]["aws"], "unsupported");
  EXPECT_EQ(json["suites"][6]["aws"], "signalling");
  EXPECT_EQ(json["groups"][0], "0x001D");
  EXPECT_EQ(json["session_ticket"], true);
}

TEST(LabClientHello, WaitsForAllOfIt) {
  const std::string bytes = openssl_hello();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_EQ(complaint(bytes.substr(0, size)), "more") << size;
  }
  EXPECT_EQ(complaint(bytes + "what comes after it"), "a hello");
}

TEST(LabClientHello, MayComeInManyRecords) {
  const std::string bytes = openssl_hello();
  std::string records;
  for (std::size_t at = 5; at < bytes.size(); at += 100) {
    const std::string part = bytes.substr(at, 100);
    records += "\x16\x03\x01"s + '\0' + static_cast<char>(part.size()) + part;
  }
  EXPECT_EQ(read(records).server_name, "a1.iot.example");
  EXPECT_EQ(complaint(std::string_view(records).substr(0, records.size() - 1)), "more");
}

TEST(LabClientHello, WithoutExtensionsItIsOfAnOldClient) {
  const std::string body = "\x03\x01"s + std::string(32, 'r') + "\0\0\x02\x00\x05\x01\0"s;
  const std::string handshake = "\x01\0\0"s + static_cast<char>(body.size()) + body;
  const ClientHello hello =
      read("\x16\x03\x01\0"s + static_cast<char>(handshake.size()) + handshake);
  EXPECT_THAT(hello.versions, ElementsAre(0x0301));
  EXPECT_THAT(hello.suites, ElementsAre(0x0005));
  EXPECT_EQ(to_json(hello)["versions"][0], "TLS 1.0");
}

TEST(LabClientHello, SaysWhyItIsNone) {
  EXPECT_EQ(complaint("GET / HTTP/1.1\r\n"), "no ClientHello: no handshake record");
  EXPECT_EQ(complaint("\x16\x02"), "no ClientHello: a record of no known version");
  EXPECT_EQ(complaint("\x16\x03\x01\0\0"s), "no ClientHello: a record of an impossible length");
  EXPECT_EQ(complaint("\x16\x03\x01\xff\xff"s), "no ClientHello: a record of an impossible length");
  EXPECT_EQ(complaint("\x16\x03\x01\0\x04\x02\0\0\0"s),
            "no ClientHello: another handshake message comes first");
  EXPECT_EQ(complaint("\x16\x03\x01\0\x04\x01\x7f\0\0"s),
            "no ClientHello: it says that it is too long");
  EXPECT_EQ(complaint("\x16\x03\x01\0\x05\x01\0\0\x01\x03"s), "no ClientHello: it ends too early");
}

TEST(LabClientHello, SurvivesDamageEverywhere) {
  sim::SeededRandom random(7);
  const std::string bytes = openssl_hello();
  std::size_t read_anyway = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = bytes;
    for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
      damaged[random.below(damaged.size())] = static_cast<char>(random.next());
    }
    const auto hello = parse_client_hello(damaged);
    if (!hello.ok() || !hello->has_value()) continue;
    ++read_anyway;
    EXPECT_FALSE(to_json(**hello).dump().empty());
  }
  EXPECT_GT(read_anyway, 100U);
}

TEST(LabClientHello, KnowsWhatAwsHasAndWhatIsOnlyASignal) {
  EXPECT_EQ(standing(0xC02B), SuiteStanding::recommended);
  EXPECT_EQ(standing(0xC030), SuiteStanding::supported);
  EXPECT_EQ(standing(0xCCA9), SuiteStanding::unsupported);
  EXPECT_EQ(standing(0x4242), SuiteStanding::unsupported);
  EXPECT_EQ(standing(0x5A5A), SuiteStanding::signalling);
  EXPECT_EQ(suite_name(0x5A5A), "GREASE");
  EXPECT_EQ(suite_name(0x4242), "0x4242");
  EXPECT_EQ(standing(0x5A4A), SuiteStanding::unsupported);
}

}  // namespace
}  // namespace holdfast::lab::fault
