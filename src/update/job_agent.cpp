#include "update/job_agent.h"

#include <algorithm>
#include <utility>

namespace holdfast::update {
namespace {

constexpr std::int64_t kNoTimer = -1;             ///< Cancels the one that runs.
constexpr std::int64_t kStepMinutesMost = 10080;  ///< The service's.
constexpr std::int64_t kStepMinutesBesides = 15;  ///< For a restart, and for telling it.

Plan plan_of(const Planner& planner, const JobJournal& journal) {
  if (journal.phase == JobPhase::none) return {};
  std::variant<Plan, std::string> read = planner(journal.document);
  Plan* const plan = std::get_if<Plan>(&read);
  return plan == nullptr ? Plan{} : std::move(*plan);
}

/// After so many minutes without a word the service may give up a device that is in this step.
std::int64_t minutes_of(const Step& step) {
  if (step.kind == StepKind::gate || step.kind == StepKind::download) return kNoTimer;
  const auto once = std::chrono::ceil<std::chrono::minutes>(step.timeout).count();
  return std::min(once * kInterruptionsMax + kStepMinutesBesides, kStepMinutesMost);
}

}  // namespace

JobAgent::JobAgent(JobJournal journal, Planner planner, std::string boot, env::Random& random)
    : planner_(std::move(planner)),
      jobs_(random),
      runner_(journal, plan_of(planner_, journal), std::move(boot), random) {
  if (runner_.idle()) return;
  jobs_.take(journal.job, journal.execution);
  taken_ = true;
}

std::optional<JobQuestion> JobAgent::question(BootTime now) {
  exchange();
  return jobs_.step(now);
}

Runner::Order JobAgent::order(BootTime now) {
  exchange();
  return runner_.next(now);
}

bool JobAgent::interrupted() {
  exchange();
  return runner_.interrupted();
}

/// What one of them has to tell the other.
void JobAgent::exchange() {
  if (const auto why = jobs_.given_up()) runner_.give_up(*why);
  if (jobs_.over()) {
    taken_ = told_before_ = false;
    runner_.acknowledged();
  }
  // Given up by the service, and over here.
  if (taken_ && !told_before_ && runner_.idle()) {
    jobs_.drop();
    taken_ = false;
  }
  if (const auto document = jobs_.document()) take_document(*document);
  if (runner_.ready()) take_offer();
  tell();
}

void JobAgent::done(BootTime now, StepOutcome outcome) {
  if (outcome.stale) jobs_.look(true);
  runner_.done(now, std::move(outcome));
}

/// The one that is here with other URLs, or else it is none of this execution.
void JobAgent::take_document(const std::string& document) {
  if (runner_.journal().phase != JobPhase::running) return;
  const std::variant<Plan, std::string> read = planner_(document);
  const Plan* const plan = std::get_if<Plan>(&read);
  const Plan& old = runner_.plan();
  const bool same = plan != nullptr && plan->version == old.version &&
                    std::equal(plan->steps.begin(), plan->steps.end(), old.steps.begin(),
                               old.steps.end(), [](const Step& one, const Step& other) {
                                 return one.kind == other.kind && one.name == other.name;
                               });
  if (same) runner_.renew(document);
}

void JobAgent::take_offer() {
  const auto offer = jobs_.offered();
  if (!offer) return;
  jobs_.take(offer->job, offer->number);
  taken_ = true;
  if (const auto status = runner_.ended(offer->job, offer->number)) {
    told_before_ = true;
    jobs_.tell(*status, {{"reason", "it had ended before"}}, 0);
    return;
  }
  std::variant<Plan, std::string> read = planner_(offer->document);
  std::string why;
  if (const auto* const refused = std::get_if<std::string>(&read)) {
    why = *refused;
  } else {
    const Plan& plan = std::get<Plan>(read);
    why = problem_of(plan);
    if (why.empty()) why = runner_.banned(plan.version);
  }
  if (why.empty()) {
    runner_.begin(offer->job, offer->number, offer->document, std::get<Plan>(std::move(read)));
  } else {
    runner_.refuse(offer->job, offer->number, offer->document, why);
  }
}

void JobAgent::tell() {
  if (!taken_ || told_before_) return;
  const JobJournal& journal = runner_.journal();
  if (runner_.to_be_told()) {
    jobs_.tell(journal.status, journal.details, 0);
  } else if (journal.phase != JobPhase::none && journal.phase != JobPhase::ended) {
    const bool in_step = journal.phase == JobPhase::running;
    jobs_.tell(JobStatus::in_progress, {{"step", clean_detail(runner_.words())}},
               in_step ? minutes_of(runner_.plan().steps[journal.step]) : kNoTimer);
  }
}

}  // namespace holdfast::update
