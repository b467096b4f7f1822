// Goal: what a configuration says of who the device is, and how it shows that, is checked as a
//       whole, and each problem is one exact line.
// Method: as config_test.cpp.
#include <gtest/gtest.h>

#include <string>

#include "runtime/config_file.h"
#include "runtime/config_fixture.h"

namespace holdfast::runtime {
namespace {

TEST(ConfigLogin, SlotsNeedTlsKeysInFilesAndADirectoryOfTheirOwn) {
  const auto problem = [](const char* more) {
    const ConfigReport report = parse_config(
        "[connection]\nhost = \"h\"\nclient_id = \"c\"\n[outbox]\ndirectory = \"/box\"\n"
        "[identity]\n" +
            std::string(more),
        "/etc/hf/h.toml", {});
    return report.problems.empty() ? std::string() : report.problems[0].message;
  };
  EXPECT_EQ(problem("directory = \"/identity\"\n"), "");
  EXPECT_NE(problem("directory = \"/box\"\n").find("is outbox.directory"), std::string::npos);
  EXPECT_NE(problem("directory = \"/identity\"\n[tls]\ncert_file = \"c.pem\"\n"
                    "key_uri = \"pkcs11:object=k\"\n")
                .find("stands beside tls.key_uri"),
            std::string::npos);
}

TEST(ConfigLogin, ProvisioningNeedsATemplateAClaimAndAPlaceForTheCertificate) {
  const auto problem = [](const char* more,
                          const char* identity = "[identity]\ndirectory = \"i\"") {
    const ConfigReport report =
        parse_config(std::string("[connection]\nhost = \"h\"\n[outbox]\ndirectory = \"/box\"\n") +
                         identity + "\n[provisioning]\n" + more,
                     "/etc/hf/h.toml", {});
    return report.problems.empty() ? std::string() : report.problems[0].message;
  };
  const std::string pair = "claim_certificate = \"c.pem\"\nclaim_key = \"c.key\"\n";
  const std::string good = "template = \"fleet-1\"\n" + pair;
  EXPECT_EQ(problem(good.c_str()), "") << "the client id comes with the thing";
  EXPECT_EQ(problem("template = \"t\"\nclaim_file = \"c.json\"\n"), "");
  const auto says = [](const std::string& message, const char* words) {
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  says(problem(pair.c_str()), "connection.client_id: is missing");
  says(problem(good.c_str(), ""), "identity.directory: is missing");
  says(problem(("template = \"a b\"\n" + pair).c_str()), "provisioning.template: is \"a b\"");
  says(problem("template = \"t\"\n"), "provisioning.claim_certificate: is missing");
  says(problem("template = \"t\"\nclaim_certificate = \"c\"\n"), "provisioning.claim_key: is");
  says(problem("template = \"t\"\nclaim_key = \"c\"\n"), "provisioning.claim_certificate: is");
  says(problem((good + "parameters = [\"=x\"]\n").c_str()), "provisioning.parameters: has a name");
  says(problem((good + "parameters = [\"x\"]\n").c_str()), "provisioning.parameters: has \"x\"");
  const ConfigReport named = parse_config(
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\n[outbox]\ndirectory = \"/box\"\n"
      "[provisioning]\nclaim_key = \"k\"\n",
      "/etc/hf/h.toml", {});
  ASSERT_EQ(named.problems.size(), 1U);
  says(named.problems[0].message, "provisioning.template: is missing");
}

TEST(ConfigLogin, SignaturesNeedWebSocketAPlainPathAndARegion) {
  const auto signing = [](const std::string& connection, const std::string& sigv4 = "") {
    return "[connection]\nhost = \"h\"\nclient_id = \"c\"\n" + connection +
           "[outbox]\ndirectory = \"/x\"\n[sigv4]\ncredentials_file = \"k\"\n" + sigv4;
  };
  const std::string socket = "transport = \"websocket\"\n";
  EXPECT_TRUE(problems_of(signing(socket, "region = \"r-1\"\n")).empty());
  expect_problem(signing("", "region = \"r-1\"\n"),
                 "/etc/h.toml:7: sigv4.credentials_file: needs connection.transport = "
                 "\"websocket\"; AWS IoT Core takes a signature there only");
  expect_problem(signing(socket),
                 "/etc/h.toml:7: sigv4.region: is missing; connection.host, "
                 "\"h\", does not have it");
  expect_problem(signing(socket, "region = \"Ireland\"\n"),
                 "/etc/h.toml:9: sigv4.region: is \"Ireland\"; give the name of a Region, such as "
                 "\"eu-west-1\"");
  expect_problem(signing(socket + "websocket_path = \"/ws?who=pump\"\n", "region = \"r-1\"\n"),
                 "/etc/h.toml:5: connection.websocket_path: is \"/ws?who=pump\"; with "
                 "sigv4.credentials_file give a path without a query, of letters, digits and "
                 "-._~/ only, such as \"/mqtt\"");
}

TEST(ConfigLogin, ARoleAliasNeedsItsProviderAndACertificateAndNothingBesides) {
  const auto asking = [](const std::string& sigv4, const std::string& more) {
    return "[connection]\nhost = \"h\"\nclient_id = \"c\"\ntransport = \"websocket\"\n"
           "[outbox]\ndirectory = \"/x\"\n[sigv4]\nregion = \"r-1\"\nrole_alias = \"a\"\n" +
           sigv4 + more;
  };
  const std::string host = "provider_host = \"p\"\n";
  const std::string tls = "[tls]\ncert_file = \"c.pem\"\nkey_file = \"k.pem\"\n";
  EXPECT_TRUE(problems_of(asking(host, tls)).empty());
  EXPECT_TRUE(problems_of(asking(host, "[identity]\ndirectory = \"/i\"\n")).empty());
  expect_problem(asking("", tls),
                 "/etc/h.toml:7: sigv4.provider_host: is missing; `aws iot describe-endpoint "
                 "--endpoint-type iot:CredentialProvider` says it");
  expect_problem(asking(host, ""),
                 "/etc/h.toml:9: sigv4.role_alias: needs TLS and a certificate; set tls.cert_file "
                 "or identity.directory");
  expect_problem(asking(host + "credentials_file = \"k\"\n", tls),
                 "/etc/h.toml:9: sigv4.role_alias: stands beside sigv4.credentials_file; give one "
                 "of the two");
  expect_problem(asking(host + "thing_name = \"a/b\"\n", tls),
                 "/etc/h.toml:11: sigv4.thing_name: is \"a/b\"; give the thing's name, of letters, "
                 "digits and _:- only");
  expect_problem(asking("provider_host = \"https://p\"\n", tls),
                 "/etc/h.toml:10: sigv4.provider_host: is \"https://p\"; give the name alone, "
                 "without mqtts:// or a path");
  expect_problem(
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\ntransport = \"websocket\"\n"
      "[outbox]\ndirectory = \"/x\"\n[sigv4]\nregion = \"r-1\"\n"
      "role_alias = \"a b\"\n" +
          host + tls,
      "/etc/h.toml:9: sigv4.role_alias: is \"a b\"; give the alias's name, of letters, "
      "digits and _=,@- only");
}

TEST(ConfigLogin, AKeyInATokenIsExplained) {
  const std::string tls = basics + "[tls]\ncert_file = \"c.pem\"\n";
  EXPECT_TRUE(problems_of(tls + "key_uri = \"pkcs11:object=k\"\n").empty());
  expect_problem(tls + "key_uri = \"k.pem\"\n",
                 "/etc/h.toml:8: tls.key_uri: begins with neither pkcs11: (RFC 7512) nor "
                 "handle:; give such as \"pkcs11:token=device;object=key\" or "
                 "\"handle:0x81000001\"");
  EXPECT_TRUE(problems_of(tls + "key_uri = \"handle:0x81000001\"\npin_file = \"p\"\n").empty());
  EXPECT_TRUE(problems_of(tls + "key_file = \"k.pem\"\npin_file = \"p\"\n").empty());
  expect_problem(tls + "key_uri = \"pkcs11:object=k;pin-value=1\"\n",
                 "/etc/h.toml:8: tls.key_uri: has a PIN, or its place; put the PIN into "
                 "tls.pin_file");
  expect_problem(basics + "[tls]\npin_file = \"p\"\n",
                 "/etc/h.toml:7: tls.pin_file: needs tls.key_uri or tls.key_file");
  expect_problem(basics + "[tls]\nkey_uri = \"pkcs11:object=k\"\n",
                 "/etc/h.toml:6: tls.cert_file: is missing; the private key needs its certificate");
}

}  // namespace
}  // namespace holdfast::runtime
