// `holdfast job`: documents of jobs, checked and made.
//
// Errors: one line to standard error that says what to do. Exit: 0 done, 1 a file cannot be read,
//         2 the document, the configuration or the command line is wrong.
#pragma once

namespace holdfast::updater {

/// The words after "job".
[[nodiscard]] int job_tool(int argc, char** argv);

}  // namespace holdfast::updater
