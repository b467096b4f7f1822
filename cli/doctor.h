// holdfast doctor: what is wrong on the way from this device to its broker, and how to mend it.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "exit_codes.h"
#include "runtime/doctor.h"

namespace holdfast::cli {

struct DoctorOptions {
  runtime::DoctorWish wish;
  std::vector<std::string> only;  ///< Names of checks.
  bool list = false;              ///< Print the checks and make none.
  bool json = false;
};

[[nodiscard]] ExitCode run_doctor(DoctorOptions options);

using Told = std::pair<health::Check, health::Finding>;

/// One finding for people: a line, and one with the advice; wrapped at `columns` (0: never).
[[nodiscard]] std::string render_finding(health::Check check, const health::Finding& finding,
                                         std::size_t columns, bool colours);
/// "25 checks: 20 ok, 1 warning, 1 failed, …"
[[nodiscard]] std::string render_summary(const std::vector<Told>& told);
/// The whole, for programs; docs/doctor.md has the fields.
[[nodiscard]] nlohmann::ordered_json doctor_json(const std::string& file,
                                                 const std::vector<Told>& told);

}  // namespace holdfast::cli
