// Who may do what: what the front door asks of the registry, and of custom authorizers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

/// How a connection came to us, known before its first MQTT packet.
struct Arrival {
  /// certificate: by TLS. custom: an authorizer must still say. sigv4: signed by a key of the lab.
  enum class By : std::uint8_t { certificate, custom, sigv4 } by = By::certificate;
  std::string principal;  ///< Certificate id, or whose access key it is; empty for custom.
  std::string address;    ///< The device's, without port.
  std::string domain;     ///< SNI; empty without.
  /// Parameters of a custom authorizer that came with the HTTP upgrade, as in a user name:
  /// "?x-amz-customauthorizer-name=…".
  std::string authorizer_parameters;
  bool websocket = false;
  // Of sigv4:
  std::string access_key = {};  ///< Its id.
  WallTime expires{INT64_MAX};  ///< Of the key, and the connection with it.
};

/// What a policy's conditions and variables can ask about a connection.
struct AccessFacts {
  std::string address;
  std::string domain;
  bool persistent_connect = false;
  bool last_will = false;
};

/// What an authorizer granted.
struct Grant {
  std::string principal;
  std::optional<Duration> lasts;  ///< Then the service disconnects.
};

class Access {
 public:
  Access() = default;
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
  virtual ~Access() = default;

  /// Whether the policies of `who` allow `action` ("iot:Publish") on `resource` ("topic/a/b").
  [[nodiscard]] virtual bool allows(const Requester& who, std::string_view action,
                                    std::string_view resource, const AccessFacts& facts) const = 0;
  /// Asks a custom authorizer; the error is a word of the service's log, such as
  /// "CUSTOM_AUTHORIZER_NOT_FOUND". The grant's policies hold for `connection` until forget().
  [[nodiscard]] virtual std::variant<Grant, std::string> authorize(WallTime now,
                                                                   std::uint64_t connection,
                                                                   std::string_view username,
                                                                   std::string_view password) = 0;
  virtual void forget(std::uint64_t connection) = 0;
  /// Name of the thing that is attached to the principal alone; empty if there is none.
  [[nodiscard]] virtual std::string exclusive_thing(std::string_view principal) const = 0;
};

}  // namespace holdfast::lab::iot
