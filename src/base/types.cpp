// Names and sentences of the public vocabulary (holdfast/types.h, holdfast/result.h).
#include "holdfast/types.h"

#include "holdfast/result.h"

namespace holdfast {
namespace {

constexpr std::string_view kErrcNames[] = {
    "invalid_argument", "invalid_config", "not_found", "permission", "io",      "no_space",
    "read_only",        "corrupt",        "too_large", "full",       "timeout", "in_use",
    "unsupported",      "closed",         "protocol",  "internal",
};

constexpr std::string_view kRejectNames[] = {
    "none",        "invalid_topic", "invalid_field",  "unknown_lane", "too_large",     "queue_full",
    "outbox_full", "lane_full",     "storage_failed", "stopping",     "power_failing",
};
static_assert(std::size(kRejectNames) == kRejectReasons);

constexpr std::string_view kDropNames[] = {
    "expired", "refused", "too_large", "evicted", "corrupt", "volatile_lost", "superseded",
};
static_assert(std::size(kDropNames) == kDropReasons);

struct VerdictText {
  std::string_view name;
  std::string_view sentence;
};

constexpr VerdictText kVerdictTexts[] = {
    {"none", "Nothing is wrong."},
    {"not_started", "No connection has been attempted yet."},
    {"no_credentials",
     "A certificate, key or CA file is missing, unreadable or does not fit; check the [tls] "
     "files."},
    {"link_down", "No network interface is up; check cable, Wi-Fi or modem."},
    {"no_route", "The network has no way to the endpoint; check gateway and firewall."},
    {"dns_failed", "The endpoint's name does not resolve; check the host name and the DNS zone."},
    {"dns_timeout", "The name servers do not answer; check the DNS setting and the uplink."},
    {"tcp_refused", "The host answers but nothing listens on the port; broker down or wrong port."},
    {"tcp_timeout", "The host does not answer; it is down, or a firewall drops the packets."},
    {"proxy_failed",
     "The HTTP proxy does not open the way; check its address, its rules and the login."},
    {"tls_clock",
     "A certificate is not yet valid; this device's clock is probably wrong, check time sync."},
    {"tls_server_name",
     "The server's certificate is for another name; check the host or tls.server_name."},
    {"tls_server_untrusted",
     "The server's certificate is not signed by a CA in tls.ca_file; check the file."},
    {"tls_server_expired",
     "The server's certificate has expired; renew it on the server, or check this clock."},
    {"tls_client_refused",
     "The server refuses our certificate; check that it is registered, active and not expired."},
    {"tls_failed", "The TLS handshake failed; check that the port speaks TLS."},
    {"tls_timeout", "The TLS handshake did not finish in time; slow network or overloaded broker."},
    {"mqtt_timeout", "No CONNACK in time; the peer is not a broker, or it is overloaded."},
    {"not_authorized",
     "The broker knows this device and says no; check its policy or access list."},
    {"publish_denied",
     "The broker's policy forbids publishing to this topic; its messages wait, all others go on."},
    {"subscribe_denied",
     "The broker's policy forbids this subscription; it is asked for again, all else goes on."},
    {"bad_credentials", "The broker refuses the user name, password or client id; check them."},
    {"id_taken_over", "Another connection uses our client id; make client ids unique."},
    {"throttled", "The broker asks us to slow down; we do."},
    {"quota_exceeded", "A quota of the broker is used up; see its account limits."},
    {"server_gone", "The broker closed the connection or is going away; we come back."},
    {"protocol_error",
     "The peer does not speak this MQTT version; check port and connection.mqtt_version."},
    {"silent_peer", "The connection stood but nothing came through any more; the path is dead."},
    {"engine_failed", "The MQTT library failed inside; it is rebuilt. Please report it."},
    {"captive_portal",
     "The network wants somebody to log in on its web page first; do so, or use another network."},
};
static_assert(std::size(kVerdictTexts) == kVerdicts);

constexpr std::string_view kLinkStateNames[] = {
    "idle", "connecting", "connected", "waiting", "stopping", "stopped",
};

constexpr std::string_view kConnectivityNames[] = {"unknown", "none", "portal", "limited", "full"};
constexpr std::string_view kMeteredNames[] = {"unknown", "yes", "no", "guess-yes", "guess-no"};

constexpr std::string_view kStorageNames[] = {"ok", "full", "read_only", "degraded", "slow"};
constexpr std::string_view kReceiptNames[] = {"accepted", "rejected", "delivered", "dropped"};
constexpr std::string_view kDurabilityNames[] = {"durable", "memory", "spill"};
constexpr std::string_view kResponseNames[] = {"answered", "timed_out", "not_sent", "no_answers",
                                               "stopped"};
constexpr std::string_view kFateNames[] = {"unknown", "pending", "delivered", "dropped",
                                           "forgotten"};

constexpr std::string_view kSlotNames[] = {"active", "next", "previous"};
constexpr std::string_view kConditionNames[] = {"missing", "complete", "refused"};
constexpr std::string_view kPhaseNames[] = {"none",      "waiting", "trying",
                                            "comparing", "keeping", "refused"};
constexpr std::string_view kStepNames[] = {
    "none", "key", "claim", "certificate", "registration", "verification", "installation", "done"};
constexpr std::string_view kHeartbeatNames[] = {"awaited", "beating", "missed", "ended"};
constexpr std::string_view kBootNames[] = {"unknown",      "power_loss", "low_power", "watchdog",
                                           "kernel_panic", "overheat",   "update",    "command"};
static_assert(std::size(kBootNames) == kBootReasons);
constexpr std::string_view kGuardNames[] = {"memory", "io", "temperature", "disk", "flash"};
static_assert(std::size(kGuardNames) == kGuardKinds);
constexpr std::string_view kPowerNames[] = {"unknown", "mains", "on_battery", "going_down", "down"};
static_assert(std::size(kPowerNames) == kPowerPhases);
constexpr std::string_view kResultNames[] = {"none", "kept", "rolled_back"};

/// The text of an enumerator, or "?" for a value outside of the enumeration.
template <class Enum, std::size_t N>
std::string_view name_of(const std::string_view (&names)[N], Enum value) noexcept {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : std::string_view("?");
}

}  // namespace

std::string_view to_string(Errc code) noexcept { return name_of(kErrcNames, code); }
std::string_view to_string(RejectReason reason) noexcept { return name_of(kRejectNames, reason); }
std::string_view to_string(DropReason reason) noexcept { return name_of(kDropNames, reason); }
std::string_view to_string(LinkState state) noexcept { return name_of(kLinkStateNames, state); }
std::string_view to_string(Connectivity connectivity) noexcept {
  return name_of(kConnectivityNames, connectivity);
}
std::string_view to_string(Metered metered) noexcept { return name_of(kMeteredNames, metered); }
std::string_view to_string(Durability durability) noexcept {
  return name_of(kDurabilityNames, durability);
}
std::string_view to_string(FateKind kind) noexcept { return name_of(kFateNames, kind); }
std::string_view to_string(StorageHealth health) noexcept { return name_of(kStorageNames, health); }
std::string_view to_string(ResponseKind kind) noexcept { return name_of(kResponseNames, kind); }
std::string_view to_string(ReceiptKind kind) noexcept { return name_of(kReceiptNames, kind); }

std::string_view to_string(IdentitySlot slot) noexcept { return name_of(kSlotNames, slot); }
std::string_view to_string(SlotCondition condition) noexcept {
  return name_of(kConditionNames, condition);
}
std::string_view to_string(RotationPhase phase) noexcept { return name_of(kPhaseNames, phase); }
std::string_view to_string(RotationResult result) noexcept { return name_of(kResultNames, result); }
std::string_view to_string(ProvisioningStep step) noexcept { return name_of(kStepNames, step); }
std::string_view to_string(HeartbeatPhase phase) noexcept {
  return name_of(kHeartbeatNames, phase);
}

std::string_view to_string(GuardKind kind) noexcept { return name_of(kGuardNames, kind); }
std::string_view to_string(PowerPhase phase) noexcept { return name_of(kPowerNames, phase); }
std::string_view to_string(BootReason reason) noexcept { return name_of(kBootNames, reason); }

std::optional<BootReason> boot_reason_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kBootReasons; ++i) {
    if (kBootNames[i] == name) return static_cast<BootReason>(i);
  }
  return std::nullopt;
}

std::string_view to_string(Verdict verdict) noexcept {
  const auto index = static_cast<std::size_t>(verdict);
  return index < kVerdicts ? kVerdictTexts[index].name : std::string_view("?");
}

Message response_to(const InboundMessage& request) {
  Message response;
  response.topic = request.response_topic;
  response.correlation_data = request.correlation_data;
  return response;
}

std::string_view explain(Verdict verdict) noexcept {
  const auto index = static_cast<std::size_t>(verdict);
  return index < kVerdicts ? kVerdictTexts[index].sentence : std::string_view("?");
}

}  // namespace holdfast
