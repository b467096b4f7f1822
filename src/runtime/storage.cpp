#include "runtime/storage.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace holdfast::runtime {

struct Storage::Shared {
  std::shared_ptr<void> keep;  // first: outlives the outbox
  std::unique_ptr<outbox::Outbox> outbox;
  std::shared_ptr<const env::Clock> clock;
  std::size_t lanes = 0;
  Deliver deliver;

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable ended;
  device::StoreQueue queue;
  std::deque<std::function<bool(outbox::Outbox&)>> looks;

  /// One slice of the first look; the others have theirs before it goes on. Storage thread; takes
  /// the lock only to change the queue.
  void look_once(std::unique_lock<std::mutex>& lock) {
    auto look = std::move(looks.front());
    looks.pop_front();
    lock.unlock();
    const bool done = look(*outbox);
    lock.lock();
    ++proofs;
    if (!done) looks.push_back(std::move(look));
  }
  std::uint64_t proofs = 0;
  bool abandoned = false;
  bool finished = false;

  /// Sleeps, with the lock held by `lock`, until there is a turn to take. False: only a look waits.
  bool await_turn(std::unique_lock<std::mutex>& lock, BootTime last_turn);
};

Storage::Storage(std::unique_ptr<outbox::Outbox> outbox, std::shared_ptr<void> keep,
                 std::shared_ptr<const env::Clock> clock, std::size_t lanes, Deliver deliver)
    : shared_(std::make_shared<Shared>()) {
  shared_->keep = std::move(keep);
  shared_->outbox = std::move(outbox);
  shared_->clock = std::move(clock);
  shared_->lanes = lanes;
  shared_->deliver = std::move(deliver);
  first_report_ = device::store_report(*shared_->outbox, lanes);
  thread_ = std::thread([shared = shared_] {
    ::pthread_setname_np(::pthread_self(), "hf-storage");
    Shared& s = *shared;
    std::unique_lock lock(s.mutex);
    BootTime last_turn = s.clock->now();
    for (bool closed = false; !closed && !s.abandoned;) {
      const bool turn_due = s.await_turn(lock, last_turn);
      if (s.abandoned) break;
      if (turn_due) {
        std::vector<device::StoreCommand> commands = s.queue.take();
        lock.unlock();
        device::StoreTurn turn = device::take_store_turn(*s.outbox, s.lanes, std::move(commands));
        closed = turn.closed;
        last_turn = s.clock->now();
        lock.lock();
        ++s.proofs;
        if (!s.abandoned) s.deliver(std::move(turn.events));
      }
      if (!closed && !s.looks.empty()) s.look_once(lock);
    }
    s.looks.clear();
    s.outbox.reset();
    s.keep.reset();
    s.finished = true;
    s.ended.notify_all();
  });
}

bool Storage::Shared::await_turn(std::unique_lock<std::mutex>& lock, BootTime last_turn) {
  while (!abandoned) {
    const BootTime due = queue.due(last_turn, outbox->next_due());
    const BootTime now = clock->now();
    if (due <= now) return true;
    if (!looks.empty()) return false;
    if (due == kNever) {
      wake.wait(lock);
    } else {
      wake.wait_for(lock, due - now);
    }
  }
  return true;
}

Storage::~Storage() {
  if (!thread_.joinable()) return;
  {
    // Under the lock: once abandoned, the thread never calls `deliver` again.
    const std::lock_guard lock(shared_->mutex);
    shared_->abandoned = true;
  }
  shared_->wake.notify_all();
  thread_.detach();
}

void Storage::submit(std::vector<device::StoreCommand> commands) {
  bool wake = false;
  {
    const std::lock_guard lock(shared_->mutex);
    for (device::StoreCommand& command : commands) {
      if (shared_->queue.push(std::move(command))) wake = true;
    }
  }
  if (wake) shared_->wake.notify_one();
}

void Storage::look(std::function<bool(outbox::Outbox&)> look) {
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->finished) return;
    shared_->looks.push_back(std::move(look));
  }
  shared_->wake.notify_one();
}

std::uint64_t Storage::prove() {
  std::uint64_t count = 0;
  bool idle = false;
  {
    const std::lock_guard lock(shared_->mutex);
    count = shared_->proofs;
    idle = shared_->looks.empty();
  }
  if (idle) look([](outbox::Outbox&) { return true; });
  return count;
}

bool Storage::join(BootTime deadline) {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock lock(shared_->mutex);
    const Duration left = std::max(deadline - shared_->clock->now(), Duration::zero());
    if (!shared_->ended.wait_for(lock, left, [this] { return shared_->finished; })) return false;
  }
  thread_.join();
  return true;
}

}  // namespace holdfast::runtime
