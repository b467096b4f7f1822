// holdfast doctor: the findings for people, as they come, and for programs, at the end.
#include "doctor.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <variant>

#include "commands.h"
#include "outbox.h"

namespace holdfast::cli {
namespace {

using health::Check;
using health::CheckResult;
using health::Finding;
using nlohmann::ordered_json;

constexpr std::size_t kResultColumn = 9;
constexpr std::size_t kTextColumn = kResultColumn + 17;
constexpr std::size_t kNarrow = kTextColumn + 20;  // Not worth wrapping below.

struct Look {
  std::string_view word;
  std::string_view colour;  // SGR (ECMA-48)
};

Look look_of(CheckResult result) {
  switch (result) {
    case CheckResult::ok:
      return {"ok", "32"};
    case CheckResult::warning:
      return {"warning", "33"};
    case CheckResult::failed:
      return {"FAILED", "1;31"};
    case CheckResult::skipped:
      return {"skipped", "2"};
    case CheckResult::not_applicable:
      break;
  }
  return {"-", "2"};
}

/// Appends `text` after what ends at kTextColumn; further lines begin there, too.
void put_wrapped(std::string& out, std::string_view text, std::size_t columns) {
  const std::size_t width = columns < kNarrow ? text.size() + 1 : columns - kTextColumn;
  while (text.size() > width) {
    std::size_t cut = text.rfind(' ', width);
    if (cut == std::string_view::npos || cut == 0) cut = text.find(' ', width);
    if (cut == std::string_view::npos) break;
    out.append(text.substr(0, cut)).append("\n").append(kTextColumn, ' ');
    text.remove_prefix(cut + 1);
  }
  out.append(text).append("\n");
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/// What is being waited for, on a terminal only; gone before the next finding is printed.
class Progress {
 public:
  explicit Progress(bool wanted) : on_(wanted && ::isatty(STDERR_FILENO) == 1) {}

  void show(Check check) {
    if (!on_) return;
    std::fprintf(stderr, "\r\033[K... %s: %s", std::string(health::info_of(check).name).c_str(),
                 std::string(health::info_of(check).about).c_str());
    std::fflush(stderr);
  }
  void clear() const {
    if (!on_) return;
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }

 private:
  bool on_;
};

ExitCode list_checks() {
  for (std::size_t i = 0; i < health::kChecks; ++i) {
    const health::CheckInfo& info = health::info_of(static_cast<Check>(i));
    std::printf("%-16s %s\n", std::string(info.name).c_str(), std::string(info.about).c_str());
  }
  return kOk;
}

ExitCode exit_code(const std::vector<Told>& told) {
  ExitCode code = kOk;
  for (const auto& [check, finding] : told) {
    if (finding.result != CheckResult::failed) continue;
    code = check == Check::configuration ? kUsage : std::max(code, kFailed);
  }
  return code;
}

std::map<CheckResult, std::size_t> counts_of(const std::vector<Told>& told) {
  std::map<CheckResult, std::size_t> counts;
  for (const auto& [check, finding] : told) ++counts[finding.result];
  return counts;
}

}  // namespace

std::string render_finding(Check check, const Finding& finding, std::size_t columns, bool colours) {
  const Look look = look_of(finding.result);
  std::string out;
  if (colours) out.append("\033[").append(look.colour).append("m");
  out += look.word;
  if (colours) out += "\033[0m";
  out.append(kResultColumn - look.word.size(), ' ');
  const std::string_view name = health::info_of(check).name;
  out += name;
  out.append(kTextColumn - kResultColumn - name.size(), ' ');
  put_wrapped(out, printable(finding.found), columns);
  if (finding.advice.empty()) return out;
  out.append(kTextColumn, ' ');
  put_wrapped(out, "-> " + printable(finding.advice), columns);
  return out;
}

std::string render_summary(const std::vector<Told>& told) {
  const std::map<CheckResult, std::size_t> counts = counts_of(told);
  std::string out;
  const auto add = [&](CheckResult result, const char* one, const char* more) {
    const auto found = counts.find(result);
    if (found == counts.end()) return;
    out += (out.empty() ? "" : ", ") + health::counted(found->second, one, more);
  };
  add(CheckResult::ok, "ok", "ok");
  add(CheckResult::warning, "warning", "warnings");
  add(CheckResult::failed, "failed", "failed");
  add(CheckResult::skipped, "skipped", "skipped");
  add(CheckResult::not_applicable, "does not apply", "do not apply");
  return health::counted(told.size(), "check", "checks") + ": " + out + "\n";
}

ordered_json doctor_json(const std::string& file, const std::vector<Told>& told) {
  ordered_json checks = ordered_json::array();
  for (const auto& [check, finding] : told) {
    ordered_json figures = ordered_json::object();
    for (const health::Figure& figure : finding.figures) {
      std::visit([&](const auto& value) { figures[figure.name] = value; }, figure.value);
    }
    ordered_json one{{"check", health::info_of(check).name},
                     {"result", health::to_string(finding.result)},
                     {"found", finding.found}};
    if (!finding.advice.empty()) one["advice"] = finding.advice;
    if (!figures.empty()) one["figures"] = std::move(figures);
    checks.push_back(std::move(one));
  }
  const std::map<CheckResult, std::size_t> counts = counts_of(told);
  CheckResult whole = CheckResult::ok;
  if (counts.contains(CheckResult::warning)) whole = CheckResult::warning;
  if (counts.contains(CheckResult::failed)) whole = CheckResult::failed;
  ordered_json counted = ordered_json::object();
  for (const auto& [result, count] : counts) counted[std::string(to_string(result))] = count;
  return {{"version", 1},
          {"configuration", file},
          {"result", health::to_string(whole)},
          {"counts", std::move(counted)},
          {"checks", std::move(checks)}};
}

ExitCode run_doctor(DoctorOptions options) {
  if (options.list) return list_checks();
  for (const std::string& name : options.only) {
    const std::optional<Check> check = health::check_of(name);
    if (!check) {
      return fail(kUsage,
                  "there is no check '" + printable(name) + "'; see holdfast doctor --list");
    }
    options.wish.only.push_back(*check);
  }
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const char* plain = std::getenv("NO_COLOR");  // https://no-color.org
  const bool colours = terminal && (plain == nullptr || *plain == '\0');
  const std::size_t columns = terminal ? terminal_columns() : 0;
  std::vector<Told> told;
  Progress progress(terminal);
  runtime::examine(options.wish,
                   {[&](Check check) { progress.show(check); },
                    [&](Check check, const Finding& finding) {
                      progress.clear();
                      told.emplace_back(check, finding);
                      if (options.json) return;
                      std::fputs(render_finding(check, finding, columns, colours).c_str(), stdout);
                      std::fflush(stdout);
                    }});
  progress.clear();
  const std::string end =
      options.json ? doctor_json(options.wish.config_file.string(), told)
                             .dump(-1, ' ', false, ordered_json::error_handler_t::replace) +
                         "\n"
                   : render_summary(told);
  if (std::fputs(end.c_str(), stdout) < 0) return kFailed;
  return exit_code(told);
}

}  // namespace holdfast::cli
