// Goal:   each key is new, strong enough and without a password; the request is signed by it and
//         names its subject; what is no key gives no request.
// Method: OpenSSL reads what was made.
#include "transport/key_request.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "transport/credentials.h"
#include "transport/openssl_ptr.h"

namespace holdfast::transport {
namespace {

struct Request {
  X509_REQ* request;
  explicit Request(const std::string& pem) {
    const BioPtr from(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    request = ::PEM_read_bio_X509_REQ(from.get(), nullptr, nullptr, nullptr);
  }
  ~Request() { ::X509_REQ_free(request); }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  [[nodiscard]] std::string common_name() const {
    std::array<char, 256> text{};
    ::X509_NAME_get_text_by_NID(::X509_REQ_get_subject_name(request), NID_commonName, text.data(),
                                static_cast<int>(text.size()));
    return text.data();
  }
};

TEST(KeyRequest, AKeyIsNewAndOnP256) {
  const auto one = make_key();
  const auto other = make_key();
  ASSERT_TRUE(one && other);
  EXPECT_NE(one->text(), other->text());
  EXPECT_TRUE(one->text().starts_with("-----BEGIN PRIVATE KEY-----\n"));
  const auto key = parse_private_key(*one, "k");
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(::EVP_PKEY_get_base_id(key->get()), EVP_PKEY_EC);
  EXPECT_EQ(::EVP_PKEY_get_bits(key->get()), 256);
}

TEST(KeyRequest, ARequestIsSignedByItsKeyAndNamesItsSubject) {
  const auto key = make_key();
  ASSERT_TRUE(key);
  const auto pem = make_certificate_request(*key, "pump-1, ü");
  ASSERT_TRUE(pem) << pem.error().message;
  EXPECT_EQ(pem->find("PRIVATE"), std::string::npos);
  const Request read(*pem);
  ASSERT_NE(read.request, nullptr);
  EXPECT_EQ(::X509_REQ_verify(read.request, ::X509_REQ_get0_pubkey(read.request)), 1);
  EXPECT_EQ(read.common_name(), "pump-1, ü");
  const auto longest = make_certificate_request(*key, std::string(100, 'x'));
  ASSERT_TRUE(longest) << longest.error().message;
  EXPECT_EQ(Request(*longest).common_name(), std::string(64, 'x'));
  // Cut inside of a letter, the rest of it is not asked for.
  const auto split = make_certificate_request(*key, std::string(63, 'x') + "ü");
  ASSERT_TRUE(split) << split.error().message;
  EXPECT_EQ(Request(*split).common_name(), std::string(63, 'x'));
}

TEST(KeyRequest, WhatIsNoKeyGivesNoRequest) {
  EXPECT_FALSE(make_certificate_request(Secret("nothing"), "x"));
  EXPECT_FALSE(make_certificate_request(Secret(), "x"));
}

}  // namespace
}  // namespace holdfast::transport
