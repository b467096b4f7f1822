// See storage.h. One turn: take all commands; put and settle; one commit; then fetch, so that what
// was just committed can be sent at once.
#include "runtime/storage.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <unordered_set>

#include "base/check.h"

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
  std::vector<StorageCommand> queue;
  bool urgent = false;  // the queue must not wait for kSettlePause
  std::deque<std::function<bool(outbox::Outbox&)>> looks;

  /// One slice of the first look; the others have theirs before it goes on. Storage thread; takes
  /// the lock only to change the queue.
  void look_once(std::unique_lock<std::mutex>& lock) {
    auto look = std::move(looks.front());
    looks.pop_front();
    lock.unlock();
    const bool done = look(*outbox);
    lock.lock();
    if (!done) looks.push_back(std::move(look));
  }
  bool abandoned = false;
  bool finished = false;

  /// Sleeps, with the lock held by `lock`, until there is a turn to take. False: only a look waits.
  bool await_turn(std::unique_lock<std::mutex>& lock, BootTime last_turn);
};

namespace {

/// Settlements are soft: alone they wait so long after the turn before, for company, instead of
/// taking a turn each. Anything else, or so many of them, takes its turn at once.
constexpr Duration kSettlePause = std::chrono::milliseconds(20);
constexpr std::size_t kSettleGroup = 256;

using device::StoreAppend;
using device::StoreAppended;
using device::StoreClose;
using device::StoreEvict;
using device::StoreFetch;
using device::StoreFetched;
using device::StoreReport;
using device::StoreSettle;

StoreReport report_of(const outbox::Outbox& outbox, std::size_t lanes) {
  StoreReport report{outbox.ledger(), outbox.health(), {}};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    report.unfetched.push_back(outbox.unfetched(static_cast<LaneIndex>(lane)));
  }
  return report;
}

/// The work of one turn, on the storage thread and without the lock.
class Turn {
 public:
  Turn(outbox::Outbox& outbox, std::size_t lanes) : outbox_(outbox), lanes_(lanes) {}

  /// True when the store has been closed.
  bool run(std::vector<StorageCommand>& commands) {
    for (StorageCommand& command : commands) {
      std::visit([this](auto& c) { take(c); }, command);
    }
    if (close_) {
      commit();
      tell_news();
      static_cast<void>(outbox_.close());
      report();
      events_.emplace_back(device::StoreClosed{});
      return true;
    }
    if (!appended_.items.empty()) commit();
    outbox_.tick();
    for (const StoreFetch& fetch : fetches_) carry_out(fetch);
    tell_news();
    report();
    return false;
  }

  std::vector<device::Event>& events() { return events_; }

 private:
  void report() { events_.emplace_back(report_of(outbox_, lanes_)); }

  void take(StoreAppend& append) {
    for (StoreAppend::Item& item : append.items) {
      const outbox::PutResult put = outbox_.put(*item.message);
      HF_CHECK((put.id != 0) == (put.rejected == RejectReason::none));
      const LaneIndex lane = item.message->lane;
      appended_.items.push_back(
          {item.ticket, put.id, lane, put.rejected, item.gated, std::move(item.message)});
    }
  }
  void take(const StoreSettle& settle) {
    if (settle.delivered) {
      outbox_.settle_delivered(settle.id);
    } else {
      outbox_.settle_dropped(settle.id, settle.reason);
    }
  }
  void take(const StoreFetch& fetch) { fetches_.push_back(fetch); }
  void take(const StoreEvict& evict) { outbox_.evict(evict.lane, evict.count); }
  void take(const StoreClose&) { close_ = true; }

  void tell_news() {
    outbox::News news = outbox_.take_news();
    const bool over = std::any_of(news.over.begin(), news.over.end(), [](auto n) { return n > 0; });
    if (news.dropped.empty() && news.superseded.empty() && !over) return;
    events_.emplace_back(device::StoreNews{std::move(news.dropped), std::move(news.superseded),
                                           std::move(news.over)});
  }

  void commit() {
    std::vector<MessageId> lost;
    const Status status = outbox_.commit(lost);
    if (!status.ok() && !lost.empty()) {
      const std::unordered_set<MessageId> gone(lost.begin(), lost.end());
      for (StoreAppended::Item& item : appended_.items) {
        if (!gone.contains(item.id)) continue;
        item.id = 0;
        item.rejected = RejectReason::storage_failed;
      }
    }
    if (!appended_.items.empty()) events_.emplace_back(std::move(appended_));
    appended_ = {};
  }

  void carry_out(const StoreFetch& fetch) {
    outbox::Outbox::Fetched found = outbox_.fetch(fetch.lane, fetch.max_count, fetch.max_bytes);
    events_.emplace_back(StoreFetched{fetch.lane, std::move(found.messages), found.more});
  }

  outbox::Outbox& outbox_;
  std::size_t lanes_;
  StoreAppended appended_;
  std::vector<StoreFetch> fetches_;
  bool close_ = false;
  std::vector<device::Event> events_;
};

}  // namespace

Storage::Storage(std::unique_ptr<outbox::Outbox> outbox, std::shared_ptr<void> keep,
                 std::shared_ptr<const env::Clock> clock, std::size_t lanes, Deliver deliver)
    : shared_(std::make_shared<Shared>()) {
  shared_->keep = std::move(keep);
  shared_->outbox = std::move(outbox);
  shared_->clock = std::move(clock);
  shared_->lanes = lanes;
  shared_->deliver = std::move(deliver);
  first_report_ = report_of(*shared_->outbox, lanes);
  thread_ = std::thread([shared = shared_] {
    Shared& s = *shared;
    std::unique_lock lock(s.mutex);
    BootTime last_turn = s.clock->now();
    for (bool closed = false; !closed && !s.abandoned;) {
      const bool turn_due = s.await_turn(lock, last_turn);
      if (s.abandoned) break;
      if (turn_due) {
        std::vector<StorageCommand> commands;
        commands.swap(s.queue);
        s.urgent = false;
        lock.unlock();
        Turn turn(*s.outbox, s.lanes);
        closed = turn.run(commands);
        last_turn = s.clock->now();
        lock.lock();
        if (!s.abandoned) s.deliver(std::move(turn.events()));
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
  while (!abandoned && !urgent) {
    BootTime due = outbox->next_due();
    if (!queue.empty()) due = std::min(due, last_turn + kSettlePause);
    const Duration left = due == kNever ? Duration::zero() : due - clock->now();
    if (due != kNever && left <= Duration::zero()) return true;
    if (!looks.empty()) return false;
    if (due == kNever) {
      wake.wait(lock);
    } else {
      wake.wait_for(lock, left);
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

void Storage::submit(std::vector<StorageCommand> commands) {
  if (commands.empty()) return;
  bool wake = false;
  {
    const std::lock_guard lock(shared_->mutex);
    std::vector<StorageCommand>& queue = shared_->queue;
    wake = queue.empty();  // then it has a time to wait for
    for (StorageCommand& command : commands) {
      const bool soft = std::holds_alternative<StoreSettle>(command);
      queue.push_back(std::move(command));
      if (soft && queue.size() < kSettleGroup) continue;
      wake = wake || !shared_->urgent;
      shared_->urgent = true;
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
