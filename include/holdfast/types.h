// The vocabulary of Holdfast: messages, receipts, verdicts, connection states and the ledger.
//
// Purpose:  one definition of each word, used by applications and by every part of Holdfast.
// Threads:  plain values; copy them freely between threads.
// Sources:  MQTT 5.0 (OASIS) for QoS, retain, expiry and reason codes; docs/accounting.md for
//           what each counter means.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

using Bytes = std::vector<std::byte>;
using Seconds = std::chrono::seconds;
using Milliseconds = std::chrono::milliseconds;

/// MQTT quality of service. QoS 2 is not offered: AWS IoT Core has none, and at-least-once with a
/// stable message id serves the same end (MQTT 5.0 section 4.3).
enum class Qos : std::uint8_t {
  at_most_once = 0,   ///< Settled once written to the connection; loss and repeats are possible.
  at_least_once = 1,  ///< Settled by the broker's PUBACK; duplicates are possible, loss is not.
};

/// How much an accepted message survives.
enum class Durability : std::uint8_t {
  durable,  ///< On disk and synced before it counts as accepted: survives crash and power cut.
  memory,   ///< In RAM only: survives a lost connection, not the end of the process.
  spill,    ///< In RAM while the connection stands; on disk, as safe as `durable`, once it waited
            ///< Config::Outbox::spill_after, when RAM runs out, and when the device stops.
};
[[nodiscard]] std::string_view to_string(Durability durability) noexcept;

/// Identifies an accepted message, for ever: never 0, never reused, also not after a crash.
/// Ids of one durability grow in the order of acceptance.
using MessageId = std::uint64_t;

/// A message to publish.
struct Message {
  std::string topic;  ///< 1…256 bytes of UTF-8, no wildcards (limits: Config::Limits).
  Bytes payload;      ///< At most Config::Limits::payload bytes (128 KiB by default).
  Qos qos = Qos::at_least_once;
  /// Ask the broker to keep it for late comers. A repeat never replaces a later one of its topic.
  bool retain = false;
  Durability durability = Durability::durable;  ///< See Durability.
  std::string lane = "normal";                  ///< One of Config::lanes.
  std::string key;  ///< In a lane that conflates: a newer message of this key replaces it. Empty:
                    ///< the topic is the key. At most 256 bytes.
  std::optional<Seconds> expiry;  ///< Drop (and count) it if not sent by then.
  std::string content_type;       ///< MQTT 5 content type; empty: none.
  std::vector<std::pair<std::string, std::string>> user_properties;  ///< MQTT 5; in order.
  std::string response_topic;  ///< MQTT 5: where an answer is wanted; no wildcards. Empty: none.
  Bytes correlation_data;      ///< MQTT 5: goes back with the answer; at most 8 KiB. Empty: none.
};

/// A message that arrived.
struct InboundMessage {
  std::string topic;
  Bytes payload;
  Qos qos = Qos::at_most_once;
  bool retain = false;     ///< True for a retained message sent because of the subscription.
  bool duplicate = false;  ///< The broker may have given it before (DUP, MQTT 5.0 section 3.3.1.1).
  std::string content_type;
  std::string response_topic;
  Bytes correlation_data;
  std::vector<std::pair<std::string, std::string>> user_properties;
};

/// Why publish() refused a message. A refused message was never accepted and is not in the ledger's
/// balance; it is counted beside it.
enum class RejectReason : std::uint8_t {
  none,            ///< Not refused.
  invalid_topic,   ///< Empty, a wildcard, not UTF-8, too long or too deep.
  invalid_field,   ///< A property is not UTF-8, an expiry is not positive, …
  unknown_lane,    ///< The lane is not in the configuration.
  too_large,       ///< Payload or whole message over its limit.
  queue_full,      ///< More is arriving than the storage takes; try again in a moment.
  outbox_full,     ///< The outbox has reached its limit on disk or the disk itself is full.
  lane_full,       ///< The lane has reached its own limit, and its rule is to reject.
  storage_failed,  ///< The disk refuses to store; see the state's storage field.
  stopping,        ///< stop() has been called.
  power_failing,   ///< The machine's power is going; see Config::Power.
};
inline constexpr std::size_t kRejectReasons = 11;

/// Why an accepted message was given up. Each one is counted; none happens silently.
enum class DropReason : std::uint8_t {
  expired,        ///< Its expiry passed before it could be sent.
  refused,        ///< The broker refused it for good (topic invalid, …), or by its policy for
                  ///< longer than Config::denied_for.
  too_large,      ///< The broker takes only smaller packets than this one.
  evicted,        ///< Made room for newer ones, by the lane's policy.
  corrupt,        ///< Its bytes on disk failed their checksum; quarantined.
  volatile_lost,  ///< A memory message, and the process ended before it was sent.
  superseded,     ///< A newer message of the same key took its place (conflation).
};
inline constexpr std::size_t kDropReasons = 7;

[[nodiscard]] std::string_view to_string(RejectReason reason) noexcept;
[[nodiscard]] std::string_view to_string(DropReason reason) noexcept;

/// The balance of messages. At every instant, across crashes and power cuts:
///   accepted == delivered + pending + sum(dropped)
struct Ledger {
  std::uint64_t accepted = 0;   ///< Messages Holdfast took responsibility for.
  std::uint64_t delivered = 0;  ///< PUBACKed with success (QoS 1) or written out (QoS 0).
  std::uint64_t pending = 0;    ///< Waiting or in flight.
  std::array<std::uint64_t, kDropReasons> dropped{};
  std::array<std::uint64_t, kRejectReasons> rejected{};  ///< Beside the balance; this run only.

  [[nodiscard]] std::uint64_t dropped_total() const noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : dropped) sum += count;
    return sum;
  }
  [[nodiscard]] bool balanced() const noexcept {
    return accepted == delivered + pending + dropped_total();
  }
};

/// What became of a message. A durable message gets `accepted` and later, possibly after a restart,
/// one of `delivered` and `dropped`. A message refused after the first answer gets `rejected` only.
enum class ReceiptKind : std::uint8_t { accepted, rejected, delivered, dropped };
[[nodiscard]] std::string_view to_string(ReceiptKind kind) noexcept;

struct Receipt {
  ReceiptKind kind = ReceiptKind::accepted;
  MessageId id = 0;  ///< 0 when rejected.
  RejectReason rejected = RejectReason::none;
  DropReason dropped = DropReason::expired;  ///< Meaningful when kind is `dropped`.
  std::uint8_t reason_code = 0;              ///< The PUBACK's reason code, if there was one.
  bool last = true;                          ///< The handler is not called again for this message.
  /// When accepted: where the message is now. `durable` means on disk.
  Durability kept = Durability::durable;
};

/// The message to publish in answer to a request: its topic and correlation data are set, all else
/// is the caller's. The topic is empty when no answer is wanted.
[[nodiscard]] Message response_to(const InboundMessage& request);

/// How a request ended; see Device::request().
enum class ResponseKind : std::uint8_t {
  answered,    ///< Response::message is the answer.
  timed_out,   ///< No answer in time. Whether the request was carried out is not known.
  not_sent,    ///< It never reached the broker, or was refused there; Response::receipt says why.
  no_answers,  ///< Not sent: the broker refuses us the topic where the answer would come.
  stopped,     ///< The device stops. Whether the request was carried out is not known.
};
[[nodiscard]] std::string_view to_string(ResponseKind kind) noexcept;

struct Response {
  ResponseKind kind = ResponseKind::answered;
  InboundMessage message;  ///< When answered.
  Receipt receipt;         ///< When not sent.
};

/// What became of the requests of this run, and of what came to their response topic.
struct RequestCounts {
  std::uint64_t waiting = 0;  ///< For their answers, now.
  std::uint64_t answered = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t given_up = 0;   ///< Ended in another way.
  std::uint64_t late = 0;       ///< Answers to requests that had ended without one.
  std::uint64_t duplicate = 0;  ///< Answers to requests that had one already.
  std::uint64_t unknown = 0;    ///< Answers to no request of this run, as far as remembered.
};

/// What is known of a message by its id, also after a restart.
enum class FateKind : std::uint8_t {
  unknown,    ///< No message of this store was ever accepted under this id.
  pending,    ///< Accepted, waiting or in flight.
  delivered,  ///< The broker has acknowledged it.
  dropped,    ///< Given up; Fate::dropped says why.
  forgotten,  ///< Ended so long ago that it is no longer known how.
};
[[nodiscard]] std::string_view to_string(FateKind kind) noexcept;

struct Fate {
  FateKind kind = FateKind::unknown;
  DropReason dropped = DropReason::expired;  ///< Meaningful when kind is `dropped`.
};

/// How long a receipt handler is kept for its message.
enum class ReceiptScope : std::uint8_t {
  accepted,  ///< Until the message is accepted or rejected: costs nothing while it is pending.
  settled,   ///< Until it is delivered, dropped or rejected.
};

/// The named cause of being offline (or of the last time offline): what is wrong, as far as a
/// device can tell, so that both the recovery and the operator can fit it.
enum class Verdict : std::uint8_t {
  none,             ///< Nothing is wrong.
  not_started,      ///< No attempt has been made yet.
  no_credentials,   ///< A certificate, key or CA file is missing, unreadable or unfit.
  link_down,        ///< No network interface is up.
  no_route,         ///< The network has no way to the endpoint.
  dns_failed,       ///< The name does not resolve.
  dns_timeout,      ///< The name servers do not answer.
  tcp_refused,      ///< The host answers, the port does not: broker down or wrong port.
  tcp_timeout,      ///< The host does not answer: down, or a firewall drops packets.
  proxy_failed,     ///< The HTTP proxy does not open the way to the endpoint.
  tls_clock,        ///< A certificate is "not yet valid": this device's clock is probably wrong.
  tls_server_name,  ///< The server's certificate is for another name.
  tls_server_untrusted,  ///< The server's certificate is not signed by a CA we trust.
  tls_server_expired,    ///< The server's certificate has expired.
  tls_client_refused,    ///< The server refuses our certificate.
  tls_failed,            ///< The handshake failed in another way, or it is not a TLS server.
  tls_timeout,           ///< The handshake was not finished in time.
  mqtt_timeout,          ///< Connected, but no CONNACK in time: not a broker, or an overloaded one.
  not_authorized,    ///< The broker knows us and says no (0x87): policy missing or not yet active.
  publish_denied,    ///< The broker's policy forbids a publish to this topic; see `detail`.
  subscribe_denied,  ///< The broker's policy forbids this subscription; see `detail`.
  bad_credentials,   ///< The broker refuses user name, password or client id (0x85, 0x86).
  id_taken_over,     ///< Another connection uses our client id (0x8E).
  throttled,         ///< The broker asks for fewer connections or messages (0x96, 0x9F).
  quota_exceeded,    ///< A quota is used up (0x97).
  server_gone,       ///< The broker closed the connection, is shutting down or busy.
  protocol_error,    ///< The peer does not speak MQTT, or not this version.
  silent_peer,       ///< The connection stands but nothing comes through any more.
  engine_failed,     ///< The MQTT library failed inside.
  captive_portal,    ///< The network wants somebody to log in first, says NetworkManager.
};
inline constexpr std::size_t kVerdicts = 30;

[[nodiscard]] std::string_view to_string(Verdict verdict) noexcept;

/// One sentence for the operator: what it means and what to look at.
[[nodiscard]] std::string_view explain(Verdict verdict) noexcept;

/// Where the connection stands.
enum class LinkState : std::uint8_t {
  idle,        ///< Not started.
  connecting,  ///< An attempt is under way.
  connected,   ///< CONNACK received; messages flow.
  waiting,     ///< Waiting before the next attempt; see retry_in.
  stopping,    ///< stop() was called; leaving in order.
  stopped,     ///< Finished.
};
[[nodiscard]] std::string_view to_string(LinkState state) noexcept;

/// A change of the connection, or a snapshot of it.
struct ConnectionState {
  LinkState state = LinkState::idle;
  Verdict verdict = Verdict::not_started;  ///< Why not connected; `none` while connected.
  /// The failure's own words; never a secret. While connected: empty, or how the name service had
  /// failed, so that an address that was good before was used.
  std::string detail;
  bool session_present = false;  ///< The broker remembered our session.
  std::uint32_t attempts = 0;    ///< Attempts since last connected.
  Milliseconds retry_in{0};      ///< While waiting: time to the next attempt.
  std::string endpoint;          ///< "host:port".
  std::string client_id;         ///< Ours, or the one that the broker has assigned.
  std::string endpoint_name;     ///< Config::name, or that of one of Config::endpoints.
};

/// One of several places to connect to.
struct EndpointState {
  std::string name;
  std::string address;                     ///< "host:port".
  bool current = false;                    ///< Connected there, or the next attempt goes there.
  unsigned health = 100;                   ///< 0…100; halved by failures and bad probes.
  Verdict verdict = Verdict::not_started;  ///< Of the last attempt, connection or probe.
  Milliseconds well_for{0};                ///< Probed, and found well for so long; 0: not.
};

/// Where the connections have moved between endpoints, the last time.
struct EndpointChange {
  std::string from;
  std::string to;
  Verdict why = Verdict::none;  ///< Why `from` was left; none: to return to a better one.
  Milliseconds ago{0};
};

/// How the endpoints stand. Empty where there is only one.
struct EndpointsState {
  std::vector<EndpointState> all;  ///< In order of preference.
  std::uint64_t changes = 0;       ///< Connections made at another endpoint than the one before.
  std::optional<EndpointChange> last;
  Milliseconds return_in{0};  ///< To a better one; 0: not planned.
};

/// How far the network leads, as NetworkManager has found out.
enum class Connectivity : std::uint8_t {
  unknown,  ///< Nobody has looked, or nobody is asked.
  none,     ///< This machine is on no network.
  portal,   ///< Somebody must log in first, on a web page of the network.
  limited,  ///< It is on a network, but not on the internet.
  full,     ///< It is on the internet.
};
[[nodiscard]] std::string_view to_string(Connectivity connectivity) noexcept;

/// Whether what is sent costs money, as NetworkManager is told by the profile, or guesses.
enum class Metered : std::uint8_t { unknown, yes, no, guess_yes, guess_no };
[[nodiscard]] std::string_view to_string(Metered metered) noexcept;

/// A modem, as ModemManager describes it; empty texts: it does not tell.
struct ModemState {
  std::string name;            ///< Manufacturer and model.
  std::string port;            ///< "cdc-wdm0".
  std::string state;           ///< "registered", "connected", …
  std::string registration;    ///< "home", "roaming", "searching", "denied", …
  std::string operator_name;   ///< "FakeNet".
  std::string operator_code;   ///< MCC and MNC.
  std::string technology;      ///< "gsm", "lte", …; several: "gsm/umts".
  std::uint32_t signal = 0;    ///< Per cent.
  bool signal_recent = false;  ///< Measured just now, not remembered.

  [[nodiscard]] bool roaming() const { return registration.starts_with("roaming"); }
  friend bool operator==(const ModemState&, const ModemState&) = default;
};

/// The network, as its managers describe it.
struct NetworkState {
  bool managed = false;  ///< NetworkManager answers; else what is below is not known.
  std::string problem;   ///< Why it does not; empty also where nobody asks it.
  Connectivity connectivity = Connectivity::unknown;
  std::string connection;  ///< The primary connection: the profile's name, "wan1" …
  std::string type;        ///< … "802-3-ethernet", "802-11-wireless", "gsm" …
  std::string device;      ///< … and the interface, "eth0". All empty: there is none.
  Metered metered = Metered::unknown;
  std::vector<ModemState> modems;

  friend bool operator==(const NetworkState&, const NetworkState&) = default;
};

/// What the network's managers have led to, in this run.
struct NetworkCounts {
  std::uint64_t changes = 0;  ///< Of the primary connection.
  std::uint64_t spared = 0;   ///< Attempts put off because they could not have led anywhere.
  std::uint64_t checks = 0;   ///< NetworkManager was asked to look again.
};

/// What was done because the network stayed away ([escalation]), in this run.
struct EscalationCounts {
  std::uint64_t asked = 0;  ///< The reference hosts were asked.
  std::uint64_t reconnects = 0;
  std::uint64_t bearers = 0;
  std::uint64_t modem_resets = 0;
  std::uint64_t reboots = 0;  ///< Asked for: the one that works ends this run.
  std::uint64_t failed = 0;   ///< Of these, those that could not be done.
};

/// What is known of the wall clock.
struct ClockState {
  bool synchronized = false;  ///< The kernel says that a time service keeps it right.
  std::uint64_t steps = 0;    ///< It was set, in this run …
  Milliseconds last_step{0};  ///< … by so much, the last time; below 0: back.
  std::int64_t floor_ms = 0;  ///< What it showed the last time that it was right: it is later now.
};

/// How one topic filter stands at the broker.
struct FilterState {
  std::string filter;
  Qos wanted = Qos::at_most_once;    ///< The highest that its subscriptions ask for.
  std::optional<Qos> granted;        ///< What the broker has granted; nothing: not in force.
  std::optional<std::uint8_t> code;  ///< The last SUBACK's in this run; from 0x80 on: refused.
  Milliseconds next_in{0};  ///< Until it is asked for again, after a refusal or to verify it; 0:
                            ///< nothing is due, or nothing can be done before the next connect.
};

/// How the storage is.
enum class StorageHealth : std::uint8_t {
  ok,         ///< Everything accepted as durable is on disk.
  full,       ///< At its limit, or the disk is full: new messages are rejected, draining goes on.
  read_only,  ///< The file system went read-only: draining goes on.
  degraded,   ///< Writing failed: durable messages are rejected until it works again.
  slow,       ///< The disk has not answered for seconds; what waits for it is not accepted yet.
};
[[nodiscard]] std::string_view to_string(StorageHealth health) noexcept;

/// A topic whose messages, or a filter whose subscription, is set aside so that the rest goes on.
struct Quarantined {
  Verdict reason = Verdict::publish_denied;  ///< Or subscribe_denied.
  std::string name;                          ///< The topic, or the filter.
  bool confirmed = false;                    ///< False: only suspected, and tried alone next.
  std::uint8_t reason_code = 0;   ///< Of the broker's answer; 0: it ended the connection instead.
  std::uint32_t hang_ups = 0;     ///< Connections that ended right after it, in a row.
  Milliseconds since{0};          ///< For so long.
  Milliseconds next_trial_in{0};  ///< Given a connection then; 0: when there is one.
};

/// The places of credentials: each is one file with a certificate, its chain and its private key.
enum class IdentitySlot : std::uint8_t {
  active,    ///< In use.
  next,      ///< To be tried by a real connection, then kept or refused.
  previous,  ///< What `active` was before; the way back.
};
inline constexpr std::size_t kIdentitySlots = 3;
[[nodiscard]] std::string_view to_string(IdentitySlot slot) noexcept;

enum class SlotCondition : std::uint8_t {
  missing,   ///< No such file.
  complete,  ///< A certificate and the key that belongs to it.
  refused,   ///< A file that cannot be used; SlotState::reason says why.
};
[[nodiscard]] std::string_view to_string(SlotCondition condition) noexcept;

/// What is known of a credential. Nothing of a private key is in it.
struct SlotState {
  SlotCondition condition = SlotCondition::missing;
  std::string reason;           ///< When refused.
  std::string subject;          ///< "CN=device-17,O=Example"; empty unless a certificate was read.
  std::string fingerprint;      ///< SHA-256 of the certificate, in hexadecimal digits.
  std::string key_type;         ///< "EC 256", "RSA 2048".
  std::int64_t not_before = 0;  ///< Seconds since 1970, UTC.
  std::int64_t not_after = 0;   ///< The same; 0: no certificate.
};

/// What is under way with the next slot.
enum class RotationPhase : std::uint8_t {
  none,       ///< There is nothing to try.
  waiting,    ///< For the certificate's time to come, or for the next comparison.
  trying,     ///< Connecting, or connected, with it; not proven yet.
  comparing,  ///< It has failed; whether the others still work is being tried.
  keeping,    ///< Proven; it becomes the active one.
  refused,    ///< Tried and rolled back; another file in its place is tried again.
};
[[nodiscard]] std::string_view to_string(RotationPhase phase) noexcept;

enum class RotationResult : std::uint8_t { none, kept, rolled_back };
[[nodiscard]] std::string_view to_string(RotationResult result) noexcept;

/// Getting a certificate from the cloud, step by step (Config::Provisioning).
enum class ProvisioningStep : std::uint8_t {
  none,          ///< Nothing is under way.
  key,           ///< Makes a private key, which never leaves the device.
  claim,         ///< Connects with the claim certificate, or with the one that is to be renewed.
  certificate,   ///< Asks for a certificate.
  registration,  ///< Registers it, with the template.
  verification,  ///< Connects with it.
  installation,  ///< Puts it into its slot.
  done,
};
[[nodiscard]] std::string_view to_string(ProvisioningStep step) noexcept;

/// Where provisioning stands, and what keeps it there.
struct ProvisioningState {
  ProvisioningStep step = ProvisioningStep::none;
  std::string reason;          ///< Why the step is not done yet; empty: it is under way.
  bool blocked = false;        ///< Only somebody else can help: it is tried again rarely.
  std::uint64_t tries = 0;     ///< Of this step that failed.
  std::string certificate_id;  ///< The service's; empty until there is a certificate.
  std::string thing_name;      ///< As the template named it; empty: not known.

  friend bool operator==(const ProvisioningState&, const ProvisioningState&) = default;
};

/// Who the device is to its broker, and how the change to another certificate stands.
struct IdentityState {
  std::filesystem::path directory;  ///< Of the slots (Config::Identity); empty: there are none.
  /// Without slots the active one is the certificate of Config::tls.
  std::array<SlotState, kIdentitySlots> slots;
  IdentitySlot in_use = IdentitySlot::active;  ///< Of the present, or the next, connection.
  RotationPhase phase = RotationPhase::none;
  std::string phase_reason;                    ///< What it waits for; empty: nothing to say.
  RotationResult last = RotationResult::none;  ///< How the last change ended, for ever.
  std::string last_reason;                     ///< Why it was rolled back.
  std::string last_fingerprint;                ///< The certificate that was tried.
  std::int64_t last_at = 0;                    ///< When: seconds since 1970, by our clock.
  std::uint64_t kept = 0;                      ///< In this run.
  std::uint64_t rolled_back = 0;               ///< In this run.
  std::optional<std::int32_t> days_left;       ///< Of the one in use; below 0: expired.
  bool clock_suspect = false;                  ///< The clock shows a time that is over.
  ProvisioningState provisioning;
};

/// How a program's heartbeat is.
enum class HeartbeatPhase : std::uint8_t {
  awaited,  ///< Configured, and not beaten yet in this run; the time for it is not over.
  beating,  ///< Each beat has come in time.
  missed,   ///< The time for a beat is over.
  ended,    ///< Configured, and its program has ended it in order.
};
inline constexpr std::size_t kHeartbeatPhases = 4;
[[nodiscard]] std::string_view to_string(HeartbeatPhase phase) noexcept;

/// A heartbeat that is configured or that a program has begun; see Device::heartbeat().
struct HeartbeatState {
  std::string name;
  HeartbeatPhase phase = HeartbeatPhase::awaited;
  Milliseconds every{0};     ///< Longest time between two beats.
  Milliseconds silent{0};    ///< Since the last beat, or since it is waited for.
  std::uint64_t misses = 0;  ///< How often the time was over, in this run.
  bool watchdog = false;     ///< A miss holds the watchdog's sign of life back.

  friend bool operator==(const HeartbeatState&, const HeartbeatState&) = default;
};

/// Why the machine was started, as far as can be told.
enum class BootReason : std::uint8_t {
  unknown,       ///< Nothing is known of the time before.
  power_loss,    ///< It went down without a word: its power was cut, or it was reset by hand.
  low_power,     ///< It was ended in order because its power was going.
  watchdog,      ///< Its hardware watchdog has reset it.
  kernel_panic,  ///< Its kernel has left the record of a panic.
  overheat,      ///< Its hardware has reset it because it was too hot.
  update,        ///< An update has asked for it.
  command,       ///< Somebody else has: it was shut down in order.
};
inline constexpr std::size_t kBootReasons = 8;
[[nodiscard]] std::string_view to_string(BootReason reason) noexcept;
[[nodiscard]] std::optional<BootReason> boot_reason_of(std::string_view name) noexcept;

/// How this boot of the machine came to be.
struct BootState {
  std::string id;  ///< The kernel's name for it, in hexadecimal digits; empty: nobody has looked.
  BootReason reason = BootReason::unknown;
  std::string detail;      ///< What speaks for it.
  bool first_run = false;  ///< This run of the program is the boot's first.
  std::array<std::uint64_t, kBootReasons> boots{};  ///< By reason, since the record was begun.

  friend bool operator==(const BootState&, const BootState&) = default;
};

/// How the machine's power is, and what the device does about it (Config::Power).
enum class PowerPhase : std::uint8_t {
  unknown,     ///< Nobody says.
  mains,       ///< All is well.
  on_battery,  ///< Mains is away; some lanes may be held back.
  going_down,  ///< It is going: publishers are refused, what was accepted is saved.
  down,        ///< Everything is safe and the connection is left; the machine's end is waited for.
};
inline constexpr std::size_t kPowerPhases = 5;
[[nodiscard]] std::string_view to_string(PowerPhase phase) noexcept;

struct PowerState {
  PowerPhase phase = PowerPhase::unknown;
  std::string detail;                ///< Who says so, and in which words.
  std::string problem;               ///< Why a source of it cannot be asked; empty: it can.
  std::optional<unsigned> charge;    ///< Of the battery, in percent.
  std::optional<Seconds> runtime;    ///< How long the battery lasts, as the UPS reckons.
  std::uint64_t on_battery = 0;      ///< How often, in this run.
  std::uint64_t going_down = 0;      ///< The same.
  std::optional<Milliseconds> safe;  ///< So long the last saving took, from the word on.

  friend bool operator==(const PowerState&, const PowerState&) = default;
};

/// What of the machine is watched (Config::Guards).
enum class GuardKind : std::uint8_t {
  memory,       ///< Percent of the time in which something waits for memory.
  io,           ///< Percent of the time in which something waits for the disk.
  temperature,  ///< °C.
  disk,         ///< Percent of the outbox's file system that is used.
  flash,        ///< Percent of the flash's life that is used.
};
inline constexpr std::size_t kGuardKinds = 5;
[[nodiscard]] std::string_view to_string(GuardKind kind) noexcept;

struct GuardState {
  GuardKind kind = GuardKind::memory;
  bool alarm = false;
  double value = 0;          ///< The last one.
  std::uint16_t limit = 0;   ///< From here on, for a while, it is an alarm.
  std::string detail;        ///< Which one of several, as in "cpu-thermal"; the worst.
  std::uint64_t alarms = 0;  ///< In this run.

  friend bool operator==(const GuardState&, const GuardState&) = default;
};

/// Messages that programs of the local API acknowledge, in this run.
struct AcknowledgementCounts {
  std::uint64_t groups = 0;        ///< Filters, and names to tell them apart; now.
  std::uint64_t waiting = 0;       ///< Given or not, not acknowledged yet; now.
  std::uint64_t acknowledged = 0;  ///< By a program.
  std::uint64_t repeated = 0;      ///< Given again, since the program that had them went away.
  std::uint64_t overdue = 0;       ///< Not in time: PUBACKed all the same, kept in RAM.
  std::uint64_t overflow = 0;      ///< Dropped, since too many were not acknowledged.
  std::uint64_t abandoned = 0;     ///< Given up, since no program came for them.
};

/// Everything there is to see, at one instant.
struct DeviceState {
  ConnectionState connection;
  Ledger ledger;
  StorageHealth storage = StorageHealth::ok;
  std::uint64_t in_flight = 0;  ///< Sent, not yet PUBACKed.
  EndpointsState endpoints;
  std::uint64_t connects = 0;        ///< Successful connects in this run.
  std::uint64_t attempts_total = 0;  ///< Connection attempts in this run.
  /// How often each verdict was given; dns_failed and dns_timeout also where it did no harm.
  std::array<std::uint64_t, kVerdicts> verdicts{};
  std::uint64_t sends_repeated = 0;      ///< Sends of a message sent before: possible duplicates.
  std::vector<Quarantined> quarantine;   ///< What the broker denies, or is suspected to.
  std::uint64_t parked = 0;              ///< Of the pending: waiting for its topic's next trial.
  std::uint64_t slow_callbacks = 0;      ///< Application callbacks over the alarm time.
  std::uint64_t inbound = 0;             ///< Messages received.
  std::uint64_t inbound_unmatched = 0;   ///< Of these, on topics that no subscription is for.
  std::uint64_t inbound_duplicates = 0;  ///< Of these, repeats by their sender's stamp: not given.
  std::uint64_t inbound_dropped = 0;     ///< Received, but the executor's queue was full.
  AcknowledgementCounts acknowledgements;  ///< Of programs of the local API.
  RequestCounts requests;                  ///< See Device::request().
  std::uint64_t heartbeat_misses = 0;      ///< Of all heartbeats, in this run.
  bool recovered_unclean = false;          ///< The last run did not end in order.
  std::string safe_mode;                   ///< Config::safe_mode_reason.
  BootState boot;                          ///< Config::boot.
  PowerState power;                        ///< How the machine's power is.
  std::vector<GuardState> guards;          ///< How close the machine is to its limits.
  NetworkState network;
  NetworkCounts network_counts;
  std::vector<std::string> held_lanes;  ///< Wait for a network that costs nothing.
  ClockState clock;
  EscalationCounts escalation;
  /// Whole days until our certificate expires, below 0 since it has; none: not known.
  std::optional<std::int32_t> certificate_days_left;
};

}  // namespace holdfast
