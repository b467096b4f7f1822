// See accounts.h.
#include "device/accounts.h"

#include <utility>

#include "base/check.h"

namespace holdfast::device {

void Accounts::report(const Ledger& store) {
  if (opened_) return;
  HF_CHECK(durable_.accepted == 0);
  opened_ = true;
  durable_ = store;
  HF_CHECK(durable_.balanced());
}

void Accounts::accept(MessageId id, Ticket ticket) {
  HF_CHECK(id != 0 && (is_volatile(id) || opened_));
  Ledger& ledger = of(id);
  ++ledger.accepted;
  ++ledger.pending;
  if (ticket != 0) waiting_.emplace(id, Waiting{ticket, id});
}

void Accounts::reject(RejectReason reason) { ++rejected_[static_cast<std::size_t>(reason)]; }

void Accounts::move(MessageId from, MessageId to) {
  HF_CHECK(is_volatile(from) && !is_volatile(to));
  HF_CHECK(volatile_.pending > 0 && volatile_.accepted > 0);
  --volatile_.accepted;
  --volatile_.pending;
  ++durable_.accepted;
  ++durable_.pending;
  auto node = waiting_.extract(from);
  if (node.empty()) return;
  node.key() = to;
  waiting_.insert(std::move(node));
}

Accounts::Waiting Accounts::settle(MessageId id, bool delivered, DropReason reason) {
  Ledger& ledger = of(id);
  HF_CHECK(ledger.pending > 0);
  --ledger.pending;
  ++(delivered ? ledger.delivered : ledger.dropped[static_cast<std::size_t>(reason)]);
  const auto node = waiting_.extract(id);
  return node.empty() ? Waiting{} : node.mapped();
}

Ledger Accounts::ledger() const {
  Ledger sum = durable_;
  sum.accepted += volatile_.accepted;
  sum.delivered += volatile_.delivered;
  sum.pending += volatile_.pending;
  for (std::size_t i = 0; i < kDropReasons; ++i) sum.dropped[i] += volatile_.dropped[i];
  sum.rejected = rejected_;
  return sum;
}

void Accounts::check(std::uint64_t volatile_held, std::uint64_t durable_held) const {
  HF_CHECK(durable_.balanced() && volatile_.balanced());
  HF_CHECK(volatile_.pending == volatile_held);
  HF_CHECK(durable_.pending >= durable_held);
  HF_CHECK(waiting_.size() <= durable_.pending + volatile_.pending);
}

}  // namespace holdfast::device
