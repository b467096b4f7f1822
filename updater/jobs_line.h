// What the updater does, as it tells the agent: for the status, the page and who looks at them.
//
// Purpose:  one line of the agent's local API, the op "jobs" (docs/local-api.md).
// Threads:  one; looks at the disk: sizes and links.
// Errors:   none; what cannot be known is left out.
#pragma once

#include <string>

#include "settings.h"
#include "update/runner.h"

namespace holdfast::updater {

/// `last_words`: the reason of the job that ended last, if it is known.
[[nodiscard]] std::string jobs_line(const update::Runner& runner, const Settings& settings,
                                    const std::string& last_words);

/// The "reason" among the details of a job's end; empty: none.
[[nodiscard]] std::string reason_of(const update::JobJournal& journal);

}  // namespace holdfast::updater
