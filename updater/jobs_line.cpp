// See jobs_line.h.
#include "jobs_line.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>

#include "application.h"
#include "document.h"
#include "runtime/local_protocol.h"

namespace holdfast::updater {
namespace {

using nlohmann::json;
using runtime::kLocalJobsText;
using update::JobPhase;

std::string bounded(std::string text) {
  if (text.size() <= kLocalJobsText) return text;
  constexpr std::string_view kMore = "...";
  text.resize(kLocalJobsText - kMore.size());
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80U) != 0) text.pop_back();
  return text.append(kMore);
}

/// Of the download of an update, how much is there.
void add_percent(json& report, const update::Runner& runner, const Settings& settings) {
  const auto& journal = runner.journal();
  const auto& steps = runner.plan().steps;
  if (journal.step >= steps.size() || steps[journal.step].kind != update::StepKind::download) {
    return;
  }
  const Result<Job> job = parse_document(journal.document, settings);
  if (!job || journal.step >= job->actions.size()) return;
  const auto* const update = std::get_if<UpdateAction>(&job->actions[journal.step]);
  if (update == nullptr || update->size == 0) return;
  std::error_code failure;
  const auto there = std::filesystem::file_size(settings.directory / "artifact.part", failure);
  if (!failure) report["percent"] = std::min<std::uint64_t>(100, there * 100 / update->size);
}

json versions_of(const Settings& settings) {
  json versions = json::object();
  for (const auto& [name, one] : settings.applications) {
    if (one.directory.empty() || versions.size() >= runtime::kLocalJobsVersions) continue;
    const std::string version = Application(one.directory).current();
    if (!version.empty()) versions[name] = version;
  }
  return versions;
}

}  // namespace

std::string reason_of(const update::JobJournal& journal) {
  const auto found = std::find_if(journal.details.begin(), journal.details.end(),
                                  [](const auto& one) { return one.first == "reason"; });
  return found == journal.details.end() ? "" : found->second;
}

std::string jobs_line(const update::Runner& runner, const Settings& settings,
                      const std::string& last_words) {
  const auto& journal = runner.journal();
  json report = {{"op", "jobs"}, {"job", journal.job}, {"words", bounded(runner.words())}};
  if (journal.phase == JobPhase::running && !runner.plan().steps.empty()) {
    report["step"] = std::min(journal.step + 1, runner.plan().steps.size());
    report["steps"] = runner.plan().steps.size();
    add_percent(report, runner, settings);
  }
  if (!journal.ended.empty()) {
    report["last_job"] = journal.ended.back().job;
    report["last_status"] = update::name_of(journal.ended.back().status);
    report["last_words"] = bounded(last_words);
  }
  report["versions"] = versions_of(settings);
  return report.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace holdfast::updater
