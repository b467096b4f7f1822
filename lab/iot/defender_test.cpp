// Device Defender: reports that are accepted, reports that are not, and what is kept of them.
#include "lab/iot/defender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "lab/iot/cbor.h"
#include "lab/iot/defender_report.h"
#include "lab/iot/service_fixture.h"

namespace holdfast::lab::iot {
namespace {

using testing::HasSubstr;

constexpr WallTime kNow{1'635'801'636'023};
constexpr const char* kJson = "$aws/things/pump/defender/metrics/json";
constexpr const char* kCbor = "$aws/things/pump/defender/metrics/cbor";

constexpr const char* kLong = R"({"header":{"report_id":1635800375,"version":"1.0"},"metrics":{)"
                              R"("tcp_connections":{"established_connections":{"connections":[)"
                              R"({"remote_addr":"192.0.2.7:443","local_port":50000,)"
                              R"("local_interface":"eth0"}],"total":1}},)"
                              R"("listening_tcp_ports":{"ports":[{"port":22,"interface":"eth0"}],)"
                              R"("total":1},"listening_udp_ports":{"ports":[],"total":0},)"
                              R"("network_stats":{"bytes_in":1,"bytes_out":2,"packets_in":3,)"
                              R"("packets_out":4}},"custom_metrics":{"heat":[{"number":1.5}],)"
                              R"("tags":[{"string_list":["a"]}],"peers":[{"ip_list":["::1"]}],)"
                              R"("rpm":[{"number_list":[1,2]}]}})";
constexpr const char* kShort =
    R"({"hed":{"rid":1635800375,"v":"1.0"},"met":{)"
    R"("tc":{"ec":{"cs":[{"rad":"192.0.2.7:443","lp":50000,"li":"eth0"}],)"
    R"("t":1}},"tp":{"pts":[{"pt":22,"if":"eth0"}],"t":1},)"
    R"("up":{"pts":[],"t":0},"ns":{"bi":1,"bo":2,"pi":3,"po":4}},)"
    R"("cmet":{"heat":[{"number":1.5}],"tags":[{"string_list":["a"]}],)"
    R"("peers":[{"ip_list":["::1"]}],"rpm":[{"number_list":[1,2]}]}})";

/// The only answer: "TOPIC PAYLOAD".
std::string send(Defender& defender, const std::string& topic, const std::string& payload,
                 WallTime now = kNow) {
  Answers out;
  defender.on_request(now, {}, message_to(topic, payload), out);
  EXPECT_EQ(out.all.size(), 1U);
  if (out.all.empty()) return "nothing";
  EXPECT_EQ(out.all[0].to, Answer::To::broker);
  return out.all[0].topic + ' ' + out.all[0].payload;
}

std::string list(Defender& defender) {
  Answers out;
  const ApiResult result =
      defender.call(kNow, "ListDeviceMetricReports", {{"thingName", "pump"}}, out);
  const auto* output = std::get_if<Json>(&result);
  return output != nullptr ? dump(*output) : "an error";
}

TEST(LabDefender, ClaimsItsTopicsOnly) {
  const Defender defender;
  EXPECT_EQ(defender.claims(kJson), Claim::only);
  EXPECT_EQ(defender.claims(kCbor), Claim::only);
  for (const char* topic :
       {"$aws/things/pump/defender/metrics/json/accepted", "$aws/things/pump/defender/metrics",
        "$aws/things//defender/metrics/json", "$aws/things/pump", "a"}) {
    EXPECT_EQ(defender.claims(topic), Claim::none) << topic;
  }
}

TEST(LabDefender, LongAndShortNamesMeanTheSame) {
  const auto from_short = read_defender_report(parsed(kShort));
  ASSERT_TRUE(from_short) << from_short.error().message;
  EXPECT_EQ(dump(from_short->long_form), kLong);
  const auto from_long = read_defender_report(parsed(kLong));
  ASSERT_TRUE(from_long) << from_long.error().message;
  EXPECT_EQ(dump(from_long->long_form), kLong);
  EXPECT_EQ(from_long->id, 1'635'800'375);
}

TEST(LabDefender, AcceptsAReport) {
  Defender defender;
  EXPECT_EQ(send(defender, kJson, kLong),
            std::string(kJson) + R"(/accepted {"thingName":"pump","reportId":1635800375,)"
                                 R"("status":"ACCEPTED","timestamp":1635801636023})");
  EXPECT_EQ(list(defender),
            std::string(R"({"reports":[{"timestamp":1635801636023,"report":)") + kLong + "}]}");
}

TEST(LabDefender, CanNameTheReportByItsNumber) {
  DefenderOptions options;
  options.id_as_key = true;
  Defender defender(options);
  EXPECT_EQ(send(defender, kJson, kLong),
            std::string(kJson) + R"(/accepted {"thingName":"pump","1635800375":1635801636,)"
                                 R"("status":"ACCEPTED","timestamp":1635801636023})");
}

TEST(LabDefender, AnswersCborInCbor) {
  Defender defender;
  const std::string answer = send(defender, kCbor, to_cbor(parsed(kShort)));
  const std::string head = std::string(kCbor) + "/accepted ";
  ASSERT_TRUE(answer.starts_with(head));
  const auto body = parse_cbor(std::string_view(answer).substr(head.size()));
  ASSERT_TRUE(body);
  EXPECT_EQ((*body)["reportId"], 1'635'800'375);
  EXPECT_TRUE(send(defender, kCbor, "junk").starts_with(std::string(kCbor) + "/rejected "));
}

TEST(LabDefender, RejectsWhatIsNoReport) {
  Defender defender;
  EXPECT_EQ(send(defender, kJson, "{}"),
            std::string(kJson) +
                R"(/rejected {"thingName":"pump","status":"REJECTED","statusDetails":)"
                R"({"ErrorCode":"InvalidPayload","ErrorMessage":"Malformed metrics report"},)"
                R"("timestamp":1635801636023})");
  EXPECT_EQ(list(defender), R"({"reports":[],"lastRejection":{"timestamp":1635801636023,)"
                            R"("reason":"header is missing"}})");
}

TEST(LabDefender, RejectsReportsThatComeTooFast) {
  Defender defender;
  send(defender, kJson, kLong);
  EXPECT_THAT(send(defender, kJson, kLong, {kNow.ms + 299'999}),
              HasSubstr(R"("ErrorCode":"Throttled")"));
  EXPECT_THAT(send(defender, kJson, kLong, {kNow.ms + 300'000}), HasSubstr("/accepted"));
  DefenderOptions options;
  options.shortest_interval = std::chrono::seconds(0);
  Defender patient(options);
  send(patient, kJson, kLong);
  EXPECT_THAT(send(patient, kJson, kLong), HasSubstr("/accepted"));
}

TEST(LabDefender, KeepsTheLastTenReports) {
  Defender defender;
  for (int i = 0; i < 12; ++i) send(defender, kJson, kLong, {kNow.ms + 300'000 * i});
  const Json reports = parsed(list(defender))["reports"];
  EXPECT_EQ(reports.size(), 10U);
  EXPECT_EQ(reports[9]["timestamp"], kNow.ms + 300'000 * 11);
}

/// What is wrong with kLong once `value` stands at `at`.
std::string complaint(const char* at, const Json& value) {
  Json report = parsed(kLong);
  report[Json::json_pointer(at)] = value;
  const auto read = read_defender_report(report);
  return read ? "none" : read.error().message;
}

TEST(LabDefender, ComplaintsNameTheMember) {
  EXPECT_EQ(complaint("/header", 1), "header must be an object");
  EXPECT_EQ(complaint("/header/report_id", "1"), "header.report_id must be a count");
  EXPECT_EQ(complaint("/header/report_id", -1), "header.report_id must be a count");
  EXPECT_EQ(complaint("/header/version", "2"), "header.version must be \"1.0\"");
  EXPECT_EQ(complaint("/hed", Json::object()), "hed is there under its long name, too");
  EXPECT_EQ(complaint("/metrics", Json::array()), "metrics must be an object");
  EXPECT_EQ(complaint("/metrics/tcp_connection", 1), "metrics.tcp_connection is no member here");
  EXPECT_EQ(complaint("/metrics/network_stats/bytes_in", 1.5),
            "metrics.network_stats.bytes_in must be a count");
  const std::string connections = "/metrics/tcp_connections/established_connections/connections";
  const std::string there = "metrics.tcp_connections.established_connections.connections";
  EXPECT_EQ(complaint(connections.c_str(), 1), there + " must be a list");
  EXPECT_EQ(complaint((connections + "/0").c_str(), Json::object()),
            there + "[0].remote_addr is missing");
  for (const char* peer :
       {"x", "192.0.2.7", "192.0.2.7:", "192.0.2.7:70000", "192.0.2.7/8:1", "[::1:1", ":443"}) {
    EXPECT_EQ(complaint((connections + "/0/remote_addr").c_str(), peer),
              there + "[0].remote_addr is no address with a port")
        << peer;
  }
  EXPECT_EQ(complaint((connections + "/0/remote_addr").c_str(), "[2001:db8::1]:443"), "none");
  EXPECT_EQ(complaint("/metrics/listening_tcp_ports/ports/0/port", 65'536),
            "metrics.listening_tcp_ports.ports[0].port must be a count");
}

TEST(LabDefender, CustomMetricsAreListsOfOne) {
  const std::string wrong =
      "custom_metrics.heat must be a list of one number, number_list, string_list or ip_list";
  for (const char* value :
       {"{\"number\":1}", "1", "[]", "[{}]", "[{\"number\":1},{\"number\":2}]",
        "[{\"number\":\"1\"}]", "[{\"number_list\":[\"1\"]}]", "[{\"ip_list\":[\"x\"]}]",
        "[{\"strings\":[\"x\"]}]", "[{\"string_list\":\"x\"}]"}) {
    EXPECT_EQ(complaint("/custom_metrics/heat", parsed(value)), wrong) << value;
  }
}

TEST(LabDefender, AReportNeedsMetricsOfAnyKind) {
  const auto wrong = [](const char* text) {
    const auto read = read_defender_report(parsed(text));
    return read ? "none" : read.error().message;
  };
  EXPECT_EQ(wrong(R"({"hed":{"rid":1,"v":"1.0"}})"), "metrics and custom_metrics are both missing");
  EXPECT_EQ(wrong(R"({"hed":{"rid":1,"v":"1.0"},"cmet":{"a":[{"number":1}]}})"), "none");
  EXPECT_EQ(wrong("7"), "input must be an object");
}

TEST(LabDefender, StateComesBackAsItWas) {
  Defender defender;
  send(defender, kJson, kShort);
  send(defender, kJson, "{");
  const Json saved = defender.save();
  Defender again;
  const Status loaded = again.load(saved);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(dump(again.save()), dump(saved));
  EXPECT_THAT(send(again, kJson, kLong), HasSubstr("Throttled"));
}

TEST(LabDefender, BrokenStateIsRefusedByNameAndChangesNothing) {
  Defender defender;
  send(defender, kJson, kLong);
  const Json good = defender.save();
  const auto wrong = [&](const char* at, const Json& value) {
    return complaint_about(defender, good, at, value);
  };
  EXPECT_EQ(wrong("/things", 1), "things must be an object");
  EXPECT_EQ(wrong("/things/pump/reports", 1), "things.pump.reports must be a list");
  EXPECT_EQ(wrong("/things/pump/reports/0/at", "x"),
            "things.pump.reports[0].at must be a whole number");
  EXPECT_EQ(wrong("/things/pump/reports/0/report/header", 1),
            "things.pump.reports[0].report is none: header must be an object");
  EXPECT_EQ(wrong("/things/pump/rejection", Json::object()), "things.pump.rejection.at is missing");
  EXPECT_EQ(wrong("/more", 1), "more is no member here");
}

}  // namespace
}  // namespace holdfast::lab::iot
