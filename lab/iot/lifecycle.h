// Lifecycle events: what AWS IoT publishes when clients come, go and subscribe.
//
// The front door says what happened; the messages go to the broker. A service only so that the
// version numbers are kept with all other state: it has no topics and no operations.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lab/iot/service.h"

namespace holdfast::lab::iot {

/// As the events name it, in capitals.
enum class DisconnectReason : std::uint8_t {
  auth_error,
  client_initiated_disconnect,
  client_error,
  connection_lost,
  duplicate_clientid,
  forbidden_access,
  mqtt_keep_alive_timeout,
  server_error,
  server_initiated_disconnect,
  api_initiated_disconnect,
  throttled,
  websocket_ttl_expiration,
  customauth_ttl_expiration,
};
[[nodiscard]] std::string_view to_string(DisconnectReason reason) noexcept;

/// A connection, as its events show it.
struct LifecycleClient {
  std::string client_id;
  std::string thing;      ///< Registry::exclusive_thing_of(); empty: not shown.
  std::string principal;  ///< Certificate id, or what an authorizer gave.
  std::string session;    ///< A UUID that lives as long as the session.
  std::string ip_address;
  std::int64_t version = 0;  ///< Set by connected(); the same until disconnected().
};

class Lifecycle final : public Service {
 public:
  /// A client that was away longer counts from 0 again.
  static constexpr std::chrono::hours kForgotten{1};

  /// Gives `client` its version number: one more than that of its last connection.
  void connected(WallTime now, LifecycleClient& client, Answers& out);
  /// `session_expiry`: how long a persistent session lives on; 0: there is none.
  void disconnected(WallTime now, const LifecycleClient& client, DisconnectReason reason,
                    std::chrono::seconds session_expiry, Answers& out);
  /// The policy does not allow the client to connect, or its will to be published.
  static void connect_failed(WallTime now, const LifecycleClient& client, Answers& out);
  static void subscribed(WallTime now, const LifecycleClient& client,
                         const std::vector<std::string>& filters, Answers& out);
  static void unsubscribed(WallTime now, const LifecycleClient& client,
                           const std::vector<std::string>& filters, Answers& out);

  [[nodiscard]] std::string_view name() const override { return "lifecycle"; }
  [[nodiscard]] Claim claims(std::string_view /*topic*/) const override { return Claim::none; }
  void on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                  Answers& out) override;
  [[nodiscard]] bool has_operation(std::string_view /*operation*/) const override { return false; }
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  struct Known {
    std::int64_t version = 0;
    WallTime forgotten{kNoTime};  ///< Connected: never.
  };
  void forget(WallTime now);

  std::map<std::string, Known, std::less<>> clients_;
  WallTime next_forget_{0};
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
