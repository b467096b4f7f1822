#include "health/guards.h"

namespace holdfast::health {

namespace {

constexpr double kBack = 0.95;  // of the limit

}  // namespace

Guards::Guards(const Config::Guards& rules) : rules_(rules) {
  const std::array<std::uint16_t, kGuardKinds> limits{rules.memory, rules.io, rules.temperature,
                                                      rules.disk, rules.flash};
  for (std::size_t i = 0; i < kGuardKinds; ++i) {
    all_.at(i).state.kind = static_cast<GuardKind>(i);
    all_.at(i).state.limit = limits.at(i);
  }
}

std::vector<GuardState> Guards::look(BootTime now, const GuardValues& values) {
  std::vector<GuardState> changed;
  for (std::size_t i = 0; i < kGuardKinds; ++i) {
    One& one = all_.at(i);
    const auto& value = values.at(i);
    if (!value || one.state.limit == 0) continue;
    one.seen = true;
    one.state.value = value->value;
    one.state.detail = value->detail;
    const double limit = one.state.limit;
    const bool other_side = one.state.alarm ? value->value < limit * kBack : value->value >= limit;
    if (!other_side) {
      one.turning.reset();
      continue;
    }
    if (!one.turning) one.turning = now;
    if (now < *one.turning + rules_.lasts) continue;
    one.turning.reset();
    one.state.alarm = !one.state.alarm;
    if (one.state.alarm) ++one.state.alarms;
    changed.push_back(one.state);
  }
  return changed;
}

std::vector<GuardState> Guards::states() const {
  std::vector<GuardState> seen;
  for (const One& one : all_) {
    if (one.seen) seen.push_back(one.state);
  }
  return seen;
}

}  // namespace holdfast::health
