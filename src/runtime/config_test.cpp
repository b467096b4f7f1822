// Goal: every wrong configuration is told in one exact line; every right key arrives in the Config.
// Method: texts through parse_config() with an environment of our own; files only in a directory
//         made for the test. Credentials' contents are transport's to judge and tested there.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/limits.h"
#include "engines/engine_list.h"
#include "host/prometheus_text.h"
#include "runtime/config_file.h"
#include "runtime/config_fixture.h"
#include "runtime/config_keys.h"

namespace holdfast::runtime {
namespace {

/// A directory that is gone after the test.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "hf-config-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path write(const std::string& name,
                                            const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

TEST(Config, TheShortestUsefulFileHasAllDefaults) {
  const ConfigReport report = parse_config(basics, "/etc/h.toml", {});
  ASSERT_TRUE(report.problems.empty()) << report.problems[0].message;
  EXPECT_EQ(report.config.host, "broker.example");
  EXPECT_EQ(report.config.client_id, "pump-7");
  EXPECT_EQ(report.config.port, 8883);
  EXPECT_EQ(report.config.messages_per_second, 80u);
  EXPECT_FALSE(report.config.will);
}

// Each value differs from its default.
constexpr std::string_view kEveryKey = R"(
    [connection]
    name = "eu"
    topic_prefix = "eu/"
    host = "h"
    port = 443
    client_id = "c"
    username = "u"
    password_file = "pw"
    transport = "websocket"
    websocket_path = "/ws"
    topic_aliases = 3
    keep_alive = "1m"
    session_expiry = "2h"
    clean_start = true
    [connection.will]
    topic = "w/t"
    payload = "gone"
    qos = 0
    retain = false
    content_type = "text/plain"
    expiry = "1h"
    user_properties = ["site=north", "formula=a=b"]
    delay = "20s"
    on_stop = true
    [connection.birth]
    topic = "b/t"
    payload = "here"
    qos = 0
    retain = false
    content_type = "text/plain"
    expiry = "2h"
    user_properties = ["k="]
    [proxy]
    host = "p"
    port = 8080
    username = "pu"
    password_file = "ppw"
    [sigv4]
    credentials_file = "aws.keys"
    profile = "pump"
    region = "eu-west-1"
    role_alias = "fleet"
    provider_host = "keys.example"
    provider_port = 8443
    thing_name = "pump"
    [tls]
    enabled = false
    ca_file = "/ca"
    cert_file = "crt/d.pem"
    key_file = "../d.key"
    key_uri = "pkcs11:token=t;object=k"
    pin_file = "pin"
    pkcs11_module = "/m.so"
    server_name = "s"
    alpn = "x-amzn-mqtt-ca"
    just_in_time = true
    [identity]
    directory = "/identity"
    [history]
    topic = "h/outages"
    [timing]
    resolve = "1s"
    connect = "2s"
    connack = "3s"
    silent_after = "4s"
    backoff_first = "250ms"
    backoff_cap = "5m"
    stable_after = 0
    health_interval = "6s"
    stop_deadline = "7s"
    callback_alarm = "8s"
    verify_subscriptions = "2h"
    [flow]
    max_in_flight = 9
    messages_per_second = 0
    bytes_per_second = "10KiB"
    lanes = ["a", "normal"]
    id_property = "id"
    response_topic = "re"
    filter_duplicates = false
    denied_for = "2h"
    [lane.a]
    max_size = "256KiB"
    max_messages = 100
    max_age = "1h"
    when_full = "drop_oldest"
    conflate = true
    [limits]
    payload = "11KiB"
    topic = "12B"
    topic_levels = 13
    subscriptions = 14
    memory = "2MiB"
    receipts = 15
    [outbox]
    directory = "box"
    max_size = "16MiB"
    preallocate = true
    always_pad = true
    ack_flush = "17ms"
    spill_after = "18s"
    on_fault = "memory"
    encrypt = true
    key_file = "seal.key"
    previous_key_file = "old.key"
    [failover]
    after = "19s"
    spread = "20s"
    follow_dns = "33s"
    [failback]
    automatic = false
    healthy_for = "21m"
    probe_every = "22s"
    fleet_size = 23
    connect_quota = 24
    [local]
    socket = "s.sock"
    [log]
    level = "debug"
    format = "json"
    lines_per_hour = 20
    file = "log/h.log"
    max_size = "8KiB"
    keep = 0
    topic = "l/here"
    command_topic = "l/ask"
    [log.areas]
    agent = "error"
    connection = "error"
    engine = "error"
    flow = "error"
    outbox = "warning"
    identity = "error"
    provisioning = "error"
    local-api = "debug"
    callbacks = "error"
    health = "error"
      [network]
    manager = "on"
    modems = "off"
    roaming_is_metered = false
      [escalation]
    steps = ["bearer", "reboot"]
    reference_hosts = ["a.example:443"]
    after = "5m"
    modem_resets_per_day = 3
    reboots_per_day = 2
      [provisioning]
    template = "fleet"
    claim_certificate = "claim.pem"
    claim_key = "claim.key"
    claim_file = "claim.json"
    csr = false
    retire_claim = true
    renew_every = "8760h"
    client_id = "c-claim"
    parameters = ["SerialNumber=7", "Site=@/etc/site"]
    [safe_mode]
    crashes = 7
    window = "2m"
    lasts = "3m"
    [watchdog]
    device = "/dev/watchdog1"
    timeout = "20s"
    pretimeout = "5s"
    opening = "2m"
    loop = "4s"
    engine = "5s"
    storage = "6s"
    callbacks = "7s"
    applications = "8s"
    keep_armed = true
    [power]
    nut = "ups1@localhost"
    supplies = "/sys/class/power_supply"
    low_charge = 20
    low_runtime = "2m"
    on_battery_after = "1s"
    back_after = "2s"
    topic = "p/n"
    lane = "a"
    battery_lanes = ["normal"]
    farewell = "1s"
    command = ["systemctl", "poweroff"]
    resume_after = "5m"
    hold_up = "500ms"
    [guards]
    every = "10s"
    lasts = "20s"
    memory = 41
    io = 81
    temperature = 90
    disk = 96
    flash = 91
    topic = "g/n"
    [metrics]
    listen = "10.0.0.1:9464"
    allow_remote = true
    publish_every = "10m"
    format = "json"
    topic = "m/t"
      [page]
    listen = "127.0.0.1:8480"
    token_file = "page-token"
)";

TEST(Config, EveryKeyArrives) {
  const ConfigReport report = parse_config(kEveryKey, "/etc/hf/h.toml", {});
  ASSERT_EQ(report.problems.size(), host::has_prometheus() ? 5U : 6U)
      << "some keys exclude each other, and a build may be without the page of metrics";
  EXPECT_NE(report.problems[4].message.find("provisioning.claim_file: stands beside"),
            std::string::npos)
      << report.problems[4].message;
  EXPECT_NE(report.problems[3].message.find("failover.follow_dns: does nothing behind [proxy]"),
            std::string::npos)
      << report.problems[3].message;
  EXPECT_NE(report.problems[2].message.find("identity.directory: needs tls.enabled"),
            std::string::npos)
      << report.problems[2].message;
  EXPECT_TRUE(report.problems[1].message.ends_with(
      "tls.key_uri: stands beside tls.key_file; the key is in one place only"));
  EXPECT_NE(report.problems[0].message.find("sigv4.role_alias: stands beside"), std::string::npos)
      << report.problems[0].message;
  const Config defaults;
  for (const ConfigKey& key : config_keys()) {
    const auto value = key.get(report.config);
    ASSERT_TRUE(value) << key.name;
    // Their other values forbid some of the rest: OnlyMqtt5CanSayAllOfAWill,
    // TheBrokerAssignsAnIdOnlyWhereThereIsNone and AnEngineIsRefusedByNameForWhatItIsNot have them.
    if (key.name == "connection.mqtt_version") continue;
    if (key.name == "connection.assigned_client_id") continue;
    if (key.name == "connection.engine") continue;
    EXPECT_NE(value, key.get(defaults)) << key.name << " did not arrive";
  }
  const Config& config = report.config;
  EXPECT_EQ(config.password_file, "/etc/hf/pw");
  EXPECT_EQ(config.tls.ca_file, "/ca");
  EXPECT_EQ(config.tls.cert_file, "/etc/hf/crt/d.pem");
  EXPECT_EQ(config.tls.key_file, "/etc/d.key");
  EXPECT_EQ(config.outbox.directory, "/etc/hf/box");
  EXPECT_EQ(config.local_socket, "/etc/hf/s.sock");
  EXPECT_EQ(config.session_expiry, Seconds(7200));
  EXPECT_EQ(config.timing.backoff_first, Milliseconds(250));
  EXPECT_EQ(config.bytes_per_second, 10240u);
  EXPECT_EQ(config.will->payload, "gone");
  EXPECT_EQ(config.will->delay, Seconds(20));
  EXPECT_EQ(config.will->expiry, Seconds(3600));
  const std::vector<std::pair<std::string, std::string>> properties{{"site", "north"},
                                                                    {"formula", "a=b"}};
  EXPECT_EQ(config.will->user_properties, properties);
  EXPECT_EQ(config.birth->qos, Qos::at_most_once);
  EXPECT_EQ(config.lanes, (std::vector<std::string>{"a", "normal"}));
  EXPECT_EQ(config.denied_for, Seconds(7200));
  EXPECT_EQ(config.outbox.on_fault, OnFault::memory);
  EXPECT_EQ(config.outbox.key_file, "/etc/hf/seal.key");
  EXPECT_EQ(config.outbox.previous_key_file, "/etc/hf/old.key");
  EXPECT_EQ(config.log.file, "/etc/hf/log/h.log");
  EXPECT_EQ(config.log.areas.at(LogArea::local_api), LogLevel::debug);
  ASSERT_EQ(config.lane_rules.size(), 1U);
  const LaneRules expected{256 * 1024, 100, Seconds(3600), WhenFull::drop_oldest, true};
  EXPECT_EQ(config.lane_rules.at("a"), expected);
}

TEST(Config, LaneSectionsAreChecked) {
  const std::string good =
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\n[outbox]\ndirectory = "
      "\"d\"\n";
  const auto only_problem = [&](const std::string& lines) {
    const auto problems = parse_config(good + lines, "/f", {}).problems;
    return problems.size() == 1 ? problems[0].message : std::to_string(problems.size());
  };
  EXPECT_EQ(only_problem("[lane.nope]\nmax_messages = 1\n"),
            "/f:6: lane.nope: is not in flow.lanes; add it there, or remove this section");
  EXPECT_EQ(only_problem("[lane.bulk]\nmax_mesages = 1\n"),
            "/f:7: lane.bulk.max_mesages: is not a known key; a lane has max_size, max_messages, "
            "max_age, when_full, conflate and metered");
  EXPECT_EQ(only_problem("[lane.bulk]\nwhen_full = \"drop\"\n"),
            "/f:7: lane.bulk.when_full: is \"drop\"; give \"reject\", \"drop_oldest\" or "
            "\"drop_newest\"");
  EXPECT_EQ(only_problem("[lane.bulk]\nmax_size = \"1KiB\"\n"),
            "/f:7: lane.bulk.max_size: is 1KiB; give 0 or at least limits.payload, 128KiB");
  EXPECT_EQ(only_problem("[lane]\nbulk = 3\n"),
            "/f:7: lane.bulk: is not a section; write [lane.NAME], one for each lane");
}

TEST(Config, LaneKeysAreOverriddenByTheEnvironment) {
  const std::string text =
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\n[outbox]\ndirectory = "
      "\"d\"\n[flow]\nlanes = [\"normal\", \"my-lane\"]\n";
  const ConfigReport report =
      parse_config(text, "/f", {{"HOLDFAST_LANE_MY_LANE_MAX_MESSAGES", "7"}});
  ASSERT_TRUE(report.problems.empty()) << report.problems[0].message;
  EXPECT_EQ(report.config.lane_rules.at("my-lane").max_messages, 7U);
}

TEST(Config, MissingKeysAreReportedAtTheirSection) {
  EXPECT_EQ(problems_of("\n[connection]\nclient_id = \"c\"\n"),
            (std::vector<std::string>{
                "/etc/h.toml:2: connection.host: is missing; give the broker's name or address",
                "/etc/h.toml: outbox.directory: is missing; give a directory of this device's own, "
                "such as \"/var/lib/holdfast\""}));
}

TEST(Config, UnknownNamesAreErrorsWithTheNearestKnown) {
  expect_problem(basics + "max_sise = \"4MiB\"\n",
                 "/etc/h.toml:6: outbox.max_sise: is not a known key; did you mean "
                 "outbox.max_size?");
  expect_problem(basics + "[conection]\nport = 1\n",
                 "/etc/h.toml:6: conection: is not a known section; did you mean [connection]?");
  expect_problem(basics + "ca_file = \"x\"\n",
                 "/etc/h.toml:6: outbox.ca_file: is not a known key; did you mean tls.ca_file?");
  expect_problem(basics + "[zebra]\n",
                 "/etc/h.toml:6: zebra: is not a known section; remove it "
                 "(docs/configuration.md lists all)");
}

TEST(Config, WrongTypesSayWhatToGive) {
  expect_problem(basics + "[flow]\nmax_in_flight = \"many\"\n",
                 "/etc/h.toml:7: flow.max_in_flight: is a text; give a whole number, 1 to 1000");
  expect_problem(basics + "[timing]\nconnect = 10\n",
                 "/etc/h.toml:7: timing.connect: is a number without unit; give a duration such as "
                 "\"30s\", 100ms to 10m");
  expect_problem(basics + "[timing]\nconnect = \"10 sec\"\n",
                 "/etc/h.toml:7: timing.connect: is \"10 sec\"; give a duration such as \"30s\", "
                 "100ms to 10m");
  expect_problem(basics + "[limits]\npayload = \"12MB\"\n",
                 "/etc/h.toml:7: limits.payload: is \"12MB\"; give a size such as \"128KiB\", "
                 "1B to 256KiB");
  expect_problem(basics + "[tls]\nenabled = \"yes\"\n",
                 "/etc/h.toml:7: tls.enabled: is a text; give true or false");
  expect_problem(basics + "[flow]\nlanes = \"normal\"\n",
                 "/etc/h.toml:7: flow.lanes: is a text; give a list of 1 to 8 names such as "
                 "[\"normal\"]");
  expect_problem(basics + "[flow]\nmax_in_flight = 1.5\n",
                 "/etc/h.toml:7: flow.max_in_flight: is a fraction; give a whole number, 1 to "
                 "1000");
  expect_problem("timing = 5\n" + basics,
                 "/etc/h.toml:1: timing: is a number without unit; write it as the section "
                 "[timing]");
}

TEST(Config, ValuesOutOfRangeNameTheRange) {
  expect_problem(basics + "[flow]\nmax_in_flight = 0\n",
                 "/etc/h.toml:7: flow.max_in_flight: is 0; give a whole number, 1 to 1000");
  expect_problem(basics + "[flow]\nmax_in_flight = -3\n",
                 "/etc/h.toml:7: flow.max_in_flight: is -3; give a whole number, 1 to 1000");
  expect_problem(
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\nport = 70000\n"
      "[outbox]\ndirectory = \"/x\"\n",
      "/etc/h.toml:4: connection.port: is 70000; give a whole number, 1 to 65535");
  expect_problem(
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\nkeep_alive = \"1500ms\"\n"
      "[outbox]\ndirectory = \"/x\"\n",
      "/etc/h.toml:4: connection.keep_alive: is 1500ms; give a duration in whole "
      "seconds such as \"30s\", 1s to 65535s");
  expect_problem(basics + "max_size = \"1MiB\"\n",
                 "/etc/h.toml:6: outbox.max_size: is 1MiB; give a size such as \"128KiB\", 4MiB to "
                 "2GiB");
  expect_problem(basics + "[local]\nsocket = \"/" + std::string(120, 'x') + "\"\n",
                 "/etc/h.toml:7: local.socket: is 121 bytes long; give a path of 0 to 107 bytes, "
                 "in quotes");
  expect_problem(basics + "[connection.will]\ntopic = \"t\"\nqos = 2\n",
                 "/etc/h.toml:8: connection.will.qos: is 2; give 0 or 1 (QoS 2 is not offered)");
  expect_problem(basics + "[log]\nlevel = \"loud\"\n",
                 "/etc/h.toml:7: log.level: is \"loud\"; give \"error\", \"warning\", \"info\" or "
                 "\"debug\"");
}

TEST(Config, AnEngineIsRefusedByNameForWhatItIsNot) {
  const auto with = [](const std::string& lines) {
    return "[connection]\nhost = \"h\"\nclient_id = \"c\"\n" + lines +
           "[outbox]\ndirectory = \"/x\"\n";
  };
  expect_problem(
      with("engine = \"paho\"\n"),
      "/etc/h.toml:4: connection.engine: is \"paho\"; give \"mosquitto\" or \"aws_crt\"");
  const std::string crt = "engine = \"aws_crt\"\n";
  if (engines::kind_of(MqttEngine::aws_crt).make == nullptr) {
    expect_problem(with(crt),
                   "/etc/h.toml:4: connection.engine: is \"aws_crt\", which this build does not "
                   "have; give \"mosquitto\", or build with the AWS IoT Device SDK for C++ v2");
    return;
  }
  const ConfigReport report = parse_config(with(crt), "/etc/h.toml", {});
  EXPECT_TRUE(report.problems.empty()) << report.problems[0].message;
  EXPECT_EQ(report.config.engine, MqttEngine::aws_crt);
  expect_problem(with(crt + "mqtt_version = \"3.1.1\"\n"),
                 "/etc/h.toml:4: connection.engine: is \"aws_crt\", which cannot speak MQTT 3.1.1; "
                 "give another, or connection.mqtt_version \"5\"");
}

TEST(Config, TheEnginesOfTheFileAreThoseOfTheBuild) {
  for (const engines::EngineKind& kind : engines::known_engines()) {
    Config config;
    config.engine = kind.id;
    for (const ConfigKey& key : config_keys()) {
      if (key.name != "connection.engine") continue;
      EXPECT_EQ(std::get<std::string>(*key.get(config)), kind.name);
    }
  }
}

TEST(Config, RelationsNameBothSides) {
  expect_problem(basics + "[timing]\nbackoff_first = \"9s\"\nbackoff_cap = \"8s\"\n",
                 "/etc/h.toml:7: timing.backoff_first: is 9s; give at most timing.backoff_cap, 8s");
  expect_problem(basics + "[limits]\nmemory = \"64KiB\"\n",
                 "/etc/h.toml:7: limits.memory: is 64KiB; give at least limits.payload, 128KiB");
  expect_problem(basics + "[tls]\ncert_file = \"c.pem\"\n",
                 "/etc/h.toml:6: tls.key_file: is missing; tls.cert_file needs its private key");
  expect_problem(basics + "[flow]\nlanes = [\"a\", \"a\"]\n",
                 "/etc/h.toml:7: flow.lanes: has \"a\" twice; give each name once");
  expect_problem(basics + "[flow]\nlanes = [\"Über\"]\n",
                 "/etc/h.toml:7: flow.lanes: has the name \"??ber\"; give 1 to 32 of a-z, 0-9, _ "
                 "and -");
}

TEST(Config, HostsThatAreUrlsAreExplained) {
  const auto with_host = [](const std::string& host) {
    return "[connection]\nhost = \"" + host +
           "\"\nclient_id = \"c\"\n[outbox]\ndirectory = \"/x\"\n";
  };
  expect_problem(with_host("mqtts://h"),
                 "/etc/h.toml:2: connection.host: is \"mqtts://h\"; give the name alone, without "
                 "mqtts:// or a path");
  expect_problem(with_host("h:8883"),
                 "/etc/h.toml:2: connection.host: is \"h:8883\"; give the port in connection.port "
                 "instead");
  EXPECT_TRUE(problems_of(with_host("2001:db8::1")).empty());
}

TEST(Config, WaysToTheBrokerThatCannotWorkAreExplained) {
  expect_problem(
      basics + "[proxy]\nhost = \"http://p\"\n",
      "/etc/h.toml:7: proxy.host: is \"http://p\"; give the name alone, without mqtts:// "
      "or a path");
  expect_problem(basics + "[proxy]\nhost = \"p:3128\"\n",
                 "/etc/h.toml:7: proxy.host: is \"p:3128\"; give the port in proxy.port instead");
  expect_problem(basics + "[proxy]\nhost = \"p\"\npassword_file = \"/dev/null\"\n",
                 "/etc/h.toml:8: proxy.password_file: needs proxy.username; give that, too");
  for (const std::string path : {"mqtt", "/a b", "/a#b"}) {
    expect_problem("[connection]\nhost = \"h\"\nclient_id = \"c\"\nwebsocket_path = \"" + path +
                       "\"\n[outbox]\ndirectory = \"/x\"\n",
                   "/etc/h.toml:4: connection.websocket_path: is \"" + path +
                       "\"; give a path that begins with / and has no blanks, such as \"/mqtt\"");
  }
  expect_problem(
      "[connection]\nhost = \"h\"\nclient_id = \"c\"\ntransport = \"http\"\n"
      "[outbox]\ndirectory = \"/x\"\n",
      "/etc/h.toml:4: connection.transport: is \"http\"; give \"mqtt\" or \"websocket\"");
}

TEST(Config, AWillWithABadTopicIsFoundAtItsLine) {
  const auto lines = problems_of(basics + "[connection.will]\ntopic = \"a/#\"\n");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].starts_with("/etc/h.toml:7: connection.will.topic: is \"a/#\": "))
      << lines[0];
  expect_problem(basics + "[connection.birth]\npayload = \"x\"\n",
                 "/etc/h.toml:6: connection.birth.topic: is missing; give a topic");
}

TEST(Config, OnlyMqtt5CanSayAllOfAWill) {
  std::string old = "mqtt_version = \"3.1.1\"\n[connection.will]\ntopic = \"t\"\n";
  const auto lines = problems_of(
      "profile = \"generic\"\n[connection]\nhost = \"h\"\n"
      "client_id = \"c\"\n" +
      old +
      "content_type = \"x\"\nexpiry = \"1s\"\ndelay = \"1s\"\n"
      "user_properties = [\"a=b\"]\n[outbox]\ndirectory = \"/o\"\n");
  ASSERT_EQ(lines.size(), 4U);
  for (const std::string& line : lines) {
    EXPECT_NE(line.find("needs MQTT 5; remove it, or set connection.mqtt_version"),
              std::string::npos)
        << line;
  }
  expect_problem(basics + "[connection.will]\ntopic = \"t\"\nuser_properties = [\"ab\"]\n",
                 "/etc/h.toml:8: connection.will.user_properties: has \"ab\"; give a list of 0 to "
                 "64 texts such as [\"name=value\"]");
}

TEST(Config, TheBrokerAssignsAnIdOnlyWhereThereIsNone) {
  const auto with = [](const std::string& lines) {
    return "[connection]\nhost = \"h\"\n" + lines + "[outbox]\ndirectory = \"/o\"\n";
  };
  EXPECT_TRUE(problems_of(with("assigned_client_id = true\n")).empty());
  expect_problem(with("assigned_client_id = true\nclient_id = \"c\"\n"),
                 "/etc/h.toml:3: connection.assigned_client_id: stands beside "
                 "connection.client_id; give one of the two");
  expect_problem(with("assigned_client_id = true\nmqtt_version = \"3.1.1\"\n"),
                 "/etc/h.toml:3: connection.assigned_client_id: needs MQTT 5; give "
                 "connection.client_id");
  EXPECT_EQ(problems_of(with("")).size(), 1U) << "nobody gets an assigned one by omission";
}

TEST(Config, BrokenTomlNamesTheLine) {
  const auto lines = problems_of("[connection]\nhost = broker\n");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(lines[0].starts_with("/etc/h.toml:2: not TOML: ")) << lines[0];
  EXPECT_TRUE(lines[0].ends_with("; mend this line")) << lines[0];
  EXPECT_EQ(lines[0].find('\n'), std::string::npos);
}

TEST(Config, WhatTomlPlusPlusAssertsIsAnErrorAndNoCrash) {
  for (const std::string_view text : {std::string_view("[\0", 2), std::string_view("L\xEF\xBB\xBB"),
                                      std::string_view("\xEF\xAF\xBF")}) {
    const auto lines = problems_of(std::string(text));
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_TRUE(lines[0].starts_with("/etc/h.toml:1: not TOML: ")) << lines[0];
  }
}

TEST(Config, DuplicatesAreNamedWithTheirSection) {
  expect_problem("[connection]\nhost = \"a\"\nhost = \"b\"\n",
                 "/etc/h.toml:3: connection.host: is given twice; keep one of the two");
  expect_problem("[tls]\nenabled = true\n[log]\n[tls]\n",
                 "/etc/h.toml:4: tls: is given twice; keep one of the two");
}

TEST(Config, AllProblemsAreToldInFileOrder) {
  const auto lines = problems_of("[connection]\nport = 0\nhots = \"h\"\nclient_id = 7\n");
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_TRUE(lines[0].starts_with("/etc/h.toml:1: connection.host: is missing"));
  EXPECT_TRUE(lines[1].starts_with("/etc/h.toml:2: connection.port: is 0"));
  EXPECT_TRUE(lines[2].starts_with("/etc/h.toml:3: connection.hots: is not a known key"));
  EXPECT_TRUE(lines[3].starts_with("/etc/h.toml:4: connection.client_id: is a number"));
  EXPECT_TRUE(lines[4].starts_with("/etc/h.toml: outbox.directory: is missing"));
}

TEST(Config, TheEnvironmentOverridesTheFile) {
  const Environment environment{
      {"HOLDFAST_CONNECTION_HOST", "other"},   {"HOLDFAST_CONNECTION_PORT", "1883"},
      {"HOLDFAST_CONNECTION_WILL_TOPIC", "w"}, {"HOLDFAST_FLOW_LANES", "x,normal"},
      {"HOLDFAST_OUTBOX_DIRECTORY", "rel"},    {"HOLDFAST_SOCKET", "/not/a/key"},
      {"HOLDFAST_TLS_ENABLED", "false"}};
  const std::string text = "[connection]\nport = \"mend me\"\nclient_id = \"c\"\n";
  const ConfigReport report = parse_config(text, "/etc/h.toml", environment);
  ASSERT_TRUE(report.problems.empty()) << report.problems[0].message;
  EXPECT_EQ(report.config.host, "other");
  EXPECT_EQ(report.config.port, 1883);
  EXPECT_EQ(report.config.will->topic, "w");
  EXPECT_EQ(report.config.lanes, (std::vector<std::string>{"x", "normal"}));
  EXPECT_EQ(report.config.outbox.directory, "/etc/rel");
  EXPECT_FALSE(report.config.tls.enabled);
}

TEST(Config, WrongVariablesAreNamed) {
  EXPECT_EQ(problems_of(basics, {{"HOLDFAST_CONNECTION_PORT", "0"}}),
            (std::vector<std::string>{"environment variable HOLDFAST_CONNECTION_PORT: "
                                      "connection.port: is 0; give a whole number, 1 to 65535"}));
  EXPECT_EQ(problems_of(basics, {{"HOLDFAST_CONNECTION_HOTS", "h"}}),
            (std::vector<std::string>{"environment variable HOLDFAST_CONNECTION_HOTS: names no "
                                      "known key; did you mean HOLDFAST_CONNECTION_HOST?"}));
  EXPECT_EQ(problems_of(basics, {{"HOLDFAST_TLS_ENABLED", "1"}}),
            (std::vector<std::string>{"environment variable HOLDFAST_TLS_ENABLED: tls.enabled: is "
                                      "\"1\"; give true or false"}));
}

TEST(Config, ProfilesAreRulesAsDataAndKeysGoBeforeThem) {
  const Config aws = parse_config("profile = \"aws-iot-core\"\n" + basics, "f", {}).config;
  EXPECT_EQ(aws.messages_per_second, 80u);
  const Config generic = parse_config("profile = \"generic\"\n" + basics, "f", {}).config;
  EXPECT_EQ(generic.messages_per_second, 0u);
  EXPECT_EQ(generic.bytes_per_second, 0u);
  EXPECT_GT(generic.limits.topic_levels, 8u);
  const Config advisor =
      parse_config("profile = \"device-advisor\"\n" + basics + "[timing]\nbackoff_first = \"2s\"",
                   "f", {})
          .config;
  EXPECT_EQ(advisor.timing.backoff_cap, Seconds(8));
  EXPECT_EQ(advisor.timing.backoff_first, Seconds(2));
  EXPECT_EQ(advisor.keep_alive, Seconds(30));
  expect_problem("profile = \"azure\"\n" + basics,
                 "/etc/h.toml:1: profile: is \"azure\"; give \"aws-iot-core\", \"generic\" or "
                 "\"device-advisor\"");
}

TEST(Config, FilesThatCannotBeReadAreNamed) {
  const Folder folder;
  const auto missing = folder.path() / "none.toml";
  Result<Config> config = load_config(missing);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Errc::not_found);
  EXPECT_EQ(config.error().message, missing.string() +
                                        ": cannot be read: No such file or directory; check path "
                                        "and permissions");
  config = load_config(folder.path());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message,
            folder.path().string() + ": is a directory; name the configuration file in it");
  const auto big = folder.write("big.toml", std::string(limits::kMiB + 1, '#'));
  config = load_config(big);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Errc::too_large);
}

TEST(Config, LoadConfigGivesTheFirstProblemOrTheConfig) {
  const Folder folder;
  const auto good = folder.write("good.toml", basics);
  const Result<Config> config = load_config(good);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->host, "broker.example");
  const auto bad = folder.write("bad.toml", "profile = 3\n" + basics + "x = 1\n");
  const Result<Config> refused = load_config(bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_config);
  EXPECT_TRUE(refused.error().message.starts_with(bad.string() + ":1: profile: is a number"))
      << refused.error().message;
}

Config plain_config(const Folder& folder) {
  Config config;
  config.host = "h";
  config.client_id = "c";
  config.tls.enabled = false;
  config.outbox.directory = folder.path() / "box" / "deep";
  return config;
}

void expect_check(const Config& config, Errc code, const std::string& text) {
  const std::vector<Error> errors = check_config(config);
  ASSERT_EQ(errors.size(), 1u) << (errors.empty() ? "nothing found" : errors[1].message);
  EXPECT_EQ(errors[0].message, text);
  EXPECT_EQ(errors[0].code, code);
}

TEST(Config, CheckWritesNothingAndAcceptsADirectoryThatCanBeMade) {
  const Folder folder;
  EXPECT_TRUE(check_config(plain_config(folder)).empty());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Config, CheckFindsUnusableDirectories) {
  const Folder folder;
  Config config = plain_config(folder);
  const auto file = folder.write("file", "");
  config.outbox.directory = file / "box";
  expect_check(config, Errc::permission,
               "outbox.directory: " + file.string() + " is not a directory; give another path");
  config.outbox.directory = folder.path() / "open";
  ASSERT_EQ(::mkdir(config.outbox.directory.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(config.outbox.directory.c_str(), 0777), 0);
  expect_check(config, Errc::permission,
               "outbox.directory: others may write to " + config.outbox.directory.string() +
                   "; chmod go-w it");
}

TEST(Config, CheckFindsMissingCredentialsWithoutCallingThemConfigurationErrors) {
  const Folder folder;
  Config config = plain_config(folder);
  config.tls.enabled = true;
  config.tls.ca_file = folder.path() / "ca.pem";
  expect_check(config, Errc::not_found,
               "tls.ca_file: cannot read " + config.tls.ca_file.string() +
                   ": No such file or directory; check path and permissions");
}

TEST(Config, EncryptionNeedsItsKey) {
  expect_problem(basics + "encrypt = true\n",
                 "/etc/h.toml:4: outbox.key_file: is missing; outbox.encrypt needs it where there "
                 "is no tls.key_file");
  const Folder folder;
  Config config = plain_config(folder);
  config.outbox.encrypt = true;
  expect_check(config, Errc::invalid_config,
               "outbox.key_file: is missing; outbox.encrypt needs it where there is no "
               "tls.key_file");
  config.outbox.key_file = folder.write("short", "0123456789");
  const std::string path = config.outbox.key_file.string();
  expect_check(config, Errc::invalid_argument,
               "outbox.key_file: key of the outbox: " + path +
                   " has 10 bytes; give a PEM private key or at least 32 random bytes; mend it "
                   "or name another file");
}

TEST(Config, CheckFindsAFileInTheSocketsPlace) {
  const Folder folder;
  Config config = plain_config(folder);
  config.local_socket = folder.write("h.sock", "not a socket");
  expect_check(config, Errc::io,
               "local.socket: " + config.local_socket.string() +
                   " exists and is not a socket; give another path");
  config.local_socket = folder.path() / "a" / "b" / "h.sock";
  expect_check(
      config, Errc::io,
      "local.socket: the folder of " + config.local_socket.string() + " does not exist; create it");
}

TEST(ConfigUnits, AreReadAndWrittenExactly) {
  EXPECT_EQ(parse_duration("250ms"), 250u);
  EXPECT_EQ(parse_duration("5m"), 300000u);
  EXPECT_EQ(parse_duration("0"), 0u);
  for (const char* wrong : {"", "5", "ms", "-5s", "5 s", "1.5s", "5d", "99999999999999999999s",
                            "9223372036854775807h", "+5s"}) {
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(parse_size("64MiB"), 64u << 20);
  EXPECT_EQ(parse_size("512B"), 512u);
  EXPECT_EQ(parse_size("64MB"), std::nullopt);
  EXPECT_EQ(format_duration(90000), "90s");
  EXPECT_EQ(format_duration(7200000), "2h");
  EXPECT_EQ(format_size(1536), "1536B");
}

}  // namespace
}  // namespace holdfast::runtime
