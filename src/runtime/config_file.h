// One TOML file, read and checked whole, with every problem told by file, line and key.
//
// Purpose:  behind holdfast::load_config() and `holdfast check-config`. load_config() reports the
//           first problem, these functions all of them.
// Threads:  pure functions over their arguments, apart from reading the named file.
// Errors:   invalid_config (not_found, permission, io for the file itself); one line each,
//           "FILE:LINE: section.key: what is wrong; what to do". Nothing is thrown.
// Sources:  TOML v1.0.0; docs/configuration.md is the reference of all keys.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/config.h"
#include "holdfast/result.h"

namespace holdfast::runtime {

/// Names and values of environment variables.
using Environment = std::vector<std::pair<std::string, std::string>>;

/// This process's variables that begin with HOLDFAST_.
[[nodiscard]] Environment process_environment();

/// A configuration as far as it could be read, and all that is wrong with it, in file order.
struct ConfigReport {
  Config config;
  std::vector<Error> problems;
  std::string profile = "aws-iot-core";  ///< Whose rules the values began with.
};

/// How far to look for problems.
enum class CheckDepth : std::uint8_t {
  values,        ///< Names, types, ranges and relations: what load_config() promises.
  surroundings,  ///< Also credentials, directories and paths on this machine.
};

/// Reads `text` as if it were the content of `file`, which need not exist.
[[nodiscard]] ConfigReport parse_config(std::string_view text, const std::filesystem::path& file,
                                        const Environment& environment,
                                        CheckDepth depth = CheckDepth::values);

/// The same with the content of the file.
[[nodiscard]] ConfigReport read_config(const std::filesystem::path& file,
                                       const Environment& environment,
                                       CheckDepth depth = CheckDepth::values);

/// A problem of a Config before it is known where the key was written.
struct ConfigProblem {
  std::string key;
  std::string text;
  Errc code = Errc::invalid_config;
};

/// What connection.engine may be in this build: "mosquitto, aws_crt".
[[nodiscard]] std::string engine_names();

/// "key: what is wrong; what to do".
[[nodiscard]] Error as_error(const ConfigProblem& problem);

/// Whether an endpoint may be called so.
[[nodiscard]] bool is_endpoint_name(std::string_view name);

/// Ranges, relations, lanes and topics; looks at nothing outside of `config`.
[[nodiscard]] std::vector<ConfigProblem> check_values(const Config& config);

/// check_values() as one Status: the first problem.
[[nodiscard]] Status check_settings(const Config& config);

/// Files, directories and paths that `config` names; writes nothing. Never invalid_config: what is
/// missing here today may be there tomorrow without a changed configuration.
[[nodiscard]] std::vector<ConfigProblem> check_surroundings(const Config& config);

}  // namespace holdfast::runtime
