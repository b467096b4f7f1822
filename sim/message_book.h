// Every message of a simulated device from its publishing to its end, and the checkers that follow
// a message.
//
// Purpose:  the book sees what goes into the core and what comes out of it, and what reaches the
//           broker. It works out from that alone what the ledger must say.
// Checks:   no-loss, no-silent-drop, accept-is-durable, order, dup-bound, ack-owner, no-forgery,
//           bounded-memory, clock-proof, retained-last.
// Threads:  one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "device/core.h"
#include "outbox/outbox.h"
#include "sim/device_context.h"

namespace holdfast::sim {

/// Numbers the messages of a run; the ticket and the beginning of the payload.
using Serial = std::uint64_t;

/// Stands in every payload that has room for it, and must stand nowhere else.
inline constexpr std::string_view kSecret = "s3cret";

/// The payload of a message: its number, the secret, then bytes that follow from the number.
[[nodiscard]] Bytes payload_of(Serial serial, std::size_t size);

/// The number that a payload begins with.
[[nodiscard]] Serial serial_of(const Bytes& payload);

/// The topic of a message: retained ones have topics of their own.
[[nodiscard]] std::string topic_of(LaneIndex lane, bool retain);

class MessageBook {
 public:
  MessageBook(DeviceContext& context, const Config& config) : sim_(context), config_(config) {}

  // ---- into the core ---------------------------------------------------------------------------

  /// A new message of the application; its payload is payload_of() the answer.
  Serial next_serial() { return static_cast<Serial>(records_.size()) + 1; }
  void published(const StoredMessage& message, Durability durability);
  /// publish() refused it by itself: the gate was full.
  void turned_away() { ++turned_away_; }
  /// Before the core sees it.
  void sees(const device::Event& event);

  // ---- out of the core -------------------------------------------------------------------------

  void gives(const device::GiveReceipt& give);
  void settles(const device::StoreSettle& settle);
  void sends(const device::EnginePublish& publish);
  /// These topics are parked from now on: others of their lanes may overtake them.
  void parks(const std::vector<std::string>& topics);
  /// A fetched message of a parked topic waits in the store again.
  void gives_back(MessageId id);
  /// What waits, and has been allowed for so long, waits for nothing. `excused`: not now.
  void check_allowed(const std::function<bool(const std::string& topic)>& excused);
  /// The connection is over: what was in flight has an unknown fate.
  void disconnected();
  void connected(env::AttemptId attempt, std::size_t server_window) {
    attempt_ = attempt;
    server_window_ = server_window;
  }
  /// After a step: the ledger that the core shows against the one kept here.
  void compare(const DeviceState& state);

  // ---- the broker's side -----------------------------------------------------------------------

  /// A PUBLISH has arrived, with this answer (reason code) or none.
  void arrived(const StoredMessage& message, std::optional<std::uint8_t> code);

  // ---- the process -----------------------------------------------------------------------------

  /// stop() is called: what the disk has refused gets another chance at once.
  void stops();
  /// The process is gone. In order: nothing volatile may be left.
  void ended(bool in_order);
  /// A store has been opened again; from now on its ledger is the truth. `lenient`: syncs have
  /// failed, so that more may be found than was promised.
  void opened(outbox::Outbox& box, bool lenient);
  /// Everything must be over.
  void judge();
  /// What the broker must retain on a topic; empty: nothing. None: a copy of a message without a
  /// good end may have taken the place.
  [[nodiscard]] std::optional<Bytes> retained_on(const std::string& topic) const;

  /// How many messages may be in flight.
  [[nodiscard]] std::size_t window() const {
    return std::min<std::size_t>(config_.max_in_flight, server_window_);
  }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }
  [[nodiscard]] std::uint64_t messages() const { return records_.size(); }
  [[nodiscard]] std::uint64_t arrivals() const { return arrivals_; }
  [[nodiscard]] std::uint64_t duplicates() const { return duplicates_; }

 private:
  enum class State : std::uint8_t {
    published,  ///< On its way; nothing is promised.
    accepted,
    rejected,
    delivered,
    dropped,
    vanished,  ///< In RAM when the process was killed, or published but not accepted by then.
  };
  static constexpr SimTime kLongAgo = -std::chrono::seconds(1);
  struct Record {
    Serial serial = 0;
    State state = State::published;
    LaneIndex lane = 0;
    Durability asked = Durability::durable;
    Durability kept = Durability::durable;  ///< As its receipt says; messages of a kind keep order.
    Qos qos = Qos::at_least_once;
    DropReason reason = DropReason::expired;  ///< When dropped.
    bool on_disk = false;
    bool fetched = false;  ///< In RAM besides.
    bool in_flight = false;
    bool sent = false;         ///< In this run of the process.
    bool may_repeat = false;   ///< Sent before, and its fate is unknown, or it was asked for later.
    bool engine_kept = false;  ///< The library once refused it: its arrival may be late.
    bool revived = false;      ///< A cut undid its end: its place in the order has been passed.
    bool overtaken = false;    ///< A later one reached the disk before it moved there; see
                               ///< docs/accounting.md, spill.
    bool received = false;     ///< The broker has taken it.
    bool denied = false;       ///< The broker has refused it for good.
    bool doubtful = false;     ///< Refused, and found on a failing disk all the same; until the
                               ///< storage is `ok`, nobody promises that it stays.
    std::uint32_t arrivals = 0;
    std::uint32_t expiry_seconds = 0;  ///< 0: none.
    std::uint32_t size = 0;            ///< Of the payload.
    std::size_t cost = 0;
    MessageId id = 0;            ///< The current one.
    MessageId known_id = 0;      ///< The receipt's.
    std::uint64_t accepted = 0;  ///< Its place in the order of acceptance.
    std::uint64_t turn = 0;      ///< Its place in the order of first sends, as this process, or the
                                 ///< one that saw its end, knows it.
    bool retain = false;
    bool retain_sent = false;  ///< The last time.
    bool retain_over = false;  ///< A later one of its topic was on its way, or delivered.
    SimTime published_at{};
    SimTime ended_at{};
    SimTime refused_at = kLongAgo;  ///< By the store, the last time.
  };
  struct Cause {
    env::Token token = 0;
    std::optional<std::uint8_t> code;  ///< A PUBACK's.
    std::optional<Errc> refused;       ///< The engine's.
  };
  /// First sends and first arrivals of one lane and durability.
  struct Progress {
    std::uint64_t sent = 0;
    std::uint64_t arrived = 0;
    Serial last_sent = 0;
    Serial last_arrived = 0;
  };

  /// The messages of one topic that were to be retained.
  struct Retention {
    std::uint64_t sent = 0;       ///< The turn of the newest that was sent ...
    std::uint64_t delivered = 0;  ///< ... and delivered.
    Serial last = 0;              ///< That one.
    bool unsure = false;          ///< Behind it came one that is not delivered, but was taken.
  };

  void note_retained(const Record& record, bool delivered);
  [[nodiscard]] bool gives_way(Record& record);
  void check_retain(Record& record, const StoredMessage& message);
  Record* record(Serial serial);
  Record* by_id(MessageId id);
  [[nodiscard]] static std::string name(const Record& record);
  void land(Record& record);
  void sees_what(const device::StoreAppended& appended);
  void sees_what(const device::StoreFetched& fetched);
  void sees_what(const device::StoreFetchedParked& fetched);
  void sees_what(const device::StoreNews& news);
  void sees_what(const device::StoreReport&) {}
  template <typename Other>
  void sees_what(const Other&) {}
  bool same_bytes(const StoredMessage& message);
  void accept(Record& record, MessageId id);
  void count_end(Record& record, bool delivered, DropReason reason);
  void check_end(const Record& record, bool delivered, DropReason reason);
  Progress& progress(const Record& record) { return progress_[{record.lane, record.kept}]; }
  /// Of its topic: it keeps its order also where topics of its lane overtake each other.
  Progress& topic_progress(const Record& record) {
    return topic_progress_[{record.lane, record.kept, record.retain}];
  }
  void check_first_send(const Record& record);
  void check_first_arrival(const Record& record);
  bool hold(const StoredMessage& message);
  void end_doubts();
  std::set<Serial> list(outbox::Outbox& box);
  void recover(Record& record, bool waits, const outbox::Outbox& box, bool lenient);
  void judge(const Record& record);

  DeviceContext& sim_;
  const Config& config_;
  std::deque<Record> records_;
  std::unordered_map<MessageId, Serial> by_id_;
  std::map<std::pair<LaneIndex, Durability>, Progress> progress_;
  std::map<std::tuple<LaneIndex, Durability, bool>, Progress> topic_progress_;
  std::set<LaneIndex> parted_;       ///< A topic of these lanes was parked in this process ...
  std::set<LaneIndex> ever_parted_;  ///< ... or ever.
  std::map<std::string, SimTime> parked_since_;  ///< In this process, the first time.
  std::map<std::string, SimTime> excused_at_;    ///< The last time.
  std::size_t first_waiting_ = 0;                ///< All before it are over.
  std::map<std::string, Retention> retained_;
  std::uint64_t last_turn_ = 0;
  Ledger ledger_;
  Cause cause_;
  std::uint64_t last_accepted_ = 0;
  SimTime process_ended_{};     ///< The last one.
  env::AttemptId attempt_ = 0;  ///< Of the connection that stands; else 0.
  std::set<Serial> flight_;
  std::size_t server_window_ = 65535;
  std::size_t volatile_bytes_ = 0;
  std::size_t durable_bytes_ = 0;
  std::size_t largest_ = 0;
  bool doubts_ = false;  ///< Some are doubtful.
  std::uint64_t turned_away_ = 0;
  std::uint64_t arrivals_ = 0;
  std::uint64_t duplicates_ = 0;
};

}  // namespace holdfast::sim
