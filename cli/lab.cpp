// See lab.h.
#include "lab.h"

#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "commands.h"

namespace holdfast::cli {

ExitCode run_lab(char** arguments) {
  std::string name = "holdfast-lab";
  std::error_code failure;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", failure);
  const std::string beside = (own.parent_path() / name).string();
  std::vector<char*> command{name.data()};
  for (; *arguments != nullptr; ++arguments) command.push_back(*arguments);
  command.push_back(nullptr);
  if (!failure) ::execv(beside.c_str(), command.data());
  ::execvp(name.c_str(), command.data());
  return fail(kFailed, "the test lab is not installed: there is no holdfast-lab beside " +
                           own.string() + " or on PATH");
}

}  // namespace holdfast::cli
