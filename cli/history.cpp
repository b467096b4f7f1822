// holdfast history: the entries of the local API, or of a directory, for people and programs.
#include "history.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>

#include "commands.h"
#include "runtime/history.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

/// "2026-11-27 08:15:30", in UTC.
std::string time_text(std::int64_t ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds(ms)};
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(at - day));
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u %02d:%02d:%02d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
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

std::int64_t ms_of(const json& entry, const char* name) {
  const auto found = entry.find(name);
  return found != entry.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

/// "silent_peer, tcp_timeout ×12": the one that it began with first.
std::string why_text(const json& entry) {
  const std::string first = entry.value("verdict", "");
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
                     (entry.value("over", false) ? "away " : "away (not over) ") +
                     span_text(count_of(entry, "lasted_ms")) + ": " + why_text(entry) + '\n';
  text += "                     " + std::to_string(count_of(entry, "attempts")) + " attempts, " +
          std::to_string(count_of(entry, "accepted")) + " messages accepted, " +
          std::to_string(count_of(entry, "dropped")) + " dropped, " +
          std::to_string(count_of(entry, "waiting")) + " waiting\n";
  const std::string detail = entry.value("detail", "");
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
    const std::string event = entry.value("event", "");
    if (event == "outage") {
      text += outage_text(entry);
    } else if (event == "started") {
      text += time_text(ms_of(entry, "at_ms")) + "  started" +
              (entry.value("unclean", false) ? "; the run before did not end in order" : "") + '\n';
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
