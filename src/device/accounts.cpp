// See accounts.h.
#include "device/accounts.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::device {

void Accounts::report(const Ledger& store, std::uint64_t held) {
  if (!opened_) {
    HF_CHECK(durable_.accepted == 0);
    opened_ = true;
    durable_ = store;
    HF_CHECK(durable_.balanced());
    return;
  }
  for (const DropReason reason : {DropReason::corrupt, DropReason::evicted}) {
    const auto index = static_cast<std::size_t>(reason);
    const std::uint64_t known = durable_.dropped[index];
    const std::uint64_t news = std::max(store.dropped[index], known) - known;
    const std::uint64_t found = std::min(news, durable_.pending - std::min(held, durable_.pending));
    durable_.pending -= found;
    unnamed_ += found;
    durable_.dropped[index] += found;
  }
}

void Accounts::accept(MessageId id, Ticket ticket) {
  HF_CHECK(id != 0 && (is_volatile(id) || opened_));
  Ledger& ledger = of(id);
  ++ledger.accepted;
  ++ledger.pending;
  if (ticket != 0) tickets_.emplace(id, ticket);
}

void Accounts::reject(RejectReason reason) { ++rejected_[static_cast<std::size_t>(reason)]; }

Ticket Accounts::settle(MessageId id, bool delivered, DropReason reason) {
  Ledger& ledger = of(id);
  HF_CHECK(ledger.pending > 0);
  --ledger.pending;
  ++(delivered ? ledger.delivered : ledger.dropped[static_cast<std::size_t>(reason)]);
  const auto found = tickets_.find(id);
  if (found == tickets_.end()) return 0;
  const Ticket ticket = found->second;
  tickets_.erase(found);
  return ticket;
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
  HF_CHECK(tickets_.size() <= durable_.pending + volatile_.pending + unnamed_);
}

}  // namespace holdfast::device
