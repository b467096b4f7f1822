// holdfast status --watch: the state, again and again, until Ctrl-C.
//
// Purpose:  on a terminal one picture, renewed in place, with a curve for what changes; else, and
// with
//           --json, the state again and again, one after the other.
// Errors:   an agent that does not answer, such as during a restart, is said in the picture and
// asked
//           again. Exit code 0 after SIGINT or SIGTERM; the terminal is then as it was.
// Threads:  one.
#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "exit_codes.h"
#include "holdfast/types.h"

namespace holdfast::cli {

struct WatchStyle {
  std::size_t columns = 80;
  std::size_t rows = 24;
  bool unicode = true;  ///< Else curves are of ASCII.
};

/// A curve of one row, the newest value at its right end; 0 is the lowest step, the largest the
/// highest. At most `width` of the values, the newest.
[[nodiscard]] std::string sparkline(const std::deque<double>& values, std::size_t width,
                                    bool unicode);

/// What has been seen so far.
class WatchedState {
 public:
  /// At `at`, of a clock that only grows. What a restarted agent counts anew is no rate below 0.
  void add(const nlohmann::json& status, Milliseconds at);
  /// The picture, cut to the style's columns and rows. `trouble`: why there is no newer one.
  [[nodiscard]] std::string picture(const WatchStyle& style, const std::string& trouble) const;

 private:
  struct Counts {
    Milliseconds at{};
    double accepted = 0;
    double delivered = 0;
  };
  std::string text_;
  std::optional<Counts> before_;
  std::deque<double> accepted_, delivered_;  // a second
  std::deque<double> waiting_;
};

[[nodiscard]] ExitCode run_status_watch(const std::filesystem::path& socket, Milliseconds every,
                                        bool json);

}  // namespace holdfast::cli
