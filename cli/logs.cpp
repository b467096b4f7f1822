// See logs.h.
#include "logs.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "holdfast/log.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

/// As the text form of the log has it.
std::string line_text(const json& line) {
  std::string level = line.value("level", "?");
  level.resize(8, ' ');
  return line.value("time", "?") + " " + level + line.value("area", "?") + ": " +
         line.value("message", "");
}

bool print(const std::string& line) { return std::printf("%s\n", line.c_str()) >= 0; }

}  // namespace

ExitCode run_logs(const std::filesystem::path& socket, const LogsOptions& options) {
  json fields = json::object();
  if (options.count > 0) fields["limit"] = options.count;
  if (options.send && !options.topic.empty()) fields["topic"] = options.topic;
  json answer;
  const ExitCode asked = ask(socket, options.send ? "send_logs" : "logs", answer, fields);
  if (asked != kOk) return asked;
  if (options.send) {
    return print("accepted, message " + std::to_string(count_of(answer, "message_id"))) ? kOk
                                                                                        : kFailed;
  }
  for (const json& line : answer.value("lines", json::array())) {
    if (!print(options.json ? line.dump() : line_text(line))) return kFailed;
  }
  return std::fflush(stdout) == 0 ? kOk : kFailed;
}

ExitCode run_log_level(const std::filesystem::path& socket, const std::string& first,
                       const std::string& level) {
  json fields = json::object();
  const bool for_all = level.empty() && log_level_of(first).has_value();
  if (for_all) {
    fields["level"] = first;
  } else if (!first.empty()) {
    fields["area"] = first;
    if (!level.empty()) fields["level"] = level;
  }
  json answer;
  const ExitCode asked = ask(socket, "log_level", answer, fields);
  if (asked != kOk) return asked;
  std::string out;
  for (std::size_t i = 0; i < kLogAreas; ++i) {
    const std::string area(to_string(static_cast<LogArea>(i)));
    if (!first.empty() && !for_all && area != first) continue;
    std::string name = area;
    name.resize(14, ' ');
    out += name + answer.value("levels", json::object()).value(area, "?") + "\n";
  }
  return std::fputs(out.c_str(), stdout) >= 0 && std::fflush(stdout) == 0 ? kOk : kFailed;
}

}  // namespace holdfast::cli
