// What AWS's documents leave open, and what a test wants to be otherwise: one struct, with defaults
// that are the best reading. Set by `holdfast lab up --switch NAME=VALUE` and, live, by
// `holdfast lab aws lab put-switches`.
#pragma once

#include <cstdint>
#include <string>

#include "holdfast/result.h"
#include "lab/iot/json.h"

namespace holdfast::lab::iot {

struct Switches {
  /// What a 3.1.1 client whose CONNECT is not allowed gets: 0: the connection is closed without a
  /// CONNACK; else that return code (5 by the specification; 7 was seen).
  std::int64_t connect_denied_code_311 = 5;
  /// What an MQTT 5 client gets for a publish that is not allowed: true: a PUBACK 0x87 (QoS 1
  /// only); false: DISCONNECT 0x87. A 3.1.1 client is always disconnected.
  bool publish_denied_puback = true;
  /// What a subscription that is not allowed gets: true: a failure code in the SUBACK; false: the
  /// connection is ended.
  bool subscribe_denied_suback = true;
  /// A message that the policy does not let a client receive: false: it is dropped; true: the
  /// connection is ended.
  bool receive_denied_disconnects = false;
  /// Retain Handling and Retain As Published of an MQTT 5 SUBSCRIBE: false: they are ignored; true:
  /// they count, as in the standard.
  bool subscription_options = false;
  /// An MQTT 5 will's delay: false: it is ignored; true: the will waits.
  bool will_delay = false;
  /// Whether a client without SNI is refused.
  bool require_sni = false;
  /// How it shows that a client's certificate is refused. by_state: a TLS alert during the
  /// handshake, unknown_ca for one that is not registered, certificate_revoked for one that is not
  /// ACTIVE, certificate_expired; or always the alert of that name. no_alert: the connection is
  /// closed during the handshake. closed: the handshake succeeds, then the connection is closed
  /// without a CONNACK.
  std::string refused_certificate = "by_state";
  /// Whether sessions of TLS 1.3 are resumed; those of TLS 1.2 never are.
  bool tls13_resumption = false;
  /// CONNACK's Maximum Packet Size.
  std::int64_t maximum_packet_size = 149'504;
  /// The longest session expiry, in seconds (an account setting, up to seven days).
  std::int64_t session_expiry_most = 3600;
  /// After so long an unacknowledged message is sent again on a live connection; 0: never.
  std::int64_t redelivery_ms = 30'000;
  /// Whether such a copy gets another packet id.
  bool redelivery_new_id = false;
  /// Whether the time to the next copy doubles with each.
  bool redelivery_doubles = false;
  /// How long such copies are sent, in seconds.
  std::int64_t redelivery_window_v5 = 960;
  std::int64_t redelivery_window_311 = 3600;
  /// Publishes that a connection may make and get each second; 0: no limit.
  std::int64_t publishes_per_second = 100;
  std::int64_t bytes_per_second = 512 * 1024;
  /// What was stored while a device was away comes so many a second beside what is live; 0: no
  /// limit, all in the order in which it was published.
  std::int64_t drained_per_second = 10;
  /// CONNECTs each second: of one client id, and of all (an account's quota); 0: no limit.
  std::int64_t connects_per_client = 1;
  std::int64_t connects_per_second = 3000;
  /// Retained messages each second on one topic; 0: no limit.
  std::int64_t retained_per_topic = 1;
  /// How long a connection may last, in seconds; 0: without end. Real ones end after one to two
  /// weeks.
  std::int64_t connection_seconds = 0;
  /// The same for MQTT over WebSocket with SigV4.
  std::int64_t websocket_seconds = 86'400;
  /// How far the clock of who signs may be off, and how long a signature counts that says nothing
  /// of it, in seconds.
  std::int64_t signature_seconds = 300;
  /// How far the clock of the credential provider, and of who checks signatures, is ahead, in
  /// seconds: to a device it is as if its own were behind.
  std::int64_t keys_clock_ahead = 0;
  /// Credentials that the credential provider gives each second; 0: no limit.
  std::int64_t assume_role_per_second = 50;
  /// How long its keys are good, in seconds; 0: as the role alias has it, which is 900 at least.
  std::int64_t assumed_seconds = 0;
  /// How long a certificate waits for its registration, in seconds.
  std::int64_t ownership_token_seconds = 3600;
  /// Requests of fleet provisioning each second, of all devices together; 0: no limit.
  std::int64_t creates_per_second = 10;
  std::int64_t csrs_per_second = 20;
  std::int64_t registers_per_second = 10;
  /// The errorCode of a refusal by hook or template.
  std::string provisioning_denied_code = "AccessDenied";
  /// From the deactivation of a certificate to the end of its connections.
  std::int64_t certificate_disconnect_ms = 0;
  /// Whether statusDetails with control characters or empty values are refused.
  bool jobs_strict_details = true;
  /// Whether an execution may go from QUEUED to SUCCEEDED or FAILED.
  bool jobs_queued_may_finish = true;
  /// $next with nothing to do: "execution":{}; else no such member.
  bool jobs_empty_next_is_object = false;
  /// What a job document has in place of a parameter without a value: "empty" text, the member
  /// "removed", or the placeholder "literal".
  std::string jobs_omitted_parameter = "empty";
  /// Whether times over MQTT are milliseconds, as over HTTPS; else seconds.
  bool jobs_times_in_ms = false;
  /// What VersionMismatch is called over HTTPS.
  std::string jobs_http_version_mismatch = "InvalidStateTransitionException";
  /// Requests each second, of all devices together; 0: no limit.
  std::int64_t jobs_reads_per_second = 200;
  std::int64_t jobs_writes_per_second = 200;
  /// Of 1000 requests so many are answered with InternalError.
  std::int64_t jobs_internal_errors_per_mille = 0;
  /// Levels within desired and reported.
  std::int64_t shadow_depth = 6;
  /// To one shadow; over it requests are rejected with 429; 0: no limit.
  std::int64_t shadow_requests_per_second = 20;
  /// How long a deleted shadow's version lives on in a new one.
  std::int64_t shadow_tombstone_hours = 48;
  /// Whether a thing must be in the registry.
  bool shadow_known_things_only = true;
  /// $aws/events/commandExecution/…, an account setting.
  bool commands_events = false;
  /// …/response/accepted/json; else …/response/accepted.
  bool commands_format_in_acknowledgement = true;
  /// Acknowledgements go to the requester, subscribed or not; else through the broker.
  bool commands_acknowledge_requester = false;
  /// Refusals with "code", "message", "clientToken"; else "o", "m", "c".
  bool streams_long_names = false;
  /// Of 1000 blocks so many are not sent, or sent twice.
  std::int64_t streams_dropped_per_mille = 0;
  std::int64_t streams_duplicated_per_mille = 0;
  /// Whether the blocks of an answer come in any order.
  bool streams_shuffled = false;
  /// Seconds between two reports of a thing at least; 0: as fast as they like.
  std::int64_t defender_shortest_interval = 300;
  /// The ErrorCode of a report that comes too fast.
  std::string defender_throttled_code = "Throttled";
  /// Whether an accepted report's number is a key of its answer; else its "reportId".
  bool defender_id_as_key = false;

  friend bool operator==(const Switches&, const Switches&) = default;
};

/// Changes those that `changes` names, {"redelivery_ms": 5000, …}. Fails, changing nothing, for an
/// unknown name or a value of another kind, below 0 or not to choose; the message names it.
[[nodiscard]] Status change(Switches& switches, const Json& changes);

/// All of them with their values.
[[nodiscard]] Json to_json(const Switches& switches);

}  // namespace holdfast::lab::iot
