// Commands that are programs of their own: `holdfast lab …` is holdfast-lab, which comes with the
// test lab, `holdfast job …` is holdfast-updater's.
#pragma once

#include "exit_codes.h"

namespace holdfast::cli {

// Each becomes its program, found beside this one, else on PATH. `arguments` ends with a null, as
// of main(). Returns only when there is none: kFailed, said on standard error.

ExitCode run_lab(char** arguments);
ExitCode run_job(char** arguments);
ExitCode run_fleet(char** arguments);

}  // namespace holdfast::cli
