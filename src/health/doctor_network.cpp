#include "health/doctor_network.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/calendar.h"

namespace holdfast::health {

namespace {

constexpr double kSlowNameMs = 1000;
constexpr std::int64_t kDayMs = 86'400'000;
/// A server's certificate that is not renewed by then will probably not be.
constexpr std::int64_t kServerDays = 3;
constexpr std::uint16_t kHttpsPort = 443;

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

/// The alert of RFC 7301 by which a server refuses all the protocols that were offered.
bool refuses_alpn(const StreamFacts& facts) {
  return facts.failure && !facts.secured && !facts.alpn_wanted.empty() &&
         facts.failure->detail.find("no application protocol") != std::string::npos;
}

std::string told(const env::Failure& failure) {
  return std::string(to_string(failure.verdict)) + ": " +
         (failure.detail.empty() ? std::string(explain(failure.verdict)) : failure.detail);
}

std::string alpn_advice(const StreamFacts& facts) {
  return "correct tls.alpn, which is \"" + facts.alpn_wanted +
         "\": for AWS IoT Core \"x-amzn-mqtt-ca\" with a certificate, \"mqtt\" with a custom "
         "authorizer, each on port 443 only; other brokers mostly want none";
}

}  // namespace

bool is_aws_endpoint(const std::string& host) {
  const bool ours = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
  return ours && host.find(".iot.") != std::string::npos;
}

std::string advice_for(Verdict verdict) {
  constexpr std::array<std::pair<Verdict, const char*>, 20> kAdvice{{
      {Verdict::no_credentials, "mend the file that is named"},
      {Verdict::link_down, "look at the cable, the radio and who manages the network"},
      {Verdict::no_route, "bring the interface up and give it a default route (`ip route`)"},
      {Verdict::dns_failed, "check connection.host and /etc/resolv.conf"},
      {Verdict::dns_timeout, "check the name servers of /etc/resolv.conf and the way to them"},
      {Verdict::tcp_refused,
       "nothing listens there: check connection.port, and whether the broker runs"},
      {Verdict::tcp_timeout,
       "packets get lost: ask who runs the firewall to let this port out; networks that block "
       "8883 mostly let 443 pass (with tls.alpn, or WebSocket)"},
      {Verdict::proxy_failed,
       "check [proxy] host, port and login, and that the proxy allows CONNECT to the endpoint's "
       "port"},
      {Verdict::tls_clock, "set this device's clock; see the checks clock and time_sync"},
      {Verdict::tls_server_name,
       "give connection.host as it stands in the server's certificate, or tls.server_name if you "
       "connect by an address; if neither helps, you are talking to somebody else"},
      {Verdict::tls_server_untrusted,
       "put the CA that signed the server's certificate into tls.ca_file; for AWS IoT Core those "
       "are the Amazon Root CAs. A proxy that opens TLS looks like this, too"},
      {Verdict::tls_server_expired,
       "the server's certificate must be renewed by who runs it; if it is fresh, this device's "
       "clock is ahead"},
      {Verdict::tls_client_refused,
       "register the device's certificate at the broker and activate it; AWS IoT Core: `aws iot "
       "describe-certificate` must say ACTIVE, in the endpoint's account and region"},
      {Verdict::tls_failed,
       "check that the port speaks TLS; a server that hangs up in the handshake mostly does not "
       "know the device's certificate, or wants a name in SNI that it has"},
      {Verdict::tls_timeout,
       "TCP passes and TLS does not: look for a firewall that inspects, or a path whose MTU is "
       "smaller than it says (try `ip link set dev IF mtu 1400`)"},
      {Verdict::mqtt_timeout, "check that this port is the broker's; it may be overloaded"},
      {Verdict::bad_credentials,
       "check connection.username, connection.password_file and client "
       "id"},
      {Verdict::throttled, "connect less often, and look who else uses this account"},
      {Verdict::quota_exceeded, "raise the broker's quota, or use less of it"},
      {Verdict::protocol_error, "set connection.mqtt_version to what the broker speaks"},
  }};
  for (const auto& [known, text] : kAdvice) {
    if (known == verdict) return text;
  }
  return "try again; if it stays, read what the broker's own log says of this moment";
}

Finding judge_name(const NameFacts& facts) {
  const std::string whose = facts.proxy ? "proxy.host" : "connection.host";
  const std::string servers = facts.name_servers.empty() ? std::string("none") : facts.name_servers;
  Finding finding;
  if (facts.addresses.empty()) {
    const std::string found = facts.problem.find(facts.host) == std::string::npos
                                  ? facts.host + ": " + facts.problem
                                  : facts.problem;
    if (facts.code == Errc::not_found) {
      finding =
          fail(found, "check the spelling of " + whose + "; if it is right, the name servers (" +
                          servers + ") do not know it: a private name needs its own");
    } else {
      finding = fail(found, "the name servers in /etc/resolv.conf (" + servers +
                                ") give no answer: check them and the way to them (UDP port 53)");
    }
  } else {
    const std::string found =
        facts.host + ": " + in_words(facts.addresses) + " in " + in_ms(facts.ms);
    finding = facts.ms < kSlowNameMs
                  ? fine(found)
                  : warn(found, "the name servers (" + servers +
                                    ") are slow; each connection waits for them. Put a nearer one "
                                    "first in /etc/resolv.conf");
  }
  finding.figures = {{"host", facts.host}, {"addresses", facts.addresses}, {"ms", facts.ms}};
  return finding;
}

Finding judge_routes(const std::vector<RouteFacts>& routes) {
  std::vector<std::string> ways;
  std::vector<std::string> none;
  std::vector<std::string> interfaces;
  for (const RouteFacts& route : routes) {
    if (!route.problem.empty()) {
      none.push_back(route.address + " (" + route.problem + ")");
      continue;
    }
    std::string way = route.address + " by " + route.interface;
    if (!route.gateway.empty()) way += " via " + route.gateway;
    if (!route.carrier) {
      none.push_back(way + " (the link is down)");
      continue;
    }
    ways.push_back(std::move(way));
    interfaces.push_back(route.interface);
  }
  Finding finding;
  if (ways.empty()) {
    finding = fail("no way to " + in_words(none), advice_for(Verdict::no_route));
  } else {
    finding = fine(in_words(ways) + (none.empty() ? "" : "; not to " + in_words(none)));
  }
  finding.figures = {{"interfaces", interfaces}};
  return finding;
}

Finding judge_reach(const std::vector<ReachFacts>& tries) {
  std::vector<std::string> good;
  std::vector<std::string> bad;
  const env::Failure* first = nullptr;
  double best = 0;
  for (const ReachFacts& one : tries) {
    if (one.failure) {
      bad.push_back(one.address + " (" + std::string(to_string(one.failure->verdict)) + ")");
      if (first == nullptr) first = &*one.failure;
      continue;
    }
    best = good.empty() ? one.ms : std::min(best, one.ms);
    good.push_back(one.address + " in " + in_ms(one.ms));
  }
  Finding finding;
  if (good.empty()) {
    const Verdict verdict = first == nullptr ? Verdict::no_route : first->verdict;
    finding = fail(in_words(bad), advice_for(verdict));
    finding.figures = {{"verdict", std::string(to_string(verdict))}};
    return finding;
  }
  if (first == nullptr) {
    finding = fine(in_words(good));
  } else {
    finding = warn(in_words(good) + "; not " + in_words(bad),
                   "some of the name's addresses do not answer; the agent tries them last. If one "
                   "is yours, mend it or take it out of the name");
  }
  finding.figures = {{"latency_ms", best}};
  return finding;
}

Finding judge_keys(const KeyFacts& facts) {
  if (!facts.wanted) return not_applicable("no role alias is configured");
  if (!facts.failure) {
    Finding finding = fine(facts.words + ", in " + in_ms(facts.ms));
    finding.figures = {{"ms", facts.ms}};
    return finding;
  }
  const Verdict verdict = facts.failure->verdict;
  const std::string advice =
      verdict == Verdict::not_authorized
          ? "check sigv4.role_alias and sigv4.thing_name; the policy of the device's certificate "
            "must allow iot:AssumeRoleWithCertificate on the role alias, and the role must trust "
            "credentials.iot.amazonaws.com"
      : verdict == Verdict::protocol_error
          ? "check sigv4.provider_host: `aws iot describe-endpoint --endpoint-type "
            "iot:CredentialProvider` says it"
          : advice_for(verdict);
  Finding finding =
      fail(facts.failure->detail + " (" + std::string(to_string(verdict)) + ')', advice);
  finding.figures = {{"verdict", std::string(to_string(verdict))}};
  return finding;
}

Finding judge_proxy(const StreamFacts& facts) {
  if (facts.proxy.empty()) return not_applicable("no proxy is configured");
  if (facts.failure && facts.failure->verdict == Verdict::proxy_failed) {
    return fail(facts.proxy + ": " + facts.failure->detail, advice_for(Verdict::proxy_failed));
  }
  return fine(facts.proxy + " leads to " + facts.host + ":" + std::to_string(facts.port));
}

Finding judge_tls(const StreamFacts& facts) {
  if (!facts.tls) {
    if (is_loopback(facts.host)) return not_applicable("tls.enabled is false, to this machine");
    return warn("tls.enabled is false: messages and passwords can be read on the way",
                "set tls.enabled = true and tls.ca_file, and use the broker's TLS port");
  }
  // What comes after TLS is judged by the check websocket.
  const bool failed = facts.failure && (!facts.secured || !facts.websocket);
  if (failed) {
    Finding finding =
        fail(told(*facts.failure),
             refuses_alpn(facts) ? alpn_advice(facts) : advice_for(facts.failure->verdict));
    if (!facts.has_certificate && facts.failure->verdict == Verdict::tls_client_refused) {
      finding.advice = "the server wants a certificate: set tls.cert_file and tls.key_file";
    } else if (facts.secured && facts.failure->verdict == Verdict::server_gone) {
      finding.advice = advice_for(Verdict::tls_client_refused);
    }
    finding.figures = {{"verdict", std::string(to_string(facts.failure->verdict))}};
    return finding;
  }
  const std::int64_t days = (facts.peer_until.ms - facts.now.ms) / kDayMs;
  const std::string found = facts.version + ", " + facts.suite + " in " + in_ms(facts.ms) +
                            "; the server is " + facts.peer + ", certified by " +
                            facts.peer_issuer + " for " + std::to_string(days) + " more days";
  Finding finding = days >= kServerDays
                        ? fine(found)
                        : warn(found, "tell who runs the server that its certificate ends");
  finding.figures = {{"version", facts.version},
                     {"suite", facts.suite},
                     {"peer", facts.peer},
                     {"issuer", facts.peer_issuer},
                     {"peer_not_after", iso_time(facts.peer_until)},
                     {"ms", facts.ms}};
  return finding;
}

Finding judge_alpn(const StreamFacts& facts) {
  if (!facts.tls) return not_applicable("tls.enabled is false");
  if (facts.alpn_wanted.empty()) {
    if (is_aws_endpoint(facts.host) && facts.port == kHttpsPort && !facts.websocket) {
      return fail("AWS IoT Core on port 443 speaks MQTT only under a name, and tls.alpn is not set",
                  "set tls.alpn = \"x-amzn-mqtt-ca\", or use port 8883");
    }
    return not_applicable("tls.alpn is not set");
  }
  if (refuses_alpn(facts)) {
    return fail("the server refuses \"" + facts.alpn_wanted + "\"", alpn_advice(facts));
  }
  if (facts.alpn == facts.alpn_wanted) return fine("agreed: " + facts.alpn);
  return warn("\"" + facts.alpn_wanted + "\" was offered and the server chose nothing",
              "a server that ignores ALPN does no harm; if MQTT fails, " + alpn_advice(facts));
}

Finding judge_websocket(const StreamFacts& facts) {
  if (!facts.websocket) return not_applicable("connection.transport is \"mqtt\"");
  if (!facts.failure) return fine("the server upgrades to WebSocket");
  Finding finding = fail(told(*facts.failure), advice_for(facts.failure->verdict));
  if (facts.failure->verdict == Verdict::not_authorized) {
    finding.advice =
        "the login of the request is refused: check [sigv4] (keys, their region, the "
        "clock), or that the keys may do iot:Connect";
  } else if (facts.failure->verdict == Verdict::protocol_error) {
    finding.advice = "check connection.websocket_path and that the port speaks WebSocket";
  }
  finding.figures = {{"verdict", std::string(to_string(facts.failure->verdict))}};
  return finding;
}

}  // namespace holdfast::health
