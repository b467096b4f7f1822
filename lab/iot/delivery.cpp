#include "lab/iot/delivery.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace holdfast::lab::iot {

void Delivery::add(mqtt::Publish message, std::uint16_t broker_id, bool stored) {
  message.dup = false;  // the service never sets it
  const bool paced = stored && switches_.drained_per_second > 0;
  (paced ? stored_ : live_).push_back({std::move(message), broker_id});
}

void Delivery::pump(BootTime now, Bucket& publishes, Output& out) {
  redeliver(now, out);
  send_from(live_, now, nullptr, publishes, out);
  send_from(stored_, now, &stored_pace_, publishes, out);
  const Duration whole = std::chrono::seconds(1);
  stored_next_ = now + whole / std::max<std::int64_t>(1, switches_.drained_per_second);
}

void Delivery::send_from(std::deque<Waiting>& queue, BootTime now, Bucket* pace, Bucket& publishes,
                         Output& out) {
  while (!queue.empty()) {
    Waiting& first = queue.front();
    const bool full = first.message.qos > 0 && in_flight_.size() >= window_;
    if (full || (pace != nullptr && !pace->take(now, switches_.drained_per_second))) return;
    if (!publishes.take(now, switches_.publishes_per_second)) {
      if (pace != nullptr) return;  // what is stored can wait; what is live is discarded
      if (first.broker_id != 0) out.settled.push_back(first.broker_id);
      queue.pop_front();
      continue;
    }
    if (first.message.qos > 0) {
      first.message.packet_id = fresh_id();
      in_flight_[first.message.packet_id] = {first.message, first.broker_id, now, now};
    }
    out.to_device.push_back(std::move(first.message));
    queue.pop_front();
  }
}

void Delivery::redeliver(BootTime now, Output& out) {
  if (switches_.redelivery_ms == 0) return;
  std::vector<std::uint16_t> due;
  for (const auto& [id, entry] : in_flight_) {
    if (now - entry.last_sent >= pause_after(entry)) due.push_back(id);
  }
  for (const std::uint16_t id : due) {
    auto node = in_flight_.extract(id);
    InFlight& entry = node.mapped();
    if (now - entry.first_sent >= window_time()) {
      if (entry.broker_id != 0) out.settled.push_back(entry.broker_id);
      continue;
    }
    entry.last_sent = now;
    ++entry.copies;
    if (switches_.redelivery_new_id) node.key() = entry.message.packet_id = fresh_id();
    out.to_device.push_back(entry.message);
    in_flight_.insert(std::move(node));
  }
}

std::optional<std::uint16_t> Delivery::acknowledged(std::uint16_t packet_id) {
  const auto node = in_flight_.extract(packet_id);
  if (node.empty() || node.mapped().broker_id == 0) return std::nullopt;
  return node.mapped().broker_id;
}

BootTime Delivery::wake(BootTime now) const {
  BootTime next = kNever;
  const bool room = in_flight_.size() < window_;
  if (!live_.empty() && (room || live_.front().message.qos == 0)) return now;
  if (!stored_.empty() && (room || stored_.front().message.qos == 0)) next = stored_next_;
  if (switches_.redelivery_ms == 0) return next;
  for (const auto& [id, entry] : in_flight_) {
    next = std::min(next, entry.last_sent + pause_after(entry));
  }
  return next;
}

std::uint16_t Delivery::fresh_id() {
  HF_CHECK(in_flight_.size() < 65535);
  do {
    ++last_id_;
  } while (last_id_ == 0 || in_flight_.contains(last_id_));
  return last_id_;
}

Duration Delivery::pause_after(const InFlight& entry) const {
  constexpr unsigned kDoublings = 16;
  const unsigned doubled = switches_.redelivery_doubles ? std::min(entry.copies, kDoublings) : 0;
  return std::chrono::milliseconds(switches_.redelivery_ms) * (1U << doubled);
}

Duration Delivery::window_time() const {
  return std::chrono::seconds(version_ == mqtt::Version::v5 ? switches_.redelivery_window_v5
                                                            : switches_.redelivery_window_311);
}

}  // namespace holdfast::lab::iot
