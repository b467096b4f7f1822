// A device that stays active: publish and subscribe here, and leave the connection to it.
//
// Purpose:  accepts messages at any time, keeps the durable ones on disk until the broker has
//           PUBACKed them, connects and reconnects by itself, and tells what is wrong in words.
// Threads:  every member may be called from any thread. Handlers run one at a time on the device's
//           executor thread, never on the caller's, in the order of their events; a handler that
//           blocks delays handlers only, and is counted and logged after Timing::callback_alarm.
//           Handlers may call every member except stop() and the destructor.
// Ownership: the Device owns its threads, its outbox directory (locked while open) and its
//           connection. Message bytes are moved in; bytes given to handlers are the handler's.
// Errors:   returned as values; no exception leaves a member or may leave a handler (one that
//           does is caught, counted and logged).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/config.h"
#include "holdfast/log.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast {

/// publish()'s answer, at once: what was promised, or why not.
struct PublishAnswer {
  RejectReason rejected = RejectReason::none;
  Durability promised = Durability::durable;  ///< `durable`: accepted once its receipt says so.

  explicit operator bool() const noexcept { return rejected == RejectReason::none; }
};

/// How much work each part of a device has finished since it was opened; see Device::progress().
struct Progress {
  std::uint64_t loop = 0;  ///< Connection, timers and local API.
  /// The MQTT library's own thread, where it has one; else it works within `loop`, and this grows.
  std::uint64_t engine = 0;
  std::uint64_t storage = 0;    ///< The outbox on disk.
  std::uint64_t callbacks = 0;  ///< The application's handlers.
  /// Grows with each look, unless a heartbeat that holds the watchdog back has stopped.
  std::uint64_t applications = 0;
};

using ReceiptHandler = std::function<void(const Receipt&)>;
using MessageHandler = std::function<void(const InboundMessage&)>;
/// The message is acknowledged when the last copy of this is gone, and all other handlers are done.
using Hold = std::shared_ptr<const void>;
using HeldMessageHandler = std::function<void(const InboundMessage&, const Hold&)>;
using FateHandler = std::function<void(const Fate&)>;
using ResponseHandler = std::function<void(const Response&)>;
using ConnectionHandler = std::function<void(const ConnectionState&)>;

/// Everything accepted so far is on disk; so long it took. Nothing: it could not be saved in time.
using SavedHandler = std::function<void(std::optional<Milliseconds>)>;

/// Names one subscription; never 0.
using SubscriptionId = std::uint64_t;

class Device {
 public:
  /// Checks the configuration, opens the outbox (recovering what the last run left), starts the
  /// threads and begins to connect. Returns without waiting for a connection.
  /// Errors: invalid_config; in_use when another process has the outbox; io, permission, no_space
  /// when the directory cannot be used. An unreachable broker or missing credentials are no errors
  /// here: they are verdicts, and the device keeps trying.
  /// `log` may be empty; it is called from the device's threads and must not block.
  [[nodiscard]] static Result<std::unique_ptr<Device>> open(Config config, LogHandler log = {});

  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Stops with the configured deadline if stop() has not been called.
  virtual ~Device() = default;

  /// Hands over one message. O(1), never blocks, never waits for network or disk.
  /// The answer says at once what is promised, or why the message is refused. For a durable
  /// message acceptance follows as the receipt `accepted`, after the sync that covers it; only
  /// from then on is it counted and safe. `on_receipt` may be empty; it is called for each step
  /// within `scope`, and Receipt::last tells the last one. While Limits::receipts handlers wait
  /// for the ends of their messages, a further one is kept to `accepted` only, so that a backlog
  /// grows on disk and not in RAM. No handler outlives the process: what becomes of the message
  /// after a restart tells fate().
  virtual PublishAnswer publish(Message message, ReceiptHandler on_receipt = {},
                                ReceiptScope scope = ReceiptScope::settled) = 0;

  /// Asks what became of a durable message, of this run or an earlier one; `handler` is called
  /// once, unless the device is stopped first. Answered from the outbox, so behind what has been
  /// handed to it: a message whose PUBACK has just come may still be `pending`. Messages in RAM
  /// (memory, and spill by the id of its receipt) are `unknown`.
  virtual void fate(MessageId id, FateHandler handler) = 0;

  /// Wants messages for a topic filter (MQTT 5.0 section 4.7). The wish is kept and brought to
  /// the broker at every connect whose session has lost it; `handler` runs on the executor. A QoS 1
  /// message is acknowledged when its handlers have returned, in the order in which messages came:
  /// one that a crash interrupts comes again, and a handler that never returns soon stops the
  /// broker, which sends no more than its window. A handler that throws is done with its message.
  /// Errors: invalid_argument for a bad filter, full at the limit, closed after stop().
  [[nodiscard]] virtual Result<SubscriptionId> subscribe(std::string filter, Qos qos,
                                                         MessageHandler handler) = 0;

  /// The same for a message that takes longer than its handler: it is acknowledged when the last
  /// copy of the hold that the handler was given is gone, on any thread. What is held when the
  /// device stops comes again with the next run. A PUBACK that is held back holds back all that
  /// came later (MQTT 5.0 section 4.6), and soon what the broker sends to any subscription.
  [[nodiscard]] virtual Result<SubscriptionId> subscribe_held(std::string filter, Qos qos,
                                                              HeldMessageHandler handler) = 0;

  /// Wants what belongs to no subscription: messages on topics never subscribed to (AWS IoT Core
  /// answers shadow and job requests so), or of a session that an earlier run has left at the
  /// broker. Nothing is asked of the broker. It counts as a subscription, and ends like one.
  /// Errors: full at the limit, closed after stop().
  [[nodiscard]] virtual Result<SubscriptionId> subscribe_unmatched(MessageHandler handler) = 0;

  /// Ends a subscription; its handler does not run any more once this has returned, unless it is
  /// running now. Errors: not_found.
  virtual Status unsubscribe(SubscriptionId id) = 0;

  /// Publishes `message` and waits for the answer (MQTT 5.0 section 4.10): response topic
  /// (Config::response_topic, subscribed to at the first request) and correlation data are added
  /// here, and the one that answers sends them back (response_to() makes such a message).
  /// `handler` is called exactly once, with the answer or with why there is none; `timeout` is
  /// above 0 and at most a day. The message is sent once answers can be heard, with durability
  /// memory, since its handler does not outlive the process either, and expires with the timeout.
  /// Errors: unsupported with MQTT 3.1.1; invalid_argument, too_large as publish() would refuse;
  /// permission while the broker refuses the response topic; full with limits::kRequests (256)
  /// waiting, or no subscription left; closed after stop().
  virtual Status request(Message message, Milliseconds timeout, ResponseHandler handler) = 0;

  /// Calls `handler` at each change of the connection, beginning with the present state.
  /// One handler; a second call replaces the first.
  virtual void on_connection(ConnectionHandler handler) = 0;

  /// A consistent snapshot, at most one loop turn old.
  [[nodiscard]] virtual DeviceState state() const = 0;

  /// Each topic filter that somebody wants, by name, and how it stands at the broker; at most one
  /// loop turn old.
  [[nodiscard]] virtual std::vector<FilterState> filters() const = 0;

  /// The levels of the log, and how many lines it has written and left out.
  [[nodiscard]] virtual LogState log_state() const = 0;

  /// The certificates, which of them is in use, and how the last change of it ended.
  [[nodiscard]] virtual IdentityState identity() const = 0;

  /// A sign of life of a program, by a name of its own; the first one begins the heartbeat. If no
  /// other comes within `every` (zero: as configured or as last told), it is missed: logged once,
  /// counted, shown, and, if so configured, a reason for the watchdog. It goes on with the next
  /// beat. Config::heartbeats goes before `every`.
  /// Errors: invalid_argument (name or time); full with limits::kHeartbeats of them.
  virtual Status heartbeat(std::string_view name, Milliseconds every) = 0;

  /// The program ends in order: its silence means nothing any more. Errors: not_found.
  virtual Status end_heartbeat(std::string_view name) = 0;

  /// All heartbeats, by name.
  [[nodiscard]] virtual std::vector<HeartbeatState> heartbeats() const = 0;

  /// For a watchdog: whether the device goes on. Each call gives every idle part an empty piece of
  /// work, so from one call to the next each number grows, also without a connection; a part whose
  /// number has not grown is stuck. O(1), never blocks; wakes the device's threads, so call it
  /// seldom. After stop() the numbers stand still.
  [[nodiscard]] virtual Progress progress() = 0;

  /// The power is going, and soon gone: new messages are refused (power_failing), all that was
  /// accepted is saved, `saved` is called (on the executor; may be empty), Config::Power's last
  /// notice is published, the connection is left, its command is run. Calling it again changes
  /// nothing. If the machine is still on after Config::Power::resume_after, all goes on as usual.
  virtual void power_fail(std::string_view why, SavedHandler saved) = 0;

  /// It is not going after all: all goes on as usual, unless another source says so, too.
  virtual void power_back() = 0;

  /// Asks for a connection attempt now instead of after the present delay (never above one a
  /// second), such as after the application has repaired something.
  virtual void reconnect_now() = 0;

  /// Takes over a changed configuration: connection, credentials, flow and log. The
  /// connection is renewed if something it depends on changed. Errors: invalid_config;
  /// unsupported for what needs a restart (outbox, lanes, local_socket), naming the key; then
  /// nothing is changed.
  virtual Status reload(Config config) = 0;

  /// Leaves in order: refuses new messages, waits for what is on its way to the disk, sends
  /// DISCONNECT so that no will is published (unless StatusMessage::on_stop asks for it), ends the
  /// threads. Returns within the deadline in every state. Calling it again does nothing. The
  /// backlog stays on disk.
  virtual void stop(Milliseconds deadline) = 0;

 protected:
  Device() = default;
};

}  // namespace holdfast
