// From a job to its end: which step is next, whatever was cut, refused or given up before.
//
// Purpose:  a cut at any instant leaves a device that goes on or goes back by itself, and that says
//           in the end what has become of the job. What nobody can know after a cut, such as
//           whether a program had done its work, is not guessed: the job fails and says so.
// Method:   next() says what to do, written() and done() hear how it went, in turns. The journal is
//           written before each side effect. An activation that is not committed is taken back
//           whenever its job cannot go on: a failed proof, too many cuts, the job given up.
// Threads:  one. Whoever carries the orders out may block.
// Errors:   none; each is an end of the job, or a pause and a later try. Taking back is tried for
//           ever: there is nothing better to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "env/random.h"
#include "update/journal.h"
#include "update/plan.h"

namespace holdfast::update {

/// So often may a step that can be done again be cut by a crash or a reboot of whatever it is.
inline constexpr unsigned kInterruptionsMax = 5;
/// ... and so often a proof: a version under which the device starts anew is not well.
inline constexpr unsigned kProofInterruptions = 3;
/// A download goes on where it was: a device that is often switched off gets it in the end.
inline constexpr unsigned kDownloadInterruptions = 100;
/// So often is a reboot asked for that does not come within so long.
inline constexpr unsigned kRebootsAsked = 3;
inline constexpr Duration kRebootPatience = std::chrono::minutes(5);
/// A version that had to be taken back so often is not tried again.
inline constexpr unsigned kVersionTries = 3;
/// Pauses after what failed for a passing reason, with full jitter, doubling.
inline constexpr Duration kJobPauseFirst = std::chrono::seconds(2);
inline constexpr Duration kJobPauseCap = std::chrono::minutes(5);

enum class JobOrder : std::uint8_t {
  nothing,      ///< There is no job, or its end only waits to be acknowledged.
  wait,         ///< Until Order::until.
  write,        ///< The journal; written().
  perform,      ///< The step; done().
  take_back,    ///< What was activated, if it is; done(). Once more does no harm.
  reboot_back,  ///< So that what was there before runs again; done() only if it cannot be.
};

/// How a step, or taking back, went.
struct StepOutcome {
  enum class Kind : std::uint8_t {
    done,
    failed,    ///< It will not work.
    rejected,  ///< It must not be done: the document is wrong for this device.
    later,     ///< It may work later.
  };
  Kind kind = Kind::done;
  std::string words = {};           ///< For people, why not.
  Details details = {};             ///< For the service: what a program printed.
  std::optional<Duration> pause{};  ///< Of `later`; none: as usual.
  bool reboot = false;              ///< Of taking back: it takes a reboot.
  bool stale = false;               ///< Of `later`: the document's URLs are over.
};

class Runner {
 public:
  struct Order {
    JobOrder what = JobOrder::nothing;
    std::size_t step = 0;
    bool again = false;  ///< It may have been begun before.
    BootTime until = kNever;
  };

  /// Where the last process has left off. `plan` is that of the journal's document; without steps
  /// where it cannot be read any more. `boot` is this boot's id, hexadecimal. `random` must outlive
  /// this.
  Runner(JobJournal journal, Plan plan, std::string boot, env::Random& random);

  /// REQUIRES: ready(); the plan has no problem.
  void begin(std::string job, std::int64_t execution, std::string document, Plan plan);
  /// It is not for us: the same, with nothing but its end.
  void refuse(std::string job, std::int64_t execution, std::string document, std::string why);

  /// What to do now. Each order but nothing and wait is answered; the same comes again until then.
  [[nodiscard]] Order next(BootTime now);
  void written(BootTime now, bool done);
  void done(BootTime now, StepOutcome outcome);

  /// The same document with other URLs: for the steps to come.
  void renew(std::string document) { journal_.document = std::move(document); }

  /// The service has given the job up: it was cancelled, deleted, timed out.
  void give_up(const std::string& why);
  /// The order under way is not wanted any more; it ends soon, in any way.
  [[nodiscard]] bool interrupted() const;
  /// The service knows the end of the job.
  void acknowledged();

  [[nodiscard]] bool idle() const { return journal_.phase == JobPhase::none; }
  /// Idle, and the last job's end is on disk.
  [[nodiscard]] bool ready() const { return state_ == State::idle; }
  /// Its end is durable, and the service is to be told.
  [[nodiscard]] bool to_be_told() const;
  [[nodiscard]] const JobJournal& journal() const { return journal_; }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  /// What is going on, for people and for the service's details. Empty: nothing.
  [[nodiscard]] std::string words() const;
  /// The status of an execution that has ended here, if it is remembered.
  [[nodiscard]] std::optional<JobStatus> ended(const std::string& job,
                                               std::int64_t execution) const;
  /// A version that was taken back too often: why it is not tried again.
  [[nodiscard]] std::string banned(const std::string& version) const;

 private:
  enum class State : std::uint8_t {
    /// Waits for: begin(), refuse(). Next: writing.
    idle,
    /// Waits for: the journal to be on disk. Next: after_.
    writing,
    /// Waits for: the step's end. Interrupted by: a cut; give_up(). Next: writing, pausing.
    performing,
    /// Waits for: what is active to be the old version. Next: writing, pausing.
    taking_back,
    /// Waits for: the machine's start; the end of this process. Next: pausing, if it cannot be.
    rebooting_back,
    /// Waits for: a time. Interrupted by: give_up(). Next: paused_.
    pausing,
    /// Waits for: acknowledged(). Next: writing, then idle.
    telling,
  };

  void resume();
  void resume_step();
  void write_then(State after);
  void begin_step();
  void end_step();
  void look_again();
  void fail(JobStatus status, const std::string& why, const Details& details = {});
  void end(JobStatus status);
  void remember_failed();
  [[nodiscard]] bool committed() const;
  void forget();
  void pause(BootTime now, State after, std::optional<Duration> wanted);
  void step_done(BootTime now, StepOutcome outcome);
  [[nodiscard]] const Step& step() const { return plan_.steps[journal_.step]; }

  std::string boot_;
  env::Random& random_;
  JobJournal journal_;
  Plan plan_;
  State state_ = State::idle;
  State after_ = State::idle;
  State paused_ = State::idle;
  BootTime until_ = kNever;
  Duration range_ = kJobPauseFirst;
  bool again_ = false;
  std::string pause_words_;
};

}  // namespace holdfast::update
