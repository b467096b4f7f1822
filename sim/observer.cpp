#include "sim/observer.h"

#include <algorithm>
#include <tuple>

#include "flow/sender.h"

namespace holdfast::sim {
namespace {

bool same(const std::optional<StatusMessage>& a, const std::optional<StatusMessage>& b) {
  if (a.has_value() != b.has_value()) return false;
  return !a || std::tie(a->topic, a->payload, a->qos, a->retain) ==
                   std::tie(b->topic, b->payload, b->qos, b->retain);
}

}  // namespace

void Observer::asks(const env::ConnectRequest& request) {
  sim_.checks.expect(Check::will_after_loss, same(request.will, config_.will),
                     [] { return "CONNECT carries another will than the settings"; });
}

void Observer::connected(bool aside) {
  birth_ = config_.birth;
  sent_birth_ = may_repeat_ = false;
  sent_any_ = born_ = aside;
}

void Observer::sends(env::Token token) {
  const bool birth = token == flow::kBirthToken;
  if (birth) {
    sim_.checks.expect(Check::will_after_loss, birth_ && (!sent_birth_ || may_repeat_),
                       [] { return "a birth message that nobody waits for"; });
    sent_birth_ = true;
    may_repeat_ = false;
  } else if (!sent_any_) {
    sim_.checks.expect(Check::will_after_loss, !birth_,
                       [] { return "something goes ahead of the birth message"; });
  }
  sent_any_ = true;
}

void Observer::put_off() {
  may_repeat_ = true;
  put_off_at_ = sim_.now;
}

bool Observer::born() const {
  constexpr SimTime kNextTurn = flow::kRetryCap + std::chrono::seconds(5);
  return born_ || (may_repeat_ && sim_.now - put_off_at_ < kNextTurn);
}

void Observer::sees_birth(const StoredMessage& message) {
  const auto byte = [](char c) { return static_cast<std::byte>(c); };
  const bool good =
      birth_ && message.topic == birth_->topic && message.qos == birth_->qos &&
      message.retain == birth_->retain &&
      std::equal(message.payload.begin(), message.payload.end(), birth_->payload.begin(),
                 birth_->payload.end(), [&](std::byte a, char b) { return a == byte(b); });
  sim_.checks.expect(Check::will_after_loss, good,
                     [] { return "a birth message that is not the one of the settings"; });
  born_ = true;
  heard_ = Heard::birth;
}

void Observer::sees_end(const std::optional<StatusMessage>& will, bool politely) {
  if (politely || !will) return;
  sim_.note("will");
  heard_ = Heard::will;
}

}  // namespace holdfast::sim
