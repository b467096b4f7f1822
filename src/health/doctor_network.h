// The way to the broker, from the name to the secured stream.
//
// Threads:  plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/engine.h"
#include "health/doctor.h"
#include "holdfast/result.h"

namespace holdfast::health {

struct NameFacts {
  std::string host;
  bool proxy = false;                  ///< It is the proxy's name; the broker's is its affair.
  std::vector<std::string> addresses;  ///< Empty: the look-up failed.
  double ms = 0;
  Errc code = Errc::io;  ///< Why it failed.
  std::string problem;
  std::string name_servers;  ///< Of /etc/resolv.conf.
};
[[nodiscard]] Finding judge_name(const NameFacts& facts);

struct RouteFacts {
  std::string address;
  std::string problem;  ///< "Network is unreachable"; empty: there is a way.
  std::string interface;
  std::string gateway;  ///< Empty: directly.
  bool carrier = true;
};
[[nodiscard]] Finding judge_routes(const std::vector<RouteFacts>& routes);

/// One address that was tried.
struct ReachFacts {
  std::string address;  ///< With its port.
  double ms = 0;
  std::optional<env::Failure> failure;
};
[[nodiscard]] Finding judge_reach(const std::vector<ReachFacts>& tries);

/// What the credential provider gave.
struct KeyFacts {
  bool wanted = false;  ///< The configuration names a role alias.
  std::string words;    ///< Of the keys, for people.
  double ms = 0;
  std::optional<env::Failure> failure;
};
[[nodiscard]] Finding judge_keys(const KeyFacts& facts);

/// How far the way through proxy, TLS and WebSocket led, in the stages of one attempt.
struct StreamFacts {
  bool tls = true;
  std::string proxy;        ///< "host:port"; empty: none.
  std::string alpn_wanted;  ///< Empty: none.
  bool websocket = false;
  std::string host;
  std::uint16_t port = 0;
  bool has_certificate = true;  ///< A certificate of our own was offered.

  bool secured = false;  ///< TLS is agreed.
  std::string version;   ///< "TLSv1.3".
  std::string suite;
  std::string alpn;  ///< What the server chose; empty: nothing.
  std::string peer;  ///< Subject of the server's certificate.
  std::string peer_issuer;
  WallTime peer_until{};
  WallTime now{};
  double ms = 0;
  std::optional<env::Failure> failure;
};
[[nodiscard]] Finding judge_proxy(const StreamFacts& facts);
[[nodiscard]] Finding judge_tls(const StreamFacts& facts);
[[nodiscard]] Finding judge_alpn(const StreamFacts& facts);
[[nodiscard]] Finding judge_websocket(const StreamFacts& facts);

/// Whether this is a data endpoint of AWS IoT Core, by its name.
[[nodiscard]] bool is_aws_endpoint(const std::string& host);

/// What to do about a verdict of the way or of the broker; never empty.
[[nodiscard]] std::string advice_for(Verdict verdict);

}  // namespace holdfast::health
