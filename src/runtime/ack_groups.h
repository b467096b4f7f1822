// Messages that programs acknowledge: who is given each, who gets it when that one goes away, and
// how long its PUBACK may wait for them.
//
// Purpose:  a group is a topic filter and a name. Its members, programs of the local API, share its
//           messages: each is given to one of them, and is dealt with when that one acknowledges
//           it. What a member leaves behind is given to another, marked as a duplicate; a group
//           without members waits for one, and its messages with it.
// PUBACK:   waits for the acknowledgement, at most `within` from arrival. It holds back those of
//           all later messages (MQTT 5.0 section 4.6), so then it goes, the message stays in RAM
//           for its program, and the group is late: PUBACKs of what comes next go at once, until
//           all that was late is acknowledged. A group that does nothing can so hold up others for
//           `within` once. One that goes on, but slowly, holds the broker back when half of the
//           room is used, and loses nothing.
// Bounds:   limits::kLocalGroups groups, kLocalHeld messages and kLocalHeldBytes in all, of which a
//           group that does nothing may use half; of each member its window. What is over is
//           dropped, and counted.
// Threads:  one. The tally may be read from any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "holdfast/device.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::runtime {

/// The counts of AcknowledgementCounts while they grow.
struct AckTally {
  std::atomic<std::uint64_t> groups{0};
  std::atomic<std::uint64_t> waiting{0};
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<std::uint64_t> repeated{0};
  std::atomic<std::uint64_t> overdue{0};
  std::atomic<std::uint64_t> overflow{0};
  std::atomic<std::uint64_t> abandoned{0};

  [[nodiscard]] AcknowledgementCounts counts() const;
};

class AckGroups {
 public:
  using Group = std::uint64_t;  ///< Never 0.

  struct Terms {
    std::string filter;
    std::string name;  ///< Groups of one filter are told apart by it.
    Qos qos = Qos::at_least_once;
    Milliseconds within{0};  ///< For one message.
    Milliseconds linger{0};  ///< How long it lives without a member.
  };
  struct Member {
    std::uint64_t client = 0;
    std::uint64_t subscription = 0;  ///< Unique among all clients.
    std::size_t window = 1;          ///< Messages given to it at once.
  };
  struct Joined {
    Group group = 0;
    bool made = false;  ///< It is new: nobody has subscribed for it yet.
  };
  /// What a member is to be given.
  struct Gift {
    Member to{};
    std::uint64_t delivery = 0;
    bool duplicate = false;
    const InboundMessage* message = nullptr;  ///< Until the next call.
  };
  using Say = std::function<void(LogLevel, std::string)>;

  /// Numbers of deliveries begin behind `first`, which should differ from run to run: a program may
  /// acknowledge to this one what an earlier one gave it.
  AckGroups(std::uint64_t first, AckTally& tally, Say say);

  /// The last member's terms are the group's. Errors: full (limits::kLocalGroups).
  [[nodiscard]] Result<Joined> join(const Terms& terms, const Member& member, BootTime now);
  /// As it was in an earlier run. Nothing if there is no room.
  [[nodiscard]] std::optional<Group> restore(const Terms& terms, BootTime now);
  /// The member goes; `for_good`: it has said so, and a group that has no other member ends. True
  /// if it has ended.
  bool leave(Group group, std::uint64_t subscription, bool for_good, BootTime now);
  /// Whoever should have subscribed for it could not.
  void end(Group group);

  void arrived(Group group, InboundMessage message, Hold hold, BootTime now);
  /// False if the client has no such delivery.
  bool acknowledge(std::uint64_t client, std::uint64_t delivery, BootTime now);
  /// The next gift, if somebody is free for one; it counts as given. `room` tells whether a client
  /// takes more.
  [[nodiscard]] std::optional<Gift> next(const std::function<bool(std::uint64_t client)>& room);

  /// Does what is due; the groups that have ended.
  [[nodiscard]] std::vector<Group> look(BootTime now);
  /// When look() is to be called next; it may find nothing to do.
  [[nodiscard]] BootTime next_look() const;
  [[nodiscard]] std::vector<Terms> terms() const;

 private:
  struct Item {
    InboundMessage message;
    Hold hold{};  ///< Of its PUBACK; null once that has gone.
    std::uint64_t delivery = 0;
    BootTime came{};
    std::size_t bytes = 0;
    std::size_t copies = 0;      ///< That the broker has sent since.
    std::uint64_t given_to = 0;  ///< A subscription, or 0.
    bool again = false;          ///< Somebody has had it.
    bool overdue = false;
  };
  using Items = std::list<Item>;
  struct One {
    Terms terms{};
    std::map<std::uint64_t, Member> members{};
    std::map<std::uint64_t, std::size_t> given{};  ///< By subscription: not acknowledged.
    Items items{};                                 ///< In the order in which they came.
    std::size_t free = 0;                          ///< Of these, given to nobody.
    std::size_t overdue = 0;
    BootTime progress{};        ///< Of the last acknowledgement, or since there is work.
    BootTime alone = kNever;    ///< Since when it has no member.
    BootTime look_at = kNever;  ///< When the first PUBACK may be due.
  };
  struct Place {
    Group group = 0;
    Items::iterator item{};
  };

  [[nodiscard]] static bool stuck(const One& one, BootTime now);
  [[nodiscard]] bool may_release(const One& one, BootTime now) const;
  [[nodiscard]] const Member* choose(const One& one,
                                     const std::function<bool(std::uint64_t)>& room) const;
  [[nodiscard]] static bool merged(One& one, const InboundMessage& message, Hold& hold);
  void drop_overflow(const One& one);
  void release_due(One& one, BootTime now);
  void forget(One& one, Items::iterator item);
  Group add(const Terms& terms);
  std::map<Group, One>::iterator close(std::map<Group, One>::iterator group);

  std::map<Group, One> groups_;
  std::unordered_map<std::uint64_t, Place> places_;  ///< By delivery.
  std::uint64_t last_delivery_;
  Group last_group_ = 0;
  std::size_t bytes_ = 0;
  AckTally& tally_;
  Say say_;
};

}  // namespace holdfast::runtime
