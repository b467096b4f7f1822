// Jobs and Runner together: the service's jobs, carried out one after the other.
//
// Purpose:  all that decides in the updater. Whoever owns this sends its questions, carries out its
//           orders, and tells what came of both.
// Threads:  one.
// Errors:   none; see Runner and Jobs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "update/jobs.h"
#include "update/runner.h"

namespace holdfast::update {

/// The plan of a document, or why there is none: it is wrong, or not for this device.
using Planner = std::function<std::variant<Plan, std::string>(const std::string& document)>;

class JobAgent {
 public:
  /// `boot` is this boot's id, hexadecimal. `random` must outlive this.
  JobAgent(JobJournal journal, Planner planner, std::string boot, env::Random& random);

  /// Jobs' own; see there.
  void connected(BootTime now) { jobs_.connected(now); }
  void disconnected() { jobs_.disconnected(); }
  void answered(BootTime now, const JobAnswer& answer) { jobs_.answered(now, answer); }
  void announced(const std::optional<JobExecution>& next) { jobs_.announced(next); }

  /// What to send now, until there is nothing more.
  [[nodiscard]] std::optional<JobQuestion> question(BootTime now);
  /// What to do now; Runner's own, see there. The order `nothing` ends with an event or
  /// next_step().
  [[nodiscard]] Runner::Order order(BootTime now);
  void written(BootTime now, bool done) { runner_.written(now, done); }
  void done(BootTime now, StepOutcome outcome);
  /// Asks the service for the job under way, whether anything is the matter or not.
  void look() { jobs_.look(false); }
  /// When the last question was asked to which there was an answer.
  [[nodiscard]] BootTime heard() const { return jobs_.heard(); }
  /// The order under way is not wanted any more.
  [[nodiscard]] bool interrupted();
  /// When question() and order() have something new without an event.
  [[nodiscard]] BootTime next_step() const { return jobs_.next_step(); }

  [[nodiscard]] const Runner& runner() const { return runner_; }

 private:
  void exchange();
  void take_offer();
  void take_document(const std::string& document);
  void tell();

  Planner planner_;
  Jobs jobs_;
  Runner runner_;
  bool taken_ = false;        ///< Jobs has one under way.
  bool told_before_ = false;  ///< It had ended here before it was offered again.
};

}  // namespace holdfast::update
