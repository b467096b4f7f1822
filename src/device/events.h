// What happens to the core (events) and what it wants done (actions). Plain data, no behaviour.
//
// The runtime turns the world into events and carries actions out; the simulation does the same
// with a simulated world. The order of actions within one step matters; carry them out in order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/message.h"
#include "base/time.h"
#include "env/engine.h"
#include "flow/duplicates.h"
#include "holdfast/config.h"
#include "holdfast/device.h"
#include "holdfast/log.h"
#include "holdfast/types.h"
#include "link/policy.h"

namespace holdfast::device {

/// Correlates a publish() with its receipts; chosen by the runtime, never 0. Its top bit says that
/// nobody waits for what follows acceptance, so that nothing is kept for it from then on.
using Ticket = std::uint64_t;
inline constexpr Ticket kUntilAccepted = Ticket{1} << 63;
[[nodiscard]] constexpr bool follows_to_end(Ticket ticket) {
  return ticket != 0 && (ticket & kUntilAccepted) == 0;
}

// ---- events -------------------------------------------------------------------------------------

/// The time the core asked for has come (or any other reason to look at the clock).
struct Tick {};

/// Messages handed in by the application, already checked by admit() (device/admission.h).
struct Publish {
  struct Item {
    Ticket ticket = 0;
    Durability durability = Durability::durable;
    StoredMessage message;
  };
  std::vector<Item> items;
};

struct Subscribe {
  SubscriptionId id = 0;
  std::string filter;
  Qos qos = Qos::at_least_once;
};
struct Unsubscribe {
  SubscriptionId id = 0;
};

/// The storage thread's answer to one StoreAppend, after the commit that covers it.
struct StoreAppended {
  struct Item {
    Ticket ticket = 0;
    MessageId id = 0;  ///< 0 when rejected.
    LaneIndex lane = 0;
    RejectReason rejected = RejectReason::none;
    bool gated = false;  ///< As in the StoreAppend.
    MessagePtr message;  ///< As handed in: what a rejected one becomes is the core's to decide.
  };
  std::vector<Item> items;
};

/// The answer to one StoreFetch.
struct StoreFetched {
  LaneIndex lane = 0;
  std::vector<MessagePtr> messages;
  bool more = false;
};

/// The answer to one StoreFetchParked: null when no message of the topic waits.
struct StoreFetchedParked {
  std::string topic;
  MessagePtr message;
};

/// What the store decided by itself in a turn; comes behind the turn's other events.
struct StoreNews {
  std::vector<std::pair<MessageId, DropReason>> dropped;  ///< Settled in the store already.
  std::vector<MessageId> superseded;                      ///< Ours to give up, if not on the way.
  std::vector<std::uint64_t> over;                        ///< By lane: so many too many.
};

/// Sent after each storage turn in which something changed, and once after opening.
struct StoreReport {
  Ledger ledger;
  StorageHealth health = StorageHealth::ok;
  std::vector<std::uint64_t> unfetched;  ///< Per lane.
  std::uint64_t parked = 0;              ///< As far as they were looked at.
};

struct EngineUp {
  env::AttemptId attempt = 0;
  env::UpInfo info;
};
struct EngineFailed {
  env::AttemptId attempt = 0;
  env::Failure failure;
};
struct EngineDown {
  env::AttemptId attempt = 0;
  env::Failure failure;
};
struct EnginePublished {
  env::AttemptId attempt = 0;
  env::Token token = 0;
  std::uint8_t reason_code = 0;
};
/// publish() on the engine returned an error: this message cannot be sent as it is.
struct EngineRefused {
  env::AttemptId attempt = 0;
  env::Token token = 0;
  Errc code = Errc::internal;
};
struct EngineSubscribed {
  env::AttemptId attempt = 0;
  env::Token token = 0;
  std::vector<std::uint8_t> reason_codes;
};
struct EngineMessage {
  env::AttemptId attempt = 0;
  env::Arrival arrival;
};
/// The application is done with what GiveMessage gave, or it was dropped and counted.
struct MessageTaken {
  flow::Delivery delivery = 0;
};

/// The answer to ProbeEndpoint.
struct EndpointProbed {
  std::string endpoint;
  env::Failure failure;  ///< Verdict::none: it is well.
};

/// The answer to LookUpName.
struct NameLookedUp {
  std::string host;
  std::string canonical;  ///< Where it leads to; empty: the name service gave no answer.
};

/// Somebody asks for an attempt now: the application, or whoever changed the credentials.
struct ReconnectNow {};
/// Something has changed around the device that may end what keeps it from connecting.
struct Changed {
  link::Mend what = link::Mend::network;
};
/// What the network's managers say now. Apart, so that events stay small.
struct NetworkNews {
  std::shared_ptr<const NetworkState> state;
};
struct Reload {
  std::shared_ptr<const Config> config;  ///< Already checked. Apart, so that events stay small.
};
/// How far the device draws back because the power is going; all as it stands here: not at all.
struct Posture {
  bool save = false;             ///< What waits in RAM, but may be on disk, goes there now.
  bool away = false;             ///< No connection: the present one is left in order.
  std::uint32_t held_lanes = 0;  ///< A bit for each lane of which nothing is sent.
};
struct Stop {
  Duration deadline{};
};
/// Everything handed to the storage thread is on disk and the store is closed.
struct StoreClosed {};

using Event = std::variant<Tick, Publish, Subscribe, Unsubscribe, StoreAppended, StoreFetched,
                           StoreFetchedParked, StoreNews, StoreReport, EngineUp, EngineFailed,
                           EngineDown, EnginePublished, EngineRefused, EngineSubscribed,
                           EngineMessage, MessageTaken, EndpointProbed, NameLookedUp, ReconnectNow,
                           Changed, NetworkNews, Reload, Posture, Stop, StoreClosed>;

// ---- actions ------------------------------------------------------------------------------------

struct StoreAppend {
  struct Item {
    Ticket ticket = 0;
    MessagePtr message;
    bool gated = false;  ///< It came through the gate in front of publish(), and leaves it now.
  };
  std::vector<Item> items;
};
/// Give up the oldest of a lane that were not fetched.
struct StoreEvict {
  LaneIndex lane = 0;
  std::uint64_t count = 0;
};
/// From now on, by lane. Which lanes conflate does not change.
struct StoreRules {
  std::vector<LaneRules> rules;
};
struct StoreFetch {
  LaneIndex lane = 0;
  std::size_t max_count = 0;
  std::size_t max_bytes = 0;
};
/// Of a topic that is parked, wanted for a trial. What has waited for `patience` is given up.
struct StoreFetchParked {
  std::string topic;
  std::optional<Duration> patience;
};
/// From now on these topics, and no others, are parked.
struct StorePark {
  std::vector<std::string> topics;
};
/// A fetched message of a topic that is parked waits there again.
struct StoreGiveBack {
  MessageId id = 0;
};
struct StoreSettle {
  MessageId id = 0;
  bool delivered = true;
  DropReason reason = DropReason::expired;  ///< When not delivered.
};
/// Commit everything, soft settlements included.
struct StoreSync {};
/// Commit everything, mark the store as closed in order, answer with StoreClosed.
struct StoreClose {};

struct EngineConnect {
  /// Password still unread; the runtime fills it in from its file. Apart, so that actions stay
  /// small.
  std::shared_ptr<env::ConnectRequest> request;
};
/// Beside the present connection: bring up a stream to this endpoint, TLS included, and close it
/// again; EndpointProbed is to follow.
struct ProbeEndpoint {
  std::shared_ptr<env::ConnectRequest> request;
};
/// Where does this name lead to? NameLookedUp is to follow.
struct LookUpName {
  std::string host;
};
/// The network manager is to look how far its network leads; NetworkNews follows if that has
/// changed.
struct CheckNetwork {};
/// The endpoint to begin with after a restart: Opening::endpoint.
struct RememberEndpoint {
  std::string name;
};

struct EnginePublish {
  env::AttemptId attempt = 0;
  env::Token token = 0;
  MessagePtr message;
};
struct EngineSubscribe {
  env::AttemptId attempt = 0;
  env::Token token = 0;
  std::vector<env::FilterRequest> filters;
};
struct EngineUnsubscribe {
  env::AttemptId attempt = 0;
  env::Token token = 0;
  std::vector<std::string> filters;
};
struct EngineTaken {
  env::AttemptId attempt = 0;
  env::Token ticket = 0;
};
struct EngineDisconnect {};
/// Destroy the engine and make a new one for the next attempt.
struct EngineAbort {};

struct GiveReceipt {
  Ticket ticket = 0;  ///< 0 when the message came from an earlier run.
  Receipt receipt;
};
struct GiveMessage {
  std::vector<SubscriptionId> to;  ///< Empty: it belongs to no subscription.
  InboundMessage message;
  flow::Delivery delivery = 0;  ///< For MessageTaken, which is awaited.
};
struct GiveConnection {
  ConnectionState state;
};
struct Log {
  LogLine line;
};
/// Since the last Posture: everything that may be on disk is there.
struct Saved {};
/// Since the last Posture: there is no connection, and none is made.
struct Away {};
/// Nothing more will happen; the runtime may end its threads.
struct Stopped {};

using Action =
    std::variant<StoreAppend, StoreFetch, StoreFetchParked, StorePark, StoreGiveBack, StoreEvict,
                 StoreRules, StoreSettle, StoreSync, StoreClose, EngineConnect, EnginePublish,
                 EngineSubscribe, EngineUnsubscribe, EngineTaken, EngineDisconnect, EngineAbort,
                 ProbeEndpoint, LookUpName, CheckNetwork, RememberEndpoint, GiveReceipt,
                 GiveMessage, GiveConnection, Log, Saved, Away, Stopped>;
using Actions = std::vector<Action>;

}  // namespace holdfast::device
