// Debian packages: one that is installed by dpkg, and the one that it can go back to.
//
// Purpose:  behind `package` of an application: the programs version, install, activate, take_back
//           and commit, which an installer has (docs/jobs.md), as `holdfast-updater --package`.
// Files:    FOLDER/VERSION.deb of what runs, of the one before and of the one that is to run;
//           FOLDER/before: the version before, a line; empty: there was none.
// Threads:  one; blocks. A program of its own, bounded by whoever runs it.
// Errors:   words for people; the exit codes are those of FetchEnd.
// Source:   dpkg(1), dpkg-query(1), dpkg-deb(1), deb-version(7).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "fetch.h"
#include "settings.h"

namespace holdfast::updater {

/// Where apt keeps what it has downloaded.
inline constexpr const char* kAptCache = "/var/cache/apt/archives";

struct PackageOrder {
  std::string action;  ///< "version", "install", "activate", "take-back", "commit".
  std::string package;
  std::filesystem::path folder;
  std::filesystem::path cache = kAptCache;
  std::string version;             ///< Of all but "version".
  std::filesystem::path artifact;  ///< Of "install".
};

/// `words`: why not; of "version" without an error the version that is installed, or nothing.
[[nodiscard]] FetchEnd run_package(const PackageOrder& order, std::string& words);

/// Applications with a package get the programs. `own` is our own program.
void add_package_programs(Settings& settings, const std::filesystem::path& own);

}  // namespace holdfast::updater
