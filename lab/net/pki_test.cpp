// The lab's certificates, judged by OpenSSL's own verification.
#include "lab/net/pki.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <system_error>

#include "lab/net/x509.h"
#include "posix/system.h"

namespace holdfast::lab::net {
namespace {

constexpr WallTime kNow{1'790'000'000'000};
constexpr std::int64_t kDay = 86'400'000;
constexpr std::size_t kMost = 65536;

/// Repeatable, so that a failure can be repeated.
class Counting final : public env::Random {
 public:
  std::uint64_t next() override { return state_ = state_ * 6364136223846793005ULL + 1; }

 private:
  std::uint64_t state_ = 1;
};

class PkiTest : public testing::Test {
 public:
  PkiTest(const PkiTest&) = delete;
  PkiTest& operator=(const PkiTest&) = delete;

 protected:
  PkiTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pki-XXXXXX").string();
    home_ = ::mkdtemp(pattern.data());
  }
  ~PkiTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(home_, ignored);
  }
  std::unique_ptr<Pki> open(WallTime now = kNow, std::vector<std::string> names = {}) {
    auto pki = Pki::open(home_, now, random_, std::move(names));
    if (!pki) {
      ADD_FAILURE() << pki.error().message;
      std::abort();
    }
    return std::move(pki).value();
  }

  std::string file(const std::filesystem::path& path) {
    const auto text = posix::read_file(path, kMost);
    return text ? *text : "no " + path.string();
  }
  std::string home(const std::string& name) { return file(home_ / name); }

  std::filesystem::path home_;
  Counting random_;
};

/// What a client that trusts `ca_pem` says of a server's certificate; "ok" when all is well.
std::string judge(const std::string& ca_pem, const std::string& pem, const std::string& host,
                  WallTime now, int purpose = X509_PURPOSE_SSL_SERVER) {
  const auto ca = parse_certificate(ca_pem);
  const auto certificate = parse_certificate(pem);
  if (!ca || !certificate) return "no certificate";
  X509_STORE* store = ::X509_STORE_new();
  ::X509_STORE_add_cert(store, ca->get());
  X509_STORE_CTX* context = ::X509_STORE_CTX_new();
  ::X509_STORE_CTX_init(context, store, certificate->get(), nullptr);
  ::X509_STORE_CTX_set_purpose(context, purpose);
  X509_VERIFY_PARAM* parameters = ::X509_STORE_CTX_get0_param(context);
  ::X509_VERIFY_PARAM_set_time(parameters, now.ms / 1000);
  if (!host.empty()) ::X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), host.size());
  ::X509_verify_cert(context);
  std::string out = ::X509_verify_cert_error_string(::X509_STORE_CTX_get_error(context));
  ::X509_STORE_CTX_free(context);
  ::X509_STORE_free(store);
  return out;
}

bool same_key(const std::string& certificate_pem, const std::string& key_pem) {
  const auto certificate = parse_certificate(certificate_pem);
  const auto key = parse_private_key(key_pem);
  return certificate && key && ::X509_check_private_key(certificate->get(), key->get()) == 1;
}

/// A certificate signing request of `key`, signed by `signer`.
std::string request(EVP_PKEY* key, EVP_PKEY* signer, const std::string& common_name,
                    const EVP_MD* digest = ::EVP_sha256()) {
  const RequestPtr made(::X509_REQ_new());
  const auto name = make_name(common_name);
  ::X509_REQ_set_subject_name(made.get(), name->get());
  ::X509_REQ_set_pubkey(made.get(), key);
  ::X509_REQ_sign(made.get(), signer, digest);
  BIO* memory = ::BIO_new(::BIO_s_mem());
  ::PEM_write_bio_X509_REQ(memory, made.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory, &text);
  std::string out(text, static_cast<std::size_t>(size));
  ::BIO_free(memory);
  return out;
}

std::string value_of(const iot::CertificateFacts& facts, const std::string& name) {
  const auto at = std::find_if(facts.fields.begin(), facts.fields.end(),
                               [&](const auto& field) { return field.first == name; });
  return at == facts.fields.end() ? "none" : at->second;
}

unsigned permissions(const std::filesystem::path& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 ? facts.st_mode & 0777U : 0;
}

// ---- the CA and the endpoint

TEST_F(PkiTest, MakesACaAndAnEndpointThatItsClientsTrust) {
  const auto pki = open(kNow, {"iot.eu-central-1.lab"});
  const std::string ca = file(pki->ca_file());
  const std::string server = file(pki->server_files().chain);
  EXPECT_EQ(judge(ca, server, "localhost", kNow), "ok");
  EXPECT_EQ(judge(ca, server, "iot.eu-central-1.lab", kNow), "ok");
  EXPECT_EQ(judge(ca, server, "elsewhere.lab", kNow), "hostname mismatch");
  EXPECT_TRUE(same_key(server, file(pki->server_files().key)));
  const auto parsed = parse_certificate(server);
  EXPECT_EQ(::X509_check_ip_asc(parsed->get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(::X509_check_ip_asc(parsed->get(), "::1", 0), 1);
  EXPECT_EQ(permissions(home_ / "ca.key"), 0600U);
  EXPECT_EQ(permissions(home_ / "server.key"), 0600U);
  EXPECT_EQ(permissions(home_ / "ca.pem"), 0644U);
}

TEST_F(PkiTest, IsTheSameWhenOpenedAgain) {
  open();
  const std::string ca = home("ca.pem");
  const std::string server = home("server.pem");
  open({kNow.ms + 300 * kDay});
  EXPECT_EQ(home("ca.pem"), ca);
  EXPECT_EQ(home("server.pem"), server);
}

TEST_F(PkiTest, RenewsTheEndpointsCertificateInItsLastMonth) {
  open();
  const std::string server = home("server.pem");
  const std::string key = home("server.key");
  const WallTime later{kNow.ms + 336 * kDay};
  open(later);
  EXPECT_NE(home("server.pem"), server);
  EXPECT_EQ(home("server.key"), key);
  EXPECT_EQ(judge(home("ca.pem"), home("server.pem"), "localhost", {later.ms + 300 * kDay}), "ok");
}

TEST_F(PkiTest, MakesTheEndpointsCertificateAnewForANewName) {
  open();
  open(kNow, {"second.lab"});
  EXPECT_EQ(judge(home("ca.pem"), home("server.pem"), "second.lab", kNow), "ok");
  const std::string server = home("server.pem");
  open();
  EXPECT_EQ(home("server.pem"), server) << "a name too many does no harm";
  open(kNow, {"third.lab"});
  EXPECT_EQ(judge(home("ca.pem"), home("server.pem"), "second.lab", kNow), "ok")
      << "another Region's name stays";
}

TEST_F(PkiTest, MakesABrokenEndpointCertificateAnew) {
  open();
  ASSERT_TRUE(posix::replace_file(home_ / "server.pem", "torn"));
  open();
  EXPECT_EQ(judge(home("ca.pem"), home("server.pem"), "localhost", kNow), "ok");
}

TEST_F(PkiTest, NamesTheFileThatIsBroken) {
  open();
  ASSERT_TRUE(posix::replace_file(home_ / "ca.key", "torn"));
  const auto broken = Pki::open(home_, kNow, random_);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message.find("ca.key: no private key"), std::string::npos)
      << broken.error().message;
}

TEST_F(PkiTest, RefusesAKeyThatIsNotTheCas) {
  open();
  ASSERT_TRUE(posix::replace_file(home_ / "ca.key", home("server.key")));
  const auto broken = Pki::open(home_, kNow, random_);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().message.find("is not the key of ca.pem"), std::string::npos);
}

TEST_F(PkiTest, RefusesNamesThatAreNone) {
  for (const char* name : {"", "a,DNS:b", "with space", "a/b"}) {
    const auto refused = Pki::open(home_, kNow, random_, {name});
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
  }
}

TEST_F(PkiTest, SaysWhereItCannotWrite) {
  ASSERT_TRUE(posix::replace_file(home_ / "file", ""));
  const auto refused = Pki::open(home_ / "file", kNow, random_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("file"), std::string::npos);
}

// ---- wrong endpoints

TEST_F(PkiTest, WrongEndpointsAreWrongInTheirOwnWay) {
  const auto pki = open();
  const std::string ca = home("ca.pem");
  const auto verdict = [&](BadServer kind) {
    const auto files = pki->bad_server(kNow, kind);
    EXPECT_TRUE(files);
    EXPECT_TRUE(same_key(file(files->chain), file(files->key)));
    return judge(ca, file(files->chain), "localhost", kNow);
  };
  EXPECT_EQ(verdict(BadServer::expired), "certificate has expired");
  EXPECT_EQ(verdict(BadServer::wrong_name), "hostname mismatch");
  EXPECT_EQ(verdict(BadServer::unknown_ca), "unable to get local issuer certificate");
  EXPECT_EQ(verdict(BadServer::oversized_chain), "ok");
}

TEST_F(PkiTest, AnOversizedChainIsAFifthLargerAtLeast) {
  const auto pki = open();
  const auto files = pki->bad_server(kNow, BadServer::oversized_chain);
  ASSERT_TRUE(files);
  EXPECT_GT(file(files->chain).size() * 10, home("server.pem").size() * 12);
}

// ---- devices

TEST_F(PkiTest, IssuesAKeyAndCertificateAsAwsDoes) {
  const auto pki = open();
  const auto issued = pki->issue_with_new_key(kNow);
  ASSERT_TRUE(issued) << issued.error().message;
  EXPECT_EQ(judge(home("ca.pem"), issued->certificate_pem, "", kNow, X509_PURPOSE_SSL_CLIENT),
            "ok");
  EXPECT_TRUE(same_key(issued->certificate_pem, issued->private_key_pem));
  EXPECT_TRUE(issued->private_key_pem.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
  EXPECT_TRUE(issued->public_key_pem.starts_with("-----BEGIN PUBLIC KEY-----\n"));
  const auto key = parse_private_key(issued->private_key_pem);
  EXPECT_EQ(::EVP_PKEY_get_bits(key->get()), 2048);
  const auto facts = pki->read(issued->certificate_pem);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->not_after.ms, 2'524'607'999'000) << "2049-12-31T23:59:59Z";
  EXPECT_LT(facts->not_before, kNow);
  EXPECT_EQ(value_of(*facts, "Subject.CommonName"), "AWS IoT Certificate");
  EXPECT_EQ(value_of(*facts, "Issuer.CommonName"), "Holdfast lab CA");
}

TEST_F(PkiTest, SerialNumbersDiffer) {
  const auto pki = open();
  const auto serial = [&] {
    return value_of(*pki->read(pki->issue_with_new_key(kNow)->certificate_pem), "SerialNumber");
  };
  const std::string first = serial();
  EXPECT_EQ(first.size(), 40U) << first;
  EXPECT_NE(first, serial());
}

TEST_F(PkiTest, IssuesForARequestItsKeyAndItsSubject) {
  const auto pki = open();
  for (const char* curve : {"P-256", "P-384", "P-521"}) {
    const KeyPtr key(EVP_EC_gen(curve));
    const auto issued = pki->issue_from_csr(kNow, request(key.get(), key.get(), "boiler-7"));
    ASSERT_TRUE(issued) << issued.error().message;
    EXPECT_TRUE(same_key(issued->certificate_pem, *private_pem_of(*key)));
    EXPECT_EQ(value_of(*pki->read(issued->certificate_pem), "Subject.CommonName"), "boiler-7");
    EXPECT_EQ(judge(home("ca.pem"), issued->certificate_pem, "", kNow, X509_PURPOSE_SSL_CLIENT),
              "ok");
    EXPECT_EQ(issued->private_key_pem, "");
  }
  const KeyPtr rsa(EVP_RSA_gen(2048));
  EXPECT_TRUE(pki->issue_from_csr(kNow, request(rsa.get(), rsa.get(), "boiler-8")));
}

TEST_F(PkiTest, RefusesRequestsAndSaysWhy) {
  const auto pki = open();
  const auto why = [&](const std::string& csr) {
    const auto issued = pki->issue_from_csr(kNow, csr);
    if (issued) return std::string("issued");
    EXPECT_EQ(issued.error().code, Errc::invalid_argument);
    return issued.error().message;
  };
  const KeyPtr small(EVP_RSA_gen(1024));
  const KeyPtr good(EVP_EC_gen("P-256"));
  const KeyPtr other(EVP_EC_gen("P-256"));
  const KeyPtr curve(EVP_EC_gen("secp256k1"));
  const KeyPtr edwards(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const std::string start = "certificate signing request: ";
  EXPECT_EQ(why(request(small.get(), small.get(), "a")),
            start + "its RSA key has 1024 bits, at least 2048 are needed");
  EXPECT_EQ(why(request(curve.get(), curve.get(), "a")),
            start + "its curve is secp256k1, must be NIST P-256, P-384 or P-521");
  EXPECT_EQ(why(request(edwards.get(), edwards.get(), "a", nullptr)),
            start + "its key is neither RSA nor ECC");
  EXPECT_EQ(why(request(good.get(), other.get(), "a")), start + "it is not signed by its key");
  EXPECT_TRUE(why("").starts_with("no certificate signing request in PEM"));
  EXPECT_TRUE(why(home("ca.pem")).starts_with("no certificate signing request in PEM"));
}

TEST_F(PkiTest, ReadsTheFieldsThatPoliciesAskFor) {
  const auto pki = open(kNow, {"a.lab", "10.1.2.3"});
  const auto facts = pki->read(home("server.pem"));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->id.size(), 64U);
  EXPECT_EQ(facts->not_after.ms, kNow.ms + 365 * kDay);
  EXPECT_EQ(value_of(*facts, "Subject.CommonName"), "localhost");
  std::vector<std::string> names;
  for (const auto& [name, value] : facts->fields) {
    if (name.starts_with("Subject.AlternativeName."))
      names.push_back(name.substr(24) + ' ' + value);
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"DNSName localhost", "IPAddress 127.0.0.1", "IPAddress ::1",
                                      "DNSName a.lab", "IPAddress 10.1.2.3"}));
}

TEST_F(PkiTest, KnowsACaAndWhatItSigned) {
  const auto pki = open();
  const std::string ca = home("ca.pem");
  const std::string server = home("server.pem");
  EXPECT_TRUE(pki->read(ca)->is_ca);
  EXPECT_EQ(pki->read(ca)->subject, "CN=Holdfast lab CA");
  EXPECT_FALSE(pki->read(server)->is_ca);
  EXPECT_TRUE(pki->is_signed_by(server, ca));
  EXPECT_TRUE(pki->is_signed_by(ca, ca));
  EXPECT_FALSE(pki->is_signed_by(ca, server));
  EXPECT_FALSE(pki->is_signed_by(server, "junk"));
  EXPECT_FALSE(pki->is_signed_by("junk", ca));
  // Another CA of the same name:
  const auto elsewhere = Pki::open(home_ / "other", kNow, random_);
  ASSERT_TRUE(elsewhere);
  EXPECT_FALSE(pki->is_signed_by(server, home("other/ca.pem")));
}

TEST_F(PkiTest, ReadsNoCertificateWhereThereIsNone) {
  const auto pki = open();
  for (const std::string& text :
       {std::string(),
        std::string("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        home("ca.key"), home("ca.pem").substr(0, 200)}) {
    const auto read = pki->read(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Errc::invalid_argument);
    EXPECT_TRUE(read.error().message.starts_with("no certificate in PEM")) << read.error().message;
  }
}

}  // namespace
}  // namespace holdfast::lab::net
