// Goal:   a key in a PKCS#11 token works as one in a file does, and a wrong PIN does not lock it.
// Method: SoftHSM's tokens, filled by its own tool; real TLS servers that want our certificate.
#include "transport/token_key.h"

#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "transport/credentials.h"
#include "transport/test_attempt.h"
#include "transport/test_server.h"

namespace holdfast::transport {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

/// One token for the process: OpenSSL's engine keeps to the library that it was given first.
class Token {
 public:
  Token() {
    fs::create_directory(files_.path() / "tokens");
    const fs::path conf = files_.write(
        "softhsm2.conf", "directories.tokendir = " + (files_.path() / "tokens").string() + '\n');
    ::setenv("SOFTHSM2_CONF", conf.c_str(), 1);
    run("--init-token --free --label device --pin 12345 --so-pin 4321");
  }

  void import(const Identity& identity, const std::string& label) {
    const fs::path pem = files_.write(label + ".pem", identity.key_pem());
    static int id = 0;
    run("--import " + pem.string() + " --token device --label " + label + " --id 0" +
        std::to_string(++id) + " --pin 12345");
  }

 private:
  static void run(const std::string& words) {
    const int status = std::system(("softhsm2-util " + words + " >/dev/null").c_str());
    ASSERT_EQ(WEXITSTATUS(status), 0) << words << "; are the packages of group [test] installed?";
  }

  TestDirectory files_;
};

class TokenKey : public SecureAttemptTest {
 protected:
  static void SetUpTestSuite() { token_ = new Token; }
  static void TearDownTestSuite() { delete token_; }

  /// A target whose key `label` was put into the token; the PIN is `pin`.
  Target with_token(const Identity& identity, const std::string& label,
                    const std::string& pin = "12345\n") {
    token_->import(identity, label);
    Target target = secure(0);
    target.tls.cert_file = files_.write("client.pem", identity.certificate_pem());
    target.tls.key_uri = "pkcs11:token=device;object=" + label;
    target.tls.pin_file = files_.write("pin", pin);
    target.tls.pkcs11_module = kModule;
    return target;
  }

  static inline Token* token_ = nullptr;
  Identity client_ca_ = make_ca("client CA");
};

// The first one: who has logged in to a token is not asked for its PIN again.
TEST_F(TokenKey, AWrongPinIsTriedOnceAndTheRightOneThen) {
  const Target target = with_token(issue(client_ca_, {"device", ""}), "pinned", "99999\n");
  const auto refusal = [&] {
    const auto key = load_token_key(target.tls);
    return key ? "none" : key.error().message;
  };
  const std::string pin = target.tls.pin_file.string();
  EXPECT_EQ(refusal(),
            "key pkcs11:token=device;object=pinned: the token refuses the PIN in " + pin);
  EXPECT_NE(
      refusal().find("the token has refused the PIN in " + pin + ", which is not tried again"),
      std::string::npos)
      << refusal();
  static_cast<void>(files_.write("pin", "12345\n"));
  EXPECT_EQ(refusal(), "none");
}

TEST_F(TokenKey, SignsInBothVersionsOfTlsWithBothKindsOfKey) {
  for (const KeyKind kind : {KeyKind::ec, KeyKind::rsa}) {
    const std::string label = kind == KeyKind::ec ? "ec" : "rsa";
    const Identity identity = issue(client_ca_, {"device", "", -3600, 7200, kind});
    const Target target = with_token(identity, label);
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      SCOPED_TRACE(label + " " + std::to_string(version));
      expect_let_in(target, client_ca_, version);
    }
  }
}

TEST_F(TokenKey, WhatIsMissingIsNamed) {
  Target target = with_token(issue(client_ca_, {"device", ""}), "there");
  target.tls.key_uri = "pkcs11:token=device;object=elsewhere";
  EXPECT_EQ(check_credentials(target.tls).error().message,
            "key pkcs11:token=device;object=elsewhere: no token has it, or its PIN is needed "
            "(tls.pin_file); is the token there?");
  target.tls.pin_file = files_.write("pin", "\n");
  EXPECT_EQ(check_credentials(target.tls).error().message,
            "PIN " + target.tls.pin_file.string() + ": its first line is empty");
}

TEST_F(TokenKey, MustFitItsCertificate) {
  Target target = with_token(issue(client_ca_, {"device", ""}), "mine");
  target.tls.cert_file =
      files_.write("other.pem", issue(client_ca_, {"other", ""}).certificate_pem());
  EXPECT_NE(check_credentials(target.tls)
                .error()
                .message.find("key pkcs11:token=device;object=mine: does not fit the certificate"),
            std::string::npos)
      << check_credentials(target.tls).error().message;
}

TEST_F(TokenKey, AnotherModuleNeedsARestart) {
  Target target = with_token(issue(client_ca_, {"device", ""}), "moved");
  ASSERT_TRUE(load_token_key(target.tls));
  target.tls.pkcs11_module = "/usr/lib/other.so";
  EXPECT_EQ(load_token_key(target.tls).error().message,
            "key pkcs11:token=device;object=moved: another tls.pkcs11_module needs a restart");
}

}  // namespace
}  // namespace holdfast::transport
