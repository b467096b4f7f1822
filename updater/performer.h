// Carries out the steps of a job, one at a time, without blocking.
//
// Purpose:  update::Runner says which step; here are its programs, its files and its proofs.
// Threads:  one, the only one of the process.
// Errors:   each is a StepOutcome with words.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "document.h"
#include "env/random.h"
#include "fetch.h"
#include "settings.h"
#include "update/runner.h"

namespace holdfast::updater {

/// Something under way. step() until it has an outcome.
class Task {
 public:
  virtual ~Task() = default;
  [[nodiscard]] virtual std::optional<update::StepOutcome> step(BootTime now) = 0;
  /// It is not wanted any more; it ends soon, in any way.
  virtual void stop(BootTime now) = 0;
  /// Descriptors that wake it.
  virtual void fds(std::vector<int>& /*all*/) const {}
};

/// A task that has messages of its own, through the agent. Called only after Surroundings::listen.
class Listener {
 public:
  virtual ~Listener() = default;
  /// Of the topics that it hears.
  [[nodiscard]] virtual std::vector<std::string> filters() const = 0;
  /// Once at the beginning, and at each change.
  virtual void connection(BootTime now, bool connected) = 0;
  virtual void message(BootTime now, const std::string& topic, const std::string& payload) = 0;
};

/// What tasks ask the others.
struct Surroundings {
  /// Ends with the agent's answer to a ping: whether its parts go on.
  std::function<void(std::function<void(bool)>)> ask_agent;
  /// Asks the service for something, to see whether it answers.
  std::function<void()> ask_service;
  /// When the last question that the service has answered was asked.
  std::function<BootTime()> service_heard;
  /// A line for the log.
  std::function<void(const std::string& line)> say;
  /// The thing whose jobs these are; empty: not known yet.
  std::function<std::string()> thing;
  /// From now on there is this one, or none.
  std::function<void(Listener*)> listen;
  /// Nobody knows whether it gets there.
  std::function<void(const std::string& topic, const std::string& payload)> publish;
};

class Performer {
 public:
  /// All must outlive this. `own` is our own program, which is run for downloads and archives.
  Performer(const Settings& settings, env::Random& random, Surroundings around,
            std::filesystem::path own);

  /// REQUIRES: the order is perform, take_back or reboot_back. `job` and `document` are those of
  /// the journal; to take back, the document is enough.
  [[nodiscard]] std::unique_ptr<Task> begin(const update::Runner::Order& order, const Job& job,
                                            const std::string& document, BootTime now);
  /// No job is under way: what was downloaded for one goes.
  void tidy() const;

 private:
  [[nodiscard]] std::unique_ptr<Task> command(const CommandAction& action, const Job& job,
                                              const update::Step& step) const;
  [[nodiscard]] std::unique_ptr<Task> report(const ReportAction& action,
                                             const update::Step& step) const;
  [[nodiscard]] std::unique_ptr<Task> download(const Action& action, const update::Step& step,
                                               BootTime now);
  /// From the URL, or from the stream where that does not help.
  [[nodiscard]] std::unique_ptr<Task> fetch_update(const UpdateAction& update,
                                                   const update::Step& step, BootTime now);
  [[nodiscard]] std::unique_ptr<Task> fetch_by_stream(const UpdateAction& update,
                                                      const update::Step& step, BootTime now);
  /// What is in the document itself.
  [[nodiscard]] update::StepOutcome keep_text(const std::string& text) const;
  [[nodiscard]] FetchOrder fetch_order(const UpdateAction& update) const;
  [[nodiscard]] std::unique_ptr<Task> install(const UpdateAction& action,
                                              const update::Step& step) const;
  [[nodiscard]] std::unique_ptr<Task> gate(bool first, BootTime now) const;
  [[nodiscard]] std::unique_ptr<Task> activate(const UpdateAction& action,
                                               const update::Step& step) const;
  [[nodiscard]] std::unique_ptr<Task> prove(const UpdateAction& action, BootTime now) const;
  [[nodiscard]] std::unique_ptr<Task> commit(const UpdateAction& action,
                                             const update::Step& step) const;
  [[nodiscard]] std::unique_ptr<Task> reboot() const;
  [[nodiscard]] std::unique_ptr<Task> take_back(const std::string& document) const;
  [[nodiscard]] std::unique_ptr<Task> take_back(const ApplicationSettings& app,
                                                const UpdateAction& action) const;
  /// A program of an application's own installer; one that is not configured has nothing to do.
  [[nodiscard]] std::unique_ptr<Task> run(const std::vector<std::string>& argv,
                                          const UpdateAction& action, Duration timeout) const;
  /// Why this version is not to be installed where `current` runs; empty: it is.
  [[nodiscard]] std::string refusal(const UpdateAction& action, const std::string& current) const;
  [[nodiscard]] std::string signature_problem(const UpdateAction& action) const;
  [[nodiscard]] std::filesystem::path artifact() const;

  const Settings& settings_;
  env::Random& random_;
  Surroundings around_;
  std::filesystem::path own_;
  unsigned url_failures_ = 0;  ///< In a row.
};

}  // namespace holdfast::updater
