// Our own documents: updates that prove themselves, and reports.
#include <algorithm>
#include <span>
#include <utility>

#include "base/hex.h"
#include "base/limits.h"
#include "document_parts.h"
#include "report.h"
#include "runtime/config_keys.h"
#include "transport/sha256.h"

namespace holdfast::updater {
namespace {

using nlohmann::json;
using runtime::in_quotes;
using update::StepKind;

constexpr std::size_t kVersionMax = 64;
constexpr std::size_t kSha256Digits = 64;
static_assert(limits::kJobVersionMax >= 2 * kVersionMax + 1);

bool is_stream_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::kStreamNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

class UpdateDocument {
 public:
  UpdateDocument(const json& document, const Settings& settings)
      : document_(document), settings_(settings) {}

  Result<Job> read() {
    const auto update = document_.find("update");
    if (update == document_.end() || !update->is_object()) {
      return refuse("update", "give an object, or report");
    }
    for (const auto& [name, value] : update->items()) {
      if (!take(name, value)) return refuse("update." + name, wrong_);
    }
    if (const std::string missing = check(); !missing.empty()) {
      return refuse("update", missing);
    }
    return plan();
  }

 private:
  bool no(std::string what) {
    wrong_ = std::move(what);
    return false;
  }

  bool take(const std::string& name, const json& value) {
    const auto* text = value.get_ptr<const std::string*>();
    if (text != nullptr && text->empty()) text = nullptr;
    const auto* const number = value.get_ptr<const std::uint64_t*>();
    const auto* const flag = value.get_ptr<const bool*>();
    UpdateAction& a = action_;
    if (name == "application" && text != nullptr) return a.application = *text, true;
    if (name == "version" && text != nullptr) return a.version = *text, true;
    if (name == "url" && text != nullptr) return a.source.url = *text, true;
    if (name == "text" && text != nullptr) return a.source.text = *text, true;
    if (name == "stream" && text != nullptr) {
      if (!is_stream_name(*text)) return no("give a name of letters, digits, '-' and '_'");
      return a.source.stream = *text, true;
    }
    if (name == "file" && number != nullptr && *number < 256) {
      file_ = true;
      return a.source.file = static_cast<std::uint32_t>(*number), true;
    }
    if (name == "size" && number != nullptr) return a.size = *number, true;
    if (name == "sha256" && text != nullptr) return a.sha256 = *text, true;
    if (name == "signature" && text != nullptr) return a.signature = *text, true;
    if (name == "dry_run" && flag != nullptr) return a.dry_run = *flag, true;
    if (name == "prove_within" && text != nullptr) {
      const auto time = runtime::parse_duration(*text);
      if (!time || *time < 5000 || *time > 24 * 3600 * std::uint64_t{1000}) {
        return no(R"(give a time of 5s to 24h)");
      }
      return a.prove_within = Seconds(static_cast<Seconds::rep>(*time / 1000)), true;
    }
    return no("is not known, or empty, or not of the type that it must be");
  }

  std::string check_source() {
    UpdateAction& a = action_;
    if (!a.source.text.empty()) {
      if (!a.source.url.empty() || !a.source.stream.empty() || a.size != 0 || !a.sha256.empty()) {
        return "text goes without url, stream, size and sha256";
      }
      transport::Sha256 digest;
      digest.add(std::as_bytes(std::span(a.source.text)));
      a.sha256 = text_to_hex(digest.finish());
      a.size = a.source.text.size();
    } else if (a.source.url.empty() && a.source.stream.empty()) {
      return "give url, stream or both, or text";
    }
    return file_ && a.source.stream.empty() ? "file goes with stream" : "";
  }

  std::string check() {
    UpdateAction& a = action_;
    if (!is_plain_name(a.application)) return "application is missing, or is no name";
    if (settings_.applications.find(a.application) == settings_.applications.end()) {
      return "the application " + in_quotes(a.application) + " is not configured on this device";
    }
    if (!is_version(a.version)) return "version is missing, or is none";
    if (const std::string wrong = check_source(); !wrong.empty()) return wrong;
    if (!a.source.url.empty() && !is_url(a.source.url, settings_.allow_http)) {
      return "url does not begin with https://";
    }
    if (a.size == 0) return "size is missing";
    if (!a.source.stream.empty() && a.size > limits::kStreamFileMax) {
      return "size is above the 24 MiB that a stream may have";
    }
    if (a.size > settings_.max_size) return "size is above update.max_size of this device";
    const auto digest = text_from_hex(a.sha256);
    if (!digest || a.sha256.size() != kSha256Digits) return "sha256 is not 64 hexadecimal digits";
    a.sha256 = text_to_hex(*digest);
    if (a.signature.empty() && !settings_.allow_unsigned) {
      return "signature is missing, and this device takes no unsigned updates";
    }
    if (a.signature.size() > kTextMax) return "signature is too long";
    if (a.prove_within.count() == 0) a.prove_within = settings_.prove_within;
    return "";
  }

  Job plan() {
    Job job;
    const std::string what = action_.application + ' ' + action_.version;
    job.plan.version = what;
    const auto add = [&](StepKind kind, const std::string& words, Duration timeout) {
      job.plan.steps.push_back({kind, words + ' ' + what, false, false, timeout});
      job.actions.emplace_back(action_);
    };
    const Duration most = settings_.step_timeout;
    if (settings_.jitter.count() > 0)
      add(StepKind::gate, "waiting for this device's turn to get", most);
    add(StepKind::download, "download of", most);
    add(StepKind::install, "installation of", most);
    if (action_.dry_run) return job;
    add(StepKind::gate, "waiting for leave to start", most);
    add(StepKind::activate, "start of", most);
    if (settings_.applications.at(action_.application).reboots) {
      add(StepKind::reboot, "reboot into", most);
    }
    add(StepKind::prove, "proof of", action_.prove_within);
    add(StepKind::commit, "commit of", most);
    return job;
  }

  const json& document_;
  const Settings& settings_;
  UpdateAction action_;
  std::string wrong_;
  bool file_ = false;
};

/// Of a report.
class ReportDocument {
 public:
  ReportDocument(const json& document, const Settings& settings)
      : report_(document["report"]), settings_(settings) {}

  Result<Job> read() {
    if (!report_.is_object()) return refuse("report", "give an object");
    for (const auto& [name, value] : report_.items()) {
      if (const std::string wrong = take(name, value); !wrong.empty()) {
        return refuse("report." + name, wrong);
      }
    }
    if (action_.parts.empty()) return refuse("report.parts", "is missing");
    Job job;
    job.plan.steps.push_back({StepKind::command, "report", true, false, settings_.step_timeout});
    job.actions.emplace_back(std::move(action_));
    return job;
  }

 private:
  std::string take(const std::string& name, const json& value) {
    if (name == "parts") return take_parts(value);
    if (name == "lines") {
      const auto* const number = value.get_ptr<const std::uint64_t*>();
      if (number == nullptr || *number == 0 || *number > kReportLinesMax) return "give 1 to 200";
      action_.lines = *number;
      return "";
    }
    const auto* const text = value.get_ptr<const std::string*>();
    if (name != "url") return "is not known";
    if (text == nullptr || !is_url(*text, settings_.allow_http)) {
      return "does not begin with https://";
    }
    action_.url = *text;
    return "";
  }

  std::string take_parts(const json& value) {
    if (!value.is_array() || value.empty()) return R"(give a list, such as ["status", "log"])";
    for (const json& one : value) {
      const auto* const part = one.get_ptr<const std::string*>();
      if (part == nullptr || !is_report_part(*part)) {
        return "give some of status, history, log and doctor";
      }
      if (!is_listed(settings_.allow_reports, *part)) {
        return in_quotes(*part) + " is not in update.allow_reports";
      }
      action_.parts.push_back(*part);
    }
    return "";
  }

  const json& report_;
  const Settings& settings_;
  ReportAction action_{{}, kReportLinesMax, ""};
};

}  // namespace

Result<Job> parse_own_document(const json& document, const Settings& settings) {
  const bool reports = document.contains("report");
  for (const auto& [name, value] : document.items()) {
    if (name != "holdfast" && name != (reports ? "report" : "update")) {
      return refuse(name, "is not known, or does not go with the others");
    }
  }
  if (document["holdfast"] != 1) return refuse("holdfast", "give 1");
  if (reports) return ReportDocument(document, settings).read();
  return UpdateDocument(document, settings).read();
}

}  // namespace holdfast::updater
