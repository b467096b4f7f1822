// An application in two versions: the one that runs and the one before, or after.
//
// Purpose:  the change from one to the other is one rename, so that at each instant, and after each
//           cut, `current` leads to a version that is whole.
// Layout:   DIRECTORY/versions/VERSION/…, whole before it has its name; DIRECTORY/current and
//           DIRECTORY/previous, symbolic links to them.
// Threads:  one.
// Errors:   io, permission, no_space, with the path.
#pragma once

#include <filesystem>
#include <string>

#include "holdfast/result.h"

namespace holdfast::updater {

class Application {
 public:
  explicit Application(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// Empty: none.
  [[nodiscard]] std::string current() const { return version_at("current"); }
  [[nodiscard]] std::string previous() const { return version_at("previous"); }
  [[nodiscard]] std::filesystem::path place_of(const std::string& version) const;
  /// Where a version is unpacked before it is whole; emptied.
  [[nodiscard]] Result<std::filesystem::path> begin_install(const std::string& version);
  /// It is whole, and durable: it gets its name.
  [[nodiscard]] Status end_install(const std::string& version);
  /// `current` becomes this version, `previous` what it was. Once more does no harm.
  [[nodiscard]] Status activate(const std::string& version);
  /// `current` becomes what was before `version`; nothing, if there was nothing. Once more does no
  /// harm, and neither does it where `version` was never activated.
  [[nodiscard]] Status take_back(const std::string& version);
  /// Only `current` and `previous` are kept.
  [[nodiscard]] Status tidy();

 private:
  [[nodiscard]] std::string version_at(const char* link) const;
  [[nodiscard]] Status point(const char* link, const std::string& version);
  [[nodiscard]] Status remove_link(const char* link);

  std::filesystem::path directory_;
};

}  // namespace holdfast::updater
