// Messages that came before, recognised by the id that their sender stamps.
//
// Purpose:  QoS 1 allows a sender to repeat itself; a sender that is Holdfast stamps every repeat
//           with the id of the first (Config::id_property), and so it is seen here.
// Bounds:   the last limits::kInboundIds ids; a repeat that comes later passes as new.
// Not kept: over the end of the process; ids of another form than ours; retained messages, which
//           come again whenever somebody subscribes, as they should.
// Threads:  one thread, the core's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "holdfast/types.h"

namespace holdfast::flow {

/// Numbers what comes from the broker, in order; never 0.
using Delivery = std::uint64_t;

class Duplicates {
 public:
  /// The delivery in which a message with the same id has come before; nothing, and this one noted,
  /// if none has. `property` names the user property; empty: nothing is a repeat.
  [[nodiscard]] std::optional<Delivery> first_of(const InboundMessage& message,
                                                 std::string_view property, Delivery delivery);

 private:
  /// A store, a message of it, and its topic: whoever copies a message to another topic, stamp and
  /// all, makes a new one.
  struct Id {
    std::uint32_t store = 0;
    MessageId message = 0;
    std::size_t topic = 0;  ///< Its hash.
    friend bool operator==(const Id&, const Id&) = default;
  };
  struct Hash {
    std::size_t operator()(const Id& id) const noexcept {
      return static_cast<std::size_t>((id.message ^ id.store ^ id.topic) * 0x9E3779B97F4A7C15U);
    }
  };
  [[nodiscard]] static std::optional<Id> id_of(std::string_view text);

  std::deque<Id> order_;
  std::unordered_map<Id, Delivery, Hash> seen_;
};

}  // namespace holdfast::flow
