// What a job consists of, as far as its order and its cuts are concerned.
//
// Purpose:  the Runner decides which step is next, again, or undone, from these few facts; what a
//           step really does stands in the job's document and is the performer's business.
// Threads:  plain values.
// Source:   AWS IoT Jobs, "job execution": statuses and status details and their limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/time.h"

namespace holdfast::update {

enum class StepKind : std::uint8_t {
  command,   ///< A program. After a cut nobody knows what of it has happened.
  reboot,    ///< Of the machine; another boot id proves it.
  gate,      ///< Waits until the device may be disturbed.
  download,  ///< Goes on where it was cut.
  install,   ///< To where nothing runs from.
  activate,  ///< From here on the new version runs, and has to prove itself.
  prove,     ///< The new version is well, and reaches the cloud.
  commit,    ///< From here on there is no way back.
};
inline constexpr std::size_t kStepKinds = 8;

struct Step {
  StepKind kind = StepKind::command;
  std::string name;  ///< For people.
  /// Of a command: after a cut it may run once more.
  bool again = false;
  bool ignore_failure = false;
  Duration timeout = std::chrono::minutes(10);  ///< Of one try.
};

struct Plan {
  std::vector<Step> steps;
  /// Names what is installed, to know what has failed before: "APPLICATION VERSION". Empty: none.
  std::string version;
};

enum class JobStatus : std::uint8_t { in_progress, succeeded, failed, rejected };
inline constexpr std::size_t kJobStatuses = 4;
/// "IN_PROGRESS", ...
[[nodiscard]] std::string_view name_of(JobStatus status);

/// Names and values; clean_detail() makes a value that the service takes.
using Details = std::vector<std::pair<std::string, std::string>>;

/// Without control characters, well-formed UTF-8, not empty, at most kJobDetailMax bytes: of longer
/// text the end.
[[nodiscard]] std::string clean_detail(std::string_view text);

/// Of an activation without proof and commit nobody would know how it went. Empty, or what is
/// wrong.
[[nodiscard]] std::string problem_of(const Plan& plan);

}  // namespace holdfast::update
