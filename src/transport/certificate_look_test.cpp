// Goal:   names, dates and the chain of our own certificate are told as they are.
// Method: certificates of a CA of the test's own, as files.
#include "transport/certificate_look.h"

#include <gtest/gtest.h>

#include "transport/test_pki.h"

namespace holdfast::transport {

namespace {

class CertificateLookTest : public testing::Test {
 protected:
  TlsConfig with(const std::string& ca_pem, const std::string& cert_pem, const Identity& own) {
    TlsConfig tls;
    tls.ca_file = directory_.write("ca.pem", ca_pem);
    tls.cert_file = directory_.write("device.pem", cert_pem);
    tls.key_file = directory_.write("device.key", own.key_pem());
    return tls;
  }

  TestDirectory directory_;
  Identity ca_ = make_ca("Test CA");
  Identity own_ = issue(ca_, {.common_name = "pump-17", .alt_names = "", .valid_for_s = 7200});
};

TEST_F(CertificateLookTest, TellsNamesDatesAndTheKey) {
  const auto look = look_at_credentials(with(ca_.certificate_pem(), own_.certificate_pem(), own_));
  ASSERT_TRUE(look) << look.error().message;
  ASSERT_EQ(look->own.size(), 1u);
  EXPECT_EQ(look->own[0].subject, "CN=pump-17");
  EXPECT_EQ(look->own[0].issuer, "CN=Test CA");
  EXPECT_GT(look->own[0].not_after, look->own[0].not_before);
  ASSERT_EQ(look->ca.size(), 1u);
  EXPECT_EQ(look->ca[0].subject, "CN=Test CA");
  EXPECT_EQ(look->key, "EC, 256 bits");
  EXPECT_EQ(look->chain, ChainEnd::verified);
  EXPECT_FALSE(look->out_of_order);
}

TEST_F(CertificateLookTest, AnIssuerThatIsNotAtHandIsNoFault) {
  const Identity other = make_ca("Other CA");
  const auto look =
      look_at_credentials(with(other.certificate_pem(), own_.certificate_pem(), own_));
  ASSERT_TRUE(look) << look.error().message;
  EXPECT_EQ(look->chain, ChainEnd::unknown_issuer);
}

TEST_F(CertificateLookTest, ACaOfTheSameNameWithAnotherKeyIsAFault) {
  const Identity twin = make_ca("Test CA");
  const auto look = look_at_credentials(with(twin.certificate_pem(), own_.certificate_pem(), own_));
  ASSERT_TRUE(look) << look.error().message;
  EXPECT_NE(look->chain, ChainEnd::verified);
}

TEST_F(CertificateLookTest, NoticesAStrangerBehindOurCertificate) {
  const Identity stranger = make_ca("Stranger");
  const auto look = look_at_credentials(
      with(ca_.certificate_pem(), own_.certificate_pem() + stranger.certificate_pem(), own_));
  ASSERT_TRUE(look) << look.error().message;
  EXPECT_TRUE(look->out_of_order);
  EXPECT_EQ(look->own.size(), 2u);
}

TEST_F(CertificateLookTest, AKeyThatDoesNotFitIsNamed) {
  const Identity other = issue(ca_, {});
  const auto look = look_at_credentials(with(ca_.certificate_pem(), own_.certificate_pem(), other));
  ASSERT_FALSE(look);
  EXPECT_NE(look.error().message.find("does not fit the certificate"), std::string::npos);
  EXPECT_EQ(look.error().message.find("BEGIN"), std::string::npos);
}

}  // namespace

}  // namespace holdfast::transport
