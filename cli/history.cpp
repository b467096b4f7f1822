// holdfast history: the entries of the local API, or of a directory, for people and programs.
#include "history.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "base/calendar.h"
#include "commands.h"
#include "outbox.h"
#include "runtime/history.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

/// "2026-11-27 08:15:30", in UTC.
std::string time_text(std::int64_t ms) {
  std::string text = iso_time(WallTime{ms});
  text.at(text.find('T')) = ' ';
  text.pop_back();  // the Z
  return text;
}

/// "2 d 3 h", "4 min 5 s", "0.3 s": two units at most.
std::string span_text(std::uint64_t ms) {
  struct Unit {
    std::uint64_t ms;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits{
      {{86'400'000, " d"}, {3'600'000, " h"}, {60'000, " min"}, {1000, " s"}}};
  if (ms < 10'000) return std::to_string(ms / 1000) + '.' + std::to_string(ms % 1000 / 100) + " s";
  for (std::size_t i = 0; i + 1 < kUnits.size(); ++i) {
    if (ms < kUnits[i].ms) continue;
    const std::uint64_t rest = ms % kUnits[i].ms / kUnits[i + 1].ms;
    std::string text = std::to_string(ms / kUnits[i].ms) + kUnits[i].name;
    if (rest > 0) text += ' ' + std::to_string(rest) + kUnits[i + 1].name;
    return text;
  }
  return std::to_string(ms / 1000) + " s";
}

/// Whatever stands in the file: what is no text is none.
std::string text_of(const json& entry, const char* name) {
  const auto found = entry.find(name);
  return found != entry.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

bool is_set(const json& entry, const char* name) {
  const auto found = entry.find(name);
  return found != entry.end() && *found == true;
}

std::int64_t ms_of(const json& entry, const char* name) {
  const auto found = entry.find(name);
  return found != entry.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

/// "silent_peer, tcp_timeout ×12": the one that it began with first.
std::string why_text(const json& entry) {
  const std::string first = text_of(entry, "verdict");
  const json verdicts = entry.value("verdicts", json::object());
  std::string text = first;
  const auto add = [&](const std::string& name, std::uint64_t count) {
    if (name != first) text += (text.empty() ? "" : ", ") + name;
    if (count > 1) text += " ×" + std::to_string(count);
  };
  if (verdicts.contains(first)) add(first, count_of(verdicts, first.c_str()));
  for (const auto& [name, count] : verdicts.items()) {
    if (name != first) add(name, count_of(verdicts, name.c_str()));
  }
  return text;
}

std::string outage_text(const json& entry) {
  std::string text = time_text(ms_of(entry, "began_ms")) + "  " +
                     (is_set(entry, "over") ? "away " : "away (not over) ") +
                     span_text(count_of(entry, "lasted_ms")) + ": " + why_text(entry) + '\n';
  text += "                     " + std::to_string(count_of(entry, "attempts")) + " attempts, " +
          std::to_string(count_of(entry, "accepted")) + " messages accepted, " +
          std::to_string(count_of(entry, "dropped")) + " dropped, " +
          std::to_string(count_of(entry, "waiting")) + " waiting\n";
  const std::string from = text_of(entry, "from");
  const std::string to = text_of(entry, "to");
  if (!from.empty() && !to.empty() && from != to) {
    text += "                     from endpoint " + from + " to " + to + '\n';
  }
  const std::string detail = text_of(entry, "detail");
  if (!detail.empty()) text += "                     " + detail + '\n';
  if (const std::uint64_t more = count_of(entry, "left_out"); more > 0) {
    text += "                     " + std::to_string(more) + " outages before it are left out\n";
  }
  return text;
}

}  // namespace

std::string render_history(const json& entries) {
  std::string text;
  for (const json& entry : entries) {
    const std::string event = text_of(entry, "event");
    if (event == "outage") {
      text += outage_text(entry);
    } else if (event == "started") {
      text += time_text(ms_of(entry, "at_ms")) + "  started" +
              (is_set(entry, "unclean") ? "; the run before did not end in order" : "");
      const std::string safe_mode = text_of(entry, "safe_mode");
      text += safe_mode.empty() ? "" : "; safe mode: it " + safe_mode;
      const std::string boot = text_of(entry, "boot_reason");
      const std::string detail = text_of(entry, "boot_detail");
      if (!boot.empty()) text += "; a boot after: " + boot + (detail.empty() ? "" : ": " + detail);
      text += '\n';
    }
  }
  return text.empty() ? "no outage yet\n" : text;
}

ExitCode run_history(const std::filesystem::path& socket, const HistoryOptions& options) {
  json entries;
  if (options.directory.empty()) {
    json answer;
    if (const ExitCode code = ask(socket, "history", answer, {{"limit", options.limit}});
        code != kOk) {
      return code;
    }
    entries = answer.value("history", json::array());
  } else {
    std::error_code failure;
    if (!std::filesystem::is_directory(options.directory, failure)) {
      return fail(kUnreachable, options.directory +
                                    " is no directory; give the directory of an "
                                    "outbox (outbox.directory)");
    }
    auto read = runtime::read_history(options.directory, options.limit);
    if (!read) return fail(kFailed, read.error().message);
    entries = *read;
  }
  std::string text;
  if (options.json) {
    for (const json& entry : entries) text += entry.dump() + '\n';
  } else {
    text = render_history(entries);
  }
  return std::fputs(text.c_str(), stdout) < 0 ? kFailed : kOk;
}

}  // namespace holdfast::cli
