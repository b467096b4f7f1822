#include "runtime/history.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "posix/system.h"

namespace holdfast::runtime {

namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kFile = "history";
constexpr const char* kOlderFile = "history.old";
// A line may go over the limit, and damage may have made more of it.
constexpr std::size_t kReadMax = 4 * kHistoryFileMax;

void read_lines(std::string_view text, std::vector<ordered_json>& entries) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    ordered_json entry = ordered_json::parse(text.substr(0, end), nullptr, false);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (!entry.is_object()) continue;
    const bool ends_last = !entries.empty() && entry.value("event", ordered_json()) == "outage" &&
                           entries.back().value("over", ordered_json()) == false;
    if (ends_last) entries.pop_back();
    entries.push_back(std::move(entry));
  }
}

/// What the network's managers said meanwhile.
void put_network(ordered_json& line, const health::Outage& outage) {
  if (outage.worst != Connectivity::unknown) line["connectivity"] = to_string(outage.worst);
  if (!outage.connection_before.empty()) line["connection_before"] = outage.connection_before;
  if (!outage.connection.empty()) line["connection"] = outage.connection;
  if (!outage.modem) return;
  line["modem"] = {{"signal_percent", outage.modem->signal},
                   {"registration", outage.modem->registration},
                   {"operator", outage.modem->operator_name},
                   {"technology", outage.modem->technology}};
}

}  // namespace

std::string start_line(WallTime at, bool unclean, const std::string& safe_mode,
                       const BootState& boot) {
  ordered_json line{{"event", "started"}, {"at_ms", at.ms}, {"unclean", unclean}};
  if (!safe_mode.empty()) line["safe_mode"] = safe_mode;
  if (boot.first_run) {
    line["boot_reason"] = to_string(boot.reason);
    line["boot_detail"] = boot.detail;
  }
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string outage_line(const health::Outage& outage) {
  ordered_json line{
      {"event", "outage"},
      {"over", outage.over},
      {"began_ms", outage.began.ms},
      {"lasted_ms", std::chrono::duration_cast<std::chrono::milliseconds>(outage.lasted).count()},
      {"verdict", to_string(outage.first)},
      {"detail", outage.detail},
      {"verdicts", ordered_json::object()},
      {"attempts", outage.attempts},
      {"accepted", outage.accepted},
      {"dropped", outage.dropped},
      {"waiting", outage.waiting},
  };
  for (std::size_t i = 0; i < outage.verdicts.size(); ++i) {
    if (outage.verdicts.at(i) == 0) continue;
    line["verdicts"][std::string(to_string(static_cast<Verdict>(i)))] = outage.verdicts.at(i);
  }
  if (!outage.from.empty()) line["from"] = outage.from;
  if (!outage.to.empty()) line["to"] = outage.to;
  put_network(line, outage);
  if (outage.left_out != 0) line["left_out"] = outage.left_out;
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string History::started(WallTime at, bool unclean, const std::string& safe_mode,
                             const BootState& boot) {
  std::string line = start_line(at, unclean, safe_mode, boot);
  append_(line);
  return line;
}

std::optional<std::string> History::look(BootTime now, WallTime wall, const DeviceState& state) {
  const std::optional<health::Outage> outage = outages_.look(now, wall, state);
  if (!outage) return std::nullopt;
  std::string line = outage_line(*outage);
  append_(line);
  return outage->over ? std::optional(std::move(line)) : std::nullopt;
}

Status append_history(const fs::path& directory, std::string_view line) {
  return posix::append_line(directory / kFile, directory / kOlderFile, line, kHistoryFileMax);
}

Result<ordered_json> read_history(const fs::path& directory, std::size_t limit) {
  std::vector<ordered_json> entries;
  for (const char* const name : {kOlderFile, kFile}) {
    const Result<std::string> text = posix::read_file(directory / name, kReadMax);
    if (text) {
      read_lines(*text, entries);
    } else if (text.error().code != Errc::not_found) {
      return Error(text.error());
    }
  }
  ordered_json newest = ordered_json::array();
  const std::size_t skipped = entries.size() > limit ? entries.size() - limit : 0;
  for (std::size_t i = skipped; i < entries.size(); ++i) newest.push_back(std::move(entries[i]));
  return newest;
}

}  // namespace holdfast::runtime
