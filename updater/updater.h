// The updater: jobs from the service, through the agent, to their end.
//
// Purpose:  puts together update::JobAgent, which decides, the line to the agent, the journal's
// file,
//           and the performer of steps.
// Threads:  one, the only one of the process.
// Errors:   of create(): the journal's directory cannot be used. Later ones are logged.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "holdfast/result.h"
#include "settings.h"
#include "trial.h"

namespace holdfast::updater {

class Updater {
 public:
  using Say = std::function<void(const std::string& line)>;

  /// `own` is our own program. On trial (kTrialVariable) it ends once it has decided. A journal
  /// that cannot be read is set aside, in the folder `damaged`.
  [[nodiscard]] static Result<std::unique_ptr<Updater>> create(Settings settings,
                                                               std::filesystem::path own, Say say);
  ~Updater();
  Updater(const Updater&) = delete;
  Updater& operator=(const Updater&) = delete;

  /// Until `stop_fd` is readable and the step under way has ended, or kStopPatience is over; or
  /// until a successor is to be tried: then this must be destroyed first, it has the journal.
  /// `turn` is called at each turn, with what is going on, for a service manager.
  [[nodiscard]] std::optional<Successor> run(
      int stop_fd, const std::function<void(const std::string& words)>& turn);

 private:
  class Work;
  explicit Updater(std::unique_ptr<Work> work);
  std::unique_ptr<Work> work_;
};

}  // namespace holdfast::updater
