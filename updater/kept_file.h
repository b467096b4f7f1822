// A file that is exchanged as a whole, such as a configuration, and the one that it can go back to.
//
// Purpose:  behind `file` of an application: the programs version, install, activate, take_back and
//           commit, which an installer has (docs/jobs.md), as `holdfast-updater --file`.
// Method:   a candidate beside the file is judged by the owner's program, where relative paths mean
//           what they will mean; the exchange is one rename.
// Files:    FOLDER/VERSION.file, what is to be there; FOLDER/before, what was; FILE.candidate.
// Threads:  one; blocks. A program of its own, bounded by whoever runs it.
// Errors:   words for people; the exit codes are those of FetchEnd.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "fetch.h"
#include "settings.h"

namespace holdfast::updater {

struct FileOrder {
  std::string action;  ///< "version", "install", "activate", "take-back", "commit".
  std::filesystem::path file;
  std::filesystem::path folder;
  std::vector<std::string> validate;  ///< A program; it gets the candidate. Empty: none.
  std::string version;                ///< Of all but "version".
  std::filesystem::path artifact;     ///< Of "install".
};

/// `words`: why not; of "version" without an error the version that is there, or nothing.
[[nodiscard]] FetchEnd run_file(const FileOrder& order, std::string& words);

/// Applications with a file get the programs. `own` is our own program.
void add_file_programs(Settings& settings, const std::filesystem::path& own);

}  // namespace holdfast::updater
