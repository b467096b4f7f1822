// Goal: the parts of the command line that decide: window, repeats, lines, and words for people.
// Method: the agent's answers are given as text; whole commands are tested with a real agent in
//         agent/agent_test.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "commands.h"
#include "history.h"
#include "outbox.h"
#include "publish_session.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;
using runtime::WantedReceipt;

Message to_topic() {
  Message message;
  message.topic = "t";
  return message;
}

std::string accepted(std::uint64_t id) {
  return "{\"id\":" + std::to_string(id) + ",\"ok\":true,\"receipt\":\"accepted\"}";
}

TEST(History, WhatAFileBringsHarmsNoTerminalAndEndsNoCommand) {
  const json entries = json::parse(R"([
    {"event":7}, {"event":"started","at_ms":"soon","unclean":1},
    {"event":"outage","over":"yes","began_ms":"x","lasted_ms":[],"verdict":{},"detail":3,
     "verdicts":5,"attempts":null},
    {"event":"outage","over":true,"verdict":"\u001b[2J","detail":"clear\u001b[2J it"}])");
  EXPECT_EQ(render_history(entries),
            "1970-01-01 00:00:00  started\n"
            "1970-01-01 00:00:00  away (not over) 0.0 s: \n"
            "                     0 attempts, 0 messages accepted, 0 dropped, 0 waiting\n"
            "1970-01-01 00:00:00  away 0.0 s: \\x1b[2J\n"
            "                     0 attempts, 0 messages accepted, 0 dropped, 0 waiting\n"
            "                     clear\\x1b[2J it\n");
}

TEST(History, IsShownForPeople) {
  const json entries = json::parse(R"([
    {"event":"started","at_ms":1795767330000,"unclean":true},
    {"event":"outage","over":true,"began_ms":1795767390000,"lasted_ms":187000,
     "verdict":"silent_peer","detail":"nothing came for 30 s",
     "verdicts":{"silent_peer":1,"tcp_timeout":12},
     "attempts":13,"accepted":1200,"dropped":3,"waiting":1201,"left_out":2},
    {"event":"outage","over":false,"began_ms":1795853790000,"lasted_ms":10300,
     "verdict":"tcp_refused","detail":"","verdicts":{"tcp_refused":2},
     "attempts":2,"accepted":0,"dropped":0,"waiting":0},
    {"event":"from the future"}])");
  EXPECT_EQ(render_history(entries),
            "2026-11-27 08:15:30  started; the run before did not end in order\n"
            "2026-11-27 08:16:30  away 3 min 7 s: silent_peer, tcp_timeout ×12\n"
            "                     13 attempts, 1200 messages accepted, 3 dropped, 1201 waiting\n"
            "                     nothing came for 30 s\n"
            "                     2 outages before it are left out\n"
            "2026-11-28 08:16:30  away (not over) 10 s: tcp_refused ×2\n"
            "                     2 attempts, 0 messages accepted, 0 dropped, 0 waiting\n");
  EXPECT_EQ(render_history(json::array()), "no outage yet\n");
}

TEST(Health, APartThatHasFinishedNothingIsStuck) {
  const json before =
      json::parse(R"({"loop":5,"engine":4,"storage":6,"callbacks":7,"applications":8})");
  const auto stuck = [&](const char* now) { return stuck_parts(before, json::parse(now)); };
  EXPECT_TRUE(stuck(R"({"loop":6,"engine":5,"storage":7,"callbacks":9,"applications":9})").empty());
  EXPECT_EQ(stuck(R"({"loop":6,"engine":4,"storage":6,"callbacks":7,"applications":8})"),
            (std::vector<std::string>{"the engine", "the storage thread", "the callbacks",
                                      "the applications' heartbeats"}));
  EXPECT_EQ(stuck("{}").size(), 5U) << "an answer without the field";
}

TEST(PublishSession, TheWindowBoundsMessages) {
  PublishSession session(to_topic(), WantedReceipt::accepted);
  for (std::size_t i = 0; i < PublishSession::kWindow; ++i) {
    ASSERT_TRUE(session.has_room());
    EXPECT_NE(session.request("x").find("\"payload\":\"x\""), std::string::npos);
  }
  EXPECT_FALSE(session.has_room());
  EXPECT_TRUE(session.take(accepted(5)));
  EXPECT_TRUE(session.has_room());
  EXPECT_EQ(session.done(), 1u);
}

TEST(PublishSession, TheWindowBoundsBytesButLetsOneMessagePass) {
  PublishSession session(to_topic(), WantedReceipt::accepted);
  ASSERT_FALSE(session.request(std::string(PublishSession::kWindowBytes + 1, 'x')).empty());
  EXPECT_FALSE(session.has_room());
  EXPECT_TRUE(session.take(accepted(1)));
  EXPECT_TRUE(session.has_room());
}

TEST(PublishSession, WhatFoundNoRoomIsRepeatedBeforeAnythingNew) {
  PublishSession session(to_topic(), WantedReceipt::delivered);
  const std::string first = session.request("a");
  const std::string second = session.request("b");
  EXPECT_TRUE(session.take(R"({"id":1,"ok":false,"error":"queue_full","retry":true})"));
  EXPECT_FALSE(session.has_room());
  EXPECT_EQ(session.repeat(), first);
  EXPECT_TRUE(session.has_room());
  EXPECT_TRUE(session.take(accepted(2)));
  EXPECT_TRUE(session.take(accepted(1)));
  EXPECT_EQ(session.open(), 0u);
  EXPECT_EQ(session.failed(), 0u);
  EXPECT_NE(second.find("\"receipt\":\"delivered\""), std::string::npos);
}

TEST(PublishSession, FailuresAreCountedByReasonWithTheFirst) {
  PublishSession session(to_topic(), WantedReceipt::accepted);
  for (int i = 0; i < 3; ++i) ASSERT_FALSE(session.request("x").empty());
  EXPECT_TRUE(session.take(accepted(1)));
  EXPECT_TRUE(session.take(R"({"id":2,"ok":false,"error":"too_large"})"));
  EXPECT_TRUE(session.take(R"({"id":3,"ok":false,"error":"too_large"})"));
  EXPECT_FALSE(session.take(R"({"id":3,"ok":true})")) << "answered twice";
  EXPECT_FALSE(session.take("nonsense"));
  EXPECT_EQ(session.failed(), 2u);
  EXPECT_EQ(session.failures().at("too_large").count, 2u);
  EXPECT_EQ(session.failures().at("too_large").first, 2u);
}

std::vector<std::string> lines_of(const std::vector<std::string>& pieces, std::size_t limit,
                                  std::uint64_t* skipped = nullptr) {
  LineSplitter splitter(limit);
  std::vector<std::string> lines;
  std::string line;
  for (const std::string& piece : pieces) {
    splitter.feed(piece);
    while (splitter.next(line)) lines.push_back(line);
  }
  splitter.finish();
  while (splitter.next(line)) lines.push_back(line);
  if (skipped != nullptr) *skipped = splitter.skipped();
  return lines;
}

TEST(LineSplitter, CutsWhereverTheBytesCameApart) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines_of({"a\nb", "c\n\nlast"}, 100), (Lines{"a", "bc", "", "last"}));
  EXPECT_EQ(lines_of({"a\n"}, 100), Lines{"a"});
  EXPECT_EQ(lines_of({}, 100), Lines{});
}

TEST(LineSplitter, SkipsAndCountsWhatIsTooLong) {
  std::uint64_t skipped = 0;
  const auto lines = lines_of({"ok\n12345", "678", "9\nok\n123456\nend"}, 5, &skipped);
  EXPECT_EQ(lines, (std::vector<std::string>{"ok", "ok", "end"}));
  EXPECT_EQ(skipped, 2u);
}

TEST(Status, IsReadableByPeople) {
  DeviceState state;
  state.connection = {LinkState::waiting,
                      Verdict::tcp_refused,
                      "127.0.0.1 port 8883: refused",
                      false,
                      2,
                      Milliseconds(1500),
                      "h:8883",
                      "c-1",
                      "primary"};
  state.ledger.accepted = 10;
  state.ledger.delivered = 6;
  state.ledger.pending = 3;
  state.ledger.dropped[0] = 1;
  state.in_flight = 0;
  state.attempts_total = 4;
  state.connects = 1;
  state.verdicts[static_cast<std::size_t>(Verdict::tcp_refused)] = 3;
  const std::vector<FilterState> filters{
      {"a/#", Qos::at_least_once, Qos::at_least_once, 1, Milliseconds{90'000}},
      {"b", Qos::at_least_once, Qos::at_most_once, 0, Milliseconds{0}},
      {"c", Qos::at_most_once, std::nullopt, 0x87, Milliseconds{4500}},
      {"d", Qos::at_most_once, std::nullopt, std::nullopt, Milliseconds{0}}};
  IdentityState identity;
  identity.slots[0].condition = SlotCondition::complete;
  identity.slots[0].subject = "CN=c-1";
  identity.slots[0].not_after = 1'800'000'000;
  identity.days_left = 12;
  identity.phase = RotationPhase::trying;
  identity.last = RotationResult::rolled_back;
  identity.last_at = 1'700'000'000;
  identity.last_fingerprint = "0123456789abcdef01";
  identity.last_reason = "not_authorized: no policy";
  identity.provisioning.step = ProvisioningStep::registration;
  identity.provisioning.reason = "rejected: 403 \x07";
  const std::vector<HeartbeatState> heartbeats{
      {"lamp", HeartbeatPhase::beating, Milliseconds{500}, Milliseconds{100}, 0, false},
      {"pump", HeartbeatPhase::missed, Milliseconds{30'000}, Milliseconds{65'000}, 2, true}};
  const json status =
      json::parse(runtime::status_line("1", state, filters, identity, {}, heartbeats))["status"];
  EXPECT_EQ(
      render_status(status),
      "state      waiting, next attempt in 2 s\n"
      "verdict    tcp_refused: " +
          std::string(explain(Verdict::tcp_refused)) +
          "\n"
          "detail     127.0.0.1 port 8883: refused\n"
          "endpoint   h:8883\n"
          "client id  c-1\n"
          "connects   1 of 4 attempts\n"
          "verdicts   tcp_refused 3\n"
          "identity   CN=c-1, expires 2027-01-15T08:00:00Z (12 days left)\n"
          "next       trying\n"
          "provisioning registration: rejected: 403 \\x07\n"
          "last       rolled back at 2023-11-14T22:13:20Z, SHA-256 0123456789abcdef…: "
          "not_authorized: no policy\n"
          "clock      not synchronized\n"
          "backlog    3 waiting, 0 in flight\n"
          "ledger     10 accepted = 6 delivered + 3 pending + 1 dropped\n"
          "dropped    expired 1\n"
          "storage    ok\n"
          "inbound    0 received, 0 without a subscription, 0 repeats, 0 dropped\n"
          "filter     a/#: granted QoS 1, verified in 90 s\n"
          "filter     b: granted QoS 0 of 1\n"
          "filter     c: refused (0x87), asked for again in 5 s\n"
          "filter     d: not yet at the broker\n"
          "heartbeat  lamp: beating (every 1 s, missed 0 times)\n"
          "heartbeat  pump: missed, silent for 65 s (every 30 s, missed 2 times, watchdog)\n");
}

TEST(Status, ShowsWhatTheUpdaterTells) {
  const auto shown = [](const char* jobs) {
    std::string out;
    put_jobs(out, {{"jobs", json::parse(jobs)}});
    return out;
  };
  EXPECT_EQ(shown(R"({"job":"u-7","words":"2 of 6, download","step":2,"steps":6,"percent":40,
                      "last":{"job":"u-6","status":"FAILED","words":"ill"},
                      "versions":{"pump":"1.1"}})"),
            "jobs       u-7: 2 of 6, download, 40 %\n"
            "last job   u-6: FAILED, ill\n"
            "version    pump 1.1\n");
  EXPECT_EQ(shown(R"({"job":"","words":"","versions":{},"gone_ms":61000})"),
            "jobs       none is under way; the updater is gone since 61 s\n");
  std::string out;
  put_jobs(out, json::object());
  EXPECT_EQ(out, "");
}

TEST(Advice, GoesWithEveryRejection) {
  for (std::size_t i = 1; i < kRejectReasons; ++i) {
    const std::string name(to_string(static_cast<RejectReason>(i)));
    EXPECT_NE(advice(name), name) << "nothing to do about it?";
  }
  EXPECT_EQ(advice("something new"), "something new");
}

TEST(PublishSession, JsonLinesKeepTheirOwnFields) {
  PublishSession session(to_topic(), WantedReceipt::accepted);
  const std::string line =
      session.repeat_request(R"({"op":"publish","id":77,"topic":"x","payload":"p","lane":"bulk"})");
  EXPECT_EQ(line,
            "{\"op\":\"publish\",\"id\":1,\"topic\":\"x\",\"payload\":\"p\",\"lane\":"
            "\"bulk\"}\n");
  EXPECT_TRUE(session.repeat_request(R"({"op":"ping"})").empty());
  EXPECT_TRUE(session.repeat_request("{").empty());
  EXPECT_EQ(session.failed(), 2u);
  EXPECT_TRUE(session.take(R"({"id":1,"ok":false,"error":"queue_full","retry":true})"));
  EXPECT_EQ(session.repeat(), line);
  EXPECT_TRUE(session.take(accepted(1)));
  EXPECT_EQ(session.done(), 1u);
}

TEST(Outbox, NothingInATopicSteersATerminal) {
  EXPECT_EQ(printable("plain/\xC3\xBC"), "plain/\xC3\xBC");
  EXPECT_EQ(printable("a\x1b[2J\n\x7f"), "a\\x1b[2J\\x0a\\x7f");
  EXPECT_EQ(printable("\xC2\x9B"), "\\x9b") << "C1";
  EXPECT_EQ(printable("\xE2\x80\xAE"), "\\u202e") << "right to left";
  EXPECT_EQ(printable("back\\slash"), "back\\\\slash");
  EXPECT_EQ(printable("\xE2\x82\xAC\xE2"), "\xE2\x82\xAC\xE2") << "euro, and a cut character";
}

TEST(Outbox, AgesThatCannotBeKnownAreNotShown) {
  json message = json::parse(R"({"message_id":5,"lane":"bulk","accepted_ms":1000,"size":2048,
    "qos":1,"retain":true,"topic":"t","expiry":60})");
  EXPECT_EQ(render_listed(message, 601'000), "5\tbulk\t10m\t2.0K\t1r\t60s\tt\n");
  EXPECT_EQ(render_listed(message, 0), "5\tbulk\t?\t2.0K\t1r\t60s\tt\n");
  message["clock_doubtful"] = true;
  EXPECT_EQ(render_listed(message, 601'000), "5\tbulk\t?\t2.0K\t1r\t60s\tt\n");
}

TEST(Outbox, AnExportedMessageIsAPublishRequest) {
  const json message = json::parse(R"({"message_id":5,"lane":"bulk","accepted_ms":1000,"size":3,
    "qos":0,"retain":false,"topic":"t","payload_base64":"AP/+"})");
  const std::string line = export_request(message).dump();
  const auto parsed = runtime::parse_request(line);
  ASSERT_TRUE(std::holds_alternative<runtime::LocalRequest>(parsed)) << line;
  const auto& publish =
      std::get<runtime::PublishRequest>(std::get<runtime::LocalRequest>(parsed).what);
  EXPECT_EQ(publish.message.lane, "bulk");
  EXPECT_EQ(publish.message.payload.size(), 3u);
  EXPECT_EQ(publish.message.qos, Qos::at_most_once);
}

TEST(Outbox, VerificationSaysWhereAndWhatItCosts) {
  const json result = json::parse(R"({"clean":false,"damages":1,"lost":1,"torn":1,"findings":[
    {"kind":"records","damage":true,"file":"slot-0003.seg","from":12288,"to":12544,
     "first_message_id":7,"messages":1,"lost":1},
    {"kind":"torn","damage":false,"file":"slot-0004.seg","from":8,"to":16,"lost":0}],
    "segments":[{"sequence":4,"file":"slot-0003.seg","records":5,"messages":2,"end":16384}]})");
  EXPECT_EQ(render_verification(result),
            "slot-0003.seg bytes 12288 to 12544: damaged: 1 waiting message lost (id 7)\n"
            "slot-0004.seg bytes 8 to 16: a commit that was cut or is under way; nothing accepted "
            "is in it\n"
            "DAMAGED: 1 segment, 5 valid records, 2 messages in them; 1 place damaged, 1 waiting "
            "message lost; 1 commit cut, which is no damage\n");
}

}  // namespace
}  // namespace holdfast::cli
