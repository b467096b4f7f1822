// The application's message handlers, and the messages on their way to them.
//
// Purpose:  a callback under way holds all that it uses, so that one which never returns may be
//           left behind when the device ends (device.h, stop()).
// Threads:  any. Handlers run where the task is run: on the executor.
// Ownership: shared by the device and by each task; clear() ends the device's part.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "device/events.h"
#include "holdfast/device.h"
#include "runtime/executor.h"

namespace holdfast::runtime {

class Subscribers : public std::enable_shared_from_this<Subscribers> {
 public:
  /// Told, from any thread, that all handlers of a message are done with it. Called with a lock
  /// held that every member takes.
  using Taken = std::function<void(flow::Delivery)>;

  /// Must be owned by a shared_ptr: tasks share it.
  [[nodiscard]] static std::shared_ptr<Subscribers> make();

  /// Nobody else is told any more when this returns.
  void on_taken(Taken taken);

  [[nodiscard]] SubscriptionId add(MessageHandler handler);
  /// A message is taken when the copies of its hold are gone, too.
  [[nodiscard]] SubscriptionId add_held(HeldMessageHandler handler);
  /// For what belongs to no subscription.
  [[nodiscard]] SubscriptionId add_unmatched(MessageHandler handler);
  /// False when there is no such subscription.
  bool remove(SubscriptionId id);
  [[nodiscard]] std::size_t size() const;
  /// No handler begins to run any more.
  void clear();

  /// Addresses what belongs to no subscription to those that want such. False: nobody does.
  [[nodiscard]] bool address(device::GiveMessage& given) const;

  /// A task that gives the message to its handlers; nothing if the messages on their way would
  /// take more than `room` bytes (one always fits). Room is freed when the task is destroyed,
  /// whether it has run or not.
  [[nodiscard]] std::optional<Executor::Task> task_for(device::GiveMessage given, std::size_t room);

 private:
  Subscribers() = default;
  /// Tells when it ends that a message is taken. Handlers may keep it beyond their return.
  struct Done {
    Done(std::shared_ptr<Subscribers> subscribers, flow::Delivery number)
        : self(std::move(subscribers)), delivery(number) {}
    ~Done() { self->taken(delivery); }
    Done(const Done&) = delete;
    Done& operator=(const Done&) = delete;

    std::shared_ptr<Subscribers> self;
    flow::Delivery delivery;
  };

  void run(SubscriptionId id, const InboundMessage& message, const Hold& hold);
  void taken(flow::Delivery delivery);

  mutable std::mutex mutex_;
  std::map<SubscriptionId, std::shared_ptr<HeldMessageHandler>> handlers_;
  std::set<SubscriptionId> unmatched_;  ///< Of those.
  SubscriptionId next_ = 1;
  Taken on_taken_;
  std::atomic<std::size_t> bytes_{0};
};

}  // namespace holdfast::runtime
