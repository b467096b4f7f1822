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
  /// Whether a client without SNI is refused.
  bool require_sni = false;
  /// CONNACK's Maximum Packet Size.
  std::int64_t maximum_packet_size = 149'504;
  /// The longest session expiry, in seconds (an account setting, up to seven days).
  std::int64_t session_expiry_most = 3600;
  /// After so long an unacknowledged message is sent again on a live connection; 0: never.
  std::int64_t redelivery_ms = 30'000;
  /// Whether such a copy gets another packet id.
  bool redelivery_new_id = false;
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
};

/// Changes those that `changes` names, {"redelivery_ms": 5000, …}. Fails, changing nothing, for an
/// unknown name or a value of another kind or below 0; the message names it.
[[nodiscard]] Status change(Switches& switches, const Json& changes);

/// All of them with their values.
[[nodiscard]] Json to_json(const Switches& switches);

}  // namespace holdfast::lab::iot
