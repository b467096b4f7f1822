// The history of outages, in a file beside the outbox: what it was like, weeks ago.
//
// Purpose:  one line of JSON for each start of the program and each outage (docs/local-api.md has
//           the fields).
// Threads:  History on the loop's; it has its lines written by the storage thread. read_history()
//           blocks.
// Bounds:   two files of kHistoryFileMax; the older one goes when the newer is full.
// Damage:   lines that are no JSON, such as the last one before a power cut, are skipped.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "health/outages.h"
#include "holdfast/result.h"

namespace holdfast::runtime {

inline constexpr std::size_t kHistoryFileMax = std::size_t{64} * 1024;
/// {"event":"started",…} and {"event":"outage",…}
[[nodiscard]] std::string start_line(WallTime at, bool unclean, const std::string& safe_mode,
                                     const BootState& boot = {});
[[nodiscard]] std::string outage_line(const health::Outage& outage);

class History {
 public:
  /// Has a line appended, by a thread that may wait for the disk.
  using Append = std::function<void(std::string line)>;
  explicit History(Append append) : append_(std::move(append)) {}

  /// `safe_mode`: why it is in safe mode, or empty. The line is given back, to be told elsewhere.
  /// `boot` is told if this is the boot's first run.
  std::string started(WallTime at, bool unclean, const std::string& safe_mode,
                      const BootState& boot);

  /// The state at the end of a turn. An outage that is over is given back, too, to be told
  /// elsewhere.
  [[nodiscard]] std::optional<std::string> look(BootTime now, WallTime wall,
                                                const DeviceState& state);

 private:
  Append append_;
  health::Outages outages_;
};

/// Appends a line to the history in `directory`. Errors: io, full disks included.
[[nodiscard]] Status append_history(const std::filesystem::path& directory, std::string_view line);

/// The newest `limit` entries, oldest first. Outages told twice are there once. Errors: io; that
/// there is no history yet is none.
[[nodiscard]] Result<nlohmann::ordered_json> read_history(const std::filesystem::path& directory,
                                                          std::size_t limit);

}  // namespace holdfast::runtime
