// A store beside the core fuzzer's core: it keeps the contract of outbox.h and store_turn.h, and
// within that does what the input chooses.
//
// Contract: a turn takes all commands; its events come in the order of a turn of the product
//           (appended, fetched, news, report, closed), but as late as the input wants, and other
//           events between them. Ids ascend and are never given twice, each message is fetched
//           once, in order, and only when it was committed.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "device/store_turn.h"

namespace holdfast::fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "core_fuzz: %s\n", what);
  std::abort();
}

/// The input as a row of choices; all are 0 once it is used up.
class Choices {
 public:
  explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool over() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }
  /// Below `count`, which is 256 at most.
  std::size_t below(std::size_t count) { return byte() % count; }
  /// Never when the input is used up.
  bool one_in(std::size_t count) { return below(count) == count - 1; }

 private:
  std::span<const std::uint8_t> bytes_;
};

class FuzzStore {
 public:
  FuzzStore(Config config, MessageId last_id) : config_(std::move(config)), last_id_(last_id) {}

  /// A message of an earlier run.
  void plant(StoredMessage message, BootTime now) {
    const auto put = commit(std::move(message), ++last_id_, now);
    ++ledger_.accepted;
    ++ledger_.pending;
    records_.emplace(put->id, Record{put});
  }
  void push(device::StoreCommand command) { commands_.push_back(std::move(command)); }
  [[nodiscard]] bool idle() const { return commands_.empty() && inbox.empty(); }
  [[nodiscard]] bool has_commands() const { return !commands_.empty(); }
  [[nodiscard]] MessageId last_id() const { return last_id_; }

  /// From now on it refuses nothing and reads everything.
  void heal() { healed_ = true; }

  void turn(Choices& in, BootTime now) {
    if (closed_) return;
    appended_ = {};
    news_ = {};
    fetches_.clear();
    trials_.clear();
    bool close = false;
    const std::size_t luck = healed_ ? 0 : in.below(6);
    mood_ = luck < 4 ? Mood::well : luck == 4 ? Mood::varies : Mood::refuses;
    for (device::StoreCommand& command : std::exchange(commands_, {})) {
      close = close || std::holds_alternative<device::StoreClose>(command);
      std::visit([&](auto& c) { take(c, in, now); }, command);
    }
    if (!appended_.items.empty()) inbox.emplace_back(std::move(appended_));
    if (!close) {
      for (const device::StoreFetchParked& trial : trials_) inbox.emplace_back(answer(trial, in));
      for (const device::StoreFetch& fetch : fetches_) inbox.emplace_back(answer(fetch, in));
    }
    decide(in);
    inbox.emplace_back(report(in));
    if (close) inbox.emplace_back(device::StoreClosed{});
    closed_ = close;
  }

  device::StoreReport report(Choices& in) {
    device::StoreReport report{ledger_, StorageHealth::ok, {}};
    if (!healed_) report.health = static_cast<StorageHealth>(std::max<int>(in.byte() % 8 - 3, 0));
    report.unfetched.resize(config_.lanes.size());
    unreadable_ = !healed_ && in.one_in(8);
    for (const auto& [id, record] : records_) {
      if (parked_.contains(record.message->topic)) continue;
      if (!record.fetched && !unreadable_) ++report.unfetched[record.message->lane];
    }
    return report;
  }

  std::deque<device::Event> inbox;  ///< On their way to the core.

 private:
  enum class Mood : std::uint8_t { well, varies, refuses };
  struct Record {
    MessagePtr message;
    bool fetched = false;
  };

  MessagePtr commit(StoredMessage message, MessageId id, BootTime now) const {
    message.id = id;
    message.spill = false;
    message.expires = message.give_up = kNever;
    if (message.expiry_seconds) message.expires = now + Seconds(*message.expiry_seconds);
    message.give_up = message.expires;
    const auto rules = config_.lane_rules.find(config_.lanes[message.lane]);
    if (rules != config_.lane_rules.end() && rules->second.max_age > Seconds::zero()) {
      message.give_up = std::min(message.give_up, now + rules->second.max_age);
    }
    return std::make_shared<const StoredMessage>(std::move(message));
  }

  void take(device::StoreAppend& append, Choices& in, BootTime now) {
    constexpr RejectReason kReasons[] = {RejectReason::storage_failed, RejectReason::outbox_full,
                                         RejectReason::lane_full, RejectReason::too_large};
    for (device::StoreAppend::Item& item : append.items) {
      const LaneIndex lane = item.message->lane;
      bool refused = mood_ == Mood::refuses;
      if (mood_ == Mood::varies) refused = in.below(2) == 1;
      const RejectReason why = refused ? kReasons[in.below(4)] : RejectReason::none;
      // A commit that failed has used up the ids of what it lost.
      const MessageId id = last_id_ + 1;
      if (why == RejectReason::none || why == RejectReason::storage_failed) last_id_ = id;
      if (!refused) {
        records_.emplace(id, Record{commit(*item.message, id, now)});
        ++ledger_.accepted;
        ++ledger_.pending;
      }
      appended_.items.push_back(
          {item.ticket, refused ? 0 : id, lane, why, item.gated, std::move(item.message)});
    }
  }
  void take(const device::StoreSettle& settle, Choices&, BootTime) {
    const auto found = records_.find(settle.id);
    require(found != records_.end() && found->second.fetched, "an end of what was not fetched");
    end(found, settle.delivered, settle.reason);
  }
  void take(const device::StoreFetch& fetch, Choices&, BootTime) { fetches_.push_back(fetch); }
  void take(const device::StoreFetchParked& fetch, Choices&, BootTime) { trials_.push_back(fetch); }
  void take(const device::StorePark& park, Choices&, BootTime) {
    parked_ = {park.topics.begin(), park.topics.end()};
  }
  void take(const device::StoreGiveBack& back, Choices&, BootTime) {
    const auto found = records_.find(back.id);
    require(found != records_.end() && found->second.fetched, "given back, but not held");
    found->second.fetched = false;
  }
  void take(const device::StoreEvict& evict, Choices&, BootTime) {
    give_up(evict.lane, evict.count, DropReason::evicted);
  }
  void take(const device::StoreRules&, Choices&, BootTime) {}
  void take(const device::StoreSync&, Choices&, BootTime) {}
  void take(const device::StoreClose&, Choices&, BootTime) {}

  using Place = std::map<MessageId, Record>::iterator;
  Place end(Place at, bool delivered, DropReason reason) {
    --ledger_.pending;
    ++(delivered ? ledger_.delivered : ledger_.dropped[static_cast<std::size_t>(reason)]);
    return records_.erase(at);
  }
  void give_up(LaneIndex lane, std::uint64_t count, DropReason reason) {
    for (auto at = records_.begin(); at != records_.end() && count > 0;) {
      if (at->second.fetched || at->second.message->lane != lane) {
        ++at;
        continue;
      }
      news_.dropped.emplace_back(at->first, reason);
      at = end(at, false, reason);
      --count;
    }
  }

  device::StoreFetched answer(const device::StoreFetch& fetch, Choices& in) {
    device::StoreFetched answer{fetch.lane, {}, false};
    const std::size_t most = !healed_ && in.one_in(6) ? in.below(4) : fetch.max_count;
    if (unreadable_ && !healed_) return answer;
    std::size_t bytes = 0;
    for (auto& [id, record] : records_) {
      if (record.message->lane != fetch.lane || record.fetched) continue;
      if (parked_.contains(record.message->topic)) continue;
      if (answer.messages.size() >= std::min(most, fetch.max_count) || bytes >= fetch.max_bytes) {
        answer.more = true;
        break;
      }
      record.fetched = true;
      bytes += record.message->cost();
      answer.messages.push_back(record.message);
    }
    return answer;
  }

  device::StoreFetchedParked answer(const device::StoreFetchParked& fetch, Choices& in) {
    if (unreadable_ && !healed_ && in.one_in(2)) return {fetch.topic, nullptr};
    for (auto& [id, record] : records_) {
      if (record.message->topic != fetch.topic || record.fetched) continue;
      record.fetched = true;
      return {fetch.topic, record.message};
    }
    return {fetch.topic, nullptr};
  }

  /// What a store gives up by itself, and what it would like to see given up.
  void decide(Choices& in) {
    if (!healed_ && in.one_in(5)) {
      const auto reasons = std::to_array(
          {DropReason::evicted, DropReason::expired, DropReason::corrupt, DropReason::superseded});
      give_up(static_cast<LaneIndex>(in.below(config_.lanes.size())), 1 + in.below(3),
              reasons[in.below(reasons.size())]);
    }
    if (!healed_ && in.one_in(5)) {
      // Fetched, as far as the store knows: the core may have ended it meanwhile.
      for (const auto& [id, record] : records_) {
        if (record.fetched && in.below(2) == 1) news_.superseded.push_back(id);
      }
    }
    if (!healed_ && in.one_in(6)) {
      news_.over.assign(config_.lanes.size(), 0);
      for (std::uint64_t& over : news_.over) over = in.below(4);
    }
    if (news_.dropped.empty() && news_.superseded.empty() && news_.over.empty()) return;
    inbox.emplace_back(std::move(news_));
  }

  const Config config_;  ///< As it was opened: a reload does not reach the store.
  MessageId last_id_ = 0;
  std::map<MessageId, Record> records_;
  std::vector<device::StoreCommand> commands_;
  Ledger ledger_;
  Mood mood_ = Mood::well;
  bool healed_ = false;
  bool unreadable_ = false;
  bool closed_ = false;
  device::StoreAppended appended_;
  device::StoreNews news_;
  std::vector<device::StoreFetch> fetches_;
  std::vector<device::StoreFetchParked> trials_;
  std::set<std::string> parked_;
};

}  // namespace holdfast::fuzz
