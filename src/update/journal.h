// What has become of a job so far: written before each side effect, kept across cuts.
//
// Purpose:  after a power cut, a crash or a restart in the middle of anything, this file alone
// tells
//           what was being done, and so whether it goes on, is done again, or is undone.
// Format:   text: "holdfast-job 1", then lines "name value" in a fixed order, then the job's
//           document as it came. docs/jobs.md has the fields.
// Errors:   corrupt, with what is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "holdfast/result.h"
#include "update/plan.h"

namespace holdfast::update {

enum class JobPhase : std::uint8_t {
  none,            ///< There is no job.
  running,         ///< Step `step` is under way, or about to be.
  undoing,         ///< What the job has activated is being taken back.
  rebooting_back,  ///< It is taken back once the machine has started anew.
  ended,           ///< `status` and `details` are known, and the service may not know them yet.
};
inline constexpr std::size_t kJobPhases = 5;

/// A job whose end the service has acknowledged, or has not asked for any more.
struct EndedJob {
  std::string job;
  std::int64_t execution = 0;
  JobStatus status = JobStatus::succeeded;
  friend bool operator==(const EndedJob&, const EndedJob&) = default;
};

/// A version that had to be taken back.
struct FailedVersion {
  std::string version;  ///< Plan::version.
  unsigned times = 0;
  friend bool operator==(const FailedVersion&, const FailedVersion&) = default;
};

struct JobJournal {
  JobPhase phase = JobPhase::none;
  std::string job;
  std::int64_t execution = 0;
  std::size_t step = 0;
  bool begun = false;          ///< Its side effects may have begun.
  unsigned interruptions = 0;  ///< So often was it cut.
  std::string boot;            ///< The boot id at the time of writing, hexadecimal.
  bool activated = false;      ///< An activation may have begun that is not committed.
  bool unwanted = false;       ///< The service has given it up.
  JobStatus status = JobStatus::in_progress;
  Details details;                   ///< Of its end.
  std::string document;              ///< As it came.
  std::deque<EndedJob> ended;        ///< Newest last, at most kJobsRemembered.
  std::deque<FailedVersion> failed;  ///< Newest last, at most kVersionsRemembered.
};

/// REQUIRES: fields as parse_job_journal() would take them.
[[nodiscard]] std::string to_text(const JobJournal& journal);
[[nodiscard]] Result<JobJournal> parse_job_journal(std::string_view text);

/// 1 to 64 letters, digits, '-' and '_'.
[[nodiscard]] bool is_job_id(std::string_view text);

}  // namespace holdfast::update
