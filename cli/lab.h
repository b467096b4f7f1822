// `holdfast lab …` is a program of its own, holdfast-lab, which comes with the test lab.
#pragma once

#include "exit_codes.h"

namespace holdfast::cli {

/// Becomes holdfast-lab, found beside this program, else on PATH. `arguments` ends with a null, as
/// of main(). Returns only when there is none: kFailed, said on standard error.
ExitCode run_lab(char** arguments);

}  // namespace holdfast::cli
