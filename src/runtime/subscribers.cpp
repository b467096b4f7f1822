// See subscribers.h.
#include "runtime/subscribers.h"

#include <utility>

namespace holdfast::runtime {

namespace {

/// Bytes of RAM that an inbound message stands for beyond its topic and payload.
constexpr std::size_t kInboundOverhead = 256;

}  // namespace

std::shared_ptr<Subscribers> Subscribers::make() {
  return std::shared_ptr<Subscribers>(new Subscribers());
}

SubscriptionId Subscribers::add(MessageHandler handler) {
  return add_held([handler = std::move(handler)](const InboundMessage& message, const Hold&) {
    handler(message);
  });
}

SubscriptionId Subscribers::add_held(HeldMessageHandler handler) {
  const std::lock_guard lock(mutex_);
  const SubscriptionId id = next_++;
  handlers_.emplace(id, std::make_shared<HeldMessageHandler>(std::move(handler)));
  return id;
}

SubscriptionId Subscribers::add_unmatched(MessageHandler handler) {
  const SubscriptionId id = add(std::move(handler));
  const std::lock_guard lock(mutex_);
  unmatched_.insert(id);
  return id;
}

bool Subscribers::remove(SubscriptionId id) {
  decltype(handlers_)::node_type gone;  // ended without the lock: what it holds may come back here
  const std::lock_guard lock(mutex_);
  unmatched_.erase(id);
  gone = handlers_.extract(id);
  return !gone.empty();
}

std::size_t Subscribers::size() const {
  const std::lock_guard lock(mutex_);
  return handlers_.size();
}

void Subscribers::clear() {
  decltype(handlers_) gone;
  const std::lock_guard lock(mutex_);
  gone.swap(handlers_);
  unmatched_.clear();
  on_taken_ = nullptr;
}

void Subscribers::on_taken(Taken taken) {
  const std::lock_guard lock(mutex_);
  on_taken_ = std::move(taken);
}

void Subscribers::taken(flow::Delivery delivery) {
  const std::lock_guard lock(mutex_);
  if (on_taken_) on_taken_(delivery);
}

bool Subscribers::address(device::GiveMessage& given) const {
  if (!given.to.empty()) return true;
  const std::lock_guard lock(mutex_);
  given.to.assign(unmatched_.begin(), unmatched_.end());
  return !given.to.empty();
}

std::optional<Executor::Task> Subscribers::task_for(device::GiveMessage given, std::size_t room) {
  const std::size_t cost =
      given.message.topic.size() + given.message.payload.size() + kInboundOverhead;
  const std::size_t held_now = bytes_.load();
  if (held_now != 0 && held_now + cost > room) return std::nullopt;
  bytes_ += cost;
  const auto self = shared_from_this();
  const std::shared_ptr<const device::GiveMessage> held(
      new device::GiveMessage(std::move(given)), [self, cost](const device::GiveMessage* message) {
        delete message;
        self->bytes_ -= cost;
      });
  return [self, held] {
    // Also after a handler that throws: one message must not hold up all others for ever.
    const Hold done = std::make_shared<const Done>(self, held->delivery);
    for (const SubscriptionId id : held->to) self->run(id, held->message, done);
  };
}

void Subscribers::run(SubscriptionId id, const InboundMessage& message, const Hold& hold) {
  std::shared_ptr<HeldMessageHandler> handler;
  {
    const std::lock_guard lock(mutex_);
    const auto found = handlers_.find(id);
    if (found == handlers_.end()) return;
    handler = found->second;
  }
  (*handler)(message, hold);
}

}  // namespace holdfast::runtime
