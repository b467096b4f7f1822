// The updater's configuration: one TOML file of its own, so that nothing in it can stop the agent.
//
// Errors:   "FILE:LINE: KEY: what is wrong; what to do", all of them. Unknown keys are errors.
// Threads:  pure functions, apart from reading the named file.
// Source:   docs/jobs.md is the reference of all keys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::updater {

/// Minutes of a day by the local clock, from the first to before the second; it may go over
/// midnight.
struct Window {
  unsigned from = 0;
  unsigned to = 0;
  [[nodiscard]] bool has(unsigned minute) const {
    return from <= to ? minute >= from && minute < to : minute >= from || minute < to;
  }
  friend bool operator==(const Window&, const Window&) = default;
};
/// "02:00-04:30".
[[nodiscard]] std::optional<Window> parse_window(std::string_view text);

/// [application.NAME]: something that is updated: in a directory of ours, as a package, as a
/// file, or by programs.
struct ApplicationSettings {
  std::filesystem::path directory;  ///< Has `current`, `previous` and `versions`. Empty: programs.
  std::string package;              ///< A Debian package; its programs are ours (package.h).
  std::filesystem::path file;       ///< Exchanged as a whole; its programs are ours (kept_file.h).
  std::vector<std::string> validate;  ///< Judges a candidate of it.
  // Programs, for whatever else installs: packages, RAUC, SWUpdate, containers. Each may be run
  // once more after a cut, and must do no harm then.
  std::vector<std::string> version;    ///< Prints the version that runs.
  std::vector<std::string> install;    ///< To where nothing runs from, from $HOLDFAST_ARTIFACT.
  std::vector<std::string> activate;   ///< From now on the new version, or from the next boot on.
  std::vector<std::string> take_back;  ///< The version before.
  std::vector<std::string> commit;     ///< It has proven itself.
  bool reboots = false;                ///< What was activated, or taken back, runs after a reboot.
  std::vector<std::string> units;      ///< systemd's, which are restarted and must be active.
  std::vector<std::string> restart;    ///< A program that restarts it, instead or besides.
  std::vector<std::string> check;      ///< A program that ends with 0 if it is well.
  Seconds stable{30};                  ///< It must be well for so long.
  /// It has an updater of its own, which is there after the start: below `current`, or absolute.
  std::filesystem::path updater;
  bool allow_downgrade = false;

  /// Empty: it has none.
  [[nodiscard]] std::filesystem::path updater_path() const {
    return updater.empty() ? updater : directory / "current" / updater;
  }
  [[nodiscard]] bool by_programs() const { return directory.empty(); }
};

/// One program for everything: `program` gives its command for an action.
template <class Program>
void set_programs(ApplicationSettings& application, const Program& program) {
  application.version = program("version");
  application.install = program("install");
  application.activate = program("activate");
  application.take_back = program("take-back");
  application.commit = program("commit");
}

struct Settings {
  std::filesystem::path file;  ///< They are from there.
  // [agent]
  std::filesystem::path socket = "/run/holdfast/holdfast.sock";
  // [update]
  std::string thing;  ///< Empty: the agent's client id.
  std::filesystem::path directory = "/var/lib/holdfast-updater";
  std::filesystem::path handlers = "/etc/holdfast/handlers";
  std::vector<std::string> handler_directories;  ///< Others that a document may name.
  std::vector<std::string> allow_commands;       ///< Programs of runCommand; "*": any.
  std::vector<std::string> allow_users;          ///< Other users that a step may run as.
  std::vector<std::string> allow_packages;       ///< That may be installed and removed; "*": any.
  std::vector<std::string> allow_units;          ///< That may be started and stopped; "*": any.
  std::vector<std::string> allow_reports;        ///< Parts that a report may have; "*": all.
  std::vector<std::string> doctor{"holdfast", "doctor", "--json"};
  std::string report_topic;  ///< Empty: THING/holdfast/report.
  std::string report_lane = "bulk";
  std::vector<std::string> download_directories;  ///< Where AWS-Download-File may write.
  std::vector<std::string>
      facts;  ///< "name=value": what conditions of a document are held against.
  std::vector<std::string> reboot{"systemctl", "reboot"};
  Seconds step_timeout{3600};
  std::filesystem::path keys;  ///< A directory of public keys, PEM. Empty: nothing is trusted.
  bool allow_unsigned = false;
  std::uint64_t max_size = std::uint64_t{1} << 30U;  ///< Of an artifact.
  std::uint64_t bytes_per_second = 0;                ///< 0: as fast as it goes.
  std::filesystem::path ca_file;                     ///< Of download servers. Empty: the system's.
  bool allow_http = false;                           ///< Downloads without TLS.
  std::string window;                                ///< parse_window(); empty: any time.
  Seconds window_limit{7 * 24 * 3600};               ///< After so long at any time.
  std::vector<std::string> ask;                      ///< A program; 0: the device may be disturbed.
  Seconds ask_limit{24 * 3600};                      ///< After so long whatever it says.
  Seconds jitter{0};                                 ///< A job begins within so long.
  Seconds prove_within{300};
  std::map<std::string, ApplicationSettings, std::less<>> applications;
};

struct SettingsReport {
  Settings settings;
  std::vector<Error> problems;
};
[[nodiscard]] SettingsReport parse_settings(std::string_view text,
                                            const std::filesystem::path& file);
[[nodiscard]] SettingsReport read_settings(const std::filesystem::path& file);

/// 1 to 64 letters, digits, '-', '_' and '.', not beginning with '.': also a folder's name.
[[nodiscard]] bool is_plain_name(std::string_view name);

/// The same, with '+', '~' and ':', as Debian has them.
[[nodiscard]] bool is_version(std::string_view text);

/// A Debian package's name.
[[nodiscard]] bool is_package_name(std::string_view name);

}  // namespace holdfast::updater
