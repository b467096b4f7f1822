// What to send next, how much at a time, and what became of it.
//
// Purpose:  lanes in strict priority, an in-flight window below the server's, pacing, and one
//           settlement for every message: delivered, or dropped for a reason. Messages come from
//           the outbox in small portions (durable) or straight from the application (volatile).
// Order:    within a lane, durable messages are sent for the first time in the order of their ids,
//           and so are volatile ones; the two kinds take turns. A message sent before (its
//           connection was lost, or the broker asked for later) goes ahead of new ones. A message
//           in RAM that may be moved to disk (spill) takes its place among the durable ones: behind
//           those that were on disk when it came, before later ones. Only a device that stops sends
//           it ahead of what is safe on disk.
// Parked:   messages on some topics are not sent: durable ones go back to the outbox, which passes
//           over them; volatile ones stand aside here. When the topic is released they go before
//           all that is newer and was not sent. A trial sends one of them, alone.
// Held:     lanes may be told to wait (metered.h): nothing of them is read ahead or sent meanwhile,
//           but for what is in flight already.
// Repeats:  when a connection ends, messages without an answer have an unknown fate and are sent
//           again, QoS 0 included: a possible duplicate rather than a silent loss.
// Retained: a repeat never takes the place of a later message of its topic that was delivered, or
//           is on its way: it is sent without its mark. A new process does not know of such.
// Memory:   Config::Limits::memory, one half for volatile messages, the other for durable ones
//           read ahead or in flight; see room_for(). Every lane keeps a share of its own, so that
//           a backlog in one never keeps another from moving.
// Cost:     every call is O(1) per message; nothing scans a queue.
// Threads:  one thread, the core's.
// Errors:   none; a broken invariant ends the process.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/limits.h"
#include "base/message.h"
#include "base/time.h"
#include "env/engine.h"
#include "flow/metered.h"
#include "flow/pacer.h"
#include "flow/suspicion.h"
#include "holdfast/config.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::flow {

/// A broker that said "not now" to a message is asked again after this long, doubling.
inline constexpr Duration kRetryFirst = std::chrono::seconds(1);
inline constexpr Duration kRetryCap = std::chrono::seconds(60);
/// Messages wanted ready per lane: so many windows, and never fewer than kReadyMin. Asked for
/// when half of them is used up, which hides the way to the disk and back.
inline constexpr std::size_t kReadyWindows = 4;
inline constexpr std::size_t kReadyMin = 32;
/// A read-ahead with less room than this waits, so that a full budget isn't refilled one by one.
inline constexpr std::size_t kFetchMin = 4 * limits::kKiB;
/// So many QoS 0 messages are remembered for kSoon, in case the server hangs up on one.
inline constexpr std::size_t kWrittenMost = 64;
/// Looking for expired volatile messages to make room costs a scan: not more often than this.
inline constexpr Duration kPurgeGap = std::chrono::seconds(1);

/// Tokens from here to kVolatileBit are the core's own requests, never messages.
inline constexpr env::Token kRequestBit = kDurableIdEnd;
inline constexpr env::Token kBirthToken = kRequestBit;

/// The end of one message.
struct Settlement {
  MessageId id = 0;
  bool delivered = false;
  DropReason reason = DropReason::refused;  ///< When not delivered.
  std::uint8_t code = 0;                    ///< The PUBACK's, if there was one.
  MessagePtr message;
};

/// What the sender wants done.
struct Work {
  struct Send {
    env::Token token = 0;
    MessagePtr message;
  };
  struct Fetch {
    LaneIndex lane = 0;
    std::size_t max_count = 0;
    std::size_t max_bytes = 0;
  };
  /// The oldest message of a topic that is parked is wanted, for a trial. Those that have waited
  /// for `patience` are to be given up.
  struct FetchParked {
    std::string topic;
    std::optional<Duration> patience;
  };
  std::vector<Send> sends;
  std::vector<Fetch> fetches;
  std::optional<FetchParked> fetch_parked;
  std::vector<MessageId> given_back;  ///< Fetched, and parked in the outbox again.
  std::vector<Settlement> settled;
};

class Sender {
 public:
  explicit Sender(const Config& config);

  /// New limits; the number of lanes stays what it was.
  void reconfigure(const Config& config);

  // ---- messages in -----------------------------------------------------------------------------

  /// Takes a volatile message with its id. False when there is no room: nothing has happened.
  /// Making room may settle expired ones.
  [[nodiscard]] bool add_volatile(BootTime now, MessagePtr message, Work& work);
  /// Whether a spill message of this lane may wait in RAM: not behind others on disk, unless an
  /// older one is still in RAM, which would reach the disk behind it.
  [[nodiscard]] bool may_spill_later(LaneIndex index, const std::string& topic) const;
  /// Takes back the spill messages that were given to flow before `since` and are not on the way,
  /// oldest first, by lane. They stand in RAM's budget until spill_left().
  [[nodiscard]] std::vector<MessagePtr> take_spill(BootTime since);
  /// The answer to one of them, in their order: it is on disk with this id, or could not be moved
  /// (0) and waits for return_spill().
  void spill_left(const StoredMessage& message, MessageId id);
  /// Those that could not be moved are held here again, ahead of all that came later.
  void return_spill(BootTime now);
  /// When the oldest spill message that waits was given to flow; kNever without any.
  [[nodiscard]] BootTime oldest_spill() const;

  /// No id that the outbox has given to a message so far is above this one.
  void ids_up_to(MessageId id);
  /// A message of this lane is in the outbox.
  void stored(LaneIndex lane, MessageId id);
  /// The outbox has (or hasn't) messages of this lane that were not fetched.
  void set_stored(LaneIndex lane, bool more);
  /// The answer to a fetch, ids growing within the lane.
  void fetched(BootTime now, LaneIndex index, std::vector<MessagePtr> messages, bool more);

  /// Gives up the oldest messages read ahead in this lane, not those that were sent. Returns how
  /// many there were.
  std::uint64_t evict(LaneIndex index, std::uint64_t count, Work& work);
  /// A newer message has taken this one's place: it is given up unless it is on the way.
  void supersede(MessageId id);

  /// Of these lanes, and no others, nothing is sent for the first time from now on; but for what
  /// RAM holds, once nothing else is sent any more.
  void hold_lanes(LaneSet held) { held_ = held; }

  // ---- parked topics ---------------------------------------------------------------------------

  /// From now on these topics, and no others, are parked. The outbox must know before it gets back
  /// what was fetched, and begins again with what is released.
  void park(Names topics, Work& work);
  /// One message of this parked topic is to be sent, with nothing else unanswered. First the
  /// outbox is asked. Parked ones in RAM that have waited for `patience` are given up.
  void begin_trial(BootTime now, std::string topic, std::optional<Duration> patience, Work& work);
  /// The outbox's answer. False: there is nothing that could be sent.
  [[nodiscard]] bool fetched_parked(BootTime now, const std::string& topic, MessagePtr message);
  /// A message for a trial is ready, on the way, or written and has not survived yet: nothing else
  /// is sent meanwhile.
  [[nodiscard]] bool trying() const {
    return !volatile_only_ && (trial_.has_value() || trial_token_ != 0 || trial_written_);
  }
  /// Never more than so many unanswered from now on; 0: send nothing but what is tried.
  void hold_to(std::size_t most) { most_ = most; }
  /// Gives up all in flight as refused: the server has shown that it will not have it.
  void refuse_open(Work& work);
  /// All that a server could hang up on: in flight, or written lately without an answer to come.
  [[nodiscard]] std::vector<OpenOperation> open(BootTime now) const;
  /// The topics of what was written, with no answer to come, and has not ended the connection.
  [[nodiscard]] std::vector<std::string> survived(BootTime now);
  /// When the next one has survived; kNever without any.
  [[nodiscard]] BootTime next_survival() const {
    return written_.empty() ? kNever : written_.front().since + kSoon;
  }
  /// What has this token and is in flight; null for others.
  [[nodiscard]] MessagePtr in_flight(env::Token token) const;

  // ---- the connection --------------------------------------------------------------------------

  void connected(std::uint16_t server_receive_maximum);
  /// Everything in flight goes back to the front of its lane. Harmless when not connected.
  void disconnected();
  /// Publishes the birth message ahead of everything; it is no message of the ledger. Put off by
  /// the broker or the engine, it goes again as any other; on a parked topic it waits.
  void send_birth(BootTime now, MessagePtr message, Work& work);

  /// PUBACK, or written for QoS 0. Unknown tokens are ignored. What is denied is parked (its topic
  /// is, by now), or dropped if denied messages are not kept at all.
  void published(BootTime now, env::Token token, std::uint8_t code, Work& work);
  /// The engine did not take it. If the code speaks of the message (too large, unsupported, …) it
  /// is dropped; if it speaks of the engine (closed, full, io, …) it is tried again later.
  void refused(BootTime now, env::Token token, Errc code, Work& work);

  // ---- what next -------------------------------------------------------------------------------

  /// Sends what lanes, window and pacing allow. `alone`: nothing else is unanswered; only then does
  /// a trial begin.
  void send(BootTime now, Work& work, bool alone = true);
  /// Asks for what should be read ahead.
  void fetch(Work& work);
  /// Sends nothing but volatile messages from now on: the durable ones are safe where they are.
  void volatile_only() { volatile_only_ = true; }
  /// Gives up every volatile message (dropped: volatile_lost).
  void drop_volatile(Work& work);

  /// When send() could do more without any event; kNever if only an event helps.
  [[nodiscard]] BootTime next_wake() const;

  // ---- what is ---------------------------------------------------------------------------------

  [[nodiscard]] std::size_t in_flight() const { return flight_.size(); }
  [[nodiscard]] std::size_t window() const { return window_; }
  /// When the oldest message in flight was sent; kNever without any.
  [[nodiscard]] BootTime oldest_sent() const;
  [[nodiscard]] std::uint64_t volatile_held() const { return volatile_held_; }
  [[nodiscard]] std::uint64_t leaving() const { return leaving_.size(); }
  [[nodiscard]] std::uint64_t durable_held() const { return durable_held_; }
  [[nodiscard]] std::size_t volatile_bytes() const { return volatile_bytes_; }
  [[nodiscard]] std::size_t durable_bytes() const;
  [[nodiscard]] std::uint64_t sends_repeated() const { return sends_repeated_; }
  /// Volatile messages on parked topics.
  [[nodiscard]] std::uint64_t parked() const;

 private:
  struct Entry {
    MessagePtr message;
    BootTime since{};         ///< Accepted (volatile) or fetched (durable).
    std::uint64_t turn = 0;   ///< Its place among all first sends; 0: sending it is no repeat.
    std::uint8_t delays = 0;  ///< How often the broker asked for later.
    bool gave_way = false;    ///< It would be retained, had a later one not been on the way.
    MessageId after = 0;      ///< Spill: the last id on disk that goes before it.
  };
  struct InFlight {
    env::Token token = 0;
    BootTime sent_at{};
    Entry entry;
  };
  struct Lane {
    std::deque<Entry> durable;
    std::deque<Entry> memory;
    std::deque<Entry> spill;
    std::deque<Entry> parked_memory;  ///< Oldest first, as the others.
    std::deque<Entry> parked_spill;
    bool memory_next = false;       ///< Whose turn it is.
    bool stored = false;            ///< The outbox has more.
    bool fetching = false;          ///< One question at a time.
    std::size_t durable_bytes = 0;  ///< Ready, in flight or delayed.
    std::size_t asked_bytes = 0;    ///< Of the fetch under way.
    std::uint64_t spill_held = 0;   ///< Ready, in flight or delayed.
    MessageId last_fetched = 0;
    std::size_t leaving = 0;  ///< Spill, on its way to disk.
    MessageId moved = 0;      ///< Of those, the last that is on disk.
  };
  using Flight = std::list<InFlight>;

  [[nodiscard]] std::deque<Entry>* pick(BootTime now, Work& work);
  [[nodiscard]] std::deque<Entry>* pick_from(Lane& lane);
  [[nodiscard]] bool spill_is_next(const Lane& lane) const;
  [[nodiscard]] bool is_parked(const Entry& entry) const {
    return !parked_topics_.empty() && parked_topics_.contains(entry.message->topic);
  }
  [[nodiscard]] bool is_held(std::size_t lane) const { return held_[lane] && !volatile_only_; }
  [[nodiscard]] std::size_t room() const { return std::min(window_, most_); }
  void set_aside(Entry entry, Work& work);
  void give_back(Entry entry, Work& work);
  void take_back(Entry& entry);
  void insert(Entry entry);
  [[nodiscard]] bool take_parked(const std::string& topic);
  [[nodiscard]] std::optional<DropReason> useless(const Entry& entry, BootTime now) const;
  [[nodiscard]] static std::deque<Entry>& queue_of(Lane& lane, const StoredMessage& message);
  [[nodiscard]] BootTime pace_at() const;
  [[nodiscard]] bool sendable() const;
  [[nodiscard]] std::size_t room_for(const Lane& wanted) const;
  [[nodiscard]] std::size_t guaranteed() const;
  void transmit(BootTime now, env::Token token, Entry entry, Work& work);
  void release_delayed(BootTime now);
  void delay(BootTime now, Entry entry);
  void put_back(Entry entry);
  [[nodiscard]] static bool replaces(const Entry& later, const Entry& earlier);
  static void give_way(Entry& entry);
  /// A repeat gives up being retained if a later one of its topic is in flight.
  void yield(Entry& entry) const;
  /// This one is delivered: earlier ones of its topic give up being retained.
  void overtake(Flight::iterator delivered);
  /// Takes a message out of flight for its answer; nothing for unknown tokens.
  [[nodiscard]] std::optional<Entry> take_answered(env::Token token);
  void settle(const Entry& entry, bool delivered, DropReason reason, std::uint8_t code, Work& work);
  void purge_expired(BootTime now, Work& work);

  std::size_t lane_count_;
  LaneSet held_;
  std::array<Lane, limits::kLanesMax> lanes_;
  std::uint16_t max_in_flight_ = 1;
  bool keep_denied_ = true;
  std::size_t memory_ = 0;
  Pacer messages_{0};
  Pacer bytes_{0};

  bool connected_ = false;
  bool volatile_only_ = false;
  std::uint16_t server_window_ = 65535;
  std::size_t window_ = 1;
  Flight flight_;  ///< In the order of sending, so that the oldest is at the front.
  std::unordered_map<env::Token, Flight::iterator> by_token_;
  std::multimap<BootTime, Entry> delayed_;
  Names parked_topics_;
  std::size_t most_ = limits::kInFlightMax;
  std::size_t parked_bytes_ = 0;  ///< Of parked memory messages.
  std::string trial_topic_;       ///< Asked for; empty: no trial.
  std::optional<Entry> trial_;    ///< Ready.
  env::Token trial_token_ = 0;    ///< On the way.
  bool trial_written_ = false;    ///< QoS 0.
  /// Given back to the outbox after it was sent: its next send is a repeat.
  struct SentBefore {
    std::uint64_t turn = 0;
    bool gave_way = false;
    std::string retained;  ///< Its topic, if it is to be retained.
  };
  std::map<MessageId, SentBefore> sent_before_;
  std::deque<OpenOperation> written_;  ///< QoS 0, by this connection; the last kWrittenMost.
  std::optional<Entry> birth_;         ///< Put off until ...
  BootTime birth_at_ = kNever;         ///< ... then.
  std::uint64_t last_turn_ = 0;
  std::unordered_set<MessageId> superseded_;  ///< Held here, durable.
  MessageId last_stored_ = 0;
  std::deque<Entry> leaving_;     ///< On the way from RAM to disk, in the order of the answers.
  std::vector<Entry> returning_;  ///< Of those, what could not be moved.

  std::uint64_t volatile_held_ = 0;
  std::uint64_t durable_held_ = 0;
  std::size_t volatile_bytes_ = 0;
  std::size_t leaving_bytes_ = 0;  ///< Of leaving_ and returning_.
  std::uint64_t sends_repeated_ = 0;
  BootTime purge_at_ = BootTime::min();
};

}  // namespace holdfast::flow
