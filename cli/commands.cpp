// The short commands: status, reconnect, check-config; and what all commands share.
#include "commands.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "identity.h"
#include "outbox.h"
#include "runtime/config_endpoints.h"
#include "runtime/config_file.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;
constexpr Milliseconds kAnswerTime{10000};  // status and the like are answered at once

std::string text_of(const json& status, const char* name) {
  const auto found = status.find(name);
  if (found == status.end() || found->is_null()) return "?";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

/// "expired 3, refused 1" of the counts that are not zero.
std::string list_counts(const json& counts) {
  std::string out;
  for (const auto& [name, count] : counts.items()) {
    if (!count.is_number_unsigned() || count == 0) continue;
    out += (out.empty() ? "" : ", ") + name + " " + count.dump();
  }
  return out;
}

void put_connection(std::string& out, const json& status) {
  const std::string verdict = text_of(status, "verdict");
  std::string state = text_of(status, "state");
  if (const std::uint64_t left = count_of(status, "retry_in_ms"); left > 0) {
    state += ", next attempt in " + std::to_string((left + 999) / 1000) + " s";
  }
  put_field(out, "state", state);
  put_field(out, "verdict", verdict + ": " + text_of(status, "explanation"));
  put_field(out, "detail", status.value("detail", ""));
  const std::string name = status.value("endpoint_name", "");
  const bool several = status.contains("endpoints") && !name.empty();
  put_field(out, "endpoint", (several ? name + ", " : "") + text_of(status, "endpoint"));
  put_field(out, "client id", status.value("client_id", ""));
  put_field(out, "connects",
            text_of(status, "connects") + " of " + text_of(status, "attempts_total") + " attempts");
  put_field(out, "verdicts", list_counts(status.value("verdicts", json::object())));
}

/// "eu (a.example:8883): health 50, tcp_refused", a line each; then the last change.
void put_endpoints(std::string& out, const json& status) {
  for (const json& one : status.value("endpoints", json::array())) {
    std::string text = one.value("current", false) ? "* " : "  ";
    text += text_of(one, "name") + " (" + text_of(one, "address") + "): health " +
            text_of(one, "health") + ", " + text_of(one, "verdict");
    if (const std::uint64_t well = count_of(one, "well_for_ms"); well > 0) {
      text += ", probed well for " + std::to_string(well / 1000) + " s";
    }
    put_field(out, "endpoints", text);
  }
  const json change = status.value("endpoint_change", json::object());
  if (change.empty()) return;
  std::string text = "from " + text_of(change, "from") + " to " + text_of(change, "to") + " " +
                     std::to_string(count_of(change, "ago_ms") / 1000) + " s ago";
  const std::string why = text_of(change, "why");
  text += why == "none" ? ", to return" : ", " + why;
  put_field(out, "moved", text + "; " + text_of(status, "endpoint_changes") + " in this run");
}

void put_quarantine(std::string& out, const json& status) {
  for (const json& q : status.value("quarantine", json::array())) {
    std::string text = text_of(q, "name") + ", " + text_of(q, "reason");
    if (!q.value("confirmed", false)) text += " (suspected)";
    text += ", next trial in " + std::to_string((count_of(q, "next_trial_in_ms") + 999) / 1000);
    put_field(out, "set aside", text + " s");
  }
  if (count_of(status, "parked") > 0) put_field(out, "parked", text_of(status, "parked"));
}

void put_ledger(std::string& out, const json& status) {
  const json ledger = status.value("ledger", json::object());
  const json dropped = ledger.value("dropped", json::object());
  std::uint64_t dropped_total = 0;
  for (const auto& [name, count] : dropped.items()) {
    if (count.is_number_unsigned()) dropped_total += count.get<std::uint64_t>();
  }
  put_field(
      out, "backlog",
      text_of(status, "backlog") + " waiting, " + text_of(status, "in_flight") + " in flight");
  put_field(out, "ledger",
            text_of(ledger, "accepted") + " accepted = " + text_of(ledger, "delivered") +
                " delivered + " + text_of(ledger, "pending") + " pending + " +
                std::to_string(dropped_total) + " dropped" +
                (ledger.value("balanced", false) ? "" : " (NOT BALANCED, please report)"));
  put_field(out, "dropped", list_counts(dropped));
  put_field(out, "rejected", list_counts(ledger.value("rejected", json::object())));
}

/// "cmd/#: granted QoS 1; verified in 40m", a line each.
void put_filters(std::string& out, const json& status) {
  for (const json& one : status.value("filters", json::array())) {
    const json code = one.value("code", json());
    const bool granted = one.contains("granted");
    std::string text = printable(one.value("filter", "")) + ": ";
    if (granted) {
      text += "granted QoS " + text_of(one, "granted");
      if (one["granted"] != one["qos"]) text += " of " + text_of(one, "qos");
    } else if (code.is_number_unsigned() && code >= 0x80) {
      std::array<char, 8> hex{};
      std::snprintf(hex.data(), hex.size(), "0x%02X", code.get<unsigned>());
      text += "refused (" + std::string(hex.data()) + ")";
    } else {
      text += "not yet at the broker";
    }
    if (const std::uint64_t left = count_of(one, "next_in_ms"); left > 0) {
      text += std::string(granted ? ", verified" : ", asked for again") + " in " +
              std::to_string((left + 999) / 1000) + " s";
    }
    put_field(out, "filter", text);
  }
}

void put_heartbeats(std::string& out, const json& status) {
  for (const json& one : status.value("heartbeats", json::array())) {
    const auto seconds = [&](const char* name) {
      return std::to_string((count_of(one, name) + 999) / 1000) + " s";
    };
    std::string text = text_of(one, "name") + ": " + text_of(one, "phase");
    if (one.value("phase", "") == "missed") text += ", silent for " + seconds("silent_ms");
    text += " (every " + seconds("every_ms") + ", missed " + text_of(one, "misses") + " times";
    put_field(out, "heartbeat", text + (one.value("watchdog", false) ? ", watchdog)" : ")"));
  }
}

/// "on_battery: ups1@localhost: OB, battery 80 %, 600 s left".
void put_power(std::string& out, const json& power) {
  if (power.empty()) return;
  std::string text = text_of(power, "phase");
  const std::string detail = printable(power.value("detail", ""));
  if (!detail.empty()) text += ": " + detail;
  if (power.contains("charge")) text += ", battery " + text_of(power, "charge") + " %";
  if (power.contains("runtime_s")) text += ", " + text_of(power, "runtime_s") + " s left";
  put_field(out, "power", text);
  put_field(out, "power", printable(power.value("problem", "")));
}

/// "disk: 97 of 95, ALARM", a line each.
void put_guards(std::string& out, const json& status) {
  for (const json& one : status.value("guards", json::array())) {
    std::string text = text_of(one, "guard") + ": " + std::to_string(one.value("value", 0)) +
                       " of " + text_of(one, "limit");
    const std::string detail = printable(one.value("detail", ""));
    if (!detail.empty()) text += " (" + detail + ")";
    put_field(out, "guard", text + (one.value("alarm", false) ? ", ALARM" : ""));
  }
}

/// Why the machine was started.
void put_boot(std::string& out, const json& boot) {
  if (boot.empty()) return;
  const std::string detail = printable(boot.value("detail", ""));
  put_field(out, "boot", text_of(boot, "reason") + (detail.empty() ? "" : ": " + detail));
}

}  // namespace

WallTime wall_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return WallTime{std::chrono::duration_cast<Milliseconds>(since).count()};
}

ExitCode ask(const std::filesystem::path& socket, const char* op, json& answer,
             const json& fields) {
  Result<runtime::LocalClient> client = runtime::LocalClient::connect(socket);
  if (!client) return fail(kUnreachable, client.error().message);
  client->send(runtime::op_line(1, op, fields.dump()));
  const Result<std::string> line = client->receive(kAnswerTime);
  if (!line) return fail(exit_code_of(line.error()), line.error().message);
  answer = json::parse(*line, nullptr, false);
  if (!answer.is_object()) return fail(kFailed, "the agent's answer is not JSON; is it holdfastd?");
  if (answer.value("ok", false)) return kOk;
  return fail(kFailed, "the agent refuses: " + answer.value("error", "no reason given"));
}

void put_field(std::string& out, std::string_view name, const std::string& value) {
  constexpr std::size_t kColumn = 11;
  if (value.empty()) return;
  out += name;
  out.append(name.size() < kColumn ? kColumn - name.size() : 1, ' ');
  out += value + "\n";
}

std::uint64_t count_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

ExitCode fail(ExitCode code, const std::string& what) {
  std::fprintf(stderr, "holdfast: %s\n", what.c_str());
  return code;
}

ExitCode exit_code_of(const Error& error) {
  return error.code == Errc::timeout ? kTimedOut : kUnreachable;
}

std::string advice(const std::string& refusal) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 17> kAdvice{{
      {"invalid_topic", "give 1 to 256 bytes without + and # and not too many levels"},
      {"invalid_field", "check the options of the message"},
      {"unknown_lane", "give one of flow.lanes"},
      {"lane_full", "the lane's own limit is reached; try later, or change [lane.NAME]"},
      {"too_large", "send less than limits.payload, and what the broker takes"},
      {"queue_full", "send more slowly"},
      {"outbox_full", "wait until the backlog has been sent, or raise outbox.max_size"},
      {"storage_failed", "look at the disk; see holdfast status"},
      {"stopping", "start the agent again"},
      {"power_failing", "the machine's power goes; send it again when it is back"},
      {"expired", "give a longer --expiry"},
      {"refused", "check the broker's policy for this topic"},
      {"evicted", "send less, or raise outbox.max_size"},
      {"corrupt", "check the disk"},
      {"superseded", "a newer message of its key went instead"},
      {"timed_out", "whether the request was carried out is not known"},
      {"no_answers", "allow the response topic in the broker's policy, or set flow.response_topic"},
  }};
  for (const auto& [name, text] : kAdvice) {
    if (refusal == name) return refusal + "; " + std::string(text);
  }
  return refusal;
}

std::string render_status(const json& status) {
  std::string out;
  put_connection(out, status);
  out += render_identity_short(status.value("identity", json::object()));
  put_endpoints(out, status);
  put_network(out, status);
  put_jobs(out, status);
  put_quarantine(out, status);
  put_ledger(out, status);
  put_field(out, "storage", text_of(status, "storage"));
  put_field(out, "inbound",
            text_of(status, "inbound") + " received, " + text_of(status, "inbound_unmatched") +
                " without a subscription, " + text_of(status, "inbound_duplicates") + " repeats, " +
                text_of(status, "inbound_dropped") + " dropped");
  put_filters(out, status);
  put_heartbeats(out, status);
  put_field(out, "requests", list_counts(status.value("requests", json::object())));
  const std::uint64_t held = count_of(status.value("acknowledgements", json::object()), "waiting");
  if (held > 0) put_field(out, "programs", std::to_string(held) + " messages not acknowledged");
  if (count_of(status, "slow_callbacks") > 0) {
    put_field(out, "callbacks", text_of(status, "slow_callbacks") + " were too slow");
  }
  put_field(out, "safe mode", status.value("safe_mode", ""));
  put_power(out, status.value("power", json::object()));
  put_guards(out, status);
  put_boot(out, status.value("boot", json::object()));
  if (status.value("recovered_unclean", false)) {
    put_field(out, "last run", "did not end in order; its accepted messages were recovered");
  }
  return out;
}

ExitCode run_status(const std::filesystem::path& socket, bool as_json) {
  json answer;
  if (const ExitCode code = ask(socket, "status", answer, json::object()); code != kOk) return code;
  const json status = answer.value("status", json::object());
  const std::string text = as_json ? status.dump() + "\n" : render_status(status);
  return std::fputs(text.c_str(), stdout) < 0 ? kFailed : kOk;
}

ExitCode run_receipt(const std::filesystem::path& socket, MessageId id, bool as_json) {
  json answer;
  if (const ExitCode code = ask(socket, "receipt", answer, {{"message_id", id}}); code != kOk) {
    return code;
  }
  const std::string fate = text_of(answer, "fate");
  std::string shown = fate;
  if (fate == "dropped") shown += ": " + text_of(answer, "reason");
  if (as_json) {
    answer.erase("ok");
    answer.erase("id");
    shown = answer.dump();
  }
  std::printf("%s\n", shown.c_str());
  return fate == "delivered" || fate == "pending" ? kOk : kFailed;
}

std::vector<std::string> stuck_parts(const json& before, const json& now) {
  constexpr std::array<std::pair<const char*, const char*>, 5> kParts{
      {{"loop", "the event loop"},
       {"engine", "the engine"},
       {"storage", "the storage thread"},
       {"callbacks", "the callbacks"},
       {"applications", "the applications' heartbeats"}}};
  std::vector<std::string> stuck;
  for (const auto& [name, words] : kParts) {
    if (count_of(now, name) <= count_of(before, name)) stuck.emplace_back(words);
  }
  return stuck;
}

ExitCode run_health(const std::filesystem::path& socket, bool connected, Milliseconds patience) {
  constexpr Milliseconds kPause{20};
  const auto end = std::chrono::steady_clock::now() + patience;
  json first;
  if (const ExitCode code = ask(socket, "ping", first, json::object()); code != kOk) return code;
  const json before = first.value("progress", json::object());
  for (;;) {
    std::this_thread::sleep_for(kPause);
    json again;
    if (const ExitCode code = ask(socket, "ping", again, json::object()); code != kOk) return code;
    const auto stuck = stuck_parts(before, again.value("progress", json::object()));
    if (stuck.empty()) break;
    if (std::chrono::steady_clock::now() < end) continue;
    std::string what = "stuck:";
    for (const std::string& part : stuck) what += (what.back() == ':' ? " " : ", ") + part;
    return fail(kFailed, what + "; restart the agent");
  }
  json answer;
  if (const ExitCode code = ask(socket, "status", answer, json::object()); code != kOk) return code;
  const json status = answer.value("status", json::object());
  const std::string state = text_of(status, "state");
  const std::string words = state == "connected" ? "connected to " + text_of(status, "endpoint")
                                                 : state + ", " + text_of(status, "verdict") +
                                                       ": " + text_of(status, "explanation");
  if (connected && state != "connected") return fail(kFailed, "not connected: " + words);
  std::printf("healthy: %s; storage %s\n", words.c_str(), text_of(status, "storage").c_str());
  return kOk;
}

ExitCode run_safe_mode(const std::filesystem::path& socket, bool end) {
  json answer;
  if (end) return ask(socket, "safe_mode_end", answer, json::object());
  if (const ExitCode code = ask(socket, "status", answer, json::object()); code != kOk) return code;
  const std::string reason =
      answer.value("status", json::object()).value("safe_mode", std::string());
  const std::string text = reason.empty() ? "not in safe mode" : "safe mode: it " + reason;
  return std::printf("%s\n", text.c_str()) < 0 ? kFailed : kOk;
}

ExitCode run_heartbeat(const std::filesystem::path& socket, const HeartbeatOptions& options) {
  json fields{{"name", options.name}};
  if (options.every.count() > 0) fields["every_ms"] = options.every.count();
  json answer;
  return ask(socket, options.end ? "heartbeat_end" : "heartbeat", answer, fields);
}

ExitCode run_power_fail(const std::filesystem::path& socket, const std::string& detail,
                        bool cancel) {
  json answer;
  if (cancel) return ask(socket, "power_back", answer, json::object());
  const ExitCode code = ask(socket, "power_fail", answer, {{"detail", detail}});
  if (code != kOk) return code;
  const std::uint64_t took = count_of(answer, "saved_ms");
  return std::printf("saved in %s ms\n", std::to_string(took).c_str()) < 0 ? kFailed : kOk;
}

ExitCode run_going_down(const std::filesystem::path& socket, const std::string& reason,
                        const std::string& detail) {
  json answer;
  return ask(socket, "going_down", answer, {{"reason", reason}, {"detail", detail}});
}

ExitCode run_reconnect(const std::filesystem::path& socket) {
  json answer;
  return ask(socket, "reconnect", answer, json::object());
}

ExitCode run_page(const std::filesystem::path& socket) {
  json answer;
  const ExitCode asked = ask(socket, "page", answer, json::object());
  if (asked != kOk) return asked;
  const bool put = std::printf("%s\n", answer.value("page", "").c_str()) >= 0;
  return put && std::fflush(stdout) == 0 ? kOk : kFailed;
}

ExitCode run_check_config(const std::filesystem::path& file) {
  const auto report =
      runtime::read_config(file, runtime::process_environment(), runtime::CheckDepth::surroundings);
  for (const Error& problem : report.problems) fail(kUsage, problem.message);
  if (!report.problems.empty()) return kUsage;
  std::printf("%s: ok\n", file.c_str());
  for (const std::string& line : runtime::endpoint_lines(report.config)) {
    std::printf("%s\n", line.c_str());
  }
  return kOk;
}

}  // namespace holdfast::cli
