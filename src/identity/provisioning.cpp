// See provisioning.h. First what goes well, then what does not.
#include "identity/provisioning.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace holdfast::identity {

using Phase = ProvisionPhase;

Provisioning::Provisioning(ProvisionPlan plan, ProvisionStart start, env::Random& random)
    : plan_(plan), random_(random), journal_(std::move(start.journal)) {
  begin(start);
}

// ---- where it goes on ---------------------------------------------------------------------------

void Provisioning::begin(const ProvisionStart& start) {
  const Phase phase = journal_.phase;
  const bool has_certificate = phase == Phase::certificate || phase == Phase::registered;
  if (start.active_is_journals && has_certificate) return finish();  // cut just before its end
  if (start.has_active && !plan_.renewal) {
    const bool ours = phase == Phase::done && start.active_is_journals;
    return enter(ours && plan_.retire_claim ? State::retiring : State::over);
  }
  switch (phase) {
    case Phase::none:
    case Phase::done:  // its credential is no longer there, or it is time for the next one
      return begin_anew();
    case Phase::key:
      return plan_.csr ? enter(State::connecting) : begin_anew();
    case Phase::certificate:
      return enter(State::connecting);
    case Phase::registered:
      return enter(plan_.renewal ? State::installing : State::verifying);
  }
}

void Provisioning::begin_anew() {
  ProvisionJournal fresh;
  fresh.given_up = std::move(journal_.given_up);
  journal_ = std::move(fresh);
  enter(plan_.csr ? State::making_key : State::connecting);
}

Provisioning::Order Provisioning::next(BootTime now) {
  if (state_ == State::pausing) {
    if (now < until_) return {ProvisionOrder::wait, until_};
    enter(resumed_);
  }
  switch (state_) {
    case State::making_key:
      return {ProvisionOrder::make_key};
    case State::writing:
      return {ProvisionOrder::write};
    case State::connecting:
      return {ProvisionOrder::connect};
    case State::subscribing:
      return {ProvisionOrder::subscribe};
    case State::asking:
      return {ProvisionOrder::ask};
    case State::registering:
      return {ProvisionOrder::register_thing};
    case State::leaving:
      return {ProvisionOrder::leave};
    case State::verifying:
      return {ProvisionOrder::verify};
    case State::installing:
      return {ProvisionOrder::install};
    case State::retiring:
      return {ProvisionOrder::retire_claim};
    case State::pausing:
    case State::over:
      break;
  }
  return {ProvisionOrder::end};
}

ProvisioningStep Provisioning::step() const {
  switch (state_ == State::pausing ? paused_ : state_) {
    case State::making_key:
      return ProvisioningStep::key;
    case State::connecting:
    case State::subscribing:
      return ProvisioningStep::claim;
    case State::asking:
      return ProvisioningStep::certificate;
    case State::registering:
      return ProvisioningStep::registration;
    case State::leaving:
    case State::verifying:
      return ProvisioningStep::verification;
    case State::installing:
    case State::retiring:
      return ProvisioningStep::installation;
    case State::over:
      return journal_.phase == Phase::done ? ProvisioningStep::done : ProvisioningStep::none;
    case State::writing:
    case State::pausing:
      break;
  }
  switch (journal_.phase) {  // what is written
    case Phase::none:
    case Phase::key:
      return ProvisioningStep::key;
    case Phase::certificate:
      return ProvisioningStep::certificate;
    case Phase::registered:
      return ProvisioningStep::registration;
    case Phase::done:
      break;
  }
  return ProvisioningStep::installation;
}

void Provisioning::enter(State state) {
  state_ = state;
  shown_.step = step();
  shown_.blocked = false;
  shown_.certificate_id = journal_.certificate_id;
  shown_.thing_name = journal_.thing;
}

// ---- what goes well -----------------------------------------------------------------------------

void Provisioning::done(BootTime now, WallTime wall, ProvisionOutcome outcome) {
  HF_CHECK(state_ != State::pausing && state_ != State::over);
  if (outcome.done || state_ == State::leaving) {
    succeeded(wall, outcome);
  } else {
    failed(now, outcome.trouble);
  }
}

void Provisioning::succeeded(WallTime wall, ProvisionOutcome& outcome) {
  shown_.reason.clear();
  switch (state_) {
    case State::making_key:
      journal_.key = std::move(outcome.key);
      return write_then(Phase::key, State::connecting);
    case State::writing:
      return enter(written_);
    case State::connecting:
      refusals_ = 0;
      return enter(State::subscribing);
    case State::subscribing:
      return enter(journal_.phase == Phase::certificate ? State::registering : State::asking);
    case State::asking:
      if (!outcome.key.text().empty()) journal_.key = std::move(outcome.key);
      journal_.certificate = std::move(outcome.certificate);
      journal_.certificate_id = std::move(outcome.certificate_id);
      journal_.token = std::move(outcome.token);
      journal_.received = wall;
      unanswered_ = 0;
      return write_then(Phase::certificate, State::subscribing);
    case State::registering:
      journal_.token = Secret();
      journal_.thing = std::move(outcome.thing);
      journal_.configuration = std::move(outcome.configuration);
      return write_then(Phase::registered, State::leaving);
    case State::leaving:
      return enter(plan_.renewal ? State::installing : State::verifying);
    case State::verifying:
      return enter(State::installing);
    case State::installing:
      return finish();
    default:
      return enter(State::over);
  }
}

void Provisioning::finish() {
  journal_.key = Secret();
  journal_.token = Secret();
  journal_.certificate.clear();
  write_then(Phase::done, plan_.retire_claim && !plan_.renewal ? State::retiring : State::over);
}

void Provisioning::write_then(Phase phase, State after) {
  journal_.phase = phase;
  range_ = kProvisionFirst;
  new_refusals_ = 0;
  in_doubt_ = false;
  claim_said_.clear();
  shown_.tries = 0;
  written_ = after;
  enter(State::writing);
}

// ---- what does not ------------------------------------------------------------------------------

void Provisioning::failed(BootTime now, const ProvisionTrouble& trouble) {
  switch (state_) {
    case State::connecting:
    case State::subscribing:
    case State::asking:
    case State::registering:
      return failed_with_claim(now, trouble);
    case State::verifying:
      return failed_with_new(now, trouble);
    case State::retiring:  // nothing depends on it
      enter(State::over);
      shown_.reason = trouble.words;
      return;
    default:
      return pause(now, state_, trouble, trouble.kind == Kind::final);
  }
}

void Provisioning::failed_with_claim(BootTime now, const ProvisionTrouble& trouble) {
  if (state_ == State::registering && trouble.kind == Kind::token) {
    in_doubt_ = true;
    return enter(State::leaving);
  }
  bool blocked = trouble.kind == Kind::final;
  if (state_ == State::asking && !blocked && trouble.kind != Kind::throttled) {
    blocked = ++unanswered_ >= kAsksUnanswered;
    if (blocked) unanswered_ = 0;
  }
  if (trouble.kind == Kind::refused || trouble.kind == Kind::denied) {
    blocked = ++refusals_ >= kProvisionRefusals;
    if (blocked) refusals_ = 0;
    // A claim may end after its certificate was registered, and the answer lost.
    if (blocked && journal_.phase == Phase::certificate && !plan_.renewal) {
      claim_said_ = trouble.words;
      in_doubt_ = true;
      return enter(State::verifying);
    }
  }
  pause(now, State::connecting, trouble, blocked);
}

void Provisioning::failed_with_new(BootTime now, const ProvisionTrouble& trouble) {
  const bool no = trouble.kind == Kind::refused || trouble.kind == Kind::hung_up;
  const bool denied = trouble.kind == Kind::denied || trouble.kind == Kind::final;
  if (!no && !denied) return pause(now, State::verifying, trouble, false);
  const bool believed = ++new_refusals_ >= kProvisionRefusals;
  if (believed) new_refusals_ = 0;
  if (!in_doubt_) return pause(now, State::verifying, trouble, believed);
  if (!claim_said_.empty()) {
    const ProvisionTrouble claims{Kind::refused, std::exchange(claim_said_, {})};
    return pause(now, State::connecting, claims, true);
  }
  // Known to the broker, it may be in force: then another one would be the second.
  if (denied) return pause(now, State::connecting, trouble, believed);
  if (!believed) return pause(now, State::connecting, trouble, false);
  give_up_certificate();
}

void Provisioning::give_up_certificate() {
  auto& given_up = journal_.given_up;
  given_up.push_back(std::exchange(journal_.certificate_id, {}));
  if (given_up.size() > kGivenUpMax) given_up.erase(given_up.begin());
  journal_.certificate.clear();
  journal_.token = Secret();
  if (!plan_.csr) journal_.key = Secret();  // the service made it with its certificate
  const bool keyed = !journal_.key.text().empty();
  write_then(keyed ? Phase::key : Phase::none, State::connecting);
}

void Provisioning::pause(BootTime now, State after, const ProvisionTrouble& trouble, bool blocked) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  const Duration cap = trouble.kind == Kind::throttled ? kThrottledCap : kProvisionCap;
  const auto range = static_cast<std::uint64_t>(
      duration_cast<milliseconds>(blocked ? kBlockedFor / 2 : std::min(range_, cap)).count());
  const Duration floor = blocked ? kBlockedFor / 2 : kSpacing;
  until_ = now + floor + milliseconds(static_cast<std::int64_t>(random_.below(range + 1)));
  range_ = std::min(range_ * 2, cap);
  // No connection outlasts a pause.
  if (state_ == State::writing && written_ == State::subscribing) written_ = State::connecting;
  paused_ = state_;
  resumed_ = after;
  state_ = State::pausing;
  shown_.step = step();
  ++shown_.tries;
  shown_.reason = trouble.words;
  shown_.blocked = blocked;
}

}  // namespace holdfast::identity
