// The books: every accepted message ends as delivered or as dropped for a reason.
//
// Purpose:  keep accepted == delivered + pending + dropped at every instant, and remember who
//           wants a receipt.
// Method:   two ledgers. The durable one begins with the store's own (earlier runs included) and
//           then follows the core's events: a message is accepted when the store says that it is
//           on disk, and settled when the core decides so, which is before the store has written
//           it down, or when the store says that it has given it up. Comparing with later reports
//           of the store would mix two instants. `pending` is what is left, so that the balance
//           cannot be wrong; check() compares it with what flow holds.
// Threads:  one thread, the core's.
// Memory:   one entry per pending message whose end somebody waits for; the runtime bounds them
//           by Config::Limits::receipts.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/message.h"
#include "device/events.h"
#include "holdfast/types.h"

namespace holdfast::device {

class Accounts {
 public:
  /// The store's ledger: the first one brings the history of earlier runs.
  void report(const Ledger& store);
  [[nodiscard]] bool opened() const { return opened_; }

  /// `ticket` 0: nobody waits for the message's end.
  void accept(MessageId id, Ticket ticket);
  void reject(RejectReason reason);
  /// A message that was accepted in RAM is on disk now, under another id.
  void move(MessageId from, MessageId to);
  /// Who waits for the end of a message, and by which id they know it.
  struct Waiting {
    Ticket ticket = 0;  ///< 0: nobody.
    MessageId known_id = 0;
  };
  /// The end of a message.
  Waiting settle(MessageId id, bool delivered, DropReason reason);

  [[nodiscard]] Ledger ledger() const;
  [[nodiscard]] const Ledger& durable() const { return durable_; }

  /// What flow holds in memory must be pending here.
  void check(std::uint64_t volatile_held, std::uint64_t durable_held) const;

 private:
  [[nodiscard]] Ledger& of(MessageId id) { return is_volatile(id) ? volatile_ : durable_; }

  bool opened_ = false;
  Ledger durable_;
  Ledger volatile_;
  std::array<std::uint64_t, kRejectReasons> rejected_{};
  std::unordered_map<MessageId, Waiting> waiting_;
};

}  // namespace holdfast::device
