#include "health/stall_budget.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::health {

namespace {

constexpr int kLooksPerBudget = 4;
constexpr Duration kLeastPace = std::chrono::milliseconds(50);
constexpr Duration kMostPace = std::chrono::seconds(10);

}  // namespace

StallBudget::StallBudget(std::span<const StallRule> rules, BootTime now) : pace_(kMostPace) {
  HF_CHECK(!rules.empty());
  for (const StallRule& rule : rules) {
    HF_CHECK(rule.budget > Duration::zero());
    parts_.push_back({rule, 0, now, 0});
    pace_ = std::min(pace_, std::max(rule.budget / kLooksPerBudget, kLeastPace));
  }
}

StallBudget::Answer StallBudget::look(BootTime now, std::span<const std::uint64_t> finished) {
  HF_CHECK(finished.size() == parts_.size());
  Answer answer;
  answer.feed = true;
  bool was_named = false;
  bool is_named = false;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    was_named = was_named || part.named > 0;
    if (finished[i] != part.finished) part = {part.rule, finished[i], now, 0};
    const Duration lasts = now - part.since;
    const Duration left = std::max(part.rule.budget - lasts, Duration::zero());
    if (left == Duration::zero()) answer.feed = false;
    const int due = left == Duration::zero() ? 2 : left <= part.rule.budget / 4 ? 1 : 0;
    if (due > part.named) {
      part.named = due;
      answer.stalls.push_back({part.rule.part, lasts, left});
    }
    is_named = is_named || part.named > 0;
  }
  answer.over = was_named && !is_named;
  return answer;
}

}  // namespace holdfast::health
