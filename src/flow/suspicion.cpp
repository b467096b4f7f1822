// See suspicion.h.
#include "flow/suspicion.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace holdfast::flow {

// ---- the connection -----------------------------------------------------------------------------

void Suspicion::connected(BootTime now) {
  HF_CHECK(!up_ && !trial_);
  up_ = true;
  up_at_ = now;
  relaxed_ = false;
  release([&](const Case& c) { return !c.denied && now >= c.since + kDoubtMost; });
}

std::optional<Operation> Suspicion::ended(BootTime now, End end,
                                          std::span<const OpenOperation> open) {
  up_ = false;
  const std::optional<Operation> trial = std::exchange(trial_, std::nullopt);
  if (end == End::elsewhere) return std::nullopt;
  const bool soon = std::any_of(open.begin(), open.end(),
                                [&](const OpenOperation& o) { return now <= o.since + kSoon; });
  if (end == End::told || !soon) {
    // It ends connections anyway.
    clear_suspects();
    release([](const Case& c) { return !c.denied; });
    return std::nullopt;
  }
  const bool tried = trial && open.size() == 1 && open.front().operation == *trial;
  if (Case* found = tried ? look_for(*trial) : nullptr) {
    if (strike(now, *found)) return trial;
  } else {
    suspect(now, open);
  }
  return std::nullopt;
}

void Suspicion::suspect(BootTime now, std::span<const OpenOperation> open) {
  std::vector<Operation> unknown;
  for (const OpenOperation& o : open) {
    const bool known = find(o.operation) != nullptr ||
                       std::find(unknown.begin(), unknown.end(), o.operation) != unknown.end();
    if (!known) unknown.push_back(o.operation);
  }
  if (unknown.empty()) return;
  if (ends_ >= kEndsToDoubt && open.size() == 1) {
    std::erase(suspects_, unknown.front());
    set_aside({std::move(unknown.front()), false, 0, 1, now, now});
    if (suspects_.empty()) clear_suspects();
    return;
  }
  std::vector<Operation> common;
  for (const Operation& o : unknown) {
    if (std::find(suspects_.begin(), suspects_.end(), o) != suspects_.end()) common.push_back(o);
  }
  ends_ = common.empty() ? 1 : ends_ + 1;
  suspects_ = common.empty() ? std::move(unknown) : std::move(common);
}

/// Whether it is proven now.
bool Suspicion::strike(BootTime now, Case& found) {
  ++found.strikes;
  found.at_once = false;
  if (found.denied) {
    found.pace = std::min(found.pace * 2, kTrialCap);
  } else if (found.strikes >= kStrikes) {
    found.denied = true;
    found.since = now;
    found.pace = kTrialFirst;
  }
  found.next = now + found.pace;
  return found.denied;
}

void Suspicion::answered(const Operation& operation) {
  if (std::erase(suspects_, operation) > 0 && suspects_.empty()) clear_suspects();
  // Of what was denied by an answer, others may still be on their way; only its own trial tells
  // that it is allowed again.
  const Case* const known = find(operation);
  if (known != nullptr && known->denied && trial_ != operation) return;
  forget(operation);
}

bool Suspicion::denied(BootTime now, const Operation& operation, std::uint8_t code) {
  if (std::erase(suspects_, operation) > 0 && suspects_.empty()) clear_suspects();
  const bool tried = trial_ == operation;
  if (tried) trial_.reset();
  Case* known = look_for(operation);
  if (known != nullptr && known->denied) {
    known->code = code;
    if (!tried) return false;  // it was on the way already
    known->pace = std::min(known->pace * 2, kTrialCap);
    known->next = now + known->pace;
    known->at_once = false;
    return false;
  }
  Case fresh{operation, true, code, 0, now, now + kTrialFirst, kTrialFirst};
  if (known != nullptr) {
    *known = std::move(fresh);
  } else {
    set_aside(std::move(fresh));
  }
  return true;
}

// ---- trials -------------------------------------------------------------------------------------

std::optional<Operation> Suspicion::next_trial(BootTime now) {
  if (!up_ || trial_ || careful()) return std::nullopt;
  const auto first = std::min_element(
      cases_.begin(), cases_.end(), [&](const Case& a, const Case& b) { return due(a) < due(b); });
  if (first == cases_.end() || now < due(*first)) return std::nullopt;
  trial_ = first->operation;
  return trial_;
}

void Suspicion::give_up_trial(BootTime now, bool nothing) {
  if (!trial_) return;
  Case* found = look_for(*trial_);
  trial_.reset();
  if (found == nullptr) return;
  if (nothing && !found->denied) return forget(Operation(found->operation));
  found->at_once = false;
  found->next = now + std::max(found->pace, kControl);
}

void Suspicion::try_now(BootTime now) {
  for (Case& c : cases_) {
    c.next = std::min(c.next, now);
    c.at_once = c.denied;
  }
}

void Suspicion::forget(const Operation& operation) {
  if (trial_ == operation) trial_.reset();
  release([&](const Case& c) { return c.operation == operation; });
}

// ---- what is ------------------------------------------------------------------------------------

const Suspicion::Case* Suspicion::find(const Operation& operation) const {
  const auto found = std::find_if(cases_.begin(), cases_.end(),
                                  [&](const Case& c) { return c.operation == operation; });
  return found == cases_.end() ? nullptr : &*found;
}

Suspicion::Case* Suspicion::look_for(const Operation& operation) {
  return const_cast<Case*>(std::as_const(*this).find(operation));
}

Names Suspicion::names(Operation::Kind kind) const {
  Names names;
  for (const Case& c : cases_) {
    if (c.operation.kind == kind) names.insert(c.operation.name);
  }
  return names;
}

void Suspicion::service(BootTime now) {
  if (careful() && up_ && now >= up_at_ + kCarefulMost) relaxed_ = true;
}

BootTime Suspicion::next_wake() const {
  if (!up_) return kNever;
  if (careful()) return up_at_ + kCarefulMost;
  BootTime at = kNever;
  if (trial_) return at;
  for (const Case& c : cases_) at = std::min(at, due(c));
  return at;
}

BootTime Suspicion::due(const Case& c) const {
  return c.at_once ? c.next : std::max<BootTime>(c.next, up_at_ + kControl);
}

void Suspicion::set_aside(Case fresh) {
  if (cases_.size() >= limits::kQuarantineMax) {
    const bool tried = trial_ == cases_.front().operation;
    cases_.erase(cases_.begin() + (tried ? 1 : 0));
  }
  cases_.push_back(std::move(fresh));
  ++version_;
}

void Suspicion::clear_suspects() {
  suspects_.clear();
  ends_ = 0;
}

template <typename Which>
void Suspicion::release(const Which& which) {
  if (std::erase_if(cases_, which) > 0) ++version_;
}

}  // namespace holdfast::flow
