#include "health/power.h"

#include <algorithm>
#include <utility>

namespace holdfast::health {

namespace {

constexpr std::array<std::string_view, 3> kNotices{"on_battery", "going_down", "power_back"};

std::size_t at(PowerSource source) { return static_cast<std::size_t>(source); }

std::string in_ms(Milliseconds time) { return std::to_string(time.count()) + " ms"; }

}  // namespace

std::string_view to_string(PowerNotice notice) noexcept {
  return kNotices[static_cast<std::size_t>(notice)];
}

Power::Power(const Config::Power& rules) : rules_(rules) {}

// ---- events -------------------------------------------------------------------------------------

void Power::reading(BootTime /*now*/, PowerSource source, PowerReading reading) {
  problems_.at(at(source)).clear();
  said_.at(at(source)) = std::move(reading);
}

void Power::trouble(PowerSource source, std::string problem) {
  problems_.at(at(source)) = std::move(problem);
}

void Power::fail(BootTime /*now*/, std::string_view why) {
  said_.at(at(PowerSource::signal)) =
      PowerReading{false, true, false, {}, {}, why.empty() ? "power_fail" : std::string(why)};
}

void Power::back(BootTime /*now*/) { said_.at(at(PowerSource::signal)).reset(); }

void Power::saved(BootTime now) {
  if (saved_ || (state_ != State::leaving && state_ != State::parting)) return;
  saved_ = true;
  safe_ = std::chrono::ceil<Milliseconds>(now - since_);
}

// ---- what holds ---------------------------------------------------------------------------------

bool Power::is_low(const PowerReading& one) const {
  if (one.mains) return false;
  const bool charge = one.charge && *one.charge < rules_.low_charge;
  const bool runtime = one.runtime && *one.runtime < rules_.low_runtime;
  return one.low || charge || runtime;
}

const std::string* Power::reason() const {
  for (const auto& one : said_) {
    if (one && (one->forced || is_low(*one))) return &one->words;
  }
  return nullptr;
}

bool Power::mains_away() const {
  return std::any_of(said_.begin(), said_.end(),
                     [](const auto& one) { return one && !one->mains; });
}

std::string Power::words() const {
  std::string text;
  for (const auto& one : said_) {
    if (!one || one->words.empty()) continue;
    text += (text.empty() ? "" : "; ") + one->words;
  }
  return text;
}

PowerState Power::state() const {
  PowerState now;
  const bool known =
      std::any_of(said_.begin(), said_.end(), [](const auto& one) { return one.has_value(); });
  switch (state_) {
    case State::steady:
    case State::dimmed:
      now.phase = known ? PowerPhase::mains : PowerPhase::unknown;
      break;
    case State::on_battery:
    case State::returning:
      now.phase = PowerPhase::on_battery;
      break;
    case State::leaving:
    case State::parting:
      now.phase = PowerPhase::going_down;
      break;
    case State::down:
      now.phase = PowerPhase::down;
      break;
  }
  now.detail = words();
  for (const std::string& problem : problems_) {
    if (!problem.empty()) now.problem += (now.problem.empty() ? "" : "; ") + problem;
  }
  for (const auto& one : said_) {
    if (one && one->charge) now.charge = std::min(now.charge.value_or(100), *one->charge);
    if (one && one->runtime) now.runtime = one->runtime;
  }
  now.on_battery = batteries_;
  now.going_down = downs_;
  now.safe = safe_;
  return now;
}

// ---- what follows -------------------------------------------------------------------------------

PowerOrders Power::tick(BootTime now) {
  PowerOrders orders;
  for (std::optional<State> before; before != state_;) {
    before = state_;
    step(now, orders);
  }
  return orders;
}

void Power::step(BootTime now, PowerOrders& orders) {
  if (reason() == nullptr) muted_ = false;
  const bool must = reason() != nullptr && !muted_;
  switch (state_) {
    case State::steady:
      if (must) return leave(now, orders);
      if (mains_away()) enter(now, State::dimmed);
      return;
    case State::dimmed:
      if (must) return leave(now, orders);
      if (!mains_away()) return enter(now, State::steady);
      if (now >= since_ + rules_.on_battery_after) become_battery(now, orders);
      return;
    case State::on_battery:
      if (must) return leave(now, orders);
      if (!mains_away()) enter(now, State::returning);
      return;
    case State::returning:
      if (must) return leave(now, orders);
      if (mains_away()) return enter(now, State::on_battery);
      if (now >= since_ + rules_.back_after) resume(now, orders, "the power is back");
      return;
    case State::leaving:
      if (!must && !forced_) return resume(now, orders, "the power does not go after all");
      if (!(saved_ && farewell_settled_) && now < since_ + rules_.farewell) return;
      if (!saved_) {
        say(orders, LogLevel::error,
            "not everything could be saved within power.farewell (" + in_ms(rules_.farewell) + ")");
      }
      away_ = false;
      orders.posture = orders.save = orders.away = true;
      return enter(now, State::parting);
    case State::parting:
      if (!away_ && now < since_ + kPartTime) return;
      orders.command = !rules_.command.empty();
      say(orders, LogLevel::warning,
          orders.command ? "everything is in order; power.command is run"
                         : "everything is in order for the power to go");
      well_since_.reset();
      return enter(now, State::down);
    case State::down:
      if (must || mains_away()) {
        well_since_.reset();
      } else if (!well_since_) {
        well_since_ = now;
      }
      if (well_since_ && now >= *well_since_ + rules_.back_after) {
        return resume(now, orders, "the power is back");
      }
      if (now < since_ + rules_.resume_after) return;
      muted_ = true;
      said_.at(at(PowerSource::signal)).reset();  // it was not so
      return resume(now, orders, "the machine is still on after power.resume_after");
  }
}

void Power::enter(BootTime now, State state) {
  state_ = state;
  since_ = now;
}

void Power::become_battery(BootTime now, PowerOrders& orders) {
  enter(now, State::on_battery);
  ++batteries_;
  orders.notice = PowerNotice::on_battery;
  orders.posture = orders.hold_lanes = true;
  say(orders, LogLevel::warning, "on battery: " + words());
}

void Power::leave(BootTime now, PowerOrders& orders) {
  why_ = *reason();
  forced_ =
      std::any_of(said_.begin(), said_.end(), [](const auto& one) { return one && one->forced; });
  enter(now, State::leaving);
  ++downs_;
  saved_ = farewell_settled_ = away_ = false;
  safe_.reset();
  orders.refuse = true;
  orders.note = true;
  orders.notice = PowerNotice::going_down;
  orders.posture = orders.hold_lanes = orders.save = true;
  say(orders, LogLevel::warning,
      "the power goes: " + why_ + "; publishers are refused, and what was accepted is saved");
}

void Power::resume(BootTime now, PowerOrders& orders, const std::string& why) {
  const bool was_down = state_ != State::returning;
  orders.posture = true;
  orders.hold_lanes = orders.save = orders.away = false;
  if (was_down) {
    orders.refuse = false;
    orders.forget_note = true;
  }
  say(orders, LogLevel::info, why + (was_down ? "; all goes on as usual" : ""));
  forced_ = false;
  if (mains_away()) return become_battery(now, orders);
  orders.notice = PowerNotice::power_back;
  enter(now, State::steady);
}

void Power::say(PowerOrders& orders, LogLevel level, std::string text) const {
  orders.log.push_back({level, LogArea::health, std::move(text), {}, {{"power", words()}}});
}

BootTime Power::next_wake() const {
  switch (state_) {
    case State::steady:
    case State::on_battery:
      return kNever;
    case State::dimmed:
      return since_ + rules_.on_battery_after;
    case State::returning:
      return since_ + rules_.back_after;
    case State::leaving:
      return since_ + rules_.farewell;
    case State::parting:
      return since_ + kPartTime;
    case State::down:
      return std::min<BootTime>(since_ + rules_.resume_after,
                                well_since_ ? *well_since_ + rules_.back_after : kNever);
  }
  return kNever;
}

}  // namespace holdfast::health
