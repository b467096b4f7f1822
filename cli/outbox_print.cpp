// How `holdfast outbox` shows its answers to people. Pure; see outbox.h.
#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "outbox.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

std::string counted(std::uint64_t n, const std::string& one) {
  return std::to_string(n) + " " + one + (n == 1 ? "" : "s");
}

/// 340, 5.0K, 1.2M
std::string size_text(std::uint64_t bytes) {
  constexpr std::array<char, 4> kUnits{'K', 'M', 'G', 'T'};
  if (bytes < 1024) return std::to_string(bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f%c", value, kUnits[unit]);
  return text.data();
}

/// 12s, 5m, 3h, 2d
std::string span_text(std::uint64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 7200) return std::to_string(seconds / 60) + "m";
  if (seconds < 172'800) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86'400) + "d";
}

std::string counts(const json& object) {
  std::string out;
  for (const auto& [name, count] : object.items()) {
    out += (out.empty() ? "" : ", ") + printable(name) + " " + count.dump();
  }
  return out;
}

void put_account(std::string& out, const json& stat) {
  const json ledger = stat.value("ledger", json::object());
  const json dropped = ledger.value("dropped", json::object());
  std::uint64_t sum = 0;
  json some = json::object();
  for (const auto& [name, count] : dropped.items()) {
    sum += count.get<std::uint64_t>();
    if (count != 0) some[name] = count;
  }
  put_field(out, "ledger",
            std::to_string(count_of(ledger, "accepted")) +
                " accepted = " + std::to_string(count_of(ledger, "delivered")) + " delivered + " +
                std::to_string(count_of(ledger, "pending")) + " pending + " + std::to_string(sum) +
                " dropped" +
                (ledger.value("balanced", false) ? "" : " (NOT BALANCED, please report)"));
  put_field(out, "dropped", counts(some));
  put_field(out, "lanes", counts(stat.value("lanes", json::object())));
}

void put_recovery(std::string& out, const json& stat) {
  const auto found = stat.find("recovery");
  if (found == stat.end()) return;
  std::string text = found->value("closed_in_order", false)
                         ? "the last run ended in order"
                         : "the last run was cut off, or still runs";
  if (count_of(*found, "torn") > 0) {
    text += ", " + counted(count_of(*found, "torn"), "unaccepted record") + " torn";
  }
  if (count_of(*found, "corrupt") > 0) {
    text += ", " + counted(count_of(*found, "corrupt"), "accepted message") + " corrupt";
  }
  if (found->value("rebuilt", false)) text += ", a checkpoint is damaged: duplicates are possible";
  put_field(out, "last run", text);
}

std::string place(const json& finding) {
  std::string out = finding.value("file", "?");
  if (finding.contains("from")) {
    out += " bytes " + finding["from"].dump() + " to " + finding["to"].dump();
  }
  return out;
}

std::string cost(const json& finding) {
  const std::uint64_t lost = count_of(finding, "lost");
  const std::uint64_t messages = count_of(finding, "messages");
  std::string ids;
  if (finding.contains("first_message_id")) {
    ids = " (id " + finding["first_message_id"].dump() + (messages > 1 ? " and others)" : ")");
  }
  if (lost > 0) return counted(lost, "waiting message") + " lost" + ids;
  if (messages > 0) {
    return "no waiting message lost; " + counted(messages, "message") + ids +
           " had come to an end or been counted before";
  }
  return "no message lost";
}

std::string explain_finding(const json& finding) {
  std::string kind = finding.value("kind", "?");
  if (kind == "records") return "damaged: " + cost(finding);
  if (kind == "torn") return "a commit that was cut or is under way; nothing accepted is in it";
  if (kind == "header") return "a header copy is damaged; the other one is used, no message lost";
  if (kind == "header_blank") return "a header copy was cut while written; the other one is used";
  if (kind == "no_header") return "both header copies are damaged; a checkpoint knows the segment";
  if (kind == "missing") return "is missing: " + cost(finding);
  if (kind == "wrong_size") return "has the wrong size; what it lost is listed apart";
  if (kind == "foreign") return "belongs to another store; see holdfast outbox repair";
  if (kind == "other_format") return "has another version of the format";
  return kind;
}

/// Whether bytes at `at` of UTF-8 text are a character that may disturb a terminal; its length.
std::size_t harmful(const std::string& text, std::size_t at, std::uint32_t& code) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  code = byte(at);
  if (code < 0x20 || code == 0x7F) return 1;
  if (code == 0xC2 && byte(at + 1) >= 0x80 && byte(at + 1) < 0xA0) {  // C1
    code = byte(at + 1);
    return 2;
  }
  if (code == 0xE2 && (byte(at + 1) == 0x80 || byte(at + 1) == 0x81)) {
    code = 0x2000 | (byte(at + 1) & 0x3F) << 6 | (byte(at + 2) & 0x3F);
    const bool turns = (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) ||
                       code == 0x200E || code == 0x200F;
    if (turns) return 3;
  }
  return 0;
}

}  // namespace

std::string printable(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::uint32_t code = 0;
    const std::size_t length = harmful(text, i, code);
    if (length == 0) {
      out += text[i] == '\\' ? "\\\\" : std::string(1, text[i]);
      ++i;
      continue;
    }
    std::array<char, 16> escaped{};
    std::snprintf(escaped.data(), escaped.size(), code < 0x100 ? "\\x%02x" : "\\u%04x", code);
    out += escaped.data();
    i += length;
  }
  return out;
}

std::string render_listed(const json& message, std::int64_t now_ms) {
  const std::int64_t age = now_ms - message.value("accepted_ms", std::int64_t{0});
  const bool locked = message.value("locked", false);
  const bool known = age >= 0 && !message.value("clock_doubtful", false);
  const std::string old = known ? span_text(static_cast<std::uint64_t>(age / 1000)) : "?";
  const std::string size = locked ? "?" : size_text(count_of(message, "size"));
  const std::string qos = std::to_string(count_of(message, "qos"));
  const std::string expiry =
      message.contains("expiry") ? span_text(count_of(message, "expiry")) : "-";
  const std::string topic = locked ? "(sealed)" : printable(message.value("topic", "?"));
  return std::to_string(count_of(message, "message_id")) + "\t" +
         printable(message.value("lane", "?")) + "\t" + old + "\t" + size + "\t" + qos +
         (message.value("retain", false) ? "r" : "") + "\t" + expiry + "\t" + topic + "\n";
}

std::string render_outbox(const json& stat) {
  std::string out;
  put_field(out, "store",
            stat.value("store", "?") + ", format " + std::to_string(count_of(stat, "format")));
  put_field(out, "size",
            counted(count_of(stat, "slots"), "slot") + " of " +
                size_text(count_of(stat, "segment_bytes")) + ", " +
                size_text(count_of(stat, "bytes")) + " on disk");
  put_account(out, stat);
  const json session = stat.value("session", json::object());
  put_field(out, "openings", std::to_string(count_of(session, "openings")));
  put_recovery(out, stat);
  out += "segments   sequence  slot  state    end         messages  waiting  lanes\n";
  for (const json& segment : stat.value("segments", json::array())) {
    std::array<char, 160> line{};
    std::snprintf(line.data(), line.size(),
                  "           %-8llu  %04llu  %-7s  %-10llu  %-8llu  %-7llu  ",
                  static_cast<unsigned long long>(count_of(segment, "sequence")),
                  static_cast<unsigned long long>(count_of(segment, "slot")),
                  segment.value("state", "?").c_str(),
                  static_cast<unsigned long long>(count_of(segment, "end")),
                  static_cast<unsigned long long>(count_of(segment, "messages")),
                  static_cast<unsigned long long>(count_of(segment, "waiting")));
    const std::string lanes = counts(segment.value("lanes", json::object()));
    out += line.data() + (lanes.empty() ? "-" : lanes) + "\n";
  }
  json states = json::object();
  for (const json& file : stat.value("files", json::array())) {
    const std::string state = file.value("state", "?");
    states[state] = count_of(states, state.c_str()) + 1;
  }
  put_field(out, "files", counts(states));
  return out;
}

std::string render_verification(const json& result) {
  std::string out;
  for (const json& finding : result.value("findings", json::array())) {
    out += place(finding) + ": " + explain_finding(finding) + "\n";
  }
  if (count_of(result, "more_findings") > 0) {
    out += "and " + counted(count_of(result, "more_findings"), "finding") + " more\n";
  }
  std::uint64_t records = 0;
  std::uint64_t messages = 0;
  const json segments = result.value("segments", json::array());
  for (const json& segment : segments) {
    records += count_of(segment, "records");
    messages += count_of(segment, "messages");
  }
  out += result.value("clean", false) ? "clean: " : "DAMAGED: ";
  out += counted(segments.size(), "segment") + ", " + counted(records, "valid record") + ", " +
         counted(messages, "message") + " in them";
  if (!result.value("clean", false)) {
    out += "; " + counted(count_of(result, "damages"), "place") + " damaged, " +
           counted(count_of(result, "lost"), "waiting message") + " lost";
  }
  if (count_of(result, "torn") > 0) {
    out += "; " + counted(count_of(result, "torn"), "commit") + " cut, which is no damage";
  }
  return out + "\n";
}

std::string render_repair(const json& repair, const std::string& directory) {
  const bool applied = repair.value("applied", false);
  const json before = repair.value("before", json::object());
  std::string out = render_verification(before);
  for (const json& move : repair.value("moved", json::array())) {
    out += (applied ? "moved " : "would move ") + move.value("file", "?") + " to " +
           move.value("to", "quarantine/") + ": " + move.value("why", "") + "\n";
  }
  if (count_of(repair, "given_up") > 0) {
    out += (applied ? "gave up " : "would give up ") +
           counted(count_of(repair, "given_up"), "message") + ", counted as corrupt\n";
  }
  const bool nothing = before.value("clean", false) && repair.value("moved", json::array()).empty();
  if (nothing) return out + "nothing to repair\n";
  if (!applied) {
    return out + "nothing was changed; to do it: holdfast outbox repair --yes " +
           printable(directory) + "\n";
  }
  out += "report in " + repair.value("report", "?") + "\nafterwards:\n";
  return out + render_verification(repair.value("after", json::object()));
}

nlohmann::ordered_json export_request(const json& message) {
  nlohmann::ordered_json out{{"op", "publish"}, {"id", count_of(message, "message_id")}};
  for (const char* name :
       {"topic", "payload", "payload_base64", "qos", "retain", "lane", "expiry", "key",
        "content_type", "user_properties", "response_topic", "correlation_data_base64"}) {
    if (const auto found = message.find(name); found != message.end()) out[name] = *found;
  }
  return out;
}

}  // namespace holdfast::cli
