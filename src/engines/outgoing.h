// What every engine does to a message before the library sees it: refused, or completed.
//
// Purpose:  too large a message, retain or a QoS that the broker does not offer end the connection
//           or are changed silently when a library is asked for them. So they are refused here.
// Threads:  plain functions.
// Source:   MQTT 5.0 sections 1.5.5 (length field), 3.2.2.3 (what a broker offers), 3.3.2.3
//           (properties; topic aliases in 3.3.2.3.4).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/message.h"
#include "base/time.h"
#include "env/engine.h"
#include "holdfast/config.h"
#include "holdfast/result.h"

namespace holdfast::engines {

/// Inbound packets over this end the connection: libraries allocate any length. With MQTT 5 the
/// broker is told, and keeps larger messages from us.
inline constexpr std::uint32_t kInboundPacketMax = 1024 * 1024;

/// The user property that carries a message's id.
struct IdProperty {
  std::string name;          ///< Empty: none is sent.
  std::uint32_t prefix = 0;  ///< Tells the stores of different devices apart.
};

/// Its value for this message; empty: none is sent with it.
[[nodiscard]] std::string id_text(const IdProperty& id, const StoredMessage& message);

/// The number that goes instead of a topic, or with it for the first time; 0: none.
struct Alias {
  std::uint16_t number = 0;
  bool known = false;  ///< To the broker: the topic itself is left out.
};

/// The topics of a connection that have a number, as the broker knows them.
class Aliases {
 public:
  /// So many at most, and as many as the broker allows. MQTT 3.1.1: none.
  explicit Aliases(std::uint16_t most = 0) : most_(most) {}
  void limit(std::uint16_t broker) { most_ = std::min(most_, broker); }
  [[nodiscard]] Alias of(const std::string& topic) const;
  /// A message has gone with it.
  void sent(const std::string& topic, Alias alias);

 private:
  std::unordered_map<std::string, std::uint16_t> numbers_;
  std::uint16_t most_;
};

/// How the message's topic is to be sent; or protocol (topic), unsupported, too_large.
[[nodiscard]] Result<Alias> check_message(const StoredMessage& message, MqttVersion version,
                                          const env::UpInfo& broker, const IdProperty& id,
                                          const Aliases& aliases);

/// Seconds of the message's expiry that are left. The broker counts from when it takes the message
/// over, so what has passed here is taken off; never to nothing, which would mean something else.
[[nodiscard]] std::uint32_t expiry_left(const StoredMessage& message, BootTime now);

/// The keep-alive to promise: none, or at least 5 s, which is what libmosquitto can.
[[nodiscard]] std::uint16_t keep_alive_seconds(const env::ConnectRequest& request);

/// Client id, user name, password or will that no CONNECT can carry.
[[nodiscard]] Status check_connect(const env::ConnectRequest& request);

}  // namespace holdfast::engines
