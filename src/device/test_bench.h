// What the core's tests share: a core on virtual time that keeps its actions by kind, and checks
// the balance at each step.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "device/core.h"
#include "sim/seeded_random.h"

namespace holdfast::device::test {

using sim::SeededRandom;

inline Config make_config() {
  Config config;
  config.host = "broker.example";
  config.client_id = "device-1";
  config.messages_per_second = 0;
  config.bytes_per_second = 0;
  return config;
}

inline StoredMessage make(LaneIndex lane = 1) {
  StoredMessage message;
  message.topic = "t";
  message.lane = lane;
  message.payload.resize(10);
  return message;
}

inline MessagePtr share(StoredMessage message) {
  return std::make_shared<const StoredMessage>(std::move(message));
}

class Bench {
 public:
  explicit Bench(Config config = make_config(), Opening opening = {})
      : core(std::move(config), random_, opening) {}

  void take(Actions done) {
    for (Action& action : done) actions.push_back(std::move(action));
    const DeviceState state = core.state(now);
    ASSERT_TRUE(state.ledger.balanced());
    ASSERT_GT(core.next_wake(), now) << "a wake-up without progress would spin";
  }
  void start(std::vector<std::uint64_t> unfetched = {0, 0, 0}) {
    take(core.start(now));
    Ledger ledger;
    for (const std::uint64_t count : unfetched) ledger.pending += count;
    ledger.accepted = ledger.pending;
    step(StoreReport{ledger, StorageHealth::ok, std::move(unfetched)});
  }
  void step(Event event) { take(core.step(now, std::move(event))); }
  void run_for(Duration time) {
    const BootTime end = now + time;
    while (core.next_wake() <= end) {
      now = core.next_wake();
      step(Tick{});
      if (::testing::Test::HasFatalFailure()) return;
    }
    now = end;
  }
  void up(env::UpInfo info = {}) { step(EngineUp{attempt(), info}); }
  void down(Verdict verdict) { step(EngineDown{attempt(), {verdict, 0, "scripted"}}); }
  void publish(Ticket ticket, Durability durability = Durability::durable, LaneIndex lane = 1) {
    Publish event;
    event.items.push_back({ticket, durability, make(lane)});
    step(std::move(event));
  }
  /// The store's answers to one durable message: appended, then fetched when asked.
  void store(Ticket ticket, MessageId id, LaneIndex lane = 1) {
    step(StoreAppended{{{ticket, id, lane, RejectReason::none, true, share(make(lane))}}});
  }
  void fetched(MessageId id, LaneIndex lane = 1) {
    auto message = std::make_shared<StoredMessage>(make(lane));
    message->id = id;
    step(StoreFetched{lane, {message}, false});
  }
  /// A durable message from publish() to the engine.
  void send_durable(Ticket ticket, MessageId id) {
    publish(ticket);
    store(ticket, id);
    ASSERT_EQ(take_all<StoreFetch>().size(), 1U);
    fetched(id);
  }
  void published(env::Token token, std::uint8_t code = 0) {
    step(EnginePublished{attempt(), token, code});
  }
  template <class A>
  std::vector<A> take_all() {
    std::vector<A> found;
    std::erase_if(actions, [&](Action& action) {
      if (!std::holds_alternative<A>(action)) return false;
      found.push_back(std::move(std::get<A>(action)));
      return true;
    });
    return found;
  }
  template <class A>
  [[nodiscard]] std::size_t count() const {
    std::size_t n = 0;
    for (const Action& action : actions) n += std::holds_alternative<A>(action) ? 1U : 0U;
    return n;
  }
  env::AttemptId attempt() {
    for (const auto& connect : take_all<EngineConnect>()) attempt_ = connect.request->attempt;
    return attempt_;
  }
  std::vector<std::string> lines() {
    std::vector<std::string> found;
    for (auto& log : take_all<Log>()) found.push_back(log.line.text);
    return found;
  }
  [[nodiscard]] DeviceState state() const { return core.state(now); }

 private:
  SeededRandom random_{1};
  env::AttemptId attempt_ = 0;

 public:
  BootTime now{std::chrono::hours(3)};
  Core core;
  Actions actions;
};

}  // namespace holdfast::device::test
