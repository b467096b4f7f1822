// The storage thread: owns the outbox, writes and syncs in groups, answers with events.
//
// Purpose:  the loop never waits for a disk. Commands queue up while a sync runs, so that the next
//           sync covers them all (group commit).
// Threads:  submit(), look() and join() from the loop thread, prove() from any; `deliver` is called
//           on the storage thread.
// Bounds:   the queue by its callers (device/store_turn.h); looks by the local API.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "device/store_turn.h"
#include "env/clock.h"
#include "outbox/outbox.h"

namespace holdfast::runtime {

class Storage {
 public:
  /// Called with all events of one turn, in order. Must not block.
  using Deliver = std::function<void(std::vector<device::Event>)>;

  /// `keep` holds what the outbox refers to (disk, clock, random); it lives as long as the thread.
  Storage(std::unique_ptr<outbox::Outbox> outbox, std::shared_ptr<void> keep,
          std::shared_ptr<const env::Clock> clock, std::size_t lanes, Deliver deliver);
  /// Abandons the thread if it has not ended: a disk that hangs must not hang us.
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void submit(std::vector<device::StoreCommand> commands);

  /// The account as the store was opened, for a state that is right from the first moment on.
  [[nodiscard]] const device::StoreReport& first_report() const { return first_report_; }

  /// Lets `look` see the outbox on the storage thread, a slice after each turn until it gives true,
  /// so that commands never wait for more than one slice. Dropped when the store is closed first.
  void look(std::function<bool(outbox::Outbox&)> look);

  /// How many turns and looks have ended. If none waits it is given a look that does nothing, so
  /// that the number grows until the next call unless the disk is stuck.
  [[nodiscard]] std::uint64_t prove();

  /// Waits until the thread has carried out a StoreClose. False if it has not by the deadline.
  bool join(BootTime deadline);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  device::StoreReport first_report_;
  std::thread thread_;
};

}  // namespace holdfast::runtime
