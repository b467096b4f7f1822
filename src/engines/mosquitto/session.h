// One libmosquitto client for one connection attempt: calls in, events out.
//
// Purpose:  the only file pair that calls libmosquitto. It never uses the library's threads,
//           timers, network, reconnecting or keep-alive: the bridge moves bytes, the attempt keeps
//           time.
// Threads:  loop thread. The library's callbacks only append to a list of events, which the owner
//           takes when no library code is on the stack: so a sink may destroy everything.
// Ownership: owns the library's client and, through it, the library's end of the local socket.
// Errors:   open() fails with words; a failure later is a Closed event, given once.
// Traps of 2.0.11 handled here:
//   - v5 CONNECT properties: over a Unix path the "blocking" connect cannot block, so
//     mosquitto_connect_bind_v5() is used directly (conformance_test checks the bytes sent).
//   - on_publish of a QoS 0 message may come before mosquitto_publish_v5() has told its id.
//   - packet ids are handed out without looking which ones are still in use.
//   - a retained publish to a broker without retain silently loses its flag; too large a message is
//     kept for ever: both are refused here, before the library sees them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "env/engine.h"
#include "holdfast/result.h"

struct mosquitto;
struct mosquitto_message;

namespace holdfast::engines {

/// Inbound packets over this end the connection: the library would allocate any length. With
/// MQTT 5 the broker is told, and keeps larger messages from us.
inline constexpr std::uint32_t kInboundPacketMax = 1024 * 1024;

/// The broker said yes.
struct Accepted {
  env::UpInfo info;
};
/// The broker said no.
struct Refused {
  std::uint8_t code = 0;
  std::string reason;
};
/// A QoS 0 message is in the local socket as a whole.
struct HandedOver {
  env::Token token = 0;
};
struct Acknowledged {
  env::Token token = 0;
  std::uint8_t reason_code = 0;
};
struct Subscribed {
  env::Token token = 0;
  std::vector<std::uint8_t> codes;
};
/// The library doesn't tell the codes of UNSUBACK; the bridge's framing has them.
struct Unsubscribed {
  env::Token token = 0;
  int packet_id = 0;
  std::size_t filters = 0;
};
/// The library has closed its end.
struct Closed {
  bool own = false;          ///< After disconnect(), as wanted.
  bool peers_fault = false;  ///< The peer broke the protocol; otherwise the library failed.
  std::string words;
};
using SessionEvent = std::variant<Accepted, Refused, HandedOver, Acknowledged, Subscribed,
                                  Unsubscribed, InboundMessage, Closed>;

class Session {
 public:
  /// Connects to the Unix socket `path` and writes CONNECT.
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(const env::ConnectRequest& request,
                                                             const std::string& path);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// As env::Engine says; also `unsupported` for retain or QoS that the broker does not offer.
  /// `now` is for what is left of the message's expiry.
  [[nodiscard]] Status publish(env::Token token, const StoredMessage& message, BootTime now);
  [[nodiscard]] Status subscribe(env::Token token, std::span<const env::FilterRequest> filters);
  [[nodiscard]] Status unsubscribe(env::Token token, std::span<const std::string> filters);
  /// Queues DISCONNECT behind what is queued; the library closes its end after it.
  void disconnect();

  /// Takes in everything that waits in the library's end of the local socket.
  void read_all();
  /// Writes what the library has queued, as far as the local socket takes it.
  void write_all();
  [[nodiscard]] bool wants_write() const;

  /// What has happened since the last call.
  [[nodiscard]] std::vector<SessionEvent> take_events();

 private:
  struct Callbacks;
  struct Pending {
    env::Token token = 0;
    Qos qos = Qos::at_least_once;
  };
  /// One SUBSCRIBE or UNSUBSCRIBE under way; filters of different QoS go in packets of their own.
  struct Group {
    env::Token token = 0;
    std::vector<std::uint8_t> codes;
    std::size_t packets = 0;
  };
  struct Part {
    std::shared_ptr<Group> group;
    std::vector<std::size_t> positions;  ///< Where this packet's codes belong in the group's.
  };

  Session() = default;
  [[nodiscard]] Status configure(const env::ConnectRequest& request);
  [[nodiscard]] Status set_will(const StatusMessage& will);
  [[nodiscard]] Status dial(const env::ConnectRequest& request, const std::string& path);
  /// The number that goes instead of a topic, or with it for the first time; 0: none.
  struct Alias {
    std::uint16_t number = 0;
    bool known = false;  ///< To the broker: the topic itself is left out.
  };
  [[nodiscard]] Alias alias_of(const StoredMessage& message) const;
  [[nodiscard]] Status check(const StoredMessage& message, Alias alias) const;
  [[nodiscard]] bool sends_id(const StoredMessage& message) const;
  [[nodiscard]] Status check_filter(const std::string& filter) const;
  [[nodiscard]] Status send_part(const std::shared_ptr<Group>& group, Qos qos,
                                 std::span<const env::FilterRequest> filters);
  [[nodiscard]] bool next_id_in_use() const;
  void close(bool own, bool peers_fault, std::string words);
  void library_failed(int code);

  mosquitto* client_ = nullptr;
  MqttVersion version_ = MqttVersion::v5;
  std::string id_property_;
  std::uint32_t id_prefix_ = 0;
  env::UpInfo info_;
  std::vector<SessionEvent> events_;
  std::unordered_map<int, Pending> publishes_;
  std::unordered_map<int, Part> subscribes_;
  std::unordered_map<int, Unsubscribed> unsubscribes_;
  std::unordered_map<std::string, std::uint16_t> aliases_;  ///< As the broker knows them.
  std::uint16_t aliases_most_ = 0;
  bool will_on_stop_ = false;
  int last_id_ = 0;
  bool publishing_ = false;         ///< mosquitto_publish_v5() is on the stack.
  bool written_meanwhile_ = false;  ///< Its QoS 0 message has already been written.
  bool leaving_ = false;
  bool closed_ = false;
};

}  // namespace holdfast::engines
