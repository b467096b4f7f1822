// The sender's parked topics: what stands aside, how it comes back, and trials. See sender.h.
#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "flow/sender.h"

namespace holdfast::flow {

void Sender::park(Names topics, Work& work) {
  Names released;
  std::set_difference(parked_topics_.begin(), parked_topics_.end(), topics.begin(), topics.end(),
                      std::inserter(released, released.end()));
  parked_topics_ = std::move(topics);
  if (!parked_topics_.contains(trial_topic_) && !trying()) trial_topic_.clear();
  if (released.empty()) return;
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = lanes_[i];
    // The outbox begins again: what was not fetched may be older than what was, which goes back,
    // so as not to go first.
    lane.stored = true;
    lane.last_fetched = 0;
    for (Entry& entry : std::exchange(lane.durable, {})) {
      if (released.contains(entry.message->topic)) {
        give_back(std::move(entry), work);
      } else {
        lane.durable.push_back(std::move(entry));
      }
    }
    for (auto* queue : {&lane.parked_memory, &lane.parked_spill}) {
      for (Entry& entry : std::exchange(*queue, {})) {
        if (is_parked(entry)) {
          queue->push_back(std::move(entry));
        } else {
          take_back(entry);
        }
      }
    }
  }
}

/// From those that are parked to those that are sent.
void Sender::take_back(Entry& entry) {
  if (!entry.message->spill) parked_bytes_ -= entry.message->cost();
  insert(std::move(entry));
}

/// In the order of ids among those that were not sent; usually that is the end.
void Sender::insert(Entry entry) {
  Lane& lane = lanes_[entry.message->lane];
  auto& queue = queue_of(lane, *entry.message);
  if (!is_volatile(entry.message->id)) {
    lane.last_fetched = std::max(lane.last_fetched, entry.message->id);
    lane.durable_bytes += entry.message->cost();
    ++durable_held_;
    if (const auto known = sent_before_.find(entry.message->id); known != sent_before_.end()) {
      entry.turn = known->second.turn;
      if (known->second.gave_way) give_way(entry);
      sent_before_.erase(known);
    }
  }
  auto at = queue.end();
  const auto later = [&](const Entry& other) {
    return entry.turn != 0 ? other.turn == 0 || other.turn > entry.turn
                           : other.turn == 0 && other.message->id > entry.message->id;
  };
  while (at != queue.begin() && later(*std::prev(at))) --at;
  HF_CHECK(at == queue.begin() || std::prev(at)->message->id != entry.message->id);
  queue.insert(at, std::move(entry));
}

void Sender::set_aside(Entry entry, Work& work) {
  const StoredMessage& message = *entry.message;
  if (message.id == kBirthToken) {
    birth_ = std::move(entry);
    return;
  }
  Lane& lane = lanes_[message.lane];
  if (is_volatile(message.id)) {
    if (!message.spill) parked_bytes_ += message.cost();
    auto& queue = message.spill ? lane.parked_spill : lane.parked_memory;
    auto at = queue.end();
    while (at != queue.begin() && std::prev(at)->message->id > message.id) --at;
    queue.insert(at, std::move(entry));
    return;
  }
  give_back(std::move(entry), work);
}

/// To the outbox, which hands it out again in its place.
void Sender::give_back(Entry entry, Work& work) {
  const StoredMessage& message = *entry.message;
  Lane& lane = lanes_[message.lane];
  HF_CHECK(durable_held_ > 0 && lane.durable_bytes >= message.cost());
  --durable_held_;
  lane.durable_bytes -= message.cost();
  superseded_.erase(message.id);
  if (durable_held_ == 0) superseded_.clear();
  work.given_back.push_back(message.id);
  if (entry.turn == 0) return;
  sent_before_[message.id] = {entry.turn, entry.gave_way,
                              message.retain ? message.topic : std::string()};
  if (sent_before_.size() > limits::kInFlightMax) sent_before_.erase(sent_before_.begin());
}

void Sender::begin_trial(BootTime now, std::string topic, std::optional<Duration> patience,
                         Work& work) {
  HF_CHECK(connected_ && !trying() && parked_topics_.contains(topic));
  for (std::size_t i = 0; patience && i < lane_count_; ++i) {
    for (auto* queue : {&lanes_[i].parked_memory, &lanes_[i].parked_spill}) {
      std::erase_if(*queue, [&](const Entry& entry) {
        if (entry.message->topic != topic || now - entry.since < *patience) return false;
        if (!entry.message->spill) parked_bytes_ -= entry.message->cost();
        settle(entry, false, DropReason::refused, 0, work);
        return true;
      });
    }
  }
  trial_topic_ = topic;
  work.fetch_parked = Work::FetchParked{std::move(topic), patience};
}

bool Sender::fetched_parked(BootTime now, const std::string& topic, MessagePtr message) {
  const bool wanted =
      connected_ && trial_topic_ == topic && !trial_ && trial_token_ == 0 && !trial_written_;
  if (message) insert({std::move(message), now});
  if (!wanted) return true;
  if (take_parked(topic)) return true;
  trial_topic_.clear();
  return false;
}

/// The oldest one of the topic that can be had, for its trial.
bool Sender::take_parked(const std::string& topic) {
  const auto take_from = [&](std::deque<Entry>& queue) {
    const auto found = std::find_if(queue.begin(), queue.end(), [&](const Entry& entry) {
      return entry.message->topic == topic;
    });
    if (found == queue.end()) return false;
    trial_ = std::move(*found);
    queue.erase(found);
    return true;
  };
  for (std::size_t i = 0; i < lane_count_; ++i) {
    Lane& lane = lanes_[i];
    if (take_from(lane.durable) || take_from(lane.spill) || take_from(lane.memory)) return true;
    if (take_from(lane.parked_spill)) return true;
    if (take_from(lane.parked_memory)) {
      parked_bytes_ -= trial_->message->cost();
      return true;
    }
  }
  if (!birth_ || birth_->message->topic != topic) return false;
  trial_ = std::move(*birth_);
  birth_.reset();
  return true;
}

void Sender::refuse_open(Work& work) {
  for (const InFlight& flight : flight_) {
    settle(flight.entry, false, DropReason::refused, 0, work);
  }
  flight_.clear();
  by_token_.clear();
}

std::vector<OpenOperation> Sender::open(BootTime now) const {
  std::vector<OpenOperation> open;
  open.reserve(flight_.size());
  for (const InFlight& flight : flight_) {
    const StoredMessage& message = *flight.entry.message;
    if (message.qos == Qos::at_most_once) continue;  // among the written ones
    open.push_back({{Operation::Kind::publish, message.topic}, flight.sent_at});
  }
  for (const OpenOperation& written : written_) {
    if (now <= written.since + kSoon) open.push_back(written);
  }
  return open;
}

std::vector<std::string> Sender::survived(BootTime now) {
  std::vector<std::string> topics;
  while (!written_.empty() && now >= written_.front().since + kSoon) {
    topics.push_back(std::move(written_.front().operation.name));
    written_.pop_front();
  }
  if (trial_written_ && written_.empty()) {
    trial_written_ = false;
    trial_topic_.clear();
  }
  return topics;
}

MessagePtr Sender::in_flight(env::Token token) const {
  const auto found = by_token_.find(token);
  return found == by_token_.end() ? nullptr : found->second->entry.message;
}

std::uint64_t Sender::parked() const {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < lane_count_; ++i) {
    sum += lanes_[i].parked_memory.size() + lanes_[i].parked_spill.size();
  }
  return sum;
}

}  // namespace holdfast::flow
