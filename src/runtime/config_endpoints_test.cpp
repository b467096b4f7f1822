// Goal: [[endpoint]] gives what it says and inherits the rest; everything wrong with it is told by
//       file, line and its own key.
#include "runtime/config_endpoints.h"

#include <gtest/gtest.h>

#include <string>

#include "holdfast/config.h"
#include "link/endpoint_config.h"
#include "runtime/config_fixture.h"

namespace holdfast::runtime {
namespace {

Config read(const std::string& text) {
  ConfigReport report = parse_config(text, "/etc/h.toml", {});
  for (const Error& error : report.problems) ADD_FAILURE() << error.message;
  return std::move(report.config);
}

const std::string second = basics + "[[endpoint]]\nname = \"b\"\nhost = \"b.example\"\n";

TEST(ConfigEndpointsTest, what_is_not_given_is_the_first_ones) {
  const Config config =
      read(basics +
           "[tls]\nca_file = \"ca.pem\"\ncert_file = \"a.pem\"\nkey_file = \"a.key\"\nserver_name "
           "= \"x\"\n"
           "[[endpoint]]\nname = \"b\"\nhost = \"b.example\"\n"
           "[[endpoint]]\nname = \"c\"\nport = 443\nclient_id = \"other\"\ntls.alpn = \"mqtt\"\n"
           "tls.cert_file = \"c.pem\"\ntopic_prefix = \"c/\"\n");
  ASSERT_EQ(config.endpoints.size(), 2U);
  const Config b = link::config_of(config, 1);
  EXPECT_EQ(b.host, "b.example");
  EXPECT_EQ(b.port, 8883);
  EXPECT_EQ(b.client_id, "pump-7");
  EXPECT_EQ(b.tls.cert_file, "/etc/a.pem");
  EXPECT_EQ(b.tls.server_name, "") << "another host has another name";
  const Config c = link::config_of(config, 2);
  EXPECT_EQ(c.host, "broker.example");
  EXPECT_EQ(c.port, 443);
  EXPECT_EQ(c.client_id, "other");
  EXPECT_EQ(c.tls.alpn, "mqtt");
  EXPECT_EQ(c.tls.cert_file, "/etc/c.pem") << "relative to the file, as everywhere";
  EXPECT_EQ(c.tls.key_file, "/etc/a.key");
  EXPECT_EQ(c.tls.server_name, "x");
  EXPECT_EQ(c.topic_prefix, "c/");
  EXPECT_EQ(link::config_of(config, 0).host, "broker.example");
}

TEST(ConfigEndpointsTest, the_order_of_sections_does_not_matter) {
  const Config config = read("[[endpoint]]\nname = \"b\"\nhost = \"b.example\"\n" + basics);
  EXPECT_EQ(config.endpoints.at(0).client_id, "pump-7");
  const ConfigReport overridden =
      parse_config(second, "/etc/h.toml", {{"HOLDFAST_CONNECTION_PORT", "1234"}});
  EXPECT_EQ(overridden.config.endpoints.at(0).port, 1234);
}

TEST(ConfigEndpointsTest, sections_may_be_written_as_tables) {
  const Config config = read(second + "[endpoint.tls]\nalpn = \"mqtt\"\n");
  EXPECT_EQ(config.endpoints.at(0).tls.alpn, "mqtt");
}

TEST(ConfigEndpointsTest, every_key_of_an_endpoint_is_kept) {
  Config config;
  config.host = "a.example";
  for (const std::string_view name : endpoint_keys()) {
    const ConfigKey* const key = endpoint_key(name);
    ASSERT_NE(key, nullptr) << name;
    Config changed = endpoint_base(config, false);
    const auto before = key->get(changed);
    KeyValue value = key->get(changed).value();
    if (auto* text = std::get_if<std::string>(&value)) {
      *text = key->kind == KeyKind::transport ? "websocket" : *text + "x";
    } else if (auto* number = std::get_if<std::uint64_t>(&value)) {
      *number += 1000;
    } else {
      value = !std::get<bool>(value);
    }
    key->set(changed, value);
    Config whole = config;
    whole.endpoints = {endpoint_of(changed)};
    EXPECT_EQ(key->get(link::config_of(whole, 1)), value) << name;
    EXPECT_NE(value, before) << name;
  }
}

TEST(ConfigEndpointsTest, problems_name_line_and_key) {
  expect_problem(second + "port = 0\n",
                 "/etc/h.toml:9: endpoint.1.port: is 0; give a whole number, 1 to 65535");
  EXPECT_TRUE(problems_of(second + "host2 = \"x\"\n")
                  .at(0)
                  .starts_with("/etc/h.toml:9: endpoint.1.host2: is not a key of an endpoint; it "
                               "has name host port"));
  expect_problem(basics + "[[endpoint]]\nhost = \"b.example\"\n",
                 "/etc/h.toml:6: endpoint.1.name: is missing; give a name for logs and status");
  expect_problem(basics + "[[endpoint]]\nname = \"B\"\nhost = \"b.example\"\n",
                 "/etc/h.toml:7: endpoint.1.name: is \"B\"; give 1 to 32 of a-z, 0-9, _ and -");
  expect_problem(basics + "[[endpoint]]\nname = \"primary\"\nhost = \"b.example\"\n",
                 "/etc/h.toml:7: endpoint.1.name: is \"primary\", as connection.name is; give each "
                 "endpoint a name of its own");
  expect_problem(basics + "[[endpoint]]\nname = \"b\"\n",
                 "/etc/h.toml:6: endpoint.1.host: leads where primary leads, in the same way; give "
                 "another place");
  expect_problem(second + "tls.cert_file = \"b.pem\"\n",
                 "/etc/h.toml:9: endpoint.1.tls.key_file: is missing; tls.cert_file needs its "
                 "private key");
  expect_problem(
      basics + "[endpoint]\nname = \"b\"\n",
      "/etc/h.toml:6: endpoint: is no list of tables; write [[endpoint]], once for each");
  EXPECT_TRUE(problems_of(second + "topic_prefix = \"a/#\"\n")
                  .at(0)
                  .starts_with("/etc/h.toml:9: endpoint.1.topic_prefix: is \"a/#\": "));
  expect_problem(second + "topic_prefix = \"$aws/\"\n",
                 "/etc/h.toml:9: endpoint.1.topic_prefix: begins with $, which belongs to the "
                 "broker; give another one");
  expect_problem(second + "[failback]\nhealthy_for = \"10s\"\n",
                 "/etc/h.toml:9: failback.probe_every: is longer than failback.healthy_for; one "
                 "probe proves too little");
  expect_problem(basics + "[failover]\nfollow_dns = \"20ms\"\n",
                 "/etc/h.toml:7: failover.follow_dns: is under a second; give 0 for never, or such "
                 "as \"60s\", the life of the name's entry");
  expect_problem(basics +
                     "[proxy]\nhost = \"p.example\"\nport = 3128\n[failover]\n"
                     "follow_dns = \"20s\"\n",
                 "/etc/h.toml:10: failover.follow_dns: does nothing behind [proxy], where only the "
                 "proxy's name is looked up; remove one of them");
}

TEST(ConfigEndpointsTest, there_may_be_seven_others) {
  std::string text = basics;
  for (char c = 'b'; c <= 'h'; ++c) {
    text += std::string("[[endpoint]]\nname = \"") + c + "\"\nhost = \"" + c + ".example\"\n";
  }
  EXPECT_EQ(read(text).endpoints.size(), 7U);
  expect_problem(text + "[[endpoint]]\nname = \"i\"\nhost = \"i.example\"\n",
                 "/etc/h.toml:6: endpoint: has more than 7 tables; remove some");
}

TEST(ConfigEndpointsTest, what_the_first_has_wrong_is_told_once) {
  expect_problem(
      "[connection]\nhost = \"broker.example\"\nclient_id = \"pump-7\"\n[tls]\n"
      "cert_file = \"a.pem\"\n[outbox]\ndirectory = \"/var/lib/x\"\n"
      "[[endpoint]]\nname = \"b\"\nhost = \"b.example\"\n",
      "/etc/h.toml:4: tls.key_file: is missing; tls.cert_file needs its private key");
}

TEST(ConfigEndpointsTest, the_list_is_shown) {
  EXPECT_TRUE(endpoint_lines(read(basics)).empty());
  EXPECT_EQ(
      endpoint_lines(read(second + "topic_prefix = \"b/\"\n")),
      (std::vector<std::string>{"endpoint 1: primary, broker.example:8883, as pump-7",
                                "endpoint 2: b, b.example:8883, as pump-7, topics under b/"}));
}

}  // namespace
}  // namespace holdfast::runtime
