// The books beside the core fuzzer's core: what must hold, worked out from nothing but the events
// that went in and the actions that came out.
//
// Checked:  the ledger to the last counter, one receipt for each message and kind, no end without
//           its cause, the order of first sends, the window, RAM within limits.memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "flow/reason.h"
#include "flow/sender.h"
#include "fuzz/core_store.h"

namespace holdfast::fuzz {

class CoreBooks {
 public:
  explicit CoreBooks(const Config& config) : config_(config), memory_(config.limits.memory) {}

  // ---- what goes in, before the core sees it ---------------------------------------------------

  void opened(const Ledger& ledger) { ledger_ = ledger; }
  void publishes(const device::Publish::Item& item) {
    tickets_[item.ticket].cost = item.message.cost();
    tickets_[item.ticket].follows = device::follows_to_end(item.ticket);
    all_follow_ = all_follow_ && device::follows_to_end(item.ticket);
    largest_ = std::max(largest_, item.message.cost());
  }
  void planted(const StoredMessage& message) { largest_ = std::max(largest_, message.cost()); }
  void reloads() { memory_ = std::max(memory_, config_.limits.memory); }
  void stops() { stopping_ = true; }

  void sees(const device::Event& event) {
    cause_ = {};
    std::visit([this](const auto& what) { sees_what(what); }, event);
  }

  // ---- the connection --------------------------------------------------------------------------

  void connected(std::uint16_t receive_maximum) { server_window_ = receive_maximum; }
  void disconnected() { flight_.clear(); }
  [[nodiscard]] const std::set<env::Token>& flight() const { return flight_; }

  // ---- what comes out --------------------------------------------------------------------------

  void sends(const device::EnginePublish& publish) {
    const env::Token token = publish.token;
    require(flight_.insert(token).second, "sent while in flight");
    const std::size_t window = std::min(config_.max_in_flight, server_window_);
    require(flight_.size() <= std::max<std::size_t>(window, 1), "more in flight than the window");
    if (token == flow::kBirthToken) return;
    require(publish.message->id == token, "a token of another message");
    require(is_volatile(token) ? volatile_.contains(token) : held_.contains(token),
            "sent, but it does not wait");
    if (!sent_.insert(token).second) return;
    const int kind = !is_volatile(token) ? 0 : publish.message->spill ? 1 : 2;
    // Where a topic has been parked, others of its lane overtake it.
    const std::string& topic = publish.message->topic;
    for (const std::string& of : {topic, std::string()}) {
      MessageId& last = last_sent_[{publish.message->lane, kind, of}];
      require(token > last || (of.empty() && parted_), "first sends out of order");
      last = std::max(last, token);
    }
  }

  void settles(const device::StoreSettle& settle) {
    const auto found = held_.find(settle.id);
    require(found != held_.end(), "the end of a message that was not fetched, or a second one");
    check_cause(settle.id, settle.delivered, settle.reason);
    if (!settle.delivered && settle.reason == DropReason::superseded) {
      require(superseded_.contains(settle.id), "superseded by nothing");
    }
    held_bytes_ -= found->second;
    held_.erase(found);
    count(settle.delivered, settle.reason);
  }

  void parks(const device::StorePark& park) { parted_ = parted_ || !park.topics.empty(); }
  void gives_back(const device::StoreGiveBack& back) {
    const auto found = held_.find(back.id);
    require(found != held_.end(), "given back, but not held");
    held_bytes_ -= found->second;
    held_.erase(found);
  }

  void appends(const device::StoreAppend& append) {
    for (const auto& item : append.items) {
      if (item.message->alias != 0) {
        require(volatile_.contains(item.message->alias), "moved to disk, but not in RAM");
      } else if (!item.gated) {
        ungated_bytes_ += item.message->cost();
      }
    }
    require(ungated_bytes_ <= memory_ / 2, "too much of spill on the way to the disk");
  }

  void gives(const device::GiveReceipt& give) {
    const Receipt& receipt = give.receipt;
    const auto found = tickets_.find(give.ticket);
    require(found != tickets_.end(), "a receipt that nobody waits for");
    Waiting& waiting = found->second;
    const bool first =
        receipt.kind == ReceiptKind::accepted || receipt.kind == ReceiptKind::rejected;
    require(first == (waiting.id == 0), "a receipt of a kind that is not due");
    if (receipt.kind == ReceiptKind::accepted) return accepted(found, receipt);
    if (receipt.kind == ReceiptKind::rejected) {
      require(receipt.rejected != RejectReason::none, "rejected for no reason");
      ++ledger_.rejected[static_cast<std::size_t>(receipt.rejected)];
    } else {
      require(receipt.id == waiting.id, "a receipt for another message");
      if (const auto held = volatile_.find(receipt.id); held != volatile_.end()) {
        const bool delivered = receipt.kind == ReceiptKind::delivered;
        check_cause(receipt.id, delivered, receipt.dropped);
        volatile_bytes_ -= held->second;
        volatile_.erase(held);
        count(delivered, receipt.dropped);
      }
    }
    tickets_.erase(found);
  }

  void check(const DeviceState& state) const {
    require(state.ledger.balanced(), "the ledger does not balance");
    require(state.ledger.accepted == ledger_.accepted, "accepted is miscounted");
    require(state.in_flight == flight_.size(), "in_flight is miscounted");
    require(state.ledger.rejected == ledger_.rejected, "rejected is miscounted");
    // Each lane may hold one message over its share, so that none can be stuck.
    require(held_bytes_ <= memory_ / 2 + config_.lanes.size() * largest_, "too much read ahead");
    if (!all_follow_) return;
    require(state.ledger.delivered == ledger_.delivered, "delivered is miscounted");
    require(state.ledger.dropped == ledger_.dropped, "dropped is miscounted");
    require(volatile_bytes_ <= std::max(memory_ / 2, largest_), "too much in RAM");
  }
  /// Whether every message that somebody follows has come to its end.
  [[nodiscard]] bool all_ended() const { return tickets_.empty(); }
  [[nodiscard]] bool volatile_left() const { return all_follow_ && !volatile_.empty(); }

 private:
  struct Waiting {
    MessageId id = 0;  ///< Once accepted.
    std::size_t cost = 0;
    bool follows = false;
  };
  /// What this step was told of one message.
  struct Cause {
    env::Token token = 0;
    std::optional<std::uint8_t> code;
    bool refused = false;
  };

  void accepted(std::map<device::Ticket, Waiting>::iterator at, const Receipt& receipt) {
    Waiting& waiting = at->second;
    require(receipt.id != 0 && ids_.insert(receipt.id).second, "an id that was given before");
    require(receipt.last == !waiting.follows, "'last' is wrong");
    require(is_volatile(receipt.id) == (receipt.kept != Durability::durable), "'kept' is wrong");
    require(!is_volatile(receipt.id) || !stopping_, "taken into RAM while stopping");
    waiting.id = receipt.id;
    ++ledger_.accepted;
    if (is_volatile(receipt.id)) {
      volatile_.emplace(receipt.id, waiting.cost);
      volatile_bytes_ += waiting.cost;
    }
    if (receipt.last) tickets_.erase(at);
  }

  void check_cause(MessageId id, bool delivered, DropReason reason) const {
    const bool own = cause_.token == id;
    const flow::AckMeaning meaning = flow::meaning_of(cause_.code.value_or(0));
    if (delivered) {
      require(own && cause_.code && meaning == flow::AckMeaning::delivered,
              "delivered without its PUBACK");
    } else if (reason == DropReason::refused || reason == DropReason::too_large) {
      const bool denied = meaning == flow::AckMeaning::denied || parted_;
      require(denied || (own && (cause_.refused || meaning == flow::AckMeaning::refused)),
              "refused by nobody");
    } else if (reason == DropReason::volatile_lost) {
      require(is_volatile(id) && stopping_, "lost from RAM without a stop");
    } else {
      require(!sent_.contains(id), "given up, although it may have arrived");
    }
  }

  void count(bool delivered, DropReason reason) {
    ++(delivered ? ledger_.delivered : ledger_.dropped[static_cast<std::size_t>(reason)]);
  }

  template <class Other>
  void sees_what(const Other&) {}
  void sees_what(const device::EnginePublished& published) {
    if (published.attempt != attempt || flight_.erase(published.token) == 0) return;
    cause_ = {published.token, published.reason_code, false};
  }
  void sees_what(const device::EngineRefused& refused) {
    if (refused.attempt != attempt || flight_.erase(refused.token) == 0) return;
    cause_ = {refused.token, {}, true};
  }
  void sees_what(const device::StoreAppended& appended) {
    for (const auto& item : appended.items) {
      const StoredMessage& message = *item.message;
      if (message.alias == 0) {
        if (!item.gated) ungated_bytes_ -= message.cost();
      } else if (item.id != 0) {
        if (const auto moved = volatile_.find(message.alias); moved != volatile_.end()) {
          volatile_bytes_ -= moved->second;
          volatile_.erase(moved);
        }
      }
    }
  }
  void sees_what(const device::StoreFetched& fetched) {
    for (const MessagePtr& message : fetched.messages) {
      held_.emplace(message->id, message->cost());
      held_bytes_ += message->cost();
    }
  }
  void sees_what(const device::StoreFetchedParked& fetched) {
    if (!fetched.message) return;
    held_.emplace(fetched.message->id, fetched.message->cost());
    held_bytes_ += fetched.message->cost();
  }
  void sees_what(const device::StoreNews& news) {
    for (const auto& [id, reason] : news.dropped) count(false, reason);
    superseded_.insert(news.superseded.begin(), news.superseded.end());
  }

 public:
  env::AttemptId attempt = 0;  ///< Whose answers count; 0: nobody's.

 private:
  const Config& config_;
  std::size_t memory_;  ///< The most that limits.memory has been.
  std::size_t largest_ = 0;
  bool all_follow_ = true;
  bool stopping_ = false;
  Cause cause_;
  Ledger ledger_;  ///< `pending` is not kept: it follows from the rest.
  std::map<device::Ticket, Waiting> tickets_;
  std::unordered_set<MessageId> ids_;
  std::unordered_map<MessageId, std::size_t> volatile_;  ///< In RAM, with their cost.
  std::unordered_map<MessageId, std::size_t> held_;      ///< Fetched, with their cost.
  std::unordered_set<MessageId> superseded_;
  std::size_t volatile_bytes_ = 0;
  std::size_t held_bytes_ = 0;
  std::size_t ungated_bytes_ = 0;
  std::uint16_t server_window_ = 65535;
  std::set<env::Token> flight_;
  std::unordered_set<env::Token> sent_;
  /// By lane, kind and topic; without a topic: of all.
  std::map<std::tuple<LaneIndex, int, std::string>, MessageId> last_sent_;
  bool parted_ = false;  ///< A topic was parked.
};

}  // namespace holdfast::fuzz
