// A job's document: what AWS's managed templates and device client write, and our own for updates.
//
// Purpose:  everything that a document may ask for is known, bounded and allowed by the owner of
// the
//           device before anything of it is done. What runs is a list of arguments, never a text
//           for a shell.
// Threads:  pure functions, but for looks at the handlers' files and at os-release.
// Errors:   one sentence that names the field: the job is REJECTED with it.
// Source:   AWS IoT Jobs, managed job templates; aws-iot-device-client, job document schema 1.0 and
//           the older one. docs/jobs.md, docs/job-document.schema.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "holdfast/result.h"
#include "settings.h"
#include "update/plan.h"

namespace holdfast::updater {

/// A program.
struct CommandAction {
  std::vector<std::string> argv;
  std::string user;                         ///< To run as; empty: our own.
  std::optional<std::uint64_t> errors_max;  ///< More lines on its standard error are a failure.
  std::vector<std::pair<std::string, std::string>> variables = {};
};

/// Where bytes come from.
struct Source {
  std::string url;         ///< https:, or http: where the owner allows it.
  std::string stream;      ///< An MQTT file stream of AWS IoT, if it cannot be had from there,
  std::uint32_t file = 0;  ///< and the file in it.
  std::string text = {};   ///< Or they are in the document itself.
};

struct DownloadAction {
  Source source;
  std::filesystem::path to;
};

/// An application's new version.
struct UpdateAction {
  std::string application;
  std::string version;
  Source source;
  std::uint64_t size = 0;
  std::string sha256;     ///< Hexadecimal.
  std::string signature;  ///< Ed25519 over signed_text(), base64; empty: none.
  Seconds prove_within{0};
  bool dry_run = false;
};

/// What the device says of itself.
struct ReportAction {
  std::vector<std::string> parts;  ///< report.h.
  std::uint64_t lines = 0;         ///< Of the log.
  std::string url;                 ///< Where it is PUT; empty: a message.
};

/// What stands behind each step of the plan. The steps of an update share one.
using Action = std::variant<CommandAction, DownloadAction, UpdateAction, ReportAction>;

struct Job {
  update::Plan plan;
  std::vector<Action> actions;  ///< One for each step.
  bool output = false;          ///< What programs print goes to the service.
};

[[nodiscard]] Result<Job> parse_document(std::string_view text, const Settings& settings);

/// Application and version of an update, whatever else is wrong with its document: what it has
/// activated can be taken back. None: it is no update.
[[nodiscard]] std::optional<std::pair<std::string, std::string>> what_is_updated(
    std::string_view text);

/// What a signature is over: application, version, size and digest, a line each.
[[nodiscard]] std::string signed_text(const UpdateAction& update);

}  // namespace holdfast::updater
