// What the device says of itself, for somebody far away: state, outages, the log's last lines, the
// doctor's findings.
//
// Purpose:  behind the document's member `report`, as `holdfast-updater --report`.
// Limits:   kReportMax bytes: of the log the oldest lines are left out, then other parts.
// Threads:  one; blocks. A program of its own, bounded by whoever runs it.
// Errors:   words for people; the exit codes are those of FetchEnd.
// Source:   docs/local-api.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fetch.h"

namespace holdfast::updater {

/// Fits a message of AWS IoT.
inline constexpr std::size_t kReportMax = 100 * std::size_t{1024};
inline constexpr std::uint64_t kReportLinesMax = 200;

struct ReportOrder {
  std::vector<std::string> parts;  ///< "status", "history", "log", "doctor".
  std::uint64_t lines = kReportLinesMax;
  std::filesystem::path socket;     ///< The agent's.
  std::vector<std::string> doctor;  ///< The program.
  std::string url;                  ///< Where it is PUT; holds a secret. Empty: a message.
  std::filesystem::path ca_file;
  bool allow_http = false;
  std::string topic;  ///< Of the message,
  std::string lane;   ///< and its lane.
};

[[nodiscard]] bool is_report_part(const std::string& name);

/// For the environment of the program, where only its user and root can see it.
inline constexpr const char* kReportVariable = "HOLDFAST_REPORT";
[[nodiscard]] std::string to_text(const ReportOrder& order);
[[nodiscard]] std::optional<ReportOrder> parse_report_order(const std::string& text);

/// `words`: what was sent, or why not.
[[nodiscard]] FetchEnd report(const ReportOrder& order, std::string& words);

}  // namespace holdfast::updater
