// Signature Version 4 with real cryptography: AWS's published vectors, WebSocket URLs, refusals.
#include "lab/iot/sigv4.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <map>
#include <memory>
#include <string>

#include "base/hex.h"
#include "lab/net/crypto.h"

namespace holdfast::lab::net {
namespace {

using iot::HttpQuestion;

class TestKeys final : public iot::AccessKeys {
 public:
  [[nodiscard]] std::optional<iot::AccessKey> access_key(std::string_view id) const override {
    const auto found = all.find(std::string(id));
    return found == all.end() ? std::nullopt : std::optional(found->second);
  }
  std::map<std::string, iot::AccessKey> all;
};

// The key and time of AWS's Signature Version 4 test suite.
constexpr const char* kId = "AKIDEXAMPLE";
constexpr WallTime kThen{1'440'938'160'000};  // 20150830T123600Z

class LabSigV4 : public ::testing::Test {
 protected:
  LabSigV4() {
    keys_.all[kId] = {kId, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", {INT64_MAX}};
  }
  std::string verdict(const HttpQuestion& question, WallTime now = kThen) {
    const auto result = iot::verify_sigv4(now, question, scope_, keys_, crypto_);
    const auto* word = std::get_if<std::string>(&result);
    return word == nullptr ? "signed by " + std::get<iot::AccessKey>(result).id : *word;
  }
  /// A request of the test suite.
  static HttpQuestion vector(const std::string& method, const std::string& target,
                             const std::string& signature,
                             const std::string& names = "host;x-amz-date") {
    HttpQuestion question;
    question.method = method;
    question.target = target;
    question.headers = {{"Host", "example.amazonaws.com"},
                        {"X-Amz-Date", "20150830T123600Z"},
                        {"Authorization",
                         "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
                         "aws4_request, SignedHeaders=" +
                             names + ", Signature=" + signature}};
    return question;
  }
  /// A WebSocket URL, signed here step by step.
  [[nodiscard]] HttpQuestion url(const std::string& after = "",
                                 const std::string& signed_too = "") const {
    const std::string day = "20150830/eu-central-1/iotdevicegateway/aws4_request";
    const std::string query =
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F"
        "20150830%2Feu-central-1%2Fiotdevicegateway%2Faws4_request&"
        "X-Amz-Date=20150830T123600Z" +
        signed_too + "&X-Amz-SignedHeaders=host";
    const std::string request =
        "GET\n/mqtt\n" + query + "\nhost:iot.local\n\nhost\n" + text_to_hex(crypto_.sha256(""));
    std::string key = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    for (const char* part : {"20150830", "eu-central-1", "iotdevicegateway", "aws4_request"}) {
      key = crypto_.hmac_sha256(key, part);
    }
    const std::string signature =
        text_to_hex(crypto_.hmac_sha256(key, "AWS4-HMAC-SHA256\n20150830T123600Z\n" + day + '\n' +
                                                 text_to_hex(crypto_.sha256(request))));
    HttpQuestion question;
    question.method = "GET";
    question.target = "/mqtt?" + query + "&X-Amz-Signature=" + signature + after;
    question.headers = {{"host", "iot.local"}, {"Upgrade", "websocket"}};
    return question;
  }
  void use_device_gateway() { scope_ = {"eu-central-1", "iotdevicegateway", 300'000}; }

  OpenSslCrypto crypto_;
  TestKeys keys_;
  iot::SignatureScope scope_{"us-east-1", "service", 300'000};
};

TEST_F(LabSigV4, AcceptsThePublishedVectors) {
  EXPECT_EQ(verdict(vector("GET", "/",
                           "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")),
            "signed by AKIDEXAMPLE");
  EXPECT_EQ(verdict(vector("GET", "/?Param2=value2&Param1=value1",
                           "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")),
            "signed by AKIDEXAMPLE");
  EXPECT_EQ(verdict(vector("POST", "/",
                           "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")),
            "signed by AKIDEXAMPLE");
  EXPECT_EQ(verdict(vector("GET", "/\xe1\x88\xb4",
                           "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85")),
            "signed by AKIDEXAMPLE");
}

TEST_F(LabSigV4, WhatWasChangedAfterSigningIsRefused) {
  const std::string signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
  EXPECT_EQ(verdict(vector("GET", "/x", signature)), "SECURITY_TOKEN_SIGNATURE_MISMATCH");
  EXPECT_EQ(verdict(vector("PUT", "/", signature)), "SECURITY_TOKEN_SIGNATURE_MISMATCH");
  HttpQuestion changed = vector("GET", "/", signature);
  changed.body = "x";
  EXPECT_EQ(verdict(changed), "SECURITY_TOKEN_SIGNATURE_MISMATCH");
  changed = vector("GET", "/", signature);
  changed.headers[0].second = "other";
  EXPECT_EQ(verdict(changed), "SECURITY_TOKEN_SIGNATURE_MISMATCH");
}

TEST_F(LabSigV4, AWebSocketUrlIsAccepted) {
  use_device_gateway();
  EXPECT_EQ(verdict(url()), "signed by AKIDEXAMPLE");
  EXPECT_EQ(verdict(url("", "&X-Amz-Expires=60")), "signed by AKIDEXAMPLE");
}

TEST_F(LabSigV4, ASessionTokenIsAppendedAfterSigningOrSigned) {
  use_device_gateway();
  keys_.all[kId].session_token = "a/b=";
  EXPECT_EQ(verdict(url("&X-Amz-Security-Token=a%2Fb%3D")), "signed by AKIDEXAMPLE");
  EXPECT_EQ(verdict(url("", "&X-Amz-Security-Token=a%2Fb%3D")), "signed by AKIDEXAMPLE");
  EXPECT_EQ(verdict(url()), "SECURITY_TOKEN_INVALID");
  EXPECT_EQ(verdict(url("&X-Amz-Security-Token=other")), "SECURITY_TOKEN_INVALID");
}

TEST_F(LabSigV4, TimeAndKeysEnd) {
  use_device_gateway();
  EXPECT_EQ(verdict(url(), {kThen.ms + 300'000}), "signed by AKIDEXAMPLE");
  EXPECT_EQ(verdict(url(), {kThen.ms + 300'001}), "SECURITY_TOKEN_EXPIRED");
  EXPECT_EQ(verdict(url(), {kThen.ms - 300'001}), "SECURITY_TOKEN_EXPIRED");
  EXPECT_EQ(verdict(url("", "&X-Amz-Expires=60"), {kThen.ms + 60'001}), "SECURITY_TOKEN_EXPIRED");
  keys_.all[kId].expires = kThen;
  EXPECT_EQ(verdict(url()), "SECURITY_TOKEN_EXPIRED");
  keys_.all.clear();
  EXPECT_EQ(verdict(url()), "SECURITY_TOKEN_INVALID");
}

TEST_F(LabSigV4, ASignatureForElsewhereOrWithoutSenseIsNone) {
  EXPECT_EQ(verdict(url()), "NOT_AUTHENTICATED");  // another service
  use_device_gateway();
  HttpQuestion question;
  question.method = "GET";
  for (const char* target : {"/mqtt", "/mqtt?", "/mqtt?X-Amz-Algorithm=%", "/mqtt?&&=&%zz=%"}) {
    question.target = target;
    EXPECT_EQ(verdict(question), "NOT_AUTHENTICATED") << target;
  }
  for (const char* header : {"", "Bearer x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ,,=,",
                             "AWS4-HMAC-SHA256 Credential=////,SignedHeaders=host"}) {
    question.headers = {{"authorization", header}};
    EXPECT_EQ(verdict(question), "NOT_AUTHENTICATED") << header;
  }
  for (const char* more : {"&X-Amz-Expires=0", "&X-Amz-Expires=x", "&X-Amz-Expires=604801",
                           "&X-Amz-Date=20150830T123600Z"}) {
    EXPECT_EQ(verdict(url("", more)), "NOT_AUTHENTICATED") << more;
  }
  HttpQuestion no_host = url();
  no_host.headers.clear();
  EXPECT_EQ(verdict(no_host), "NOT_AUTHENTICATED");
}

TEST(LabCrypto, VerifiesTokensOfStrongRsaKeysOnly) {
  const OpenSslCrypto crypto;
  for (const auto& [bits, good] : {std::pair{2048U, true}, std::pair{1024U, false}}) {
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_RSA_gen(bits), EVP_PKEY_free);
    ASSERT_NE(key, nullptr);
    const std::unique_ptr<BIO, void (*)(BIO*)> sink(BIO_new(BIO_s_mem()), BIO_free_all);
    ASSERT_EQ(PEM_write_bio_PUBKEY(sink.get(), key.get()), 1);
    char* text = nullptr;
    const long size = BIO_get_mem_data(sink.get(), &text);
    const std::string pem(text, static_cast<std::size_t>(size));
    std::string signature(512, '\0');
    std::size_t length = signature.size();
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                     EVP_MD_CTX_free);
    ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()), 1);
    ASSERT_EQ(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                             &length, reinterpret_cast<const unsigned char*>("token"), 5),
              1);
    signature.resize(length);
    EXPECT_EQ(crypto.verify_rsa_sha256(pem, "token", signature), good);
    EXPECT_FALSE(crypto.verify_rsa_sha256(pem, "Token", signature));
    EXPECT_FALSE(crypto.verify_rsa_sha256("junk", "token", signature));
    EXPECT_FALSE(crypto.verify_rsa_sha256(pem, "token", ""));
  }
}

}  // namespace
}  // namespace holdfast::lab::net
