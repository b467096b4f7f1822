// See failure_advice.h.
#include "failure_advice.h"

#include <array>

namespace holdfast::tools {
namespace {

using enum Verdict;

constexpr std::string_view kHeadings[] = {
    "On the device itself",       "In the network",
    "At the server: TCP and TLS", "At the broker: MQTT and its policies",
    "Nothing is wrong",
};
static_assert(std::size(kHeadings) == kPlaces);

constexpr VerdictAdvice kVerdictAdvice[] = {
    {no_credentials, Place::device,
     "No attempt was made, since what it needs is not there. The detail names the file and its "
     "fault.",
     "`holdfast check-config FILE` and `holdfast doctor --only credentials` name all of them. The "
     "files must be readable for the agent's user (`holdfast` under systemd). A device that is to "
     "get its first certificate by itself: see [provisioning](provisioning.md).",
     "files, credentials, chain, dates", ""},
    {tls_clock, Place::device,
     "A certificate is not valid yet, or has expired before this program was built. Nearly always "
     "the clock is wrong: no battery, no time service.",
     "Have a time service (chrony, systemd-timesyncd) whose servers the device reaches without the "
     "broker. A clock that is set leads to an attempt at once.",
     "clock, time_sync", ""},
    {engine_failed, Place::device,
     "The MQTT library returned an error that it should not. It was thrown away and made anew.",
     "If it comes again: another `connection.engine`, and a report with the log of level `debug` "
     "of the area `engine`.",
     "", ""},
    {link_down, Place::network,
     "The kernel says that no interface but the loopback has a carrier and an address.",
     "`nmcli device` or `networkctl` shows both. Several uplinks: "
     "[network](network.md#uplinks-that-take-over).",
     "route, network_manager", ""},
    {no_route, Place::network,
     "The kernel knows no way to the endpoint's addresses, or a router says that there is none.",
     "Look at the gateway, and at a firewall that rejects.", "route", ""},
    {captive_portal, Place::network,
     "NetworkManager says that a page to log in stands in the way. What failed behind it is in the "
     "detail.",
     "Log in, or have another uplink. Attempts are put off to one in five minutes meanwhile; "
     "`holdfast reconnect` makes one at once.",
     "network_manager", ""},
    {dns_failed, Place::network,
     "A name server has answered: there is no such name, or it could not find out.",
     "A private name needs the name server that knows it.", "dns", ""},
    {dns_timeout, Place::network,
     "No name server has answered within `timing.resolve`. With TLS, addresses that were good "
     "before are used after 3 s, so this is seen only without TLS, before the first connection, or "
     "where those addresses fail, too.",
     "A second name server, by another way, helps most.", "dns", ""},
    {proxy_failed, Place::network,
     "The proxy of `[proxy]` was not reached, or has refused CONNECT. Its words are in the detail.",
     "407 is the login; 403 is the proxy's rule for host or port; 502 to 504 are the proxy's own "
     "way to the broker.",
     "proxy", ""},
    {tcp_timeout, Place::network, "Neither an answer nor a refusal came within `timing.connect`.",
     "AWS IoT Core on port 443 needs `tls.alpn = \"x-amzn-mqtt-ca\"`: "
     "[configuration](configuration.md#aws-iot-core).",
     "tcp", ""},
    {silent_peer, Place::network,
     "A connection stood, and nothing came back through it within `timing.silent_after`: a dead "
     "link, a NAT that has forgotten the connection, a machine that is gone.",
     "Once: nothing, it was noticed and mended. Again and again after the same time: a NAT or "
     "firewall forgets idle connections sooner than pings come (half of `timing.silent_after`, 15 "
     "s); lower it. `holdfast history` has the times.",
     "agent, mqtt", "black-hole"},
    {tcp_refused, Place::server,
     "The machine is there, and its kernel says that nothing listens: the broker is down, "
     "restarts, or listens on another port.",
     "Restart the broker, or wait for who does. The device comes back by itself.", "tcp", "refuse"},
    {tls_server_name, Place::server,
     "The certificate is good, but its names are others. The detail has the expected one.",
     "Never work around it: a server that does not have the right name is not your server.", "tls",
     "wrong-server-name"},
    {tls_server_untrusted, Place::server,
     "The server's certificate leads to no CA in `tls.ca_file` (or the system's).",
     "The detail has the certificate's subject and issuer. After a change of the file an attempt "
     "is made at once.",
     "tls", "unknown-ca"},
    {tls_server_expired, Place::server,
     "The server's certificate is past its end by this device's clock.",
     "Look at both clocks first (`timedatectl`), then renew the server's certificate. The devices "
     "come back by themselves; none needs a restart.",
     "tls, clock", "expired-server-certificate"},
    {tls_client_refused, Place::server,
     "The server sent a TLS alert about our certificate: unknown, revoked, expired, or none was "
     "shown.",
     "If the certificate is to be registered at its first connection, set `tls.just_in_time = "
     "true`. A new certificate: `holdfast identity install`, which comes back with the old one if "
     "it is refused.",
     "credentials, chain, dates, tls", ""},
    {tls_failed, Place::server,
     "The handshake ended otherwise: the port does not speak TLS, no common version or suite, or "
     "the server hung up. AWS IoT Core hangs up on a certificate that it does not know or that is "
     "not ACTIVE.",
     "`openssl s_client -connect HOST:PORT -servername HOST` shows what the server says.",
     "tls, alpn", "old-suites"},
    {tls_timeout, Place::server,
     "TCP stood, and the handshake was not over within `timing.connect`.",
     "If it is always so, the path's MTU is the likely cause: small packets pass, the certificates "
     "do not.",
     "tls", "no-handshake"},
    {mqtt_timeout, Place::broker,
     "The secured connection stood, and no CONNACK came within `timing.connack`.",
     "A port that speaks TLS but not MQTT (443 of AWS IoT Core without `tls.alpn`) looks like this "
     "as well.",
     "mqtt", "no-connack"},
    {protocol_error, Place::broker,
     "What came back is not MQTT, not this version of it, or against its rules. The detail says "
     "which.",
     "There is no silent fall-back to 3.1.1. A will or birth message that the broker does not take "
     "(retain, QoS) is named in the detail.",
     "mqtt, quotas", ""},
    {not_authorized, Place::broker,
     "CONNECT was refused (0x87; 5 in MQTT 3.1.1), or WebSocket's upgrade was (401, 403).",
     "AWS IoT Core: the certificate's policy must allow `iot:Connect` on `client/CLIENT_ID`, and a "
     "policy with `${iot:Connection.Thing.ThingName}` needs the thing attached to the certificate: "
     "[set-up](aws-iot-core.md#4-the-policy). Other brokers: their access list. With `[sigv4]` "
     "also the clock and the keys. It may be temporary, so the device goes on trying.",
     "mqtt, websocket, keys", "not-authorized"},
    {bad_credentials, Place::broker,
     "The broker refuses user name, password or client id (0x85, 0x86; 2 and 4 in MQTT 3.1.1).",
     "A changed password file is read at once.", "mqtt", ""},
    {publish_denied, Place::broker,
     "A verdict about one topic, while all others go on. Its messages wait (`parked` in the "
     "status) for up to `flow.denied_for`, in case the policy is mended. The topic is tried alone, "
     "after 5 minutes and up to an hour.",
     "`holdfast status` names the topic. Allow `iot:Publish` on it (retained: "
     "`iot:RetainPublish`), or stop publishing there. Nothing needs a restart: "
     "[accounting](accounting.md#what-a-policy-denies).",
     "publish, retain, agent", ""},
    {subscribe_denied, Place::broker,
     "A verdict about one topic filter, while all else goes on. It is asked for again.",
     "`holdfast status` names the filter. Allow `iot:Subscribe` on `topicfilter/FILTER` and "
     "`iot:Receive` on the topics.",
     "subscribe, agent", ""},
    {id_taken_over, Place::broker,
     "Another connection with our client id has thrown us out: a copied image, a second agent, a "
     "test from a desk. Each waits 15 s at least, so that the two do not fight.",
     "Give each device an id of its own; on AWS the thing's name. `aws iot-data get-connection` "
     "and the broker's log have the address of the other. The doctor never uses the id of an agent "
     "that runs.",
     "mqtt, agent", "taken-over"},
    {throttled, Place::broker,
     "The broker says that connections or messages come too fast (0x96, 0x9F, or 429 and 503 of "
     "WebSocket).",
     "On purpose the device stays away longer the longer it is told so, up to an hour: a whole "
     "fleet is back as fast as the broker takes it ([fleet](fleet.md)). Have the account's quota "
     "raised if it happens often.",
     "quotas", ""},
    {quota_exceeded, Place::broker, "CONNECT or DISCONNECT with 0x97.",
     "AWS IoT Core: the connects a second of the account. Waits as for `throttled`.", "quotas",
     "connect-quota"},
    {server_gone, Place::broker,
     "The broker ended the connection, in words (shutting down, busy, moved, administrative "
     "action) or without.",
     "Now and then: nothing, brokers restart and AWS IoT Core ends connections. Again and again "
     "soon after each connect: the broker may hang up on something that the device sends; see "
     "[above](#connects-and-is-thrown-out-again-and-again).",
     "agent, mqtt", "drop-after-connack"},
    {none, Place::nothing, "The device is connected.",
     "Nothing. A detail beside it says that the name service had failed and an address that was "
     "good before is used.",
     "", ""},
    {not_started, Place::nothing, "The program has just begun.",
     "Nothing, unless it stays so; then `holdfast logs` has the start.", "agent", ""},
};

constexpr NamedAdvice kRejectAdvice[] = {
    {"invalid_topic",
     "Empty, with a wildcard, not UTF-8, or over `limits.topic` or `limits.topic_levels`.",
     "Mend the caller. `topic_prefix` takes room of both limits."},
    {"invalid_field",
     "A property is not UTF-8, an expiry is 0 or less, a response topic has a wildcard.",
     "Mend the caller."},
    {"unknown_lane", "The lane is not in `flow.lanes`.", "Mend the caller or the configuration."},
    {"too_large",
     "Over `limits.payload`, or a property over its limit (key 256 bytes, correlation data 8 KiB, "
     "user properties 8 KiB together).",
     "Split it, or raise `limits.payload` as far as the broker allows (AWS IoT Core 128 KiB)."},
    {"queue_full",
     "Messages come faster than the disk takes them, RAM for those on their way (`limits.memory`) "
     "is used up, or memory messages of a denied topic fill their share.",
     "Send it again in a moment; the local API says `\"retry\":true`. If it lasts: is `storage` "
     "`slow`? Else raise `limits.memory`."},
    {"outbox_full", "The outbox has reached `outbox.max_size`, or the disk itself is full.",
     "It drains once the device is connected. To lose the oldest instead of the newest: `when_full "
     "= \"drop_oldest\"` in `[lane.NAME]`. Else a larger `max_size`, fewer messages, or room on "
     "the disk."},
    {"lane_full",
     "The lane has reached its `max_size` or `max_messages`, and its rule is `\"reject\"`.",
     "The same, for the lane: `when_full`, or a larger limit."},
    {"storage_failed", "The disk refuses to store.",
     "See [storage](#storage): its word is in `holdfast status`."},
    {"stopping", "The device is stopping.",
     "Nothing; the caller has to keep it, or to publish before."},
    {"power_failing", "The machine's power goes: [power](power.md#when-the-power-goes).",
     "Publish it again when the power is back."},
};
static_assert(std::size(kRejectAdvice) == kRejectReasons - 1, "a reason without its row");

constexpr NamedAdvice kDropAdvice[] = {
    {"expired", "Its own expiry, or its lane's `max_age`, passed before it could be sent.",
     "Nothing if that was meant. Else a longer expiry; `holdfast history` says how long the device "
     "was away."},
    {"refused",
     "The broker refused it for good (topic invalid, payload format), or its policy has denied the "
     "topic for longer than `flow.denied_for`.",
     "The log has topic and reason code. Mend topic or policy."},
    {"too_large", "The broker takes smaller packets only, as it said in CONNACK.",
     "Set `limits.payload` below that, so that the caller hears of it; `holdfast doctor --only "
     "quotas`."},
    {"evicted", "Given up by the rule `when_full` of its lane.",
     "Nothing if that was meant. Else more room for the lane."},
    {"corrupt", "Its bytes on disk failed their checksum. It was not sent.",
     "`holdfast outbox verify DIR` names the places. Look at the disk (`dmesg`, its wear: "
     "[guards](guards.md)); one that spoils pages when the power goes: `outbox.always_pad`."},
    {"volatile_lost", "A memory message, and the process ended before it was delivered.",
     "Use `durable` or `spill` for what must survive a restart."},
    {"superseded", "A newer message of its key came, in a lane with `conflate`.",
     "Nothing; that is what it is for."},
};
static_assert(std::size(kDropAdvice) == kDropReasons, "a reason without its row");

constexpr NamedAdvice kStorageAdvice[] = {
    {"ok", "What is accepted as durable is on disk.", "Nothing."},
    {"full",
     "The outbox is at its limit, or the disk is full. New durable messages are rejected "
     "(`outbox_full`); what waits is kept and sent.",
     "See [disk full](#the-disk-is-full)."},
    {"read_only",
     "The kernel has made the file system read-only, mostly after errors of the disk. What waits "
     "is sent.",
     "`dmesg` says why. Check the file system, replace the disk or card. `outbox.on_fault = "
     "\"memory\"` accepts into RAM meanwhile, and says so in each receipt."},
    {"degraded",
     "Writing or syncing failed. It is tried again; durable messages are rejected meanwhile "
     "(`storage_failed`).",
     "The log has the system's own words, area `outbox`. Rights, a full quota, a failing disk: "
     "`holdfast doctor --only sync`."},
    {"slow",
     "The disk has not answered for 2 s. What waits for it is not accepted yet; nothing is lost.",
     "A worn card, or another program that writes much: `holdfast doctor --only sync` measures, "
     "`[guards]` watches `io` and `flash`."},
};

constexpr bool every_verdict_once() {
  std::array<int, kVerdicts> seen{};
  for (const VerdictAdvice& one : kVerdictAdvice) ++seen[static_cast<std::size_t>(one.verdict)];
  for (const int count : seen) {
    if (count != 1) return false;
  }
  return true;
}
static_assert(every_verdict_once(), "each verdict has one row here, with what to do");

constexpr bool in_order_of_places() {
  Place last = Place::device;
  for (const VerdictAdvice& one : kVerdictAdvice) {
    if (one.place < last || one.means.empty() || one.remedy.empty()) return false;
    last = one.place;
  }
  return true;
}
static_assert(in_order_of_places(), "rows are sorted by place, and each says what to do");

}  // namespace

std::string_view heading_of(Place place) noexcept {
  return kHeadings[static_cast<std::size_t>(place)];
}

std::span<const VerdictAdvice> verdict_advice() noexcept { return kVerdictAdvice; }
std::span<const NamedAdvice> reject_advice() noexcept { return kRejectAdvice; }
std::span<const NamedAdvice> drop_advice() noexcept { return kDropAdvice; }
std::span<const NamedAdvice> storage_advice() noexcept { return kStorageAdvice; }

}  // namespace holdfast::tools
