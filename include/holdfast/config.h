// What a device is told once: where to connect, as whom, and within which limits.
//
// Purpose:  a Config is filled by hand, or read from one TOML file by load_config(); check_config()
//           finds what is wrong before anything starts. docs/configuration.md lists every key.
// Units:    durations are std::chrono, sizes are bytes. In TOML they carry their unit: "30s",
//           "64MiB".
// Threads:  plain values.
// Defaults: AWS IoT Core's rules and DESIGN's limits; each field says its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/log.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast {

/// Protocol version to speak. There is no silent fall-back: the broker's answer is a verdict.
enum class MqttVersion : std::uint8_t { v311 = 4, v5 = 5 };

/// A message sent by the broker when we vanish (will), or by us at each connect (birth).
struct StatusMessage {
  std::string topic;
  std::string payload;
  Qos qos = Qos::at_least_once;
  bool retain = true;
  // MQTT 5 only:
  std::string content_type = {};       ///< Empty: none.
  std::optional<Seconds> expiry = {};  ///< The broker forgets it so long after publishing it.
  std::vector<std::pair<std::string, std::string>> user_properties = {};  ///< In order.
  /// Of a will: how long the broker waits before it publishes it; not at all if we are back by
  /// then.
  Seconds delay{0};
  /// Of a will: the broker publishes it also when we leave in order, so that a retained birth
  /// message never outlives us.
  bool on_stop = false;

  friend bool operator==(const StatusMessage&, const StatusMessage&) = default;
};

/// TLS with mutual authentication. All files are PEM; they are read anew for each attempt, so that
/// a rotated certificate is used at the next connect.
struct TlsConfig {
  bool enabled = true;
  std::filesystem::path ca_file;    ///< CAs we trust. Empty: the system's store.
  std::filesystem::path cert_file;  ///< Our certificate (chain). Empty: no client certificate.
  std::filesystem::path key_file;   ///< Its private key, if that is a file.
  /// The private key, if it is in a PKCS#11 token: "pkcs11:token=…;object=…" (RFC 7512), or in a
  /// TPM 2.0: "handle:0x81000001". A key_file may be one that a TPM has wrapped.
  std::string key_uri;
  std::filesystem::path
      pin_file;  ///< Its first line is the PIN or password of that key. Empty: none.
  std::filesystem::path pkcs11_module;  ///< The token's library. Empty: p11-kit's choice.
  std::string server_name;              ///< SNI and name to verify. Empty: the endpoint's host.
  std::string alpn;                     ///< "x-amzn-mqtt-ca" for AWS IoT Core on port 443.
  /// The broker registers our certificate when it first sees it, and hangs up meanwhile (AWS: JITP,
  /// JITR): until it has let us in once, that is tried again soon, for a while.
  bool just_in_time = false;

  friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

/// The library that speaks MQTT. A build may be without the second one.
enum class MqttEngine : std::uint8_t {
  mosquitto,  ///< libmosquitto.
  aws_crt,    ///< The client inside the AWS IoT Device SDK for C++ v2; MQTT 5 only.
};

/// What carries MQTT's bytes.
enum class Transport : std::uint8_t {
  mqtt,       ///< TLS, or plain TCP without it.
  websocket,  ///< The same, with WebSocket (RFC 6455) in it.
};

/// A way out through an HTTP proxy that knows CONNECT. Without a host there is none.
struct ProxyConfig {
  std::string host;
  std::uint16_t port = 3128;
  std::string username;                 ///< Empty: none (else Basic, RFC 7617).
  std::filesystem::path password_file;  ///< First line is the password. Empty: none.

  friend bool operator==(const ProxyConfig&, const ProxyConfig&) = default;
};

/// Login by keys of AWS (IAM), for WebSocket: each request for it carries an AWS Signature
/// Version 4. Without a file and a role alias there is none.
struct SigV4Config {
  /// The keys, as the AWS command line keeps them ("[default]", "aws_access_key_id = …") or as JSON
  /// of the credential provider or of a `credential_process`. Read at each connect.
  std::filesystem::path credentials_file;
  std::string profile = "default";  ///< The section of a file of the first kind.
  /// In place of a file: temporary keys, which AWS IoT Core's credential provider gives for this
  /// role alias to the device's certificate. They are renewed ahead of their end.
  std::string role_alias;
  std::string provider_host;  ///< Of the provider: "….credentials.iot.REGION.amazonaws.com".
  std::uint16_t provider_port = 443;
  std::string thing_name;  ///< For policies with variables of the thing. Empty: not told.
  std::string region;  ///< Empty: the one in the host's name, as AWS IoT Core's endpoints have it.

  friend bool operator==(const SigV4Config&, const SigV4Config&) = default;
};

/// What becomes of a message for which its lane, or the outbox, has no room.
enum class WhenFull : std::uint8_t {
  reject,       ///< It is not accepted: publish's receipt says lane_full or outbox_full.
  drop_oldest,  ///< Older messages of the lane make room; each is counted as `evicted`.
  drop_newest,  ///< It is accepted and given up at once, counted as `evicted`.
};

/// What becomes of a lane's messages while what is sent costs money.
enum class WhenMetered : std::uint8_t {
  send,  ///< They are sent as ever.
  hold,  ///< They wait in the outbox for a network that costs nothing.
};

/// Whether a service of the machine is made use of.
enum class Use : std::uint8_t {
  automatic,  ///< Where it is there.
  off,        ///< Not at all.
  on,         ///< It should be there: its absence is said.
};

/// One lane's own limits. Zero means none but the outbox's.
struct LaneRules {
  std::uint64_t max_bytes = 0;     ///< On disk, waiting.
  std::uint64_t max_messages = 0;  ///< On disk, waiting.
  Seconds max_age{0};              ///< Waiting longer, a message is dropped as `expired`.
  WhenFull when_full = WhenFull::reject;
  bool conflate = false;  ///< Of messages with one key (Message::key) only the newest waits.
  WhenMetered metered = WhenMetered::send;

  friend bool operator==(const LaneRules&, const LaneRules&) = default;
};

/// What programs of one user or group may do through the local API.
struct ClientRules {
  std::string user;                     ///< Name or number …
  std::string group;                    ///< … or that of a group it is in: one of both.
  std::vector<std::string> publish;     ///< Topic filters of what it may publish to; also requests.
  std::vector<std::string> subscribe;   ///< Topic filters: theirs must lie within one of these.
  std::vector<std::string> lanes;       ///< Empty: all.
  std::vector<std::string> heartbeats;  ///< Those that it may give and end.
  /// All its programs together, of publications and requests. 0: unlimited.
  std::uint32_t messages_per_second = 0;
  /// Everything else than its own messages and the state: other programs' messages in the outbox,
  /// messages of no subscription, connecting at once.
  bool control = false;

  friend bool operator==(const ClientRules&, const ClientRules&) = default;
};

/// A heartbeat that a program of this machine must give, also after a restart of ours.
struct HeartbeatRules {
  Milliseconds every{0};  ///< Longest time between two beats.
  /// One that stops is a reason for our own watchdog to bite: no sign of life until it goes on.
  bool watchdog = false;

  friend bool operator==(const HeartbeatRules&, const HeartbeatRules&) = default;
};

/// What becomes of durable messages while the disk refuses to store.
enum class OnFault : std::uint8_t {
  reject,  ///< They are not accepted.
  memory,  ///< They are kept in RAM, said so in their receipt, and moved to disk when it works.
};

/// How metrics are written when they are published.
enum class MetricsFormat : std::uint8_t {
  defender,  ///< A device metrics report of AWS IoT Device Defender.
  json,      ///< An object with a member for each metric; docs/metrics.md.
};

/// Another place to connect to, such as the same service in another Region: what it has of its own.
/// Everything else is the first endpoint's. endpoint_of() makes one that differs in nothing yet.
struct EndpointConfig {
  std::string name;  ///< 1…32 of a-z, 0-9, _ and -; unlike all others.
  std::string host;
  std::uint16_t port = 8883;
  Transport transport = Transport::mqtt;
  std::string websocket_path = "/mqtt";
  SigV4Config sigv4;
  TlsConfig tls;
  std::filesystem::path identity_directory;  ///< As Config::Identity::directory.
  std::string client_id;
  std::string username;
  std::filesystem::path password_file;
  Seconds session_expiry{3600};
  bool clean_start = false;
  std::string topic_prefix;

  friend bool operator==(const EndpointConfig&, const EndpointConfig&) = default;
};

struct Config {
  // --- [connection]: the first endpoint, and what holds for all ---------------------------------
  std::string name = "primary";  ///< Of this endpoint; see EndpointConfig::name.
  std::string host;
  std::uint16_t port = 8883;
  Transport transport = Transport::mqtt;
  std::string websocket_path = "/mqtt";  ///< With its query, if any.
  ProxyConfig proxy;
  SigV4Config sigv4;
  TlsConfig tls;
  std::string client_id;  ///< 1…128 bytes; AWS: the thing name. Empty if the broker assigns it.
  /// The broker chooses the client id (MQTT 5). It is used to the end of the process; the next one
  /// gets another, and another session.
  bool assigned_client_id = false;
  std::string username;                 ///< Empty: none.
  std::filesystem::path password_file;  ///< First line is the password. Empty: none.
  MqttEngine engine = MqttEngine::mosquitto;
  MqttVersion mqtt_version = MqttVersion::v5;
  Seconds keep_alive{30};        ///< Longest silence promised to the broker.
  Seconds session_expiry{3600};  ///< How long the broker keeps our session (AWS: 1 h default).
  bool clean_start = false;
  /// Stands before every topic and filter at the broker, and nowhere else: "eu/" makes "pump/7"
  /// into "eu/pump/7". Topics that begin with $ are left as they are. Empty: none.
  std::string topic_prefix;
  /// So many topics are replaced by a number when they are sent again (MQTT 5 topic alias), as far
  /// as the broker allows it; 0: none.
  std::uint16_t topic_aliases = 8;
  std::optional<StatusMessage> will;
  std::optional<StatusMessage> birth;

  struct Timing {
    Milliseconds resolve{10000};       ///< Deadline of the name look-up.
    Milliseconds connect{10000};       ///< Deadline of TCP, and again of TLS.
    Milliseconds connack{10000};       ///< Deadline of CONNACK.
    Milliseconds silent_after{30000};  ///< A dead peer is noticed within this time.
    Milliseconds backoff_first{1000};  ///< Range of the first delay (full jitter).
    Milliseconds backoff_cap{120000};  ///< The range grows no further.
    Milliseconds stable_after{30000};  ///< Connected so long, the range starts over.
    Milliseconds health_interval{10000};
    Milliseconds stop_deadline{5000};
    Milliseconds callback_alarm{1000};  ///< A callback running longer is reported.
    /// How often acknowledged subscriptions are asked for again, to notice one that the broker has
    /// lost or now refuses; 0: never. MQTT 5 only: 3.1.1 would send retained messages again.
    Milliseconds verify_subscriptions{3600000};
  } timing;

  // --- [identity] -----------------------------------------------------------------------------
  struct Identity {
    /// Of the credential slots active.pem, next.pem and previous.pem. Empty: there are none, only
    /// tls.cert_file and tls.key_file; these serve, too, while there is no active.pem.
    std::filesystem::path directory;
  } identity;

  // --- [[endpoint]], [failover], [failback] ---------------------------------------------------
  /// Where else to connect to, in order of preference; at most 7. docs/endpoints.md.
  std::vector<EndpointConfig> endpoints;

  struct Failover {
    /// An endpoint that has not let us in for so long, by its own fault, is left for another one.
    Milliseconds after{60000};
    /// Each device waits up to so much longer, so that a fleet does not move in one second.
    Milliseconds spread{0};
    /// While connected, look so often where the host's name leads to, and follow it. 0: never.
    Milliseconds follow_dns{0};

    friend bool operator==(const Failover&, const Failover&) = default;
  } failover;

  struct Failback {
    bool automatic = true;  ///< To an endpoint that stands before the one in use.
    /// It must have answered each probe for so long.
    Milliseconds healthy_for{600000};
    Milliseconds probe_every{60000};    ///< TCP and TLS only: never a second session.
    std::uint32_t fleet_size = 1;       ///< So many devices may want back at the same time …
    std::uint32_t connect_quota = 100;  ///< … to a service that takes so many connects a second.

    friend bool operator==(const Failback&, const Failback&) = default;
  } failback;

  // --- [network] ------------------------------------------------------------------------------
  /// What the machine's network managers are asked, over D-Bus. docs/network.md.
  struct Network {
    Use manager = Use::automatic;  ///< NetworkManager.
    Use modems = Use::automatic;   ///< ModemManager.
    bool roaming_is_metered = true;

    friend bool operator==(const Network&, const Network&) = default;
  } network;

  // --- [escalation] ---------------------------------------------------------------------------
  /// What is done to a modem, and at last to the machine, while neither an endpoint nor a reference
  /// host can be reached. docs/network.md.
  struct Escalation {
    /// Of "reconnect", "bearer", "modem" and "reboot"; tried in this order. Empty: nothing is done.
    std::vector<std::string> steps;
    /// "HOST:PORT" of servers that others run. While one of them lets us connect, or nobody has
    /// asked them, nothing is done: then the cloud is away and not the network.
    std::vector<std::string> reference_hosts;
    Seconds after{900};  ///< Offline for so long before the first step, and between two of them.
    std::uint32_t modem_resets_per_day = 4;
    std::uint32_t reboots_per_day = 1;

    friend bool operator==(const Escalation&, const Escalation&) = default;
  } escalation;

  // --- [provisioning] -------------------------------------------------------------------------
  /// Getting the first certificate from AWS IoT Core (fleet provisioning), and its successors.
  /// Without a template there is none.
  struct Provisioning {
    std::string template_name;
    std::filesystem::path claim_certificate;  ///< PEM.
    std::filesystem::path claim_key;          ///< PEM.
    /// In place of these two: what CreateProvisioningClaim gives, as JSON; a trusted user's
    /// application puts it there, and it is good for five minutes.
    std::filesystem::path claim_file;
    bool csr = true;            ///< The key is made here and never leaves; else by the service.
    bool retire_claim = false;  ///< The claim's files are removed once the new identity works.
    /// A running device asks for a successor of its certificate when that is so old, or runs out.
    /// 0: never by itself.
    Seconds renew_every{0};
    std::string client_id;  ///< Of the claim's connection. Empty: CLIENT_ID-claim.
    /// Of the template: name and value; "@FILE" stands for the first line of that file.
    std::vector<std::pair<std::string, std::string>> parameters;

    [[nodiscard]] bool wanted() const { return !template_name.empty(); }
  } provisioning;

  // --- [flow] ---------------------------------------------------------------------------------
  std::uint16_t max_in_flight = 100;            ///< Never above the server's Receive Maximum.
  std::uint32_t messages_per_second = 80;       ///< 0: unlimited. AWS allows 100.
  std::uint32_t bytes_per_second = 400 * 1024;  ///< 0: unlimited. AWS allows 512 KiB.
  std::vector<std::string> lanes{"urgent", "normal", "bulk"};  ///< First goes first; 1…8.
  /// Messages on a topic that the broker's policy denies are kept so long, in case it is mended.
  /// 0: one that the broker denies is given up at once.
  Seconds denied_for{24 * 3600};
  /// Name of the MQTT 5 user property that carries the message's id, the same in every repeat of
  /// it, for de-duplication downstream. Empty: none is sent.
  std::string id_property = "hf-id";
  /// Whether inbound messages whose stamp (of that name, by a sender that is Holdfast) has come
  /// before are left out and counted, as far as the last 4096 stamps of this run tell.
  bool filter_duplicates = true;
  /// Where answers to Device::request() come. Empty: CLIENT_ID/responses.
  std::string response_topic;

  // --- [lane.NAME] ----------------------------------------------------------------------------
  std::map<std::string, LaneRules, std::less<>> lane_rules;  ///< By lane; one without has none.

  // --- [history] ------------------------------------------------------------------------------
  /// Where outages are published to, as JSON, once they are over; in the last lane. Empty: nowhere.
  std::string history_topic;

  struct Limits {
    std::size_t payload = 128 * 1024;
    std::size_t topic = 256;
    std::size_t topic_levels = 8;
    std::size_t subscriptions = 50;
    std::size_t memory = 1024 * 1024;  ///< RAM for messages on their way in and out.
    std::size_t receipts = 4096;       ///< Handlers that wait for the end of their message.
  } limits;

  // --- [outbox] -------------------------------------------------------------------------------
  struct Outbox {
    std::filesystem::path directory;  ///< Created 0700 if missing. Required.
    std::uint64_t max_bytes = 64 * 1024 * 1024;
    /// Makes all files of the outbox while little happens, so that its room on disk is certain and
    /// a growing backlog costs no more than its messages.
    bool preallocate = false;
    /// A commit never shares a 4 KiB page with an earlier one, however full the outbox is: for
    /// flash that may spoil the page it was writing when the power went.
    bool always_pad = false;
    Milliseconds ack_flush{5000};     ///< Longest time an acknowledgement stays unwritten.
    Milliseconds spill_after{30000};  ///< A `spill` message waits so long in RAM, then on disk.
    OnFault on_fault = OnFault::reject;
    /// Seals what is written with AES-256-GCM. Turned off, what was sealed can still be sent.
    bool encrypt = false;
    /// The key: a PEM private key, or a file of at least 32 random bytes. Empty: tls.key_file.
    std::filesystem::path key_file;
    /// The key before a change: opens what was sealed with it. Empty: none.
    std::filesystem::path previous_key_file;
  } outbox;

  // --- [local] --------------------------------------------------------------------------------
  std::filesystem::path local_socket;  ///< Empty: no local API.
  /// By a name of one's choice. Where there is one, whom none is for may do nothing, but root and
  /// our own user, who may do everything. None: each who may connect may do everything.
  std::map<std::string, ClientRules, std::less<>> client_rules;

  // --- [safe_mode] ----------------------------------------------------------------------------
  /// For the agent, which begins in safe mode after too many of its ends were none in order.
  struct SafeMode {
    std::uint32_t crashes = 5;  ///< So many …; 0: never.
    Seconds window{600};        ///< … within this time.
    Seconds lasts{1800};        ///< Then it is left, and entered again with the next crash.

    friend bool operator==(const SafeMode&, const SafeMode&) = default;
  } safe_mode;
  /// Not a key. In words why what can be left out is left out: programs of the local API but for
  /// looking and control, the pages, the log file, heartbeats, renewals, the second engine. Empty:
  /// nothing is.
  std::string safe_mode_reason;
  /// Not a key. Why the machine was started, as the agent has found out.
  BootState boot;

  // --- [watchdog] -----------------------------------------------------------------------------
  /// For the agent, which feeds the hardware watchdog while all its parts go on. What a part may
  /// take is its own; that the network or the cloud is away stops none of them.
  struct Watchdog {
    std::filesystem::path device;  ///< Such as /dev/watchdog0; empty: none is held.
    Seconds timeout{60};           ///< Not fed for so long it resets the machine.
    Seconds pretimeout{0};     ///< So long before that the kernel acts; 0: as the driver has it.
    Seconds opening{600};      ///< A start may take so long, opening the outbox included.
    Seconds loop{30};          ///< The connection, the local API and the timers.
    Seconds engine{120};       ///< The MQTT library's own thread, where it has one.
    Seconds storage{120};      ///< The disk.
    Seconds callbacks{600};    ///< One handler of the application.
    Seconds applications{60};  ///< Heartbeats with `watchdog`, after they were missed.
    bool keep_armed = false;   ///< Also when the agent is told to end.

    friend bool operator==(const Watchdog&, const Watchdog&) = default;
  } watchdog;

  // --- [power] --------------------------------------------------------------------------------
  /// What happens when the power goes. docs/power.md.
  struct Power {
    std::string nut;                 ///< "UPS@HOST:PORT" of a NUT server. Empty: none is asked.
    std::filesystem::path supplies;  ///< Such as /sys/class/power_supply. Empty: not looked at.
    std::uint16_t low_charge = 10;   ///< Percent: on battery, this low is the end. 0: never.
    Seconds low_runtime{0};          ///< The same, as the UPS reckons. 0: never.
    Milliseconds on_battery_after{3000};     ///< Mains must be away so long before it counts,
    Milliseconds back_after{5000};           ///< and back so long.
    std::string topic;                       ///< Where notices are published to. Empty: nowhere.
    std::string lane;                        ///< Of notices. Empty: the first.
    std::vector<std::string> battery_lanes;  ///< Sent while on battery. Empty: all.
    Milliseconds farewell{2000};             ///< The last notice and the saving may take so long.
    std::vector<std::string> command;    ///< Run at last, such as systemctl poweroff. Empty: none.
    Milliseconds resume_after{120'000};  ///< A machine that is still on then goes on as usual.
    /// So long the machine lasts from the word that power goes. 0: not known, nothing is checked.
    Milliseconds hold_up{0};

    friend bool operator==(const Power&, const Power&) = default;
  } power;

  // --- [guards] -------------------------------------------------------------------------------
  /// What of the machine is watched. A limit of 0: not that. docs/guards.md.
  struct Guards {
    Seconds every{0};                 ///< So often it is looked at; 0: never.
    Seconds lasts{30};                ///< So long above the limit before it is an alarm.
    std::uint16_t memory = 40;        ///< Percent of the time in which something waits for memory.
    std::uint16_t io = 80;            ///< The same for the disk.
    std::uint16_t temperature = 100;  ///< °C, of the hottest zone.
    std::uint16_t disk = 95;          ///< Percent of the outbox's file system.
    std::uint16_t flash = 90;         ///< Percent of the life of an eMMC.
    std::string topic;                ///< Where alarms are published to. Empty: nowhere.

    friend bool operator==(const Guards&, const Guards&) = default;
  } guards;

  // --- [heartbeat.NAME] -----------------------------------------------------------------------
  std::map<std::string, HeartbeatRules, std::less<>> heartbeats;

  // --- [metrics] ------------------------------------------------------------------------------
  struct Metrics {
    /// Where Prometheus finds them: "127.0.0.1:9464", "[::1]:9464" or "unix:/PATH". Empty: nowhere.
    std::string listen;
    /// `listen` may be an address that other machines reach. There is no login and no encryption.
    bool allow_remote = false;
    Seconds publish_every{0};  ///< So often they are published, too; 0: never.
    MetricsFormat format = MetricsFormat::defender;
    /// Where to. Empty: Device Defender's topic of this thing, or CLIENT_ID/metrics.
    std::string topic;

    [[nodiscard]] bool wanted() const { return !listen.empty() || publish_every.count() > 0; }
    friend bool operator==(const Metrics&, const Metrics&) = default;
  } metrics;

  // --- [page] ---------------------------------------------------------------------------------
  struct Page {
    /// Where a browser finds the page to look at: "127.0.0.1:8480", "[::1]:8480" or "unix:/PATH".
    /// Empty: nowhere. Needs local_socket.
    std::string listen;
    /// The token that the page asks for. Empty: one that is made, in outbox.directory/page-token.
    std::filesystem::path token_file;

    friend bool operator==(const Page&, const Page&) = default;
  } page;

  // --- [log] ----------------------------------------------------------------------------------
  struct Log {
    LogLevel level = LogLevel::info;
    std::map<LogArea, LogLevel> areas;  ///< Those with a level of their own.
    // What follows is for the log that the agent writes; a LogHandler gets every line.
    LogFormat format = LogFormat::automatic;
    /// More are counted only. A quarter is kept for warnings and errors.
    std::uint32_t lines_per_hour = 1000;
    std::filesystem::path file;  ///< Written besides. Empty: none.
    /// A file that has grown so far makes room: FILE.1 is the one before.
    std::uint64_t max_size = 1024 * 1024;
    std::uint16_t keep = 3;  ///< So many older files are kept.
    /// Where `holdfast logs --send` publishes the last lines. Empty: only where it is told to.
    std::string topic;
    /// A message on this topic asks for the same. Empty: nobody can ask from afar.
    std::string command_topic;

    friend bool operator==(const Log&, const Log&) = default;
  } log;
};

/// The first endpoint of `config`, as one of Config::endpoints would be.
[[nodiscard]] EndpointConfig endpoint_of(const Config& config);

/// Reads and checks one TOML file. On failure the message reads
/// "FILE:LINE: KEY: what is wrong; what to do". Unknown keys are errors. For containers, an
/// environment variable HOLDFAST_SECTION_KEY overrides the key SECTION.KEY. Relative paths are
/// relative to the file. Never reads the credentials; see check_config().
[[nodiscard]] Result<Config> load_config(const std::filesystem::path& file);

/// Finds what would keep this configuration from working, as far as can be known without the
/// network: ranges, relations between limits, unreadable files, a key that doesn't fit its
/// certificate, an unusable directory. One Error per problem; empty when all is well. Writes
/// nothing.
[[nodiscard]] std::vector<Error> check_config(const Config& config);

}  // namespace holdfast
