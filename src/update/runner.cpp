#include "update/runner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace holdfast::update {
namespace {

constexpr const char* kReason = "reason";
constexpr const char* kStep = "step";
constexpr const char* kGivenUp = "the job was given up";
constexpr const char* kNoReboot = "the machine was asked to reboot, again and again, and did not";

bool may_be_done_again(const Step& step) { return step.kind != StepKind::command || step.again; }

/// So many cuts of it end the job.
unsigned interruptions_of(const Step& step) {
  switch (step.kind) {
    case StepKind::prove:
      return kProofInterruptions;
    case StepKind::reboot:
      return kRebootsAsked;
    case StepKind::download:
      return kDownloadInterruptions;
    case StepKind::gate:    // has no effect
    case StepKind::commit:  // has been decided
      return std::numeric_limits<unsigned>::max();
    case StepKind::command:
    case StepKind::install:
    case StepKind::activate:
      break;
  }
  return kInterruptionsMax;
}

void put(Details& details, std::string name, std::string_view value) {
  std::erase_if(details, [&](const auto& one) { return one.first == name; });
  if (details.size() < limits::kJobDetails) {
    details.emplace_back(std::move(name), clean_detail(value));
  }
}

}  // namespace

Runner::Runner(JobJournal journal, Plan plan, std::string boot, env::Random& random)
    : boot_(std::move(boot)),
      random_(random),
      journal_(std::move(journal)),
      plan_(std::move(plan)) {
  resume();
}

void Runner::resume() {
  switch (journal_.phase) {
    case JobPhase::none:
      state_ = State::idle;
      break;
    case JobPhase::running:
      if (journal_.step < plan_.steps.size()) {
        resume_step();
      } else {
        fail(JobStatus::failed, "after a restart its document cannot be read any more");
      }
      break;
    case JobPhase::undoing:
      state_ = State::taking_back;
      break;
    case JobPhase::rebooting_back:
      if (journal_.boot != boot_) {
        end(journal_.status);
      } else {
        state_ = State::rebooting_back;
      }
      break;
    case JobPhase::ended:
      state_ = State::telling;
      break;
  }
}

/// After a cut in, or before, a step.
void Runner::resume_step() {
  const bool rebooted = journal_.boot != boot_;
  if (!journal_.begun) return begin_step();
  if (step().kind == StepKind::reboot && rebooted) return end_step();
  ++journal_.interruptions;
  const std::string cut = rebooted ? "the machine has started anew" : "the updater was ended";
  if (!may_be_done_again(step())) {
    return fail(JobStatus::failed,
                cut + " in the midst of it; whether it has had its effect is not known");
  }
  if (journal_.interruptions >= interruptions_of(step())) {
    return fail(JobStatus::failed, step().kind == StepKind::reboot
                                       ? kNoReboot
                                       : cut + " in the midst of it, " +
                                             std::to_string(journal_.interruptions) + " times");
  }
  journal_.boot = boot_;
  again_ = true;
  write_then(State::performing);
}

void Runner::begin(std::string job, std::int64_t execution, std::string document, Plan plan) {
  HF_CHECK(ready() && idle() && problem_of(plan).empty());
  journal_.job = std::move(job);
  journal_.execution = execution;
  journal_.document = std::move(document);
  journal_.phase = JobPhase::running;
  journal_.status = JobStatus::in_progress;
  plan_ = std::move(plan);
  begin_step();
}

void Runner::refuse(std::string job, std::int64_t execution, std::string document,
                    std::string why) {
  HF_CHECK(ready() && idle());
  journal_.job = std::move(job);
  journal_.execution = execution;
  journal_.document = std::move(document);
  plan_ = {};
  fail(JobStatus::rejected, why);
}

void Runner::begin_step() {
  journal_.begun = true;
  journal_.boot = boot_;
  journal_.interruptions = 0;
  if (step().kind == StepKind::activate) journal_.activated = true;
  range_ = kJobPauseFirst;
  again_ = false;
  write_then(State::performing);
}

void Runner::end_step() {
  if (step().kind == StepKind::commit) journal_.activated = false;
  ++journal_.step;
  journal_.begun = false;
  if (journal_.step == plan_.steps.size()) return end(JobStatus::succeeded);
  if (journal_.unwanted) return fail(JobStatus::failed, kGivenUp);
  begin_step();
}

void Runner::write_then(State after) {
  after_ = after;
  state_ = State::writing;
}

/// Something new has come to stay in an earlier step.
bool Runner::committed() const {
  const auto end = plan_.steps.begin() +
                   static_cast<std::ptrdiff_t>(std::min(journal_.step, plan_.steps.size()));
  return std::any_of(plan_.steps.begin(), end,
                     [](const Step& one) { return one.kind == StepKind::commit; });
}

/// The job cannot go on: what it has activated is taken back, then it has ended.
void Runner::fail(JobStatus status, const std::string& why, const Details& details) {
  journal_.details.clear();
  const std::string fate = journal_.activated ? "; the version before is back"
                           : committed()      ? "; the new version stays"
                                              : "";
  put(journal_.details, kReason, why + fate);
  if (journal_.step < plan_.steps.size()) put(journal_.details, kStep, step().name);
  for (const auto& [name, value] : details) put(journal_.details, name, value);
  if (!journal_.activated) return end(status);
  journal_.status = JobStatus::failed;
  journal_.phase = JobPhase::undoing;
  range_ = kJobPauseFirst;
  write_then(State::taking_back);
}

void Runner::end(JobStatus status) {
  const bool taken_back =
      journal_.phase == JobPhase::undoing || journal_.phase == JobPhase::rebooting_back;
  if (taken_back && !journal_.unwanted && !plan_.version.empty()) remember_failed();
  journal_.status = status;
  journal_.phase = JobPhase::ended;
  journal_.activated = false;
  journal_.begun = false;
  write_then(State::telling);
}

void Runner::remember_failed() {
  FailedVersion one{plan_.version, 1};
  std::erase_if(journal_.failed, [&](const FailedVersion& other) {
    if (other.version != one.version) return false;
    one.times += other.times;
    return true;
  });
  journal_.failed.push_back(std::move(one));
  if (journal_.failed.size() > limits::kVersionsRemembered) journal_.failed.pop_front();
}

void Runner::acknowledged() {
  if (state_ == State::telling) forget();
}

/// The job is over for the service as well.
void Runner::forget() {
  std::erase_if(journal_.ended, [&](const EndedJob& one) { return one.job == journal_.job; });
  journal_.ended.push_back({journal_.job, journal_.execution, journal_.status});
  if (journal_.ended.size() > limits::kJobsRemembered) journal_.ended.pop_front();
  JobJournal fresh;
  fresh.ended = std::move(journal_.ended);
  fresh.failed = std::move(journal_.failed);
  journal_ = std::move(fresh);
  plan_ = {};
  pause_words_.clear();
  write_then(State::idle);
}

Runner::Order Runner::next(BootTime now) {
  if (state_ == State::pausing && (now >= until_ || interrupted())) {
    state_ = paused_;
    again_ = true;
    pause_words_.clear();
    if (state_ == State::performing) look_again();
  }
  switch (state_) {
    case State::idle:
      return {};
    case State::telling:
      if (!journal_.unwanted) return {};
      forget();
      return next(now);
    case State::writing:
      return {JobOrder::write, journal_.step, false, kNever};
    case State::performing:
      return {JobOrder::perform, journal_.step, again_, kNever};
    case State::taking_back:
      return {JobOrder::take_back, journal_.step, again_, kNever};
    case State::rebooting_back:
      return {JobOrder::reboot_back, journal_.step, again_, kNever};
    case State::pausing:
      return {JobOrder::wait, journal_.step, false, until_};
  }
  return {};
}

/// After a pause in a step.
void Runner::look_again() {
  if (interrupted()) return fail(JobStatus::failed, kGivenUp);
  if (step().kind == StepKind::reboot && journal_.interruptions >= kRebootsAsked) {
    fail(JobStatus::failed, kNoReboot);
  }
}

void Runner::written(BootTime now, bool done) {
  HF_CHECK(state_ == State::writing);
  if (!done) return pause(now, State::writing, std::nullopt);
  state_ = after_;
}

void Runner::done(BootTime now, StepOutcome outcome) {
  using Kind = StepOutcome::Kind;
  if (state_ == State::performing) return step_done(now, std::move(outcome));
  HF_CHECK(state_ == State::taking_back || state_ == State::rebooting_back);
  if (outcome.kind != Kind::done || state_ == State::rebooting_back) {
    pause_words_ = outcome.words;
    return pause(now, state_, outcome.pause);
  }
  if (!outcome.reboot) return end(journal_.status);
  journal_.phase = JobPhase::rebooting_back;
  journal_.boot = boot_;
  write_then(State::rebooting_back);
}

void Runner::step_done(BootTime now, StepOutcome outcome) {
  using Kind = StepOutcome::Kind;
  const bool ignored = step().ignore_failure && outcome.kind != Kind::later;
  if (outcome.kind == Kind::done || ignored) {
    // A reboot is proven by the machine, not by who asks for it.
    if (step().kind == StepKind::reboot && !ignored) {
      ++journal_.interruptions;
      return pause(now, State::performing, outcome.pause.value_or(kRebootPatience));
    }
    for (const auto& [name, value] : outcome.details) put(journal_.details, name, value);
    return end_step();
  }
  if (journal_.unwanted) return fail(JobStatus::failed, kGivenUp);
  if (outcome.kind == Kind::later) {
    pause_words_ = outcome.words;
    return pause(now, State::performing, outcome.pause);
  }
  fail(outcome.kind == Kind::rejected ? JobStatus::rejected : JobStatus::failed, outcome.words,
       outcome.details);
}

void Runner::pause(BootTime now, State after, std::optional<Duration> wanted) {
  paused_ = after;
  const auto range = static_cast<std::uint64_t>(range_.count());
  until_ = now + wanted.value_or(range_ / 2 +
                                 Duration(static_cast<std::int64_t>(random_.below(range / 2 + 1))));
  range_ = std::min(range_ * 2, kJobPauseCap);
  state_ = State::pausing;
}

void Runner::give_up(const std::string& why) {
  if (journal_.phase == JobPhase::none || journal_.unwanted) return;
  journal_.unwanted = true;
  pause_words_ = why;
}

bool Runner::interrupted() const {
  if (!journal_.unwanted || journal_.phase != JobPhase::running) return false;
  const bool performs =
      state_ == State::performing || (state_ == State::pausing && paused_ == State::performing);
  return performs && step().kind != StepKind::commit;
}

bool Runner::to_be_told() const { return state_ == State::telling && !journal_.unwanted; }

std::string Runner::words() const {
  switch (journal_.phase) {
    case JobPhase::none:
      return "";
    case JobPhase::running:
      if (journal_.step >= plan_.steps.size()) return "";
      return std::to_string(journal_.step + 1) + " of " + std::to_string(plan_.steps.size()) +
             ", " + step().name + (pause_words_.empty() ? "" : ": " + pause_words_);
    case JobPhase::undoing:
      return "taking the new version back" + (pause_words_.empty() ? "" : ": " + pause_words_);
    case JobPhase::rebooting_back:
      return "rebooting into the version before";
    case JobPhase::ended:
      return std::string(name_of(journal_.status)) + ", to be told to the service";
  }
  return "";
}

std::optional<JobStatus> Runner::ended(const std::string& job, std::int64_t execution) const {
  for (const EndedJob& one : journal_.ended) {
    if (one.job == job && one.execution == execution) return one.status;
  }
  return std::nullopt;
}

std::string Runner::banned(const std::string& version) const {
  for (const FailedVersion& one : journal_.failed) {
    if (one.version == version && one.times >= kVersionTries) {
      return version + " had to be taken back " + std::to_string(one.times) +
             " times on this device";
    }
  }
  return "";
}

}  // namespace holdfast::update
