#include "update/journal.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/fields.h"
#include "base/hex.h"

namespace holdfast::update {
namespace {

constexpr std::string_view kHead = "holdfast-job 1\n";
constexpr std::array<std::string_view, kJobPhases> kPhases{"none", "running", "undoing",
                                                           "rebooting-back", "ended"};

Error corrupt(std::string text) { return Error{Errc::corrupt, std::move(text), 0}; }

bool to_flag(std::string_view text, bool& flag) {
  flag = text == "1";
  return flag || text == "0";
}

bool to_status(std::string_view text, JobStatus& status) {
  for (std::size_t i = 0; i < kJobStatuses; ++i) {
    status = static_cast<JobStatus>(i);
    if (name_of(status) == text) return true;
  }
  return false;
}

bool one_line(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && text.find('\n') == std::string_view::npos;
}

/// Names of fields in the order of the file, each with what takes it; false: not as it must be.
struct Field {
  std::string_view name;
  bool (*take)(JobJournal& journal, std::string_view value);
};

constexpr std::array kFields{
    Field{"phase",
          [](JobJournal& journal, std::string_view value) {
            const auto* const found = std::find(kPhases.begin(), kPhases.end(), value);
            journal.phase = static_cast<JobPhase>(found - kPhases.begin());
            return found != kPhases.end();
          }},
    Field{"job",
          [](JobJournal& journal, std::string_view value) {
            journal.job = take_word(value);
            return journal.job.empty() ||
                   (is_job_id(journal.job) && to_number(value, journal.execution));
          }},
    Field{"step",
          [](JobJournal& journal, std::string_view value) {
            const std::string_view number = take_word(value);
            const std::string_view begun = take_word(value);
            return to_number(number, journal.step) && journal.step <= limits::kJobSteps &&
                   to_flag(begun, journal.begun) && to_number(value, journal.interruptions);
          }},
    Field{"boot",
          [](JobJournal& journal, std::string_view value) {
            journal.boot = value;
            return value.empty() || (value.size() == 32 && text_from_hex(value));
          }},
    Field{"activated", [](JobJournal& journal,
                          std::string_view value) { return to_flag(value, journal.activated); }},
    Field{"unwanted", [](JobJournal& journal,
                         std::string_view value) { return to_flag(value, journal.unwanted); }},
    Field{"status", [](JobJournal& journal,
                       std::string_view value) { return to_status(value, journal.status); }},
};

bool take_detail(JobJournal& journal, std::string_view value) {
  const std::string_view name = take_word(value);
  journal.details.emplace_back(name, value);
  return one_line(name, limits::kJobDetailNameMax) && one_line(value, limits::kJobDetailMax) &&
         journal.details.size() <= limits::kJobDetails;
}

bool take_ended(JobJournal& journal, std::string_view value) {
  EndedJob one;
  one.job = take_word(value);
  const std::string_view number = take_word(value);
  if (!is_job_id(one.job) || !to_number(number, one.execution) || !to_status(value, one.status)) {
    return false;
  }
  journal.ended.push_back(std::move(one));
  return journal.ended.size() <= limits::kJobsRemembered;
}

bool take_failed(JobJournal& journal, std::string_view value) {
  FailedVersion one;
  const bool number = to_number(take_word(value), one.times);
  one.version = value;
  journal.failed.push_back(one);
  return number && one_line(value, limits::kJobVersionMax) &&
         journal.failed.size() <= limits::kVersionsRemembered;
}

constexpr std::array kLists{Field{"detail", take_detail}, Field{"over", take_ended},
                            Field{"failed", take_failed}};

/// Whether it has what its phase needs, and nothing else.
bool consistent(const JobJournal& journal) {
  const bool job = journal.phase != JobPhase::none;
  const bool ended = journal.phase == JobPhase::ended;
  return job != journal.job.empty() && job != journal.document.empty() &&
         (job || !(journal.begun || journal.activated || journal.unwanted)) &&
         (!ended || journal.status != JobStatus::in_progress) && !(ended && journal.activated);
}

}  // namespace

bool is_job_id(std::string_view text) {
  return !text.empty() && text.size() <= limits::kJobIdMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

std::string to_text(const JobJournal& journal) {
  std::string text(kHead);
  const auto put = [&text](std::string_view name, std::string_view value) {
    text.append(name).append(" ").append(value).append("\n");
  };
  const auto flag = [](bool value) { return value ? "1" : "0"; };
  put("phase", kPhases.at(static_cast<std::size_t>(journal.phase)));
  put("job", journal.job.empty() ? "" : journal.job + ' ' + std::to_string(journal.execution));
  put("step", std::to_string(journal.step) + ' ' + flag(journal.begun) + ' ' +
                  std::to_string(journal.interruptions));
  put("boot", journal.boot);
  put("activated", flag(journal.activated));
  put("unwanted", flag(journal.unwanted));
  put("status", name_of(journal.status));
  for (const auto& [name, value] : journal.details) put("detail", name + ' ' + value);
  for (const EndedJob& one : journal.ended) {
    put("over",
        one.job + ' ' + std::to_string(one.execution) + ' ' + std::string(name_of(one.status)));
  }
  for (const FailedVersion& one : journal.failed) {
    put("failed", std::to_string(one.times) + ' ' + one.version);
  }
  put("document", std::to_string(journal.document.size()));
  return text + journal.document;
}

Result<JobJournal> parse_job_journal(std::string_view text) {
  if (text.size() > limits::kJobJournalMax) return corrupt("too long");
  if (!text.starts_with(kHead)) return corrupt("it does not begin as it must");
  text.remove_prefix(kHead.size());
  JobJournal journal;
  for (const Field& field : kFields) {
    const auto value = take_line(text, field.name);
    if (!value || !field.take(journal, *value)) {
      return corrupt("no good line '" + std::string(field.name) + "'");
    }
  }
  for (const Field& list : kLists) {
    while (const auto value = take_line(text, list.name)) {
      if (!list.take(journal, *value)) {
        return corrupt("no good line '" + std::string(list.name) + "'");
      }
    }
  }
  const auto bytes = take_line(text, "document");
  std::size_t size = 0;
  if (!bytes || !to_number(*bytes, size) || size != text.size() || size > limits::kJobDocumentMax) {
    return corrupt("the document is not as long as it says");
  }
  journal.document = text;
  if (!consistent(journal)) return corrupt("its fields do not go together");
  return journal;
}

}  // namespace holdfast::update
