// See programs.h.
#include "programs.h"

#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "commands.h"

namespace holdfast::cli {

namespace {

/// The program beside our own, or on PATH, in our place.
ExitCode become(std::string name, const char* what, std::vector<std::string> first,
                char** arguments) {
  std::error_code failure;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", failure);
  const std::string beside = (own.parent_path() / name).string();
  std::vector<char*> command{name.data()};
  for (std::string& one : first) command.push_back(one.data());
  for (; *arguments != nullptr; ++arguments) command.push_back(*arguments);
  command.push_back(nullptr);
  if (!failure) ::execv(beside.c_str(), command.data());
  ::execvp(name.c_str(), command.data());
  return fail(kFailed, std::string(what) + " is not installed: there is no " + name + " beside " +
                           own.string() + " or on PATH");
}

}  // namespace

ExitCode run_lab(char** arguments) { return become("holdfast-lab", "the test lab", {}, arguments); }

ExitCode run_fleet(char** arguments) {
  return become("holdfast-fleet", "the fleet's collector", {}, arguments);
}

ExitCode run_job(char** arguments) {
  return become("holdfast-updater", "the updater", {"job"}, arguments);
}

}  // namespace holdfast::cli
