// Goal:   a key that only a TPM can use works as one in a file does; what is wrong with it, its
//         password or its TPM is named, and a TPM that comes back is used again.
// Method: the real provider with swtpm, a TPM 2.0 in software; keys by openssl and tpm2-tools; TLS
//         servers that want our certificate. Skipped where these are not installed.
#include "transport/tpm_key.h"

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "transport/credentials.h"
#include "transport/identity_check.h"
#include "transport/test_attempt.h"
#include "transport/test_server.h"

namespace holdfast::transport {
namespace {

namespace fs = std::filesystem;

int shell(const std::string& line) {
  return WEXITSTATUS(std::system(("{ " + line + "; } >/dev/null 2>&1").c_str()));
}

constexpr const char* kOpensslOfTpm =
    " -provider tpm2 -provider default -propquery '?provider=tpm2' ";

class TpmKey : public SecureAttemptTest {
 protected:
  void SetUp() override {
    if (shell("command -v swtpm && command -v tpm2_createprimary && openssl version -m && "
              "test -e \"$(openssl version -m | cut -d'\"' -f2)\"/tpm2.so") != 0) {
      GTEST_SKIP() << "swtpm, tpm2-tools or tpm2-openssl are not installed";
    }
    fs::create_directory(files_.path() / "state");
    ::setenv("TPM2OPENSSL_TCTI", ("swtpm:path=" + path("tpm")).c_str(), 1);
    ::setenv("TPM2TOOLS_TCTI", ("swtpm:path=" + path("tpm")).c_str(), 1);
    ::setenv("TSS2_LOG", "all+NONE", 1);
    start_tpm();
    static_cast<void>(files_.write("ca.pem", ca_.certificate_pem()));
    static_cast<void>(files_.write("ca.key", ca_.key_pem()));
  }
  void TearDown() override { stop_tpm(); }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (files_.path() / name).string();
  }

  void start_tpm() {
    must("swtpm socket --tpm2 --daemon --tpmstate dir=" + path("state") +
         " --pid file=" + path("tpm.pid") + " --ctrl type=unixio,path=" + path("tpm.ctrl") +
         " --server type=unixio,path=" + path("tpm") + " --flags startup-clear,not-need-init");
  }
  /// As one that is unplugged; its state stays.
  void stop_tpm() {
    if (!fs::exists(path("tpm.pid"))) return;
    must("kill $(cat " + path("tpm.pid") + "); while test -e " + path("tpm.pid") +
         " && kill -0 $(cat " + path("tpm.pid") + "); do sleep 0.05; done");
    for (const char* left : {"tpm", "tpm.ctrl", "tpm.pid"}) fs::remove(path(left));
  }

  static void must(const std::string& line) { ASSERT_EQ(shell(line), 0) << line; }

  /// TLS with a key that the TPM has wrapped, in `name`.key, and its certificate.
  Target with_file(const std::string& name, const std::string& options = "",
                   const std::string& kind = "EC -pkeyopt group:P-256") {
    must("openssl genpkey" + std::string(kOpensslOfTpm) + "-algorithm " + kind + options +
         " -out " + path(name + ".key"));
    Target target = secure(0);
    target.tls.key_file = path(name + ".key");
    return target;
  }

  /// ... with a certificate of our CA.
  void certify(Target& target, const std::string& key, const std::string& options = "") {
    must("openssl req -new -subj /CN=device" + std::string(kOpensslOfTpm) + options + " -key " +
         key + " -out " + path("device.csr") + " && openssl x509 -req -days 2 -in " +
         path("device.csr") + " -CA " + path("ca.pem") + " -CAkey " + path("ca.key") +
         " -CAcreateserial -out " + path("device.pem"));
    target.tls.cert_file = path("device.pem");
  }

  static void expect_refusal(const Target& target, Errc code, const std::string& words) {
    const Status status = check_credentials(target.tls);
    ASSERT_FALSE(status) << words;
    EXPECT_EQ(status.error().code, code) << status.error().message;
    EXPECT_NE(status.error().message.find(words), std::string::npos) << status.error().message;
  }
};

TEST_F(TpmKey, InAFileSignsInBothVersionsOfTls) {
  Target target = with_file("wrapped");
  certify(target, path("wrapped.key"));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) expect_let_in(target, ca_, version);
}

TEST_F(TpmKey, AtAHandleSignsToo) {
  must("tpm2_createprimary -Q -C o -G ecc384 -c " + path("c") +
       " -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign' && "
       "tpm2_evictcontrol -Q -C o -c " +
       path("c") + " 0x81000001");
  Target target = secure(0);
  target.tls.key_uri = "handle:0x81000001";
  certify(target, target.tls.key_uri);
  expect_let_in(target, ca_);
  target.tls.key_uri = "handle:0x81000002";
  expect_refusal(target, Errc::not_found,
                 "key handle:0x81000002: the TPM has no key at this handle; `tpm2_getcap");
}

TEST_F(TpmKey, AWrongPasswordIsTriedOnceAndTheRightOneThen) {
  Target target = with_file("guarded", " -pkeyopt user-auth:right");
  certify(target, path("guarded.key"), "-passin pass:right");
  expect_refusal(target, Errc::corrupt, "or needs its password (tls.pin_file)");
  target.tls.pin_file = files_.write("pin", "wrong\n");
  expect_refusal(target, Errc::permission, "the TPM refuses the password in " + path("pin"));
  expect_refusal(target, Errc::permission, "which is not tried again");
  static_cast<void>(files_.write("pin", "right\n"));
  expect_let_in(target, ca_);
}

TEST_F(TpmKey, ATpmThatIsGoneIsNamedAndUsedAgainWhenItIsBack) {
  Target target = with_file("wrapped");
  certify(target, path("wrapped.key"));
  expect_let_in(target, ca_);
  const SslCtxPtr before = std::move(load_context(target.tls)).value();
  stop_tpm();
  expect_refusal(target, Errc::not_found,
                 "no TPM answers (tcti:IO failure); is there a /dev/tpmrm0");
  start_tpm();
  expect_let_in(target, ca_);
}

TEST_F(TpmKey, WhatItCannotUseIsNamed) {
  Target target = with_file("wrapped");
  certify(target, path("wrapped.key"));
  must("head -c 150 " + path("wrapped.key") + " > " + path("half.key"));
  target.tls.key_file = path("half.key");
  expect_refusal(target, Errc::corrupt, "half.key: it is damaged, or of another TPM");
  Target rsa = with_file("rsa", "", "RSA -pkeyopt bits:2048");
  rsa.tls.cert_file = target.tls.cert_file;
  expect_refusal(rsa, Errc::unsupported, "it is no EC key");
  must("tpm2_clear -Q -c p");
  target.tls.key_file = path("wrapped.key");
  expect_refusal(target, Errc::corrupt, "or of this one before it was cleared");
}

TEST_F(TpmKey, OtherUsesOfItsFileAreRefusedWithoutTheTpm) {
  Target target = with_file("wrapped");
  certify(target, path("wrapped.key"));
  std::ostringstream text;
  text << std::ifstream(target.tls.cert_file).rdbuf() << std::ifstream(target.tls.key_file).rdbuf();
  stop_tpm();
  const Secret pair(text.str());
  EXPECT_NE(parse_private_key(pair, "k").error().message.find("only a TPM can use it"),
            std::string::npos);
  const auto slot = inspect_identity({pair, "slot.pem", &pair, "slot.pem"});
  ASSERT_TRUE(slot) << slot.error().message;
  EXPECT_EQ(slot->key_type, "EC 256");
}

TEST_F(TpmKey, MissingItsProviderIsNamed) {
  Target target = with_file("wrapped");
  certify(target, path("wrapped.key"));
  ::setenv("OPENSSL_MODULES", files_.path().c_str(), 1);
  expect_refusal(target, Errc::unsupported, "OpenSSL's provider tpm2 cannot be used (");
  ::unsetenv("OPENSSL_MODULES");
}

}  // namespace
}  // namespace holdfast::transport
