#include "device/store_turn.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/check.h"

namespace holdfast::device {
namespace {

class Turn {
 public:
  Turn(outbox::Outbox& outbox, std::size_t lanes) : outbox_(outbox), lanes_(lanes) {}

  StoreTurn run(std::vector<StoreCommand>& commands) {
    for (StoreCommand& command : commands) {
      std::visit([this](auto& c) { take(c); }, command);
    }
    if (close_) {
      commit();
      tell_news();
      static_cast<void>(outbox_.close());
      report();
      events_.emplace_back(StoreClosed{});
      return {std::move(events_), true};
    }
    if (!appended_.items.empty() || sync_) commit();
    outbox_.tick();
    for (StoreFetchParked& fetch : trials_) carry_out(fetch);
    for (const StoreFetch& fetch : fetches_) carry_out(fetch);
    tell_news();
    report();
    return {std::move(events_), false};
  }

 private:
  void report() { events_.emplace_back(store_report(outbox_, lanes_)); }

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
  void take(StoreFetchParked& fetch) { trials_.push_back(std::move(fetch)); }
  void take(StorePark& park) { outbox_.park(std::move(park.topics)); }
  void take(const StoreGiveBack& back) { outbox_.give_back(back.id); }
  void take(const StoreEvict& evict) { outbox_.evict(evict.lane, evict.count); }
  void take(const StoreRules& rules) { outbox_.set_rules(rules.rules); }
  void take(const StoreSync&) { sync_ = true; }
  void take(const StoreClose&) { close_ = true; }

  void tell_news() {
    outbox::News news = outbox_.take_news();
    const bool over = std::any_of(news.over.begin(), news.over.end(), [](auto n) { return n > 0; });
    if (news.dropped.empty() && news.superseded.empty() && !over) return;
    events_.emplace_back(
        StoreNews{std::move(news.dropped), std::move(news.superseded), std::move(news.over)});
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

  void carry_out(StoreFetchParked& fetch) {
    MessagePtr found = outbox_.fetch_parked(fetch.topic, fetch.patience);
    events_.emplace_back(StoreFetchedParked{std::move(fetch.topic), std::move(found)});
  }

  outbox::Outbox& outbox_;
  std::size_t lanes_;
  StoreAppended appended_;
  std::vector<StoreFetchParked> trials_;
  std::vector<StoreFetch> fetches_;
  bool sync_ = false;
  bool close_ = false;
  std::vector<Event> events_;
};

}  // namespace

bool StoreQueue::push(StoreCommand command) {
  const bool first = commands_.empty();  // then there is a time to wait for
  const bool soft = std::holds_alternative<StoreSettle>(command);
  commands_.push_back(std::move(command));
  if (soft && commands_.size() < kSettleGroup) return first;
  return !std::exchange(urgent_, true) || first;
}

std::vector<StoreCommand> StoreQueue::take() {
  urgent_ = false;
  return std::exchange(commands_, {});
}

BootTime StoreQueue::due(BootTime last_turn, BootTime store_due) const {
  if (urgent_) return BootTime::min();
  return commands_.empty() ? store_due : std::min<BootTime>(store_due, last_turn + kSettlePause);
}

std::vector<LaneRules> lane_rules(const Config& config) {
  std::vector<LaneRules> all;
  for (const std::string& lane : config.lanes) {
    const auto rules = config.lane_rules.find(lane);
    all.push_back(rules == config.lane_rules.end() ? LaneRules{} : rules->second);
  }
  return all;
}

outbox::Options store_options(const Config& config) {
  outbox::Options options;
  options.max_bytes = config.outbox.max_bytes;
  options.lanes.clear();
  const std::vector<LaneRules> rules = lane_rules(config);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    options.lanes.emplace_back(config.lanes[i], rules[i]);
  }
  options.ack_flush = config.outbox.ack_flush;
  options.always_pad = config.outbox.always_pad;
  options.preallocate = config.outbox.preallocate;
  return options;
}

Opening opening_of(const outbox::RecoveryReport& report) {
  return {report.read_only ? 0 : report.epoch, report.last_id, {}};
}

StoreReport store_report(const outbox::Outbox& outbox, std::size_t lanes) {
  StoreReport report{outbox.ledger(), outbox.health(), {}, outbox.parked()};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    report.unfetched.push_back(outbox.unfetched(static_cast<LaneIndex>(lane)));
  }
  return report;
}

StoreTurn take_store_turn(outbox::Outbox& outbox, std::size_t lanes,
                          std::vector<StoreCommand> commands) {
  return Turn(outbox, lanes).run(commands);
}

}  // namespace holdfast::device
