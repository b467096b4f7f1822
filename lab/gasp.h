// A device without a connection that has taken as many messages as its limits let wait in RAM.
//
// Purpose:  what has to be saved when the power goes is most then: for the measurement and for the
//           power cuts of a last gasp.
// Threads:  the caller's.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "holdfast/device.h"

namespace gasp {

inline holdfast::Config config(const std::filesystem::path& directory, std::size_t memory) {
  holdfast::Config config;
  config.host = "127.0.0.1";
  config.port = 1;  // nobody listens there
  config.client_id = "last-gasp";
  config.tls.enabled = false;
  config.outbox.directory = directory;
  config.limits.memory = memory;
  if (config.limits.payload > memory) config.limits.payload = memory;
  config.power.resume_after = std::chrono::hours(1);
  config.power.farewell = std::chrono::minutes(5);
  config.log.level = holdfast::LogLevel::warning;
  return config;
}

/// What has become of the messages that publish() has taken.
struct Tally {
  std::atomic<std::uint64_t> taken{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> memory{0};    ///< Accepted, and its receipt says: to stay in RAM.
  std::atomic<std::uint64_t> rejected{0};  ///< After all, since RAM or disk had no room.

  [[nodiscard]] bool settled() const { return accepted + memory + rejected == taken; }
};

/// Hands messages over, durable ones and such that may wait in RAM by turns, until publish() has
/// answered "queue full" so often, or so many messages were taken: a slow processor fills no queue.
/// False: it answers something else.
inline bool fill(holdfast::Device& device, std::size_t payload, unsigned fulls, std::uint64_t most,
                 const std::shared_ptr<Tally>& tally) {
  const auto count = [tally](const holdfast::Receipt& receipt) {
    if (receipt.kind != holdfast::ReceiptKind::accepted) {
      ++tally->rejected;
    } else {
      ++(receipt.kept == holdfast::Durability::memory ? tally->memory : tally->accepted);
    }
  };
  for (std::uint64_t i = 0; fulls > 0 && tally->taken < most; ++i) {
    holdfast::Message message;
    message.topic = "last/gasp";
    message.payload.resize(payload, static_cast<std::byte>(i));
    message.durability = i % 2 == 0 ? holdfast::Durability::durable : holdfast::Durability::spill;
    const holdfast::PublishAnswer answer =
        device.publish(std::move(message), count, holdfast::ReceiptScope::accepted);
    if (answer) {
      ++tally->taken;
    } else if (answer.rejected == holdfast::RejectReason::queue_full) {
      --fulls;
    } else {
      return false;
    }
  }
  return true;
}

/// Says that the power goes, and waits until all is saved. How long that took; nothing: it was not.
inline std::optional<holdfast::Milliseconds> word(holdfast::Device& device) {
  struct Shared {
    std::mutex mutex;
    std::condition_variable came;
    bool done = false;
    std::optional<holdfast::Milliseconds> took;
  };
  const auto shared = std::make_shared<Shared>();
  device.power_fail("the last gasp", [shared](std::optional<holdfast::Milliseconds> took) {
    const std::lock_guard lock(shared->mutex);
    shared->took = took;
    shared->done = true;
    shared->came.notify_all();
  });
  std::unique_lock lock(shared->mutex);
  shared->came.wait(lock, [&] { return shared->done; });
  return shared->took;
}

}  // namespace gasp
