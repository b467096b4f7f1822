// What the updater does in the words of `holdfast status`. See commands.h.
#include <nlohmann/json.hpp>

#include "commands.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

/// "update-7: 2 of 6, download 40 %"
std::string now_text(const json& jobs) {
  const std::string job = jobs.value("job", "");
  if (job.empty()) return "none is under way";
  std::string text = job + ": " + jobs.value("words", "");
  if (jobs.contains("percent")) text += ", " + std::to_string(count_of(jobs, "percent")) + " %";
  return text;
}

}  // namespace

void put_jobs(std::string& out, const json& status) {
  const auto jobs = status.find("jobs");
  if (jobs == status.end() || !jobs->is_object()) return;
  std::string text = now_text(*jobs);
  if (jobs->contains("gone_ms")) {
    text +=
        "; the updater is gone since " + std::to_string(count_of(*jobs, "gone_ms") / 1000) + " s";
  }
  put_field(out, "jobs", text);
  if (const json last = jobs->value("last", json::object()); !last.empty()) {
    const std::string words = last.value("words", "");
    put_field(out, "last job",
              last.value("job", "") + ": " + last.value("status", "") +
                  (words.empty() ? "" : ", " + words));
  }
  const json versions = jobs->value("versions", json::object());  // outlives its items
  for (const auto& [name, version] : versions.items()) {
    put_field(out, "version",
              name + " " + (version.is_string() ? version.get<std::string>() : "?"));
  }
}

}  // namespace holdfast::cli
