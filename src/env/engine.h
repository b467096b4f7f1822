// The port to an MQTT library: one connection attempt at a time, no policy.
//
// Purpose:  an engine connects once when told, publishes, subscribes, reports, and dies at once
//           when told. Reconnecting, buffering, resending and all waiting belong to the core.
// Threads:  everything, sink calls included, on the loop thread. The sink is never called from
//           inside an Engine method other than through the event loop (no re-entrance).
// Order:    per attempt exactly: connect() → up | failed; up → down. No call for an attempt after
//           its failed or down, nor after abort(). Every token given to publish() while up gets at
//           most one result; tokens without one when the attempt ends are of unknown outcome.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/message.h"
#include "base/time.h"
#include "env/address_book.h"
#include "holdfast/config.h"
#include "holdfast/types.h"

namespace holdfast::env {

/// Numbers the attempts of one process; never 0.
using AttemptId = std::uint64_t;

/// Correlates a request with its answer; chosen by the core. Publishing uses the MessageId.
using Token = std::uint64_t;

/// Why an attempt failed or a connection ended.
struct Failure {
  Verdict verdict = Verdict::engine_failed;
  std::uint8_t reason_code = 0;  ///< MQTT reason code of CONNACK or DISCONNECT, else 0.
  std::string detail;            ///< The cause's own words; no secrets.
};

/// Everything one attempt needs. Certificates and keys are read from their files by the engine,
/// each time; what the files of logins say stands in it already.
struct ConnectRequest {
  AttemptId attempt = 0;
  std::size_t endpoint = 0;   ///< Which one it is: 0 is Config's first.
  std::string endpoint_name;  ///< For people.
  std::string host;
  std::uint16_t port = 0;
  Transport transport = Transport::mqtt;
  std::string websocket_path;  ///< With its query; signed by now, if `sigv4` asks for it.
  SigV4Config sigv4;
  ProxyConfig proxy;
  std::string proxy_password;
  TlsConfig tls;
  std::string client_id;  ///< Empty: the broker assigns one (MQTT 5, with a clean start).
  std::string username;
  std::filesystem::path password_file;
  std::string password;
  MqttVersion version = MqttVersion::v5;
  Seconds keep_alive{30};
  Seconds session_expiry{0};
  bool clean_start = false;
  std::optional<StatusMessage> will;
  std::string id_property;              ///< User property for message ids (MQTT 5); empty: none.
  std::uint16_t topic_aliases = 0;      ///< For topics that we send, at most (MQTT 5).
  std::uint32_t id_prefix = 0;          ///< Tells the stores of different devices apart in it.
  std::uint16_t receive_maximum = 100;  ///< Unacknowledged QoS 1 messages we take at a time.
  Duration resolve_timeout{};
  Duration connect_timeout{};  ///< TCP, and again TLS.
  Duration connack_timeout{};
  Duration silent_after{};  ///< End a connection with `silent_peer` when nothing came so long.
  AddressBook* addresses = nullptr;  ///< Told what becomes of each address, and asked; or none.
};

/// What the broker granted.
struct UpInfo {
  bool session_present = false;
  std::uint16_t receive_maximum = 65535;  ///< The server's; our window stays below it.
  std::uint32_t maximum_packet_size = 0;  ///< 0: no limit given.
  Seconds server_keep_alive{0};           ///< 0: ours is used.
  std::uint16_t topic_alias_maximum = 0;  ///< So many topics of ours may have a number.
  std::string assigned_client_id;         ///< Empty: ours is used.
  bool retain_available = true;
  Qos maximum_qos = Qos::at_least_once;
  /// The name service failed so, and an address that had been good before was used instead.
  std::optional<Failure> despite = std::nullopt;
  /// What the host's name led to (the end of its CNAMEs); empty: not known.
  std::string canonical = {};
};

struct FilterRequest {
  std::string filter;
  Qos qos = Qos::at_least_once;
  /// If the broker has the subscription already, its retained messages are not wanted again
  /// (MQTT 5.0 section 3.8.3.1, Retain Handling 1). The same for all filters of a request.
  bool verify = false;
};

/// A message from the broker.
struct Arrival {
  InboundMessage message;
  Token ticket = 0;    ///< For Engine::taken(); 0: nobody waits for that.
  bool again = false;  ///< The broker has sent one again that nobody has taken yet.
};

/// Where an engine reports to; implemented by the runtime, which hands it to the core.
class EngineSink {
 public:
  virtual ~EngineSink() = default;
  virtual void engine_up(AttemptId attempt, const UpInfo& info) = 0;
  virtual void engine_failed(AttemptId attempt, const Failure& failure) = 0;
  virtual void engine_down(AttemptId attempt, const Failure& failure) = 0;
  /// PUBACK, or written to the connection for QoS 0 (reason code 0).
  virtual void engine_published(AttemptId attempt, Token token, std::uint8_t reason_code) = 0;
  /// One code per filter, in the order of the request (SUBACK or UNSUBACK).
  virtual void engine_subscribed(AttemptId attempt, Token token,
                                 std::span<const std::uint8_t> reason_codes) = 0;
  virtual void engine_message(AttemptId attempt, Arrival arrival) = 0;
};

/// How often an engine has proved that it goes on. Shared with its thread, which may outlive it.
using Proofs = std::shared_ptr<std::atomic<std::uint64_t>>;

class Engine {
 public:
  virtual ~Engine() = default;
  /// Begins an attempt. Any earlier one must have ended or been aborted.
  virtual void connect(const ConnectRequest& request) = 0;
  /// Only while up. Errors (unsupported, too_large, protocol) concern this message alone.
  [[nodiscard]] virtual Status publish(Token token, const StoredMessage& message) = 0;
  [[nodiscard]] virtual Status subscribe(Token token, std::span<const FilterRequest> filters) = 0;
  [[nodiscard]] virtual Status unsubscribe(Token token, std::span<const std::string> filters) = 0;
  /// Only while up: the message of this ticket may be acknowledged. Those before it go first.
  virtual void taken(Token ticket) = 0;
  /// Sends DISCONNECT (no will, unless StatusMessage::on_stop asks for it) and ends with
  /// down(Verdict::none) when it is written, or when the peer closes; the core bounds the wait with
  /// abort().
  virtual void disconnect() = 0;
  /// Links, addresses or routes are no longer what they were. A connection whose own way is gone
  /// soon ends, with link_down or no_route; one whose route has moved asks its peer for a sign of
  /// life and ends with silent_peer without one; an attempt that has not reached its peer yet
  /// begins anew if a way may have been `gained`.
  virtual void network_changed(bool gained) = 0;
  /// Ends everything at once without a report. Never blocks. Harmless when nothing runs.
  virtual void abort() = 0;
  /// Has the library's own thread count one up when it comes to it. A library that works within
  /// these calls has proved by this one that it goes on. Never blocks.
  virtual void prove(const Proofs& proofs) { ++*proofs; }
};

}  // namespace holdfast::env
