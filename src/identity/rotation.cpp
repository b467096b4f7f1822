// See rotation.h. In the order of the header: what happens, service(), what is.
#include "identity/rotation.h"

#include <utility>

#include "base/calendar.h"
#include "base/check.h"

namespace holdfast::identity {
namespace {

using Slot = IdentitySlot;

enum class Blame : std::uint8_t {
  nobody,       ///< We wanted it so.
  network,      ///< Says nothing of the credential.
  perhaps,      ///< A server hung up, or a file was unfit: some servers refuse so.
  credentials,  ///< In words.
};

Blame blame_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::none:
    case Verdict::not_started:
      return Blame::nobody;
    case Verdict::tls_client_refused:
    case Verdict::not_authorized:
    case Verdict::bad_credentials:
      return Blame::credentials;
    case Verdict::no_credentials:  // perhaps the CA's file
    case Verdict::tls_failed:
    case Verdict::server_gone:
    case Verdict::protocol_error:
    case Verdict::publish_denied:
    case Verdict::subscribe_denied:
      return Blame::perhaps;
    default:
      return Blame::network;
  }
}

std::string words(Verdict verdict, std::string_view detail) {
  std::string text(to_string(verdict));
  if (!detail.empty()) text += ": " + std::string(detail);
  return text;
}

std::string name_of(const View& view) {
  const SlotState& state = view.state;
  return (state.subject.empty() ? "a certificate" : state.subject) + ", SHA-256 " +
         state.fingerprint.substr(0, 16) + "…";
}

WallTime from_seconds(std::int64_t seconds) { return WallTime{seconds * 1000}; }

}  // namespace

// ---- what happens -------------------------------------------------------------------------------

void Rotation::look(const Slots& slots) {
  for (const Slot slot : {Slot::active, Slot::previous}) say_changed(slot, slots[slot]);
  const View& before = slots_[Slot::next];
  const View& after = slots[Slot::next];
  const bool another = before.id != after.id || before.state.reason != after.state.reason;
  slots_ = slots;
  // Kept already, by us or by a run that was cut off before it could note it.
  if (in_use_ == Slot::next && !used_id_.empty() && slots_[Slot::active].id == used_id_) {
    in_use_ = Slot::active;
    if (state_ != State::keeping) forget_trial();
  }
  if (another) {
    forget_trial();
    reason_said_.clear();
  }
  const bool on_trial = in_use_ == Slot::next && state_ != State::resting;
  if (on_trial || (in_use_ != Slot::next && slots_[in_use_].usable())) return;
  if (use(other(std::nullopt).value_or(Slot::active))) renew_ = true;
}

void Rotation::say_changed(Slot slot, const View& now) {
  const View& before = slots_[slot];
  const std::string name(to_string(slot));
  if (now.state.condition == SlotCondition::refused && now.state.reason != before.state.reason) {
    say(true, "the " + name + " slot is refused: " + now.state.reason);
  } else if (slot == in_use_ && current_ && now.usable() && before.usable() &&
             now.id != before.id && now.id != used_id_) {
    say(false, "the " + name + " certificate was replaced (" + name_of(now) +
                   "); the next connection uses it");
  }
}

/// True if an attempt or a connection with another slot is under way, which is over for us.
bool Rotation::use(Slot slot) {
  if (slot == in_use_) return false;
  in_use_ = slot;
  up_at_ = kNever;
  return std::exchange(current_, false);
}

void Rotation::forget_trial() {
  state_ = State::resting;
  strikes_ = misses_ = lost_ = 0;
  blamed_ = insist_ = asked_to_keep_ = false;
  compared_.reset();
  why_.clear();
  pause_until_ = keep_again_ = BootTime::min();
}

void Rotation::began() {
  used_id_ = slots_[in_use_].id;
  up_at_ = kNever;
  current_ = true;
}

void Rotation::up(BootTime now) {
  if (current_) up_at_ = now;
}

void Rotation::ended(BootTime now, Verdict verdict, std::string_view detail) {
  if (!std::exchange(current_, false)) return;
  up_at_ = kNever;
  const Blame blame = blame_of(verdict);
  if (blame == Blame::nobody) return;
  switch (state_) {
    case State::trying:
      return failed_trial(now, verdict, words(verdict, detail));
    case State::comparing:
      // With words about `next` the fallback has the better right, unless it is refused as well.
      if (blamed_ && blame != Blame::credentials && ++misses_ < kMisses) return;
      state_ = State::trying;
      in_use_ = Slot::next;
      strikes_ = misses_ = 0;
      since_ = now;
      return;
    case State::keeping:
      return;  // proven before
    case State::resting:
      return failed_rest(verdict, detail);
  }
}

void Rotation::failed_trial(BootTime now, Verdict verdict, std::string why) {
  const Blame blame = blame_of(verdict);
  why_ = std::move(why);
  if (blame == Blame::credentials) return compare(now, why_, true);
  if (blame == Blame::perhaps) {
    if (++strikes_ >= kStrikes) compare(now, why_, false);
  } else if (++misses_ >= kMisses && now >= since_ + kPatience) {
    compare(now, why_, false);
  }
}

void Rotation::compare(BootTime now, std::string why, bool blamed) {
  const auto fallback = other(compared_).has_value() ? other(compared_) : other(std::nullopt);
  if (!fallback) {  // nothing to fall back on: it goes on being tried
    strikes_ = misses_ = 0;
    since_ = now;
    return;
  }
  compared_ = fallback;
  blamed_ = blamed;
  state_ = State::comparing;
  misses_ = 0;
  static_cast<void>(use(*fallback));
  renew_ = true;
  say(true, "the next certificate does not get in (" + std::move(why) + "); the " +
                std::string(to_string(in_use_)) + " one is used again, to compare");
}

void Rotation::failed_rest(Verdict verdict, std::string_view detail) {
  if (blame_of(verdict) != Blame::credentials) return;
  if (++refusals_ < kRefusals) return;
  refusals_ = 0;
  // All that is left: the others, in turn, whatever was thought of them before.
  const auto fallback = other(in_use_);
  if (slots_[Slot::next].usable() && !insist_) {
    insist_ = true;
    pause_until_ = BootTime::min();
  } else if (fallback) {
    if (!std::exchange(refusal_said_, true)) {
      say(true, "the " + std::string(to_string(in_use_)) + " certificate is refused (" +
                    words(verdict, detail) + "); the others are tried in turn");
    }
    static_cast<void>(use(*fallback));
    insist_ = false;
  } else {
    insist_ = false;
  }
}

void Rotation::kept(BootTime now, const Status& done) {
  if (!std::exchange(asked_to_keep_, false)) return;
  if (done) return keep_said_.clear();
  keep_again_ = now + kKeepAgain;
  if (done.error().message == keep_said_) return;
  keep_said_ = done.error().message;
  say(true, "the next certificate is proven, but its file cannot be moved: " + keep_said_ +
                "; it is used nevertheless, and moved later");
}

// ---- service() ----------------------------------------------------------------------------------

Rotation::Orders Rotation::service(BootTime now, const KnownTime& time) {
  Orders orders;
  wake_at_ = kNever;
  decide(now, time, orders);
  orders.renew = std::exchange(renew_, false) || orders.renew;
  orders.log = std::exchange(lines_, {});
  HF_CHECK(wake_at_ == kNever || wake_at_ > now);
  return orders;
}

void Rotation::decide(BootTime now, const KnownTime& time, Orders& orders) {
  switch (state_) {
    case State::trying:
      if (!proven(now)) {
        if (up_at_ != kNever) wake_at_ = up_at_ + proof_;
        return;
      }
      state_ = State::keeping;
      refusals_ = 0;
      note_kept(time);
      say(false, "the next certificate is kept (" + name_of(slots_[Slot::next]) + ")");
      [[fallthrough]];
    case State::keeping:
      return order_keep(now, orders);
    case State::comparing:
      if (up_at_ != kNever) judge_comparison(now, time, orders);
      return;
    case State::resting:
      return rest(now, time, orders);
  }
}

/// Written together with the files.
void Rotation::note_kept(const KnownTime& time) {
  const View& next = slots_[Slot::next];
  record_ = {RotationResult::kept, next.id, next.state.fingerprint, time.clock, ""};
  ++kept_;
}

void Rotation::order_keep(BootTime now, Orders& orders) {
  if (asked_to_keep_) return;
  if (now < keep_again_) {
    wake_at_ = std::min(wake_at_, keep_again_);
    return;
  }
  asked_to_keep_ = orders.keep = true;
}

void Rotation::judge_comparison(BootTime now, const KnownTime& time, Orders& orders) {
  ++lost_;
  if (blamed_ || lost_ >= kComparisons) return roll_back(time, orders);
  state_ = State::resting;
  strikes_ = misses_ = 0;
  pause_until_ = now + kComparePause;
  rest(now, time, orders);
}

void Rotation::roll_back(const KnownTime& time, Orders& orders) {
  const View& next = slots_[Slot::next];
  record_ = {RotationResult::rolled_back, next.id, next.state.fingerprint, time.clock, why_};
  ++rolled_back_;
  orders.record = record_;
  say(true, "rolled back to the " + std::string(to_string(in_use_)) +
                " certificate; the next one (" + name_of(next) + ") does not get in: " + why_);
  forget_trial();
  reason_ = reason_said_ = "it was rolled back: " + record_.reason;
  over_ = true;
}

void Rotation::rest(BootTime now, const KnownTime& time, Orders& orders) {
  if (proven(now)) {
    refusals_ = 0;
    insist_ = refusal_said_ = false;
  } else if (up_at_ != kNever) {
    wake_at_ = up_at_ + proof_;
  }
  const View& next = slots_[Slot::next];
  over_ = false;
  reason_.clear();
  if (next.state.condition == SlotCondition::missing) return;
  // Left by a run that was cut off on its way to the end.
  if (next.usable() && next.id == slots_[Slot::active].id) {
    if (record_.id != next.id) note_kept(time);
    return order_keep(now, orders);
  }
  reason_ = hindrance(now, time);
  if (reason_.empty()) return begin_trial(now, orders);
  if (reason_ == reason_said_) return;
  reason_said_ = reason_;
  say(over_ || time.suspect(), "the next certificate is not tried: " + reason_);
}

std::string Rotation::hindrance(BootTime now, const KnownTime& time) {
  const View& next = slots_[Slot::next];
  if (!next.usable()) {
    over_ = true;
    return next.state.reason;
  }
  const WallTime begins = from_seconds(next.state.not_before);
  const WallTime ends = from_seconds(next.state.not_after);
  if (ends <= time.best()) {
    over_ = true;
    return "it expired at " + iso_time(ends) + " by this device's clock";
  }
  if (begins > time.best()) {
    const Duration left = std::chrono::milliseconds(begins.ms - time.best().ms);
    wake_at_ = std::min(wake_at_, now + std::min(left, kLookAgain));
    return "it is valid from " + iso_time(begins) +
           (time.suspect() ? ", and this device's clock is wrong: it waits for the clock"
                           : "; it waits until then");
  }
  if (insist_) return "";
  if (record_.result == RotationResult::rolled_back && record_.id == next.id) {
    over_ = true;
    return "it was rolled back: " + record_.reason;
  }
  if (now < pause_until_) {
    wake_at_ = std::min(wake_at_, pause_until_);
    return "it did not get in where the " + std::string(to_string(in_use_)) +
           " one does; it is tried again soon (" + why_ + ")";
  }
  return "";
}

void Rotation::begin_trial(BootTime now, Orders& orders) {
  state_ = State::trying;
  static_cast<void>(use(Slot::next));
  since_ = now;
  strikes_ = misses_ = 0;
  orders.renew = true;
  reason_said_.clear();
  say(false, "the next certificate is tried (" + name_of(slots_[Slot::next]) + ")");
}

// ---- what is ------------------------------------------------------------------------------------

std::optional<IdentitySlot> Rotation::other(std::optional<Slot> but) const {
  for (const Slot slot : {Slot::active, Slot::previous}) {
    if (slot != but && slots_[slot].usable()) return slot;
  }
  return std::nullopt;
}

std::optional<IdentitySlot> Rotation::fallback() const { return other(std::nullopt); }

RotationPhase Rotation::phase() const {
  switch (state_) {
    case State::trying:
      return RotationPhase::trying;
    case State::comparing:
      return RotationPhase::comparing;
    case State::keeping:
      return RotationPhase::keeping;
    case State::resting:
      break;
  }
  if (reason_.empty()) return RotationPhase::none;
  return over_ ? RotationPhase::refused : RotationPhase::waiting;
}

}  // namespace holdfast::identity
