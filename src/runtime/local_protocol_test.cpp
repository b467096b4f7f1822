// Goal: a line of the local API means exactly one thing, or is refused with the offset or field.
// Method: texts in, values out, and back; awkward bytes, nesting and ids included.
#include "runtime/local_protocol.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace holdfast::runtime {
namespace {

using nlohmann::json;

std::string refusal_of(const std::string& line) {
  auto parsed = parse_request(line);
  const auto* refusal = std::get_if<LocalRefusal>(&parsed);
  return refusal == nullptr ? "accepted" : refusal->error;
}

template <class T>
T request_of(const std::string& line, std::string* id = nullptr) {
  auto parsed = parse_request(line);
  if (const auto* refusal = std::get_if<LocalRefusal>(&parsed)) {
    ADD_FAILURE() << refusal->error;
    return {};
  }
  auto& request = std::get<LocalRequest>(parsed);
  if (id != nullptr) *id = request.id;
  return std::get<T>(request.what);
}

Bytes bytes_of(std::string_view text) {
  Bytes bytes;
  for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
  return bytes;
}

TEST(LocalProtocol, APublishWithEverything) {
  std::string id;
  const auto request = request_of<PublishRequest>(
      R"({"op":"publish","id":"x1","topic":"a/b","payload":"hé","qos":0,"retain":true,
          "lane":"bulk","expiry":60,"durability":"memory","content_type":"text/plain",
          "user_properties":[["k","1"],["k","2"]],"response_topic":"a/answers",
          "correlation_data_base64":"AP8=","receipt":"delivered"})",
      &id);
  EXPECT_EQ(id, "\"x1\"");
  EXPECT_EQ(request.message.topic, "a/b");
  EXPECT_EQ(request.message.payload, bytes_of("hé"));
  EXPECT_EQ(request.message.qos, Qos::at_most_once);
  EXPECT_TRUE(request.message.retain);
  EXPECT_EQ(request.message.lane, "bulk");
  EXPECT_EQ(request.message.expiry, Seconds(60));
  EXPECT_EQ(request.message.durability, Durability::memory);
  EXPECT_EQ(request.message.content_type, "text/plain");
  ASSERT_EQ(request.message.user_properties.size(), 2u);
  EXPECT_EQ(request.message.user_properties[1].second, "2");
  EXPECT_EQ(request.message.response_topic, "a/answers");
  EXPECT_EQ(request.message.correlation_data, bytes_of(std::string("\x00\xff", 2)));
  EXPECT_EQ(request.receipt, WantedReceipt::delivered);
}

TEST(LocalProtocol, DefaultsAreTheMessagesOwn) {
  const auto request = request_of<PublishRequest>(R"({"op":"publish","topic":"t"})");
  EXPECT_EQ(request.message.qos, Qos::at_least_once);
  EXPECT_EQ(request.message.lane, "normal");
  EXPECT_EQ(request.message.durability, Durability::durable);
  EXPECT_TRUE(request.message.payload.empty());
  EXPECT_EQ(request.receipt, WantedReceipt::accepted);
}

TEST(LocalProtocol, WhatPublishLineWritesIsReadBack) {
  Message message;
  message.topic = "t/\"quoted\"";
  message.payload = bytes_of(std::string("\x00\xff\x10", 3));
  message.qos = Qos::at_most_once;
  message.retain = true;
  message.lane = "urgent";
  message.expiry = Seconds(5);
  message.durability = Durability::memory;
  message.content_type = "x/y";
  message.user_properties = {{"a", "b"}};
  message.response_topic = "answers";
  message.correlation_data = bytes_of("c\xff");
  std::string line = publish_line(7, message, WantedReceipt::none);
  ASSERT_EQ(line.back(), '\n');
  line.pop_back();
  std::string id;
  const auto request = request_of<PublishRequest>(line, &id);
  EXPECT_EQ(id, "7");
  EXPECT_EQ(request.message.topic, message.topic);
  EXPECT_EQ(request.message.payload, message.payload);
  EXPECT_EQ(request.message.qos, message.qos);
  EXPECT_EQ(request.message.retain, message.retain);
  EXPECT_EQ(request.message.lane, message.lane);
  EXPECT_EQ(request.message.expiry, message.expiry);
  EXPECT_EQ(request.message.durability, message.durability);
  EXPECT_EQ(request.message.content_type, message.content_type);
  EXPECT_EQ(request.message.user_properties, message.user_properties);
  EXPECT_EQ(request.message.response_topic, message.response_topic);
  EXPECT_EQ(request.message.correlation_data, message.correlation_data);
  EXPECT_EQ(request.receipt, WantedReceipt::none);
}

TEST(LocalProtocol, AcknowledgementsAreReadAndWritten) {
  const auto plain = request_of<SubscribeRequest>(R"({"op":"subscribe","filter":"a"})");
  EXPECT_FALSE(plain.acknowledge);
  SubscribeRequest wanted{"a/#", Qos::at_most_once};
  wanted.acknowledge = AckTerms{"pump", 3, Milliseconds(400), Milliseconds(0)};
  std::string line = subscribe_line(7, wanted);
  line.pop_back();
  const auto read = request_of<SubscribeRequest>(line);
  ASSERT_TRUE(read.acknowledge);
  EXPECT_EQ(read.qos, Qos::at_most_once);
  EXPECT_EQ(read.acknowledge->group, "pump");
  EXPECT_EQ(read.acknowledge->window, 3U);
  EXPECT_EQ(read.acknowledge->within, Milliseconds(400));
  EXPECT_EQ(read.acknowledge->linger, Milliseconds(0));
  line = acknowledge_line(8, 94489280513);
  line.pop_back();
  EXPECT_EQ(request_of<AcknowledgeRequest>(line).deliveries,
            std::vector<std::uint64_t>{94489280513});
  EXPECT_EQ(refusal_of(R"({"op":"subscribe","filter":"a","window":3})"),
            "field \"window\": takes \"acknowledge\":true");
  EXPECT_EQ(refusal_of(R"({"op":"acknowledge"})"), "field \"deliveries\": is missing");
  EXPECT_EQ(refusal_of(R"({"op":"acknowledge","deliveries":[1,0]})"),
            "field \"deliveries\": is not a list of 1 to 1000 whole numbers above 0");
  InboundMessage message;
  message.topic = "a";
  message.duplicate = true;
  EXPECT_EQ(json::parse(message_line(1, message))["duplicate"], true);
  const json held = json::parse(held_line(1, 5, false, message));
  EXPECT_EQ(held["delivery"], 5);
  EXPECT_EQ(held["duplicate"], true) << "the broker says so";
}

TEST(LocalProtocol, ARequestAndItsEndsAreLines) {
  Message message;
  message.topic = "ask";
  message.payload = bytes_of("how much?");
  message.content_type = "text/plain";
  std::string line = ask_line(3, message, Milliseconds(2500));
  line.pop_back();
  const auto request = request_of<AskRequest>(line);
  EXPECT_EQ(request.message.topic, "ask");
  EXPECT_EQ(request.message.payload, message.payload);
  EXPECT_EQ(request.message.content_type, "text/plain");
  EXPECT_EQ(request.timeout, Milliseconds(2500));
  EXPECT_EQ(request_of<AskRequest>(R"({"op":"request","topic":"t"})").timeout, kLocalAskTimeout);

  Response response;
  response.message.topic = "answers";
  response.message.payload = bytes_of("21");
  json answer = json::parse(response_line("3", response));
  EXPECT_EQ(answer["ok"], true);
  EXPECT_EQ(answer["response"]["payload"], "21");
  response.kind = ResponseKind::no_answers;
  answer = json::parse(response_line("3", response));
  EXPECT_EQ(answer["ok"], false);
  EXPECT_EQ(answer["error"], "no_answers");
  response.kind = ResponseKind::not_sent;
  response.receipt = {ReceiptKind::dropped, 5, {}, DropReason::refused, 0x87};
  answer = json::parse(response_line("3", response));
  EXPECT_EQ(answer["error"], "refused");
  EXPECT_EQ(answer["reason_code"], 0x87);
}

TEST(LocalProtocol, FiltersShowWhatIsKnownOfThem) {
  const std::vector<FilterState> filters{
      {"a", Qos::at_least_once, Qos::at_most_once, 0, Milliseconds{1500}},
      {"b", Qos::at_most_once, std::nullopt, std::nullopt, Milliseconds{0}}};
  const json line = json::parse(status_line("5", {}, filters, {}, {}, {}));
  EXPECT_EQ(line["status"]["filters"],
            json::parse(R"([{"filter":"a","qos":1,"granted":0,"code":0,"next_in_ms":1500},
                            {"filter":"b","qos":0}])"));
}

TEST(LocalProtocol, BrokenJsonNamesTheOffset) {
  EXPECT_EQ(refusal_of(R"({"op":"ping")"), "not JSON at offset 13; send one object a line");
  EXPECT_EQ(refusal_of("hello"), "not JSON at offset 1; send one object a line");
  EXPECT_EQ(refusal_of("{\"op\":\"p\xff\"}"), "not JSON at offset 9; send one object a line");
  EXPECT_EQ(refusal_of("[1]"), "not a JSON object");
  EXPECT_TRUE(refusal_of(std::string(200000, '[')).starts_with("not JSON at offset"));
  EXPECT_TRUE(refusal_of(R"({"id":1e999})").starts_with("not readable: "));
}

TEST(LocalProtocol, WrongFieldsAreNamed) {
  EXPECT_EQ(refusal_of("{}"), "field \"op\": is missing");
  EXPECT_EQ(refusal_of(R"({"op":7})"), "field \"op\": is not a string");
  EXPECT_EQ(refusal_of(R"({"op":"fly"})"),
            "field \"op\": \"fly\" is none of publish, request, subscribe, subscribe_unmatched, "
            "acknowledge, unsubscribe, status, events, "
            "reconnect, ping, outbox_stat, outbox_list, outbox_message, receipt, history, "
            "log_level, logs, send_logs, page, heartbeat, heartbeat_end, "
            "safe_mode_end, power_fail, power_back, going_down, jobs");
  EXPECT_EQ(refusal_of(R"({"op":"jobs","percent":101})"),
            "field \"percent\": is not a whole number, 0 to 100");
  EXPECT_EQ(refusal_of(R"({"op":"jobs","words":")" + std::string(257, 'w') + R"("})"),
            "field \"words\": has more than 256 bytes");
  std::string many;
  for (int i = 0; i < 17; ++i) many += (i ? ",\"" : "\"") + std::to_string(i) + R"(":"1")";
  EXPECT_EQ(refusal_of(R"({"op":"jobs","versions":{)" + many + "}}"),
            "field \"versions\": has more than 16, or one of more than 256 bytes");
  EXPECT_EQ(refusal_of(R"({"op":"heartbeat","every_ms":1000})"), "field \"name\": is missing");
  EXPECT_EQ(refusal_of(R"({"op":"heartbeat","name":"n","every_ms":99})"),
            "field \"every_ms\": is not a whole number, 100 to 86400000");
  EXPECT_EQ(refusal_of(R"({"op":"publish"})"), "field \"topic\": is missing");
  EXPECT_EQ(refusal_of(R"({"op":"publish","topic":"t","retian":true})"),
            "field \"retian\": is not a field of this op");
  EXPECT_EQ(refusal_of(R"({"op":"publish","topic":"t","qos":2})"),
            "field \"qos\": is not a whole number, 0 to 1");
  EXPECT_EQ(refusal_of(R"({"op":"publish","topic":"t","expiry":-1})"),
            "field \"expiry\": is not a whole number, 1 to 4294967295");
  EXPECT_EQ(refusal_of(R"({"op":"publish","topic":"t","payload":{"a":1}})"),
            "field \"payload\": is not a string");
  EXPECT_EQ(refusal_of(R"({"op":"publish","topic":"t","payload_base64":"abc"})"),
            "field \"payload_base64\": is not base64 with padding (RFC 4648)");
  EXPECT_EQ(refusal_of(R"({"op":"publish","topic":"t","payload":"","payload_base64":""})"),
            "field \"payload_base64\": stands beside \"payload\"; give one of the two");
  EXPECT_EQ(refusal_of(R"({"op":"publish","topic":"t","receipt":"soon"})"),
            "field \"receipt\": \"soon\" is none of none, accepted, delivered");
  EXPECT_EQ(refusal_of(R"({"op":"unsubscribe","subscription":0})"),
            "field \"subscription\": is not a whole number, 1 to 18446744073709551615");
  EXPECT_EQ(refusal_of(R"({"op":"ping","topic":"t"})"),
            "field \"topic\": is not a field of this op");
}

TEST(LocalProtocol, IdsAreRepeatedAlsoInRefusals) {
  const auto parsed = parse_request(R"({"op":"fly","id":-12})");
  ASSERT_TRUE(std::holds_alternative<LocalRefusal>(parsed));
  EXPECT_EQ(std::get<LocalRefusal>(parsed).id, "-12");
  EXPECT_TRUE(refusal_of(R"({"op":"ping","id":[1]})").starts_with("field \"id\": "));
  EXPECT_TRUE(refusal_of("{\"op\":\"ping\",\"id\":\"" + std::string(200, 'x') + "\"}")
                  .starts_with("field \"id\": "));
}

TEST(LocalProtocol, AnswersSayWhatBecameOfAMessage) {
  Receipt receipt{ReceiptKind::accepted, 42};
  EXPECT_EQ(receipt_line("1", receipt),
            "{\"id\":1,\"ok\":true,\"receipt\":\"accepted\",\"message_id\":42}\n");
  receipt.kind = ReceiptKind::dropped;
  receipt.dropped = DropReason::refused;
  receipt.reason_code = 135;
  EXPECT_EQ(receipt_line("1", receipt),
            "{\"id\":1,\"ok\":false,\"error\":\"refused\",\"receipt\":\"dropped\","
            "\"message_id\":42,\"reason_code\":135}\n");
  receipt = {ReceiptKind::rejected, 0, RejectReason::queue_full};
  EXPECT_EQ(receipt_line("\"a\"", receipt),
            "{\"id\":\"a\",\"ok\":false,\"error\":\"queue_full\",\"retry\":true}\n");
  EXPECT_EQ(error_line("", "say \"no\""), "{\"ok\":false,\"error\":\"say \\\"no\\\"\"}\n");
}

TEST(LocalProtocol, StatusTellsEverythingThereIsToSee) {
  DeviceState state;
  state.connection = {LinkState::waiting,
                      Verdict::tcp_refused,
                      "127.0.0.1: refused",
                      false,
                      3,
                      Milliseconds(1500),
                      "h:8883",
                      "c-1",
                      "primary"};
  state.ledger.accepted = 10;
  state.ledger.delivered = 6;
  state.ledger.pending = 3;
  state.ledger.dropped[static_cast<std::size_t>(DropReason::expired)] = 1;
  state.ledger.rejected[static_cast<std::size_t>(RejectReason::too_large)] = 2;
  state.verdicts[static_cast<std::size_t>(Verdict::tcp_refused)] = 3;
  state.storage = StorageHealth::full;
  state.parked = 2;
  state.quarantine.push_back({Verdict::publish_denied, "t/secret", true, 0x87, 4,
                              Milliseconds(90000), Milliseconds(300000)});
  const json line = json::parse(status_line("5", state, {}, {}, {}, {}));
  EXPECT_EQ(line["id"], 5);
  EXPECT_EQ(line["ok"], true);
  const json& status = line["status"];
  EXPECT_EQ(status["state"], "waiting");
  EXPECT_EQ(status["verdict"], "tcp_refused");
  EXPECT_EQ(status["explanation"], std::string(explain(Verdict::tcp_refused)));
  EXPECT_EQ(status["detail"], "127.0.0.1: refused");
  EXPECT_EQ(status["retry_in_ms"], 1500);
  EXPECT_EQ(status["backlog"], 3);
  EXPECT_EQ(status["ledger"]["balanced"], true);
  EXPECT_EQ(status["ledger"]["dropped"]["expired"], 1);
  EXPECT_EQ(status["ledger"]["dropped"].size(), kDropReasons);
  EXPECT_EQ(status["ledger"]["rejected"]["too_large"], 2);
  EXPECT_FALSE(status["ledger"]["rejected"].contains("none"));
  EXPECT_EQ(status["verdicts"]["tcp_refused"], 3);
  EXPECT_EQ(status["verdicts"]["server_gone"], 0);
  EXPECT_EQ(status["storage"], "full");
  EXPECT_EQ(status["parked"], 2);
  ASSERT_EQ(status["quarantine"].size(), 1U);
  const json& aside = status["quarantine"][0];
  EXPECT_EQ(aside["reason"], "publish_denied");
  EXPECT_EQ(aside["name"], "t/secret");
  EXPECT_EQ(aside["confirmed"], true);
  EXPECT_EQ(aside["reason_code"], 0x87);
  EXPECT_EQ(aside["hang_ups"], 4);
  EXPECT_EQ(aside["since_ms"], 90000);
  EXPECT_EQ(aside["next_trial_in_ms"], 300000);
}

TEST(LocalProtocol, TheLogsLevelsAndCountsAreInTheStatus) {
  LogState log;
  log.levels.fill(LogLevel::info);
  log.levels[static_cast<std::size_t>(LogArea::local_api)] = LogLevel::debug;
  log.written = 7;
  log.repeats = 6;
  log.over_ceiling = 5;
  log.not_taken = 4;
  log.file_lost = 3;
  const json shown = json::parse(status_line("5", {}, {}, {}, log, {}))["status"]["log"];
  EXPECT_EQ(shown["levels"].size(), kLogAreas);
  EXPECT_EQ(shown["levels"]["local-api"], "debug");
  EXPECT_EQ(shown["levels"]["outbox"], "info");
  EXPECT_EQ(shown["written"], 7);
  EXPECT_EQ(shown["repeats"], 6);
  EXPECT_EQ(shown["over_ceiling"], 5);
  EXPECT_EQ(shown["not_taken"], 4);
  EXPECT_EQ(shown["file_lost"], 3);
  EXPECT_EQ(json::parse(log_levels_line("1", log))["levels"], shown["levels"]);
  EXPECT_EQ(json::parse(logs_line("1", {R"({"message":"a"})", R"({"message":"b"})"}))["lines"][1],
            json({{"message", "b"}}));
}

TEST(LocalProtocol, LogRequestsNameWhatIsWrong) {
  const auto set = parse_request(R"({"op":"log_level","area":"outbox","level":"debug"})");
  const auto& request = std::get<LogLevelRequest>(std::get<LocalRequest>(set).what);
  EXPECT_EQ(request.area, LogArea::outbox);
  EXPECT_EQ(request.level, LogLevel::debug);
  EXPECT_EQ(refusal_of(R"({"op":"log_level","level":"loud"})"),
            "field \"level\": \"loud\" is none of error, warning, info, debug");
  EXPECT_EQ(refusal_of(R"({"op":"log_level","area":"outbx"})"),
            "field \"area\": \"outbx\" is none of agent, connection, engine, flow, outbox, "
            "identity, provisioning, local-api, callbacks, health");
  EXPECT_EQ(refusal_of(R"({"op":"logs","limit":201})"),
            "field \"limit\": is not a whole number, 1 to 200");
  EXPECT_EQ(refusal_of(R"({"op":"logs","topic":"t"})"),
            "field \"topic\": is not a field of this op");
}

TEST(LocalProtocol, TheIdentityIsInTheStatusAndInAnEventOfItsOwn) {
  IdentityState identity;
  identity.directory = "/var/lib/holdfast/identity";
  SlotState& active = identity.slots[0];
  active.condition = SlotCondition::complete;
  active.subject = "CN=device-1";
  active.fingerprint = "ab12";
  active.key_type = "EC 256";
  active.not_before = 1'700'000'000;
  active.not_after = 1'800'000'000;
  identity.slots[1].condition = SlotCondition::refused;
  identity.slots[1].reason = "the file is empty";
  identity.phase = RotationPhase::refused;
  identity.last = RotationResult::kept;
  identity.last_at = 1'700'000'000;
  identity.days_left = 29;
  identity.kept = 2;
  const json status = json::parse(status_line("5", {}, {}, identity, {}, {}))["status"]["identity"];
  EXPECT_EQ(status["directory"], "/var/lib/holdfast/identity");
  EXPECT_EQ(status["in_use"], "active");
  EXPECT_EQ(status["phase"], "refused");
  EXPECT_EQ(status["days_left"], 29);
  EXPECT_EQ(status["kept"], 2);
  EXPECT_EQ(status["last"]["result"], "kept");
  EXPECT_EQ(status["last"]["at"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(status["slots"]["active"]["not_after"], "2027-01-15T08:00:00Z");
  EXPECT_EQ(status["slots"]["active"]["key_type"], "EC 256");
  EXPECT_EQ(status["slots"]["next"],
            json::parse(R"({"condition":"refused","reason":"the file is empty"})"));
  EXPECT_EQ(status["slots"]["previous"], json::parse(R"({"condition":"missing"})"));
  json event = json::parse(identity_line(identity));
  EXPECT_EQ(event["event"], "identity");
  event.erase("event");
  EXPECT_EQ(event, status);
  identity.days_left.reset();
  EXPECT_TRUE(json::parse(identity_line(identity))["days_left"].is_null());
}

TEST(LocalProtocol, MessagesAreTextWhenTheyCanBe) {
  InboundMessage message;
  message.topic = "t";
  message.payload = bytes_of("21.5 °C");
  message.user_properties = {{"k", "v"}};
  json event = json::parse(message_line(9, message));
  EXPECT_EQ(event["event"], "message");
  EXPECT_EQ(event["subscription"], 9);
  EXPECT_EQ(event["payload"], "21.5 °C");
  EXPECT_EQ(event["user_properties"], json::parse(R"([["k","v"]])"));
  message.payload = bytes_of("\xc3\x28");
  event = json::parse(message_line(9, message));
  EXPECT_FALSE(event.contains("payload"));
  EXPECT_EQ(event["payload_base64"], "wyg=");
}

TEST(LocalProtocol, LinesAreJsonWhateverTheBytes) {
  ConnectionState state;
  state.detail = "alert \xff\n\x01";
  const std::string line = connection_line(state);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_TRUE(json::accept(line));
}

}  // namespace
}  // namespace holdfast::runtime
