// Lines on their way from any thread to a client of the local API.
//
// Threads:  a Meter may be used by any; Mail is a plain value.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/limits.h"

namespace holdfast::runtime {

/// What the mailbox knows of a client without touching it.
struct Meter {
  std::atomic<std::size_t> events{0};  ///< Bytes of events on their way to the loop.
  std::atomic<bool> cut{false};

  /// What the loop has not fetched counts, too: a stuck client must not fill the mailbox.
  void add(std::size_t bytes) {
    if (events.fetch_add(bytes) > limits::kLocalBacklog) cut = true;
  }
};

/// A line on its way from any thread to a client.
struct Mail {
  enum class Kind : std::uint8_t {
    event,     ///< Counted in the meter.
    receipt,   ///< One of those that are owed.
    response,  ///< So is this, and it counts in the meter.
    look,      ///< The outbox's answer to a question.
  };
  std::uint64_t client = 0;
  std::string line;
  Kind kind = Kind::event;
};

}  // namespace holdfast::runtime
