// Faults as JSON: read strictly, written back as the same, and every preset.
#include "lab/fault/faults.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "lab/fault/values.h"

namespace holdfast::lab::fault {
namespace {

using namespace std::chrono_literals;

Result<Faults> read(std::string_view text) { return parse_faults(Json::parse(text)); }

std::string complaint(std::string_view text) {
  const auto faults = read(text);
  return faults ? "nothing" : faults.error().message;
}

constexpr std::string_view kEverything = R"({
  "accept": "ignore", "upstream": "refuse",
  "both": {"latency": "250ms"},
  "up": {"jitter": "10ms", "bytes_per_second": "16KiB", "slice_bytes": 100, "slice_pause": "1s",
         "black_hole": true, "corrupt_bytes": [3, 9]},
  "down": {"latency": "3s", "stop_reading": true, "corrupt_one_in": 1000,
           "reset_after_bytes": 0, "half_open": true},
  "tls": {"fault": "oversized-chain", "record_bytes": "16KiB",
          "min_version": "1.2", "max_version": "1.3"},
  "rules": [
    {"name": "a", "packets": ["PUBLISH", "puback"], "direction": "up", "topic": "a/+/#",
     "client_id": "pump-*", "qos": 1, "skip": 2, "every": 3, "first": 4, "probability": 0.5,
     "scope": "all", "drop": true},
    {"packets": "CONNACK", "hold": true},
    {"delay": "15s"},
    {"reorder": "2min"},
    {"duplicate": 2},
    {"alter": {"code": "0x97", "session_present": true, "clean_start": false, "keep_alive": 5,
               "dup": true, "retain": false, "qos": 1, "packet_id": 9, "topic": "t",
               "payload_hex": "00ff", "remove": ["topic_alias"],
               "set": {"receive_maximum": 1, "reason_string": "why",
                       "user_property": {"k": "v"}}}},
    {"answer": {"packet": "SUBACK", "code": 135, "session_present": true,
                "properties": {"server_keep_alive": 30}}},
    {"disconnect": {"when": "before", "delay": "1s", "reason": 142, "side": "device"}},
    {"disconnect": {"how": "silence"}},
    {"rate": 0.5},
    {"redeliver": {"after": "10ms", "dup": true, "new_packet_id": true, "times": 3}}]})";

TEST(LabFaults, EveryKeyIsUnderstood) {
  const auto faults = read(kEverything);
  ASSERT_TRUE(faults) << faults.error().message;
  EXPECT_EQ(faults->accept, Accept::ignore);
  EXPECT_EQ(faults->upstream, Upstream::refuse);
  EXPECT_EQ(faults->up.latency, 250ms);
  EXPECT_EQ(faults->down.latency, 3s);
  EXPECT_EQ(faults->up.bytes_per_second, 16U * 1024);
  EXPECT_EQ(faults->up.corrupt_to, 9U);
  EXPECT_EQ(faults->down.reset_after_bytes, 0U);
  EXPECT_EQ(faults->tls.fault, TlsFault::oversized_chain);
  EXPECT_EQ(faults->tls.max_version, TlsVersion::tls13);
  ASSERT_EQ(faults->rules.size(), 11U);
  EXPECT_EQ(faults->rules[0].match.from, mqtt::Side::device);
  EXPECT_EQ(faults->rules[0].match.scope, Scope::all);
  EXPECT_EQ(faults->rules[1].name, "rule-2");
  const auto& alter = std::get<Alter>(faults->rules[5].action);
  EXPECT_EQ(alter.code, 0x97);
  EXPECT_EQ(alter.payload, std::string("\0\xff", 2));
  EXPECT_EQ(alter.set.number(mqtt::PropertyId::receive_maximum), 1U);
  EXPECT_FALSE(std::get<Disconnect>(faults->rules[7].action).pass);
  EXPECT_EQ(std::get<Redeliver>(faults->rules[10].action).times, 3U);
}

TEST(LabFaults, WhatIsWrittenIsReadAsTheSame) {
  const auto faults = read(kEverything);
  ASSERT_TRUE(faults);
  const auto again = parse_faults(to_json(*faults));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(*again == *faults) << to_json(*again).dump(1) << to_json(*faults).dump(1);
  EXPECT_EQ(to_json(Faults{}).dump(), "{}");
}

TEST(LabFaults, EveryPresetCanBeReadAndDoesSomething) {
  std::set<std::string_view> names;
  for (const Preset& preset : presets()) {
    const auto own = read(preset.json);
    ASSERT_TRUE(own) << preset.name << ": " << own.error().message;
    const auto named = parse_faults(Json(std::string(preset.name)));
    ASSERT_TRUE(named) << preset.name;
    EXPECT_TRUE(*named == *own) << preset.name;
    EXPECT_FALSE(*named == Faults{}) << preset.name;
    EXPECT_FALSE(preset.description.empty());
    EXPECT_TRUE(names.insert(preset.name).second) << preset.name;
  }
}

TEST(LabFaults, PresetsAddUpAndOtherKeysComeOnTop) {
  const auto list = read(R"(["no-puback", "slow-2g"])");
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->rules.size(), 1U);
  EXPECT_EQ(list->up.latency, 800ms);
  const auto more = read(R"({"preset": ["no-puback", "slow-2g"], "up": {"latency": "1s"},
                             "rules": [{"duplicate": 1}]})");
  ASSERT_TRUE(more) << more.error().message;
  EXPECT_EQ(more->rules.size(), 2U);
  EXPECT_EQ(more->up.latency, 1s);
  EXPECT_EQ(more->up.bytes_per_second, 2048U);
}

TEST(LabFaults, WhatIsWrongIsNamedWithItsPath) {
  EXPECT_EQ(complaint("3"), "must be a table of keys");
  EXPECT_EQ(complaint(R"("nonsense")"),
            "must be the name of a preset; `holdfast lab fault --list` lists them");
  EXPECT_EQ(complaint(R"(["half-open", 3])").substr(0, 8), "[1]: mus");
  EXPECT_EQ(complaint(R"({"uo": {}})"), "uo: is not a known key here");
  EXPECT_EQ(complaint(R"({"accept": "maybe"})"),
            R"(accept: must be one of "normal", "refuse", "ignore")");
  EXPECT_EQ(complaint(R"({"up": {"latency": 250}})").substr(0, 27), "up.latency: is no duration;");
  EXPECT_EQ(complaint(R"({"up": {"latency": "-1s"}})").substr(0, 11), "up.latency:");
  EXPECT_EQ(complaint(R"({"up": {"bytes_per_second": "9XB"}})").substr(0, 31),
            "up.bytes_per_second: is no size");
  EXPECT_EQ(complaint(R"({"up": {"bytes_per_second": 0}})"),
            "up.bytes_per_second: must be a size of 1B to 1048576GiB");
  EXPECT_EQ(complaint(R"({"down": {"black_hole": 1}})"), "down.black_hole: must be true or false");
  EXPECT_EQ(complaint(R"({"down": {"corrupt_bytes": [5, 5]}})").substr(0, 19),
            "down.corrupt_bytes:");
  EXPECT_EQ(complaint(R"({"tls": {"min_version": "1.3", "max_version": "1.2"}})"),
            "tls.min_version: is above max_version");
  EXPECT_EQ(complaint(R"({"tls": {"record_bytes": 17000}})"),
            "tls.record_bytes: must be a size of 64B to 16KiB");
}

std::string rule_complaint(const std::string& rule) {
  return complaint("{\"rules\":[" + rule + "]}");
}

TEST(LabFaults, WhatIsWrongInARuleIsNamedWithItsPath) {
  EXPECT_EQ(complaint(R"({"rules": {}})"), "rules: must be a list of tables");
  EXPECT_EQ(rule_complaint(R"({"packets": "PUBACK"})").substr(0, 23), "rules[0]: must have one");
  EXPECT_EQ(rule_complaint(R"({"drop": true, "rate": 1})").substr(0, 23),
            "rules[0]: must have one");
  EXPECT_EQ(rule_complaint(R"({"drop": false})"), "rules[0].drop: must be true");
  EXPECT_EQ(rule_complaint(R"({"packets": ["PUBAK"], "drop": true})"),
            R"(rules[0].packets: must be names of packets, such as "PUBACK")");
  EXPECT_EQ(rule_complaint(R"({"qos": 3, "drop": true})"),
            "rules[0].qos: must be a whole number of 0 to 2");
  EXPECT_EQ(rule_complaint(R"({"probability": 1.5, "drop": true})"),
            "rules[0].probability: must be a number over 0.0 up to 1.0");
  EXPECT_EQ(rule_complaint(R"({"alter": {}})"), "rules[0].alter: alters nothing");
  EXPECT_EQ(rule_complaint(R"({"alter": {"code": "0x197"}})"),
            "rules[0].alter.code: must be a whole number of 0 to 255");
  EXPECT_EQ(rule_complaint(R"({"alter": {"set": {"receive_maximum": 70000}}})"),
            "rules[0].alter.set.receive_maximum: must be a whole number of 0 to 65535");
  EXPECT_EQ(rule_complaint(R"({"alter": {"set": {"recieve_maximum": 1}}})"),
            "rules[0].alter.set.recieve_maximum: is not a known key here");
  EXPECT_EQ(rule_complaint(R"({"alter": {"payload_hex": "0"}})"),
            "rules[0].alter.payload_hex: must have two digits for each byte");
  EXPECT_EQ(rule_complaint(R"({"alter": {"payload_hex": "0g"}})"),
            "rules[0].alter.payload_hex: must be hexadecimal");
  EXPECT_EQ(rule_complaint(R"({"answer": {"packet": "PUBLISH"}})"),
            R"(rules[0].answer.packet: must be a packet that answers, such as "PUBACK")");
  EXPECT_EQ(rule_complaint(R"({"disconnect": {"reason": 142, "how": "reset"}})"),
            R"(rules[0].disconnect.reason: is said only when how is "close")");
  EXPECT_EQ(rule_complaint(R"({"redeliver": {"after": "1ms"}})"),
            "rules[0].redeliver.after: must be at least 10ms");
  EXPECT_EQ(rule_complaint(R"({"name":"x","drop":true},{"name":"x","drop":true})"),
            "rules[1].name: is the name of another rule, too");
  std::string many;
  for (std::size_t i = 0; i <= Faults::kMaxRules; ++i) {
    many += std::string(i == 0 ? "" : ",") + R"({"drop":true})";
  }
  EXPECT_EQ(rule_complaint(many), "rules: are more than 64");
}

TEST(LabValues, DurationsAndSizesComeBackAsTheyWere) {
  for (const char* text : {"250ms", "3s", "2min", "1h", "7us", "5ns", "30d"}) {
    const auto duration = parse_duration(text);
    ASSERT_TRUE(duration) << text;
    EXPECT_EQ(duration_text(*duration), text);
  }
  EXPECT_EQ(duration_text(Duration(90s)), "90s");
  EXPECT_EQ(duration_text({}), "0s");
  for (const char* text : {"", "s", "3", "3 s", "1.5s", "367d", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  for (const char* text : {"16KiB", "100B", "3MiB", "1GiB"}) {
    const auto size = parse_size(text);
    ASSERT_TRUE(size) << text;
    EXPECT_EQ(size_text(*size), text);
  }
  EXPECT_FALSE(parse_size("16KB"));
  EXPECT_FALSE(parse_size("99999999999GiB"));
}

}  // namespace
}  // namespace holdfast::lab::fault
