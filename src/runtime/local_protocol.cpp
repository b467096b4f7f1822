// See local_protocol.h.
#include "runtime/local_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/message.h"
#include "base/utf8.h"
#include "runtime/config_keys.h"
#include "runtime/identity_json.h"
#include "runtime/local_fields.h"
#include "runtime/log_upload.h"
#include "runtime/machine_json.h"
#include "runtime/network_json.h"

namespace holdfast::runtime {
namespace {

using nlohmann::ordered_json;

// --- reading ---

Bytes bytes_of(std::string_view text) {
  Bytes bytes(text.size());
  if (!text.empty()) std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::string_view text_of(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void take_payload(Fields& fields, Message& message) {
  std::string text;
  if (!fields.has("payload_base64")) {
    fields.text("payload", text);
    message.payload = bytes_of(text);
    return;
  }
  if (fields.has("payload")) {
    return fields.wrong("payload_base64", "stands beside \"payload\"; give one of the two");
  }
  fields.text("payload_base64", text);
  std::optional<Bytes> bytes = from_base64(text);
  if (!bytes) return fields.wrong("payload_base64", "is not base64 with padding (RFC 4648)");
  message.payload = *std::move(bytes);
}

void take_correlation(Fields& fields, Bytes& into) {
  constexpr const char* kName = "correlation_data_base64";
  if (!fields.has(kName)) return;
  std::string text;
  fields.text(kName, text);
  std::optional<Bytes> bytes = from_base64(text);
  if (!bytes) return fields.wrong(kName, "is not base64 with padding (RFC 4648)");
  into = *std::move(bytes);
}

/// What publish and request have in common.
void take_message(Fields& fields, Message& message) {
  fields.text("topic", message.topic, true);
  take_payload(fields, message);
  fields.qos("qos", message.qos);
  fields.flag("retain", message.retain);
  fields.text("lane", message.lane);
  fields.text("content_type", message.content_type);
  fields.pairs("user_properties", message.user_properties);
  if (const auto expiry = fields.number("expiry", 1, std::numeric_limits<std::uint32_t>::max())) {
    message.expiry = Seconds(*expiry);
  }
}

PublishRequest take_publish(Fields& fields) {
  PublishRequest request;
  Message& message = request.message;
  fields.only({"topic", "payload", "payload_base64", "qos", "retain", "lane", "expiry",
               "durability", "key", "content_type", "user_properties", "response_topic",
               "correlation_data_base64", "receipt"});
  take_message(fields, message);
  fields.text("key", message.key);
  fields.text("response_topic", message.response_topic);
  take_correlation(fields, message.correlation_data);
  if (const auto durability = fields.choice("durability", {"durable", "memory", "spill"})) {
    message.durability = static_cast<Durability>(*durability);
  }
  if (const auto receipt = fields.choice("receipt", {"none", "accepted", "delivered"})) {
    request.receipt = static_cast<WantedReceipt>(*receipt);
  }
  return request;
}

AskRequest take_ask(Fields& fields) {
  AskRequest request;
  fields.only({"topic", "payload", "payload_base64", "qos", "retain", "lane", "expiry",
               "content_type", "user_properties", "timeout_ms"});
  take_message(fields, request.message);
  constexpr std::uint64_t kDay = 24 * 3600 * 1000;
  if (const auto timeout = fields.number("timeout_ms", 1, kDay)) {
    request.timeout = Milliseconds(*timeout);
  }
  return request;
}

SubscribeRequest take_subscribe(Fields& fields) {
  SubscribeRequest request;
  bool acknowledge = false;
  fields.flag("acknowledge", acknowledge);
  fields.text("filter", request.filter, true);
  fields.qos("qos", request.qos);
  if (!acknowledge) {
    for (const char* name : {"group", "window", "within_ms", "linger_ms"}) {
      if (fields.has(name)) fields.wrong(name, "takes \"acknowledge\":true");
    }
    fields.only({"filter", "qos", "acknowledge"});
    return request;
  }
  fields.only({"filter", "qos", "acknowledge", "group", "window", "within_ms", "linger_ms"});
  AckTerms& terms = request.acknowledge.emplace();
  fields.text("group", terms.group);
  if (terms.group.size() > limits::kLocalGroupNameMax) {
    fields.wrong("group", "has more than " + std::to_string(limits::kLocalGroupNameMax) + " bytes");
  }
  if (const auto given = fields.number("window", 1, limits::kLocalWindowMax)) {
    terms.window = *given;
  }
  const auto within =
      fields.number("within_ms", limits::kLocalWithinMinMs, limits::kLocalWithinMaxMs);
  if (within) terms.within = Milliseconds(*within);
  const auto linger = fields.number("linger_ms", 0, limits::kLocalLingerMaxMs);
  if (linger) terms.linger = Milliseconds(*linger);
  return request;
}

AcknowledgeRequest take_acknowledge(Fields& fields) {
  AcknowledgeRequest request;
  fields.only({"deliveries"});
  fields.numbers("deliveries", limits::kLocalAcknowledged, request.deliveries);
  return request;
}

UnsubscribeRequest take_unsubscribe(Fields& fields) {
  fields.only({"subscription"});
  const auto number =
      fields.number("subscription", 1, std::numeric_limits<std::uint64_t>::max(), true);
  return {number.value_or(0)};
}

OutboxListRequest take_outbox_list(Fields& fields) {
  OutboxListRequest request;
  fields.only({"lane", "limit", "from", "payload"});
  if (fields.has("lane")) fields.text("lane", request.lane.emplace());
  if (const auto limit = fields.number("limit", 1, kLocalListMax)) request.limit = *limit;
  fields.text("from", request.from);
  fields.flag("payload", request.payload);
  return request;
}

OutboxMessageRequest take_outbox_message(Fields& fields) {
  fields.only({"message_id"});
  return {fields.number("message_id", 1, kDurableIdEnd, true).value_or(0)};
}

bool take_outbox(const std::string& op, Fields& fields, LocalRequest& request) {
  if (op == "outbox_stat") {
    fields.only({});
    request.what = OutboxStatRequest{};
  } else if (op == "outbox_list") {
    request.what = take_outbox_list(fields);
  } else if (op == "outbox_message") {
    request.what = take_outbox_message(fields);
  } else if (op == "history") {
    fields.only({"limit"});
    request.what = HistoryRequest{fields.number("limit", 1, kLocalListMax).value_or(kLocalListMax)};
  } else if (op == "receipt") {
    fields.only({"message_id"});
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    request.what = FateRequest{fields.number("message_id", 1, kMax, true).value_or(0)};
  } else {
    return false;
  }
  return true;
}

LogLevelRequest take_log_level(Fields& fields) {
  LogLevelRequest request;
  fields.only({"area", "level"});
  std::string name;
  fields.text("level", name);
  request.level = log_level_of(name);
  if (!name.empty() && !request.level) {
    fields.wrong("level", in_quotes(name) + " is none of error, warning, info, debug");
  }
  name.clear();
  fields.text("area", name);
  request.area = log_area_of(name);
  if (!name.empty() && !request.area) {
    std::string all;
    for (std::size_t i = 0; i < kLogAreas; ++i) {
      all += (i == 0 ? "" : ", ") + std::string(to_string(static_cast<LogArea>(i)));
    }
    fields.wrong("area", in_quotes(name) + " is none of " + all);
  }
  return request;
}

bool take_log(const std::string& op, Fields& fields, LocalRequest& request) {
  if (op == "log_level") {
    request.what = take_log_level(fields);
    return true;
  }
  if (op != "logs" && op != "send_logs") return false;
  const std::size_t limit = fields.number("limit", 1, limits::kLogLast).value_or(limits::kLogLast);
  if (op == "logs") {
    fields.only({"limit"});
    request.what = LogsRequest{limit};
  } else {
    fields.only({"limit", "topic"});
    SendLogsRequest send{limit, {}};
    fields.text("topic", send.topic);
    request.what = std::move(send);
  }
  return true;
}

bool take_heartbeat(const std::string& op, Fields& fields, LocalRequest& request) {
  std::string name;
  if (op == "heartbeat") {
    fields.only({"name", "every_ms"});
    fields.text("name", name, true);
    const auto every = fields.number("every_ms", limits::kHeartbeatMinMs, limits::kHeartbeatMaxMs);
    request.what = HeartbeatRequest{std::move(name), Milliseconds(every.value_or(0))};
  } else if (op == "heartbeat_end") {
    fields.only({"name"});
    fields.text("name", name, true);
    request.what = HeartbeatEndRequest{std::move(name)};
  } else {
    return false;
  }
  return true;
}

bool take_power(const std::string& op, Fields& fields, LocalRequest& request) {
  if (op == "power_fail") {
    fields.only({"detail"});
    PowerFailRequest fail;
    fields.text("detail", fail.detail);
    request.what = std::move(fail);
  } else if (op == "power_back") {
    fields.only({});
    request.what = PowerBackRequest{};
  } else if (op == "going_down") {
    fields.only({"reason", "detail"});
    GoingDownRequest down;
    if (!fields.has("reason")) fields.wrong("reason", "is missing");
    constexpr std::array kReasons{BootReason::update, BootReason::command, BootReason::low_power};
    const auto reason = fields.choice("reason", {"update", "command", "low_power"});
    if (reason) down.reason = kReasons.at(*reason);
    fields.text("detail", down.detail);
    request.what = std::move(down);
  } else {
    return false;
  }
  return true;
}

JobsRequest take_jobs(Fields& fields) {
  fields.only({"job", "words", "step", "steps", "percent", "last_job", "last_status", "last_words",
               "versions"});
  JobsRequest told;
  JobsState& jobs = told.jobs;
  fields.short_text("job", kLocalJobsText, jobs.job);
  fields.short_text("words", kLocalJobsText, jobs.words);
  fields.short_text("last_job", kLocalJobsText, jobs.last_job);
  fields.short_text("last_status", kLocalJobsText, jobs.last_status);
  fields.short_text("last_words", kLocalJobsText, jobs.last_words);
  jobs.step = fields.number("step", 0, kLocalJobsSteps).value_or(0);
  jobs.steps = fields.number("steps", 0, kLocalJobsSteps).value_or(0);
  jobs.percent = fields.number("percent", 0, 100);
  fields.pairs("versions", jobs.versions);
  const bool fits = std::all_of(jobs.versions.begin(), jobs.versions.end(), [](const auto& one) {
    return one.first.size() <= kLocalJobsText && one.second.size() <= kLocalJobsText;
  });
  if (!fits || jobs.versions.size() > kLocalJobsVersions) {
    fields.wrong("versions", "has more than " + std::to_string(kLocalJobsVersions) +
                                 ", or one of more than " + std::to_string(kLocalJobsText) +
                                 " bytes");
  }
  return told;
}

void take_what(const std::string& op, Fields& fields, LocalRequest& request) {
  if (take_outbox(op, fields, request) || take_log(op, fields, request) ||
      take_heartbeat(op, fields, request) || take_power(op, fields, request)) {
    return;
  }
  if (op == "publish") {
    request.what = take_publish(fields);
  } else if (op == "request") {
    request.what = take_ask(fields);
  } else if (op == "subscribe") {
    request.what = take_subscribe(fields);
  } else if (op == "acknowledge") {
    request.what = take_acknowledge(fields);
  } else if (op == "subscribe_unmatched") {
    request.what = SubscribeUnmatchedRequest{};
  } else if (op == "unsubscribe") {
    request.what = take_unsubscribe(fields);
  } else if (op == "status") {
    request.what = StatusRequest{};
  } else if (op == "events") {
    request.what = EventsRequest{};
  } else if (op == "reconnect") {
    request.what = ReconnectRequest{};
  } else if (op == "ping") {
    request.what = PingRequest{};
  } else if (op == "page") {
    request.what = PageRequest{};
  } else if (op == "safe_mode_end") {
    request.what = SafeModeEndRequest{};
  } else if (op == "jobs") {
    request.what = take_jobs(fields);
  } else {
    return fields.wrong(
        "op",
        in_quotes(op) +
            " is none of publish, request, subscribe, subscribe_unmatched, "
            "acknowledge, unsubscribe, status, events, reconnect, ping, outbox_stat, outbox_list, "
            "outbox_message, receipt, history, log_level, logs, send_logs, page, "
            "heartbeat, heartbeat_end, safe_mode_end, power_fail, power_back, going_down, jobs");
  }
  if (op != "publish" && op != "request" && op != "subscribe" && op != "acknowledge" &&
      op != "unsubscribe" && op != "jobs") {
    fields.only({});
  }
}

std::variant<LocalRequest, LocalRefusal> request_of(const json& object) {
  LocalRequest request;
  if (!object.is_object()) return LocalRefusal{"", "not a JSON object"};
  Fields fields(object);
  if (const auto id = object.find("id"); id != object.end()) {
    if (id->is_number_integer() || id->is_string()) request.id = id->dump();
    if (request.id.empty() || request.id.size() > kLocalIdMax) {
      request.id.clear();
      fields.wrong("id", "is not a whole number or a string of at most " +
                             std::to_string(kLocalIdMax) + " bytes");
    }
  }
  std::string op;
  fields.text("op", op, true);
  if (fields.error().empty()) take_what(op, fields, request);
  if (!fields.error().empty()) return LocalRefusal{std::move(request.id), fields.error()};
  return request;
}

// --- writing ---

/// Bytes that are no UTF-8 become U+FFFD: a line must be JSON whatever was received.
template <class Json>
std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string start(const std::string& id, bool ok) {
  std::string line = "{";
  if (!id.empty()) line += "\"id\":" + id + ",";
  line += ok ? "\"ok\":true" : "\"ok\":false";
  return line;
}

ordered_json connection_json(const ConnectionState& connection) {
  return {{"state", to_string(connection.state)},
          {"verdict", to_string(connection.verdict)},
          {"explanation", explain(connection.verdict)},
          {"detail", connection.detail},
          {"endpoint", connection.endpoint},
          {"endpoint_name", connection.endpoint_name},
          {"client_id", connection.client_id},
          {"session_present", connection.session_present},
          {"attempts", connection.attempts},
          {"retry_in_ms", connection.retry_in.count()}};
}

/// {"name": count} of everything that can be counted; "none" is nothing to count.
template <class Enum, std::size_t N>
ordered_json counts_json(const std::array<std::uint64_t, N>& counts) {
  ordered_json out = ordered_json::object();
  for (std::size_t i = 0; i < N; ++i) {
    const std::string name(to_string(static_cast<Enum>(i)));
    if (name != "none") out[name] = counts[i];
  }
  return out;
}

ordered_json quarantine_json(const std::vector<Quarantined>& quarantine) {
  ordered_json all = ordered_json::array();
  for (const Quarantined& q : quarantine) {
    all.push_back({{"reason", to_string(q.reason)},
                   {"name", q.name},
                   {"confirmed", q.confirmed},
                   {"reason_code", q.reason_code},
                   {"hang_ups", q.hang_ups},
                   {"since_ms", q.since.count()},
                   {"next_trial_in_ms", q.next_trial_in.count()}});
  }
  return all;
}

ordered_json endpoints_json(const EndpointsState& endpoints) {
  ordered_json all = ordered_json::array();
  for (const EndpointState& one : endpoints.all) {
    all.push_back({{"name", one.name},
                   {"address", one.address},
                   {"current", one.current},
                   {"health", one.health},
                   {"verdict", to_string(one.verdict)},
                   {"well_for_ms", one.well_for.count()}});
  }
  return all;
}

/// How the connections have moved between endpoints, where there are several.
void add_endpoints(ordered_json& status, const EndpointsState& endpoints) {
  if (endpoints.all.empty()) return;
  status["endpoints"] = endpoints_json(endpoints);
  status["endpoint_changes"] = endpoints.changes;
  status["return_in_ms"] = endpoints.return_in.count();
  if (!endpoints.last) return;
  status["endpoint_change"] = {{"from", endpoints.last->from},
                               {"to", endpoints.last->to},
                               {"why", to_string(endpoints.last->why)},
                               {"ago_ms", endpoints.last->ago.count()}};
}

ordered_json ledger_json(const Ledger& ledger) {
  return {{"accepted", ledger.accepted},
          {"delivered", ledger.delivered},
          {"pending", ledger.pending},
          {"dropped", counts_json<DropReason>(ledger.dropped)},
          {"rejected", counts_json<RejectReason>(ledger.rejected)},
          {"balanced", ledger.balanced()}};
}

ordered_json filters_json(const std::vector<FilterState>& filters) {
  ordered_json list = ordered_json::array();
  for (const FilterState& one : filters) {
    ordered_json out{{"filter", one.filter}, {"qos", static_cast<unsigned>(one.wanted)}};
    if (one.granted) out["granted"] = static_cast<unsigned>(*one.granted);
    if (one.code) out["code"] = *one.code;
    if (one.next_in.count() > 0) out["next_in_ms"] = one.next_in.count();
    list.push_back(std::move(out));
  }
  return list;
}

ordered_json levels_json(const LogState& log) {
  ordered_json out = ordered_json::object();
  for (std::size_t i = 0; i < kLogAreas; ++i) {
    out[std::string(to_string(static_cast<LogArea>(i)))] = to_string(log.levels[i]);
  }
  return out;
}

ordered_json log_json(const LogState& log) {
  return {{"levels", levels_json(log)}, {"written", log.written},
          {"repeats", log.repeats},     {"over_ceiling", log.over_ceiling},
          {"not_taken", log.not_taken}, {"file_lost", log.file_lost}};
}

ordered_json heartbeat_json(const HeartbeatState& one) {
  return {{"name", one.name},
          {"phase", to_string(one.phase)},
          {"every_ms", one.every.count()},
          {"silent_ms", one.silent.count()},
          {"misses", one.misses},
          {"watchdog", one.watchdog}};
}

ordered_json jobs_json(const JobBoard::View& view) {
  const JobsState& jobs = view.jobs;
  ordered_json out{{"job", jobs.job}, {"words", jobs.words}};
  if (jobs.steps > 0) {
    out["step"] = jobs.step;
    out["steps"] = jobs.steps;
  }
  if (jobs.percent) out["percent"] = *jobs.percent;
  if (!jobs.last_job.empty()) {
    out["last"] = {
        {"job", jobs.last_job}, {"status", jobs.last_status}, {"words", jobs.last_words}};
  }
  out["versions"] = ordered_json::object();
  for (const auto& [name, version] : jobs.versions) out["versions"][name] = version;
  if (view.gone) out["gone_ms"] = view.gone->count();
  return out;
}

void put_payload(ordered_json& out, const Bytes& payload) {
  if (valid_utf8(text_of(payload))) {
    out["payload"] = text_of(payload);
  } else {
    out["payload_base64"] = to_base64(payload);
  }
}

/// What a message in either direction may have beside its payload.
template <class M>
void put_properties(ordered_json& out, const M& message) {
  if (!message.content_type.empty()) out["content_type"] = message.content_type;
  if (!message.response_topic.empty()) out["response_topic"] = message.response_topic;
  if (!message.correlation_data.empty()) {
    out["correlation_data_base64"] = to_base64(message.correlation_data);
  }
  const auto& properties = message.user_properties;
  if (properties.empty()) return;
  ordered_json list = ordered_json::array();
  for (const auto& [name, value] : properties) list.push_back(ordered_json::array({name, value}));
  out["user_properties"] = std::move(list);
}

void put_inbound(ordered_json& out, const InboundMessage& message) {
  out["topic"] = message.topic;
  put_payload(out, message.payload);
  out["qos"] = static_cast<unsigned>(message.qos);
  out["retain"] = message.retain;
  if (message.duplicate) out["duplicate"] = true;
  put_properties(out, message);
}

/// Of a message to publish, what differs from the defaults.
void put_outbound(ordered_json& out, const Message& message) {
  out["topic"] = message.topic;
  put_payload(out, message.payload);
  if (message.qos != Qos::at_least_once) out["qos"] = static_cast<unsigned>(message.qos);
  if (message.retain) out["retain"] = true;
  if (message.lane != "normal") out["lane"] = message.lane;
  if (message.expiry) out["expiry"] = message.expiry->count();
  put_properties(out, message);
}

}  // namespace

std::variant<LocalRequest, LocalRefusal> parse_request(std::string_view line) {
  try {
    return request_of(json::parse(line));
  } catch (const json::parse_error& error) {
    return LocalRefusal{
        "", "not JSON at offset " + std::to_string(error.byte) + "; send one object a line"};
  } catch (const std::exception& error) {  // numbers beyond a double, memory
    return LocalRefusal{"", "not readable: " + std::string(error.what()).substr(0, 200)};
  }
}

std::string ok_line(const std::string& id) { return start(id, true) + "}\n"; }

std::string error_line(const std::string& id, std::string_view error, bool retry) {
  return start(id, false) + ",\"error\":" + dump(json(error)) +
         (retry ? ",\"retry\":true}\n" : "}\n");
}

std::string receipt_line(const std::string& id, const Receipt& receipt) {
  if (receipt.kind == ReceiptKind::rejected) {
    return error_line(id, to_string(receipt.rejected),
                      receipt.rejected == RejectReason::queue_full);
  }
  const bool dropped = receipt.kind == ReceiptKind::dropped;
  std::string line = start(id, !dropped);
  if (dropped) line += ",\"error\":\"" + std::string(to_string(receipt.dropped)) + "\"";
  line += ",\"receipt\":\"" + std::string(to_string(receipt.kind)) + "\"";
  line += ",\"message_id\":" + std::to_string(receipt.id);
  if (receipt.kind == ReceiptKind::accepted && receipt.kept != Durability::durable) {
    line += ",\"kept\":\"" + std::string(to_string(receipt.kept)) + "\"";
  }
  if (dropped && receipt.reason_code != 0) {
    line += ",\"reason_code\":" + std::to_string(receipt.reason_code);
  }
  return line + "}\n";
}

std::string saved_line(const std::string& id, std::optional<Milliseconds> took) {
  if (!took) return error_line(id, "not everything that was accepted could be saved in time");
  return start(id, true) + ",\"saved_ms\":" + std::to_string(took->count()) + "}\n";
}

std::string subscribed_line(const std::string& id, std::uint64_t subscription) {
  return start(id, true) + ",\"subscription\":" + std::to_string(subscription) + "}\n";
}

std::string acknowledged_line(const std::string& id, std::size_t count) {
  return start(id, true) + ",\"acknowledged\":" + std::to_string(count) + "}\n";
}

std::string status_line(const std::string& id, const DeviceState& state,
                        const std::vector<FilterState>& filters, const IdentityState& identity,
                        const LogState& log, const std::vector<HeartbeatState>& heartbeats,
                        const std::optional<JobBoard::View>& jobs) {
  ordered_json status = connection_json(state.connection);
  status["backlog"] = state.ledger.pending;
  status["in_flight"] = state.in_flight;
  status["ledger"] = ledger_json(state.ledger);
  status["storage"] = to_string(state.storage);
  status["connects"] = state.connects;
  status["attempts_total"] = state.attempts_total;
  status["verdicts"] = counts_json<Verdict>(state.verdicts);
  status["sends_repeated"] = state.sends_repeated;
  status["parked"] = state.parked;
  status["quarantine"] = quarantine_json(state.quarantine);
  add_endpoints(status, state.endpoints);
  add_network(status, state);
  status["slow_callbacks"] = state.slow_callbacks;
  status["inbound"] = state.inbound;
  status["inbound_unmatched"] = state.inbound_unmatched;
  status["inbound_duplicates"] = state.inbound_duplicates;
  status["inbound_dropped"] = state.inbound_dropped;
  status["recovered_unclean"] = state.recovered_unclean;
  status["safe_mode"] = state.safe_mode;
  if (!state.boot.id.empty()) status["boot"] = boot_json(state.boot);
  const bool power = state.power.phase != PowerPhase::unknown || !state.power.problem.empty();
  if (power) status["power"] = power_json(state.power);
  for (const GuardState& one : state.guards) status["guards"].push_back(guard_json(one));
  const AcknowledgementCounts& acks = state.acknowledgements;
  status["acknowledgements"] = {
      {"groups", acks.groups},      {"waiting", acks.waiting}, {"acknowledged", acks.acknowledged},
      {"repeated", acks.repeated},  {"overdue", acks.overdue}, {"overflow", acks.overflow},
      {"abandoned", acks.abandoned}};
  const RequestCounts& requests = state.requests;
  status["requests"] = {{"waiting", requests.waiting},     {"answered", requests.answered},
                        {"timed_out", requests.timed_out}, {"given_up", requests.given_up},
                        {"late", requests.late},           {"duplicate", requests.duplicate},
                        {"unknown", requests.unknown}};
  status["filters"] = filters_json(filters);
  status["identity"] = identity_json(identity);
  status["log"] = log_json(log);
  status["heartbeat_misses"] = state.heartbeat_misses;
  status["heartbeats"] = ordered_json::array();
  for (const HeartbeatState& one : heartbeats) status["heartbeats"].push_back(heartbeat_json(one));
  if (jobs) status["jobs"] = jobs_json(*jobs);
  return start(id, true) + ",\"status\":" + dump(status) + "}\n";
}

std::string log_levels_line(const std::string& id, const LogState& log) {
  return start(id, true) + ",\"levels\":" + dump(levels_json(log)) + "}\n";
}

std::string logs_line(const std::string& id, const std::vector<std::string>& lines) {
  return start(id, true) + ",\"lines\":" + log_array(lines) + "}\n";
}

std::string progress_line(const std::string& id, const Progress& progress) {
  const ordered_json parts{{"loop", progress.loop},
                           {"engine", progress.engine},
                           {"storage", progress.storage},
                           {"callbacks", progress.callbacks},
                           {"applications", progress.applications}};
  return start(id, true) + ",\"progress\":" + dump(parts) + "}\n";
}

std::string page_line(const std::string& id, const std::string& url) {
  return start(id, true) + ",\"page\":" + dump(ordered_json(url)) + "}\n";
}

std::string identity_line(const IdentityState& state) {
  ordered_json event{{"event", "identity"}};
  event.update(identity_json(state));
  return dump(event) + "\n";
}

std::string heartbeat_line(const HeartbeatState& state) {
  ordered_json event{{"event", "heartbeat"}};
  event.update(heartbeat_json(state));
  return dump(event) + "\n";
}

std::string connection_line(const ConnectionState& state) {
  ordered_json event{{"event", "connection"}};
  event.update(connection_json(state));
  return dump(event) + "\n";
}

std::string message_line(std::uint64_t subscription, const InboundMessage& message) {
  ordered_json event{{"event", "message"}, {"subscription", subscription}};
  put_inbound(event, message);
  return dump(event) + "\n";
}

std::string held_line(std::uint64_t subscription, std::uint64_t delivery, bool duplicate,
                      const InboundMessage& message) {
  ordered_json event{{"event", "message"}, {"subscription", subscription}, {"delivery", delivery}};
  put_inbound(event, message);
  if (duplicate) event["duplicate"] = true;
  return dump(event) + "\n";
}

std::string response_line(const std::string& id, const Response& response) {
  if (response.kind == ResponseKind::answered) {
    ordered_json message;
    put_inbound(message, response.message);
    return start(id, true) + ",\"response\":" + dump(message) + "}\n";
  }
  if (response.kind == ResponseKind::not_sent) return receipt_line(id, response.receipt);
  return error_line(id, to_string(response.kind));
}

std::string publish_line(std::uint64_t id, const Message& message, WantedReceipt receipt) {
  constexpr std::array<const char*, 3> kReceipts{"none", "accepted", "delivered"};
  ordered_json out{{"op", "publish"}, {"id", id}};
  put_outbound(out, message);
  if (message.durability != Durability::durable) out["durability"] = to_string(message.durability);
  if (!message.key.empty()) out["key"] = message.key;
  if (receipt != WantedReceipt::accepted) {
    out["receipt"] = kReceipts[static_cast<std::size_t>(receipt)];
  }
  return dump(out) + "\n";
}

std::string ask_line(std::uint64_t id, const Message& message, Milliseconds timeout) {
  ordered_json out{{"op", "request"}, {"id", id}};
  put_outbound(out, message);
  out["timeout_ms"] = timeout.count();
  return dump(out) + "\n";
}

}  // namespace holdfast::runtime
