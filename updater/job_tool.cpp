// See job_tool.h.
#include "job_tool.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/base64.h"
#include "base/hex.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "document.h"
#include "posix/system.h"
#include "settings.h"
#include "transport/sha256.h"
#include "transport/signature.h"

namespace holdfast::updater {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrong = 2;
constexpr std::size_t kKeyFileMax = 16 * std::size_t{1024};
constexpr std::size_t kPiece = 64 * std::size_t{1024};

int fail(int code, const std::string& what) {
  std::fprintf(stderr, "holdfast job: %s\n", what.c_str());
  return code;
}

struct Asked {
  std::string config = "/etc/holdfast/updater.toml";
  std::string document;
  std::string archive;
  std::string url;
  std::string key;
  bool text = false;
  UpdateAction update;
};

int check(const Asked& asked) {
  const SettingsReport report = read_settings(asked.config);
  for (const Error& problem : report.problems) fail(kWrong, problem.message);
  if (!report.problems.empty()) return kWrong;
  std::ifstream stream;
  if (asked.document != "-") stream.open(asked.document, std::ios::binary);
  std::istream& from = asked.document == "-" ? std::cin : stream;
  const std::string text{std::istreambuf_iterator<char>(from), {}};
  if (from.bad() || (asked.document != "-" && !stream.is_open())) {
    return fail(kFailed, asked.document + " cannot be read");
  }
  const auto job = parse_document(text, report.settings);
  if (!job) return fail(kWrong, asked.document + ": " + job.error().message);
  for (const auto& step : job->plan.steps) std::printf("%s\n", step.name.c_str());
  return kDone;
}

/// Size and digest of the archive.
bool measure(const std::string& file, UpdateAction& update) {
  std::ifstream stream(file, std::ios::binary);
  transport::Sha256 digest;
  std::string piece(kPiece, '\0');
  while (stream) {
    stream.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const auto got = static_cast<std::size_t>(stream.gcount());
    digest.add(std::as_bytes(std::span(piece.data(), got)));
    update.size += got;
  }
  update.sha256 = text_to_hex(digest.finish());
  return stream.eof() && update.size > 0;
}

int make(Asked asked) {
  UpdateAction& update = asked.update;
  if (!is_version(update.version) || !is_plain_name(update.application)) {
    return fail(
        kWrong,
        "give names of letters, digits, '-', '_' and '.', in versions also '+', '~' and ':'");
  }
  if (!measure(asked.archive, update)) return fail(kFailed, asked.archive + " cannot be read");
  nlohmann::ordered_json members = {{"application", update.application},
                                    {"version", update.version}};
  if (asked.text) {
    const auto text = posix::read_file(asked.archive, limits::kJobDocumentMax);
    if (!text) return fail(kFailed, text.error().message);
    if (!valid_utf8(*text)) return fail(kWrong, asked.archive + " is no UTF-8 text; give --url");
    members["text"] = *text;
  } else {
    if (!asked.url.empty()) members["url"] = asked.url;
    if (!update.source.stream.empty()) {
      members["stream"] = update.source.stream;
      members["file"] = update.source.file;
    }
    members["size"] = update.size;
    members["sha256"] = update.sha256;
  }
  if (!asked.key.empty()) {
    const auto pem = posix::read_file(asked.key, kKeyFileMax);
    if (!pem) return fail(kFailed, pem.error().message);
    const auto signature = transport::sign_ed25519(*pem, signed_text(update));
    if (!signature) return fail(kWrong, asked.key + " " + signature.error().message);
    members["signature"] = text_to_base64(*signature);
  }
  const nlohmann::ordered_json document = {{"holdfast", 1}, {"update", members}};
  std::printf("%s\n", document.dump(2).c_str());
  return kDone;
}

}  // namespace

int job_tool(int argc, char** argv) {
  Asked asked;
  CLI::App app("Documents of jobs for holdfast-updater; docs/jobs.md.", "holdfast job");
  app.require_subcommand(1);
  CLI::App* const checks = app.add_subcommand(
      "check",
      "Whether this device would take a document, and which steps it has; the form alone is "
      "in docs/job-document.schema.json");
  checks->add_option("FILE", asked.document, "The document; - for standard input")->required();
  checks->add_option("--config", asked.config, "The updater's configuration")
      ->capture_default_str();
  CLI::App* const makes =
      app.add_subcommand("make", "A document for a new version, to standard output");
  makes->add_option("ARCHIVE", asked.archive, "The new version (tar, zip, deb, a file)")
      ->required();
  makes->add_option("--application", asked.update.application, "Its name on the devices")
      ->required();
  makes->add_option("--release", asked.update.version, "Its version")->required();
  CLI::Option* const url = makes->add_option(
      "--url", asked.url, "Where devices get it, such as ${aws:iot:s3-presigned-url:https://s3…}");
  CLI::Option* const text =
      makes->add_flag("--text", asked.text,
                      "It goes into the document itself: a small file, such as a configuration");
  url->excludes(text);
  CLI::Option* const stream = makes->add_option(
      "--stream", asked.update.source.stream, "An MQTT file stream of AWS IoT, besides or instead");
  stream->excludes(text);
  makes->add_option("--file", asked.update.source.file, "The file in it (0)")->needs(stream);
  makes->add_option("--key", asked.key, "Signs it: an Ed25519 private key, PEM");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrong;
  }
  if (checks->parsed()) return check(asked);
  if (!asked.text && asked.url.empty() && asked.update.source.stream.empty()) {
    return fail(kWrong, "give --url, --stream or --text");
  }
  return make(std::move(asked));
}

}  // namespace holdfast::updater
