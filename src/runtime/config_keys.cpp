// See config_keys.h.
#include "runtime/config_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <limits>
#include <type_traits>

#include "base/limits.h"
#include "health/crash_loop.h"

namespace holdfast::runtime {
namespace {

using limits::kKiB;
using limits::kMiB;
constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kHour = 60 * kMinute;
constexpr std::uint64_t kAccountNameMax = 32;  // useradd(8)
constexpr std::uint64_t kRenewEveryMax = std::uint64_t{20} * 365 * 24 * kHour;
constexpr std::size_t kShownMax = 48;  // bytes of a wrong value that an error repeats
constexpr std::size_t kPathMax = 4095;
constexpr std::size_t kTextMax = limits::kMqttString;

// In the order of the enumerators.
constexpr std::array<std::string_view, 3> kWhenFull{"reject", "drop_oldest", "drop_newest"};
constexpr std::array<std::string_view, 2> kOnFault{"reject", "memory"};
constexpr std::array<std::string_view, 2> kTransport{"mqtt", "websocket"};
constexpr std::array<std::string_view, 2> kEngine{"mosquitto", "aws_crt"};
constexpr std::array<std::string_view, 2> kMetricsFormat{"defender", "json"};
constexpr std::array<std::string_view, 3> kUse{"auto", "off", "on"};
constexpr std::array<std::string_view, 2> kWhenMetered{"send", "hold"};
constexpr std::array<std::string_view, kLogLevels> kLogLevel{"error", "warning", "info", "debug"};
constexpr std::array<std::string_view, 4> kLogFormat{"auto", "text", "json", "journal"};

std::size_t index_of(std::span<const std::string_view> words, std::string_view word) {
  return static_cast<std::size_t>(std::find(words.begin(), words.end(), word) - words.begin());
}

std::span<const std::string_view> words_of(KeyKind kind) {
  if (kind == KeyKind::when_full) return kWhenFull;
  if (kind == KeyKind::on_fault) return kOnFault;
  if (kind == KeyKind::transport) return kTransport;
  if (kind == KeyKind::engine) return kEngine;
  if (kind == KeyKind::metrics) return kMetricsFormat;
  if (kind == KeyKind::use) return kUse;
  if (kind == KeyKind::metered) return kWhenMetered;
  if (kind == KeyKind::log_level) return kLogLevel;
  if (kind == KeyKind::log_format) return kLogFormat;
  return {};
}

std::string join_words(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += '"' + std::string(words[i]) + '"';
  }
  return text;
}

// --- between the fields of a Config and a KeyValue ---

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> joined(const Pairs& pairs) {
  std::vector<std::string> texts;
  for (const auto& [name, value] : pairs) texts.push_back(name + '=' + value);
  return texts;
}

/// Each has its '=': check_range() has seen to it.
Pairs parted(const std::vector<std::string>& texts) {
  Pairs pairs;
  for (const std::string& text : texts) {
    const std::size_t sign = text.find('=');
    pairs.emplace_back(text.substr(0, sign), text.substr(sign + 1));
  }
  return pairs;
}

template <class T>
KeyValue to_value(const T& field) {
  if constexpr (std::same_as<T, bool>) {
    return field;
  } else if constexpr (std::same_as<T, Pairs>) {
    return joined(field);
  } else if constexpr (std::same_as<T, std::filesystem::path>) {
    return field.string();
  } else if constexpr (std::same_as<T, Seconds> || std::same_as<T, Milliseconds>) {
    // A negative duration becomes a huge one: out of every range.
    return static_cast<std::uint64_t>(std::chrono::duration_cast<Milliseconds>(field).count());
  } else if constexpr (std::same_as<T, MqttVersion>) {
    return std::string(field == MqttVersion::v5 ? "5" : "3.1.1");
  } else if constexpr (std::same_as<T, WhenFull>) {
    return std::string(kWhenFull[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, OnFault>) {
    return std::string(kOnFault[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, Transport>) {
    return std::string(kTransport[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, MqttEngine>) {
    return std::string(kEngine[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, MetricsFormat>) {
    return std::string(kMetricsFormat[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, Use>) {
    return std::string(kUse[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, WhenMetered>) {
    return std::string(kWhenMetered[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, LogLevel>) {
    return std::string(kLogLevel[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, LogFormat>) {
    return std::string(kLogFormat[static_cast<std::size_t>(field)]);
  } else if constexpr (std::same_as<T, Qos>) {
    return std::uint64_t{static_cast<std::uint8_t>(field)};
  } else if constexpr (std::unsigned_integral<T>) {
    return std::uint64_t{field};
  } else {
    return field;
  }
}

template <class T>
void from_value(T& field, const KeyValue& value) {
  if constexpr (std::same_as<T, bool>) {
    field = std::get<bool>(value);
  } else if constexpr (std::same_as<T, Pairs>) {
    field = parted(std::get<std::vector<std::string>>(value));
  } else if constexpr (std::same_as<T, Seconds> || std::same_as<T, Milliseconds>) {
    const auto count = static_cast<Milliseconds::rep>(std::get<std::uint64_t>(value));
    field = std::chrono::duration_cast<T>(Milliseconds(count));
  } else if constexpr (std::same_as<T, MqttVersion>) {
    field = std::get<std::string>(value) == "5" ? MqttVersion::v5 : MqttVersion::v311;
  } else if constexpr (std::same_as<T, WhenFull>) {
    field = static_cast<WhenFull>(index_of(kWhenFull, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, OnFault>) {
    field = static_cast<OnFault>(index_of(kOnFault, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, Transport>) {
    field = static_cast<Transport>(index_of(kTransport, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, MqttEngine>) {
    field = static_cast<MqttEngine>(index_of(kEngine, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, MetricsFormat>) {
    field = static_cast<MetricsFormat>(index_of(kMetricsFormat, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, Use>) {
    field = static_cast<Use>(index_of(kUse, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, WhenMetered>) {
    field = static_cast<WhenMetered>(index_of(kWhenMetered, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, LogLevel>) {
    field = static_cast<LogLevel>(index_of(kLogLevel, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, LogFormat>) {
    field = static_cast<LogFormat>(index_of(kLogFormat, std::get<std::string>(value)));
  } else if constexpr (std::same_as<T, Qos> || std::unsigned_integral<T>) {
    field = static_cast<T>(std::get<std::uint64_t>(value));
  } else if constexpr (std::same_as<T, std::vector<std::string>>) {
    field = std::get<std::vector<std::string>>(value);
  } else {
    field = std::get<std::string>(value);
  }
}

// --- rows: a key whose field is reached through one, or two, member pointers ---

template <auto Member>
constexpr ConfigKey row(std::string_view name, KeyKind kind, std::uint64_t min, std::uint64_t max) {
  return {{name, kind, min, max},
          [](Config& config, const KeyValue& value) { from_value(config.*Member, value); },
          [](const Config& config) -> std::optional<KeyValue> { return to_value(config.*Member); }};
}

template <auto Outer, auto Member>
constexpr ConfigKey row(std::string_view name, KeyKind kind, std::uint64_t min, std::uint64_t max) {
  return {{name, kind, min, max},
          [](Config& config, const KeyValue& value) { from_value(config.*Outer.*Member, value); },
          [](const Config& config) -> std::optional<KeyValue> {
            return to_value(config.*Outer.*Member);
          }};
}

/// A field of an optional part, which comes into being with its first key.
template <auto Outer, auto Member>
constexpr ConfigKey optional_row(std::string_view name, KeyKind kind, std::uint64_t min,
                                 std::uint64_t max) {
  return {{name, kind, min, max},
          [](Config& config, const KeyValue& value) {
            auto& part = config.*Outer;
            if (!part) part.emplace();
            from_value(*part.*Member, value);
          },
          [](const Config& config) -> std::optional<KeyValue> {
            const auto& part = config.*Outer;
            if (!part) return std::nullopt;
            return to_value(*part.*Member);
          }};
}

/// A field that may be absent, of an optional part.
template <auto Outer, auto Member>
constexpr ConfigKey absent_row(std::string_view name, KeyKind kind, std::uint64_t min,
                               std::uint64_t max) {
  return {{name, kind, min, max},
          [](Config& config, const KeyValue& value) {
            auto& part = config.*Outer;
            if (!part) part.emplace();
            from_value((*part.*Member).emplace(), value);
          },
          [](const Config& config) -> std::optional<KeyValue> {
            const auto& part = config.*Outer;
            if (!part || !(*part.*Member)) return std::nullopt;
            return to_value(*(*part.*Member));
          }};
}

/// The level of one area; absent: log.level.
template <LogArea Area>
constexpr ConfigKey area_row(std::string_view name) {
  return {{name, KeyKind::log_level, 0, 0},
          [](Config& config, const KeyValue& value) { from_value(config.log.areas[Area], value); },
          [](const Config& config) -> std::optional<KeyValue> {
            const auto found = config.log.areas.find(Area);
            if (found == config.log.areas.end()) return std::nullopt;
            return to_value(found->second);
          }};
}

using K = KeyKind;
using Timing = Config::Timing;
using Limits = Config::Limits;
using Outbox = Config::Outbox;
using Metrics = Config::Metrics;
using SafeMode = Config::SafeMode;
using Watchdog = Config::Watchdog;
using PowerRules = Config::Power;
using Guards = Config::Guards;
using Provisioning = Config::Provisioning;
constexpr auto kMetrics = &Config::metrics;
constexpr auto kProvisioning = &Config::provisioning;
using Failover = Config::Failover;
using Failback = Config::Failback;
using Network = Config::Network;
constexpr auto kNetwork = &Config::network;
using Escalation = Config::Escalation;
constexpr auto kEscalation = &Config::escalation;
constexpr auto kFailover = &Config::failover;
constexpr auto kFailback = &Config::failback;
using Log = Config::Log;
constexpr auto kLog = &Config::log;
constexpr auto kProxy = &Config::proxy;
constexpr auto kSigV4 = &Config::sigv4;
constexpr auto kTls = &Config::tls;
constexpr auto kTiming = &Config::timing;
constexpr auto kLimits = &Config::limits;
constexpr auto kWatchdog = &Config::watchdog;
constexpr auto kPower = &Config::power;
constexpr auto kGuards = &Config::guards;
constexpr auto kWill = &Config::will;
constexpr auto kBirth = &Config::birth;
constexpr std::uint64_t kExpiryMax = std::uint64_t{0xFFFFFFFF} * kSecond;  // four bytes in MQTT 5

constexpr std::array kKeys{
    row<&Config::name>("connection.name", K::text, 1, limits::kEndpointNameMax),
    row<&Config::host>("connection.host", K::text, 1, 253),
    row<&Config::port>("connection.port", K::count, 1, 65535),
    row<&Config::client_id>("connection.client_id", K::text, 0, limits::kClientIdMax),
    row<&Config::assigned_client_id>("connection.assigned_client_id", K::boolean, 0, 0),
    row<&Config::username>("connection.username", K::text, 0, kTextMax),
    row<&Config::password_file>("connection.password_file", K::path, 0, kPathMax),
    row<&Config::engine>("connection.engine", K::engine, 0, 0),
    row<&Config::mqtt_version>("connection.mqtt_version", K::version, 0, 0),
    row<&Config::keep_alive>("connection.keep_alive", K::seconds, kSecond, 65535 * kSecond),
    row<&Config::session_expiry>("connection.session_expiry", K::seconds, 0, kExpiryMax),
    row<&Config::clean_start>("connection.clean_start", K::boolean, 0, 0),
    row<&Config::topic_prefix>("connection.topic_prefix", K::text, 0, limits::kTopicPrefixMax),
    row<&Config::topic_aliases>("connection.topic_aliases", K::count, 0, limits::kTopicAliasesMax),
    row<&Config::transport>("connection.transport", K::transport, 0, 0),
    row<&Config::websocket_path>("connection.websocket_path", K::text, 1, kTextMax),
    optional_row<kWill, &StatusMessage::topic>("connection.will.topic", K::text, 1,
                                               limits::kTopicMax),
    optional_row<kWill, &StatusMessage::payload>("connection.will.payload", K::text, 0, kTextMax),
    optional_row<kWill, &StatusMessage::qos>("connection.will.qos", K::qos, 0, 1),
    optional_row<kWill, &StatusMessage::retain>("connection.will.retain", K::boolean, 0, 0),
    optional_row<kWill, &StatusMessage::content_type>("connection.will.content_type", K::text, 0,
                                                      limits::kContentTypeMax),
    absent_row<kWill, &StatusMessage::expiry>("connection.will.expiry", K::seconds, kSecond,
                                              kExpiryMax),
    optional_row<kWill, &StatusMessage::user_properties>("connection.will.user_properties",
                                                         K::pairs, 0, limits::kStatusPropertiesMax),
    optional_row<kWill, &StatusMessage::on_stop>("connection.will.on_stop", K::boolean, 0, 0),
    optional_row<kWill, &StatusMessage::delay>("connection.will.delay", K::seconds, 0, kExpiryMax),
    optional_row<kBirth, &StatusMessage::topic>("connection.birth.topic", K::text, 1,
                                                limits::kTopicMax),
    optional_row<kBirth, &StatusMessage::payload>("connection.birth.payload", K::text, 0, kTextMax),
    optional_row<kBirth, &StatusMessage::qos>("connection.birth.qos", K::qos, 0, 1),
    optional_row<kBirth, &StatusMessage::retain>("connection.birth.retain", K::boolean, 0, 0),
    optional_row<kBirth, &StatusMessage::content_type>("connection.birth.content_type", K::text, 0,
                                                       limits::kContentTypeMax),
    absent_row<kBirth, &StatusMessage::expiry>("connection.birth.expiry", K::seconds, kSecond,
                                               kExpiryMax),
    optional_row<kBirth, &StatusMessage::user_properties>(
        "connection.birth.user_properties", K::pairs, 0, limits::kStatusPropertiesMax),

    row<kProxy, &ProxyConfig::host>("proxy.host", K::text, 0, 253),
    row<kProxy, &ProxyConfig::port>("proxy.port", K::count, 1, 65535),
    row<kProxy, &ProxyConfig::username>("proxy.username", K::text, 0, 255),
    row<kProxy, &ProxyConfig::password_file>("proxy.password_file", K::path, 0, kPathMax),

    row<kSigV4, &SigV4Config::credentials_file>("sigv4.credentials_file", K::path, 0, kPathMax),
    row<kSigV4, &SigV4Config::profile>("sigv4.profile", K::text, 1, 255),
    row<kSigV4, &SigV4Config::region>("sigv4.region", K::text, 0, 63),
    row<kSigV4, &SigV4Config::role_alias>("sigv4.role_alias", K::text, 0, 128),
    row<kSigV4, &SigV4Config::provider_host>("sigv4.provider_host", K::text, 0, 253),
    row<kSigV4, &SigV4Config::provider_port>("sigv4.provider_port", K::count, 1, 65535),
    row<kSigV4, &SigV4Config::thing_name>("sigv4.thing_name", K::text, 0, 128),

    row<kTls, &TlsConfig::enabled>("tls.enabled", K::boolean, 0, 0),
    row<kTls, &TlsConfig::ca_file>("tls.ca_file", K::path, 0, kPathMax),
    row<kTls, &TlsConfig::cert_file>("tls.cert_file", K::path, 0, kPathMax),
    row<kTls, &TlsConfig::key_file>("tls.key_file", K::path, 0, kPathMax),
    row<kTls, &TlsConfig::key_uri>("tls.key_uri", K::text, 0, kPathMax),
    row<kTls, &TlsConfig::pin_file>("tls.pin_file", K::path, 0, kPathMax),
    row<kTls, &TlsConfig::pkcs11_module>("tls.pkcs11_module", K::path, 0, kPathMax),
    row<kTls, &TlsConfig::server_name>("tls.server_name", K::text, 0, 253),
    row<kTls, &TlsConfig::alpn>("tls.alpn", K::text, 0, 255),
    row<kTls, &TlsConfig::just_in_time>("tls.just_in_time", K::boolean, 0, 0),
    row<&Config::identity, &Config::Identity::directory>("identity.directory", K::path, 0,
                                                         kPathMax),

    row<kFailover, &Failover::after>("failover.after", K::duration, kSecond, 24 * kHour),
    row<kFailover, &Failover::spread>("failover.spread", K::duration, 0, 24 * kHour),
    row<kFailover, &Failover::follow_dns>("failover.follow_dns", K::duration, 0, 24 * kHour),
    row<kFailback, &Failback::automatic>("failback.automatic", K::boolean, 0, 0),
    row<kFailback, &Failback::healthy_for>("failback.healthy_for", K::duration, kSecond,
                                           7 * 24 * kHour),
    row<kFailback, &Failback::probe_every>("failback.probe_every", K::duration, kSecond, kHour),
    row<kFailback, &Failback::fleet_size>("failback.fleet_size", K::count, 1, 1'000'000'000),
    row<kFailback, &Failback::connect_quota>("failback.connect_quota", K::count, 1, 1'000'000),

    row<kProvisioning, &Provisioning::template_name>("provisioning.template", K::text, 0, 36),
    row<kProvisioning, &Provisioning::claim_certificate>("provisioning.claim_certificate", K::path,
                                                         0, kPathMax),
    row<kProvisioning, &Provisioning::claim_key>("provisioning.claim_key", K::path, 0, kPathMax),
    row<kProvisioning, &Provisioning::claim_file>("provisioning.claim_file", K::path, 0, kPathMax),
    row<kProvisioning, &Provisioning::csr>("provisioning.csr", K::boolean, 0, 0),
    row<kProvisioning, &Provisioning::retire_claim>("provisioning.retire_claim", K::boolean, 0, 0),
    row<kProvisioning, &Provisioning::renew_every>("provisioning.renew_every", K::seconds, 0,
                                                   kRenewEveryMax),
    row<kProvisioning, &Provisioning::client_id>("provisioning.client_id", K::text, 0,
                                                 limits::kClientIdMax),
    row<kProvisioning, &Provisioning::parameters>("provisioning.parameters", K::pairs, 0,
                                                  limits::kProvisioningParametersMax),

    row<kNetwork, &Network::manager>("network.manager", K::use, 0, 0),
    row<kNetwork, &Network::modems>("network.modems", K::use, 0, 0),
    row<kNetwork, &Network::roaming_is_metered>("network.roaming_is_metered", K::boolean, 0, 0),

    row<kEscalation, &Escalation::steps>("escalation.steps", K::names, 0, 4),
    row<kEscalation, &Escalation::reference_hosts>("escalation.reference_hosts", K::names, 0, 8),
    row<kEscalation, &Escalation::after>("escalation.after", K::seconds, 5 * kSecond, 24 * kHour),
    row<kEscalation, &Escalation::modem_resets_per_day>("escalation.modem_resets_per_day", K::count,
                                                        0, 24),
    row<kEscalation, &Escalation::reboots_per_day>("escalation.reboots_per_day", K::count, 0, 24),

    row<&Config::history_topic>("history.topic", K::text, 0, limits::kTopicMax),

    row<kTiming, &Timing::resolve>("timing.resolve", K::duration, 100, 10 * kMinute),
    row<kTiming, &Timing::connect>("timing.connect", K::duration, 100, 10 * kMinute),
    row<kTiming, &Timing::connack>("timing.connack", K::duration, 100, 10 * kMinute),
    row<kTiming, &Timing::silent_after>("timing.silent_after", K::duration, kSecond, kHour),
    row<kTiming, &Timing::backoff_first>("timing.backoff_first", K::duration, 100, kHour),
    row<kTiming, &Timing::backoff_cap>("timing.backoff_cap", K::duration, 100, 24 * kHour),
    row<kTiming, &Timing::stable_after>("timing.stable_after", K::duration, 0, 24 * kHour),
    row<kTiming, &Timing::health_interval>("timing.health_interval", K::duration, 100, kHour),
    row<kTiming, &Timing::stop_deadline>("timing.stop_deadline", K::duration, 100, 10 * kMinute),
    row<kTiming, &Timing::callback_alarm>("timing.callback_alarm", K::duration, 1, kHour),
    row<kTiming, &Timing::verify_subscriptions>("timing.verify_subscriptions", K::duration, 0,
                                                30 * 24 * kHour),

    row<&Config::max_in_flight>("flow.max_in_flight", K::count, 1, limits::kInFlightMax),
    row<&Config::messages_per_second>("flow.messages_per_second", K::count, 0, 1000000),
    row<&Config::bytes_per_second>("flow.bytes_per_second", K::size, 0, 1024 * kMiB),
    row<&Config::lanes>("flow.lanes", K::names, 1, limits::kLanesMax),
    row<&Config::denied_for>("flow.denied_for", K::seconds, 0, kExpiryMax),
    row<&Config::id_property>("flow.id_property", K::text, 0, 64),
    row<&Config::filter_duplicates>("flow.filter_duplicates", K::boolean, 0, 0),
    row<&Config::response_topic>("flow.response_topic", K::text, 0, limits::kTopicMax),

    row<kLimits, &Limits::payload>("limits.payload", K::size, 1, limits::kPayloadMax),
    row<kLimits, &Limits::topic>("limits.topic", K::size, 1, limits::kTopicMax),
    row<kLimits, &Limits::topic_levels>("limits.topic_levels", K::count, 1, limits::kTopicMax),
    row<kLimits, &Limits::subscriptions>("limits.subscriptions", K::count, 1,
                                         limits::kSubscriptionsMax),
    row<kLimits, &Limits::memory>("limits.memory", K::size, 64 * kKiB, 1024 * kMiB),
    row<kLimits, &Limits::receipts>("limits.receipts", K::count, 0, limits::kReceiptsMax),

    row<&Config::outbox, &Outbox::directory>("outbox.directory", K::path, 1, kPathMax),
    row<&Config::outbox, &Outbox::max_bytes>("outbox.max_size", K::size, limits::kOutboxMin,
                                             limits::kOutboxMax),
    row<&Config::outbox, &Outbox::preallocate>("outbox.preallocate", K::boolean, 0, 0),
    row<&Config::outbox, &Outbox::always_pad>("outbox.always_pad", K::boolean, 0, 0),
    row<&Config::outbox, &Outbox::ack_flush>("outbox.ack_flush", K::duration, 0, kHour),
    row<&Config::outbox, &Outbox::spill_after>("outbox.spill_after", K::duration, kSecond,
                                               24 * kHour),
    row<&Config::outbox, &Outbox::on_fault>("outbox.on_fault", K::on_fault, 0, 0),
    row<&Config::outbox, &Outbox::encrypt>("outbox.encrypt", K::boolean, 0, 0),
    row<&Config::outbox, &Outbox::key_file>("outbox.key_file", K::path, 0, kPathMax),
    row<&Config::outbox, &Outbox::previous_key_file>("outbox.previous_key_file", K::path, 0,
                                                     kPathMax),

    // sockaddr_un holds 108 bytes, the last of them NUL (unix(7)).
    row<&Config::local_socket>("local.socket", K::path, 0, 107),
    row<&Config::safe_mode, &SafeMode::crashes>("safe_mode.crashes", K::count, 0,
                                                health::kCrashesMax),
    row<&Config::safe_mode, &SafeMode::window>("safe_mode.window", K::seconds, kSecond, 24 * kHour),
    row<&Config::safe_mode, &SafeMode::lasts>("safe_mode.lasts", K::seconds, kSecond, 24 * kHour),
    row<kWatchdog, &Watchdog::device>("watchdog.device", K::path, 0, kPathMax),
    row<kWatchdog, &Watchdog::timeout>("watchdog.timeout", K::seconds, kSecond, kHour),
    row<kWatchdog, &Watchdog::pretimeout>("watchdog.pretimeout", K::seconds, 0, kHour),
    row<kWatchdog, &Watchdog::opening>("watchdog.opening", K::seconds, kMinute, 24 * kHour),
    row<kWatchdog, &Watchdog::loop>("watchdog.loop", K::seconds, kSecond, 24 * kHour),
    row<kWatchdog, &Watchdog::engine>("watchdog.engine", K::seconds, kSecond, 24 * kHour),
    row<kWatchdog, &Watchdog::storage>("watchdog.storage", K::seconds, kSecond, 24 * kHour),
    row<kWatchdog, &Watchdog::callbacks>("watchdog.callbacks", K::seconds, kSecond, 24 * kHour),
    row<kWatchdog, &Watchdog::applications>("watchdog.applications", K::seconds, kSecond,
                                            24 * kHour),
    row<kWatchdog, &Watchdog::keep_armed>("watchdog.keep_armed", K::boolean, 0, 0),
    row<kPower, &PowerRules::nut>("power.nut", K::text, 0, 512),
    row<kPower, &PowerRules::supplies>("power.supplies", K::path, 0, kPathMax),
    row<kPower, &PowerRules::low_charge>("power.low_charge", K::count, 0, 100),
    row<kPower, &PowerRules::low_runtime>("power.low_runtime", K::seconds, 0, 24 * kHour),
    row<kPower, &PowerRules::on_battery_after>("power.on_battery_after", K::duration, 0, kHour),
    row<kPower, &PowerRules::back_after>("power.back_after", K::duration, 0, kHour),
    row<kPower, &PowerRules::topic>("power.topic", K::text, 0, limits::kTopicMax),
    row<kPower, &PowerRules::lane>("power.lane", K::text, 0, limits::kLaneNameMax),
    row<kPower, &PowerRules::battery_lanes>("power.battery_lanes", K::names, 0, limits::kLanesMax),
    row<kPower, &PowerRules::farewell>("power.farewell", K::duration, 0, 10 * kMinute),
    row<kPower, &PowerRules::command>("power.command", K::names, 0, limits::kCommandWords),
    row<kPower, &PowerRules::resume_after>("power.resume_after", K::duration, kSecond, 24 * kHour),
    row<kPower, &PowerRules::hold_up>("power.hold_up", K::duration, 0, kHour),
    row<kGuards, &Guards::every>("guards.every", K::seconds, 0, kHour),
    row<kGuards, &Guards::lasts>("guards.lasts", K::seconds, 0, kHour),
    row<kGuards, &Guards::memory>("guards.memory", K::count, 0, 100),
    row<kGuards, &Guards::io>("guards.io", K::count, 0, 100),
    row<kGuards, &Guards::temperature>("guards.temperature", K::count, 0, 200),
    row<kGuards, &Guards::disk>("guards.disk", K::count, 0, 100),
    row<kGuards, &Guards::flash>("guards.flash", K::count, 0, 110),
    row<kGuards, &Guards::topic>("guards.topic", K::text, 0, limits::kTopicMax),
    row<kMetrics, &Metrics::listen>("metrics.listen", K::text, 0, kPathMax),
    row<kMetrics, &Metrics::allow_remote>("metrics.allow_remote", K::boolean, 0, 0),
    row<kMetrics, &Metrics::publish_every>("metrics.publish_every", K::seconds, 0, 24 * kHour),
    row<kMetrics, &Metrics::format>("metrics.format", K::metrics, 0, 0),
    row<kMetrics, &Metrics::topic>("metrics.topic", K::text, 0, limits::kTopicMax),
    row<&Config::page, &Config::Page::listen>("page.listen", K::text, 0, kPathMax),
    row<&Config::page, &Config::Page::token_file>("page.token_file", K::path, 0, kPathMax),
    row<kLog, &Log::level>("log.level", K::log_level, 0, 0),
    row<kLog, &Log::format>("log.format", K::log_format, 0, 0),
    row<kLog, &Log::lines_per_hour>("log.lines_per_hour", K::count, limits::kLogHourMin,
                                    limits::kLogHourMax),
    row<kLog, &Log::file>("log.file", K::path, 0, kPathMax),
    row<kLog, &Log::max_size>("log.max_size", K::size, limits::kLogFileMin, limits::kLogFileMax),
    row<kLog, &Log::keep>("log.keep", K::count, 0, limits::kLogFilesMax),
    row<kLog, &Log::topic>("log.topic", K::text, 0, limits::kTopicMax),
    row<kLog, &Log::command_topic>("log.command_topic", K::text, 0, limits::kTopicMax),
    area_row<LogArea::agent>("log.areas.agent"),
    area_row<LogArea::connection>("log.areas.connection"),
    area_row<LogArea::engine>("log.areas.engine"),
    area_row<LogArea::flow>("log.areas.flow"),
    area_row<LogArea::outbox>("log.areas.outbox"),
    area_row<LogArea::identity>("log.areas.identity"),
    area_row<LogArea::provisioning>("log.areas.provisioning"),
    area_row<LogArea::local_api>("log.areas.local-api"),
    area_row<LogArea::callbacks>("log.areas.callbacks"),
    area_row<LogArea::health>("log.areas.health"),
};

template <class Rules, auto Member>
constexpr NamedKey<Rules> named_row(std::string_view name, KeyKind kind, std::uint64_t min,
                                    std::uint64_t max) {
  return {{name, kind, min, max},
          [](Rules& rules, const KeyValue& value) { from_value(rules.*Member, value); },
          [](const Rules& rules) { return to_value(rules.*Member); }};
}

template <auto Member>
constexpr LaneKey lane_row(std::string_view name, KeyKind kind, std::uint64_t min,
                           std::uint64_t max) {
  return named_row<LaneRules, Member>(name, kind, min, max);
}

constexpr std::array kLaneKeys{
    lane_row<&LaneRules::max_bytes>("max_size", K::size, 0, limits::kOutboxMax),
    lane_row<&LaneRules::max_messages>("max_messages", K::count, 0, 1'000'000'000),
    lane_row<&LaneRules::max_age>("max_age", K::seconds, 0, kExpiryMax),
    lane_row<&LaneRules::when_full>("when_full", K::when_full, 0, 0),
    lane_row<&LaneRules::conflate>("conflate", K::boolean, 0, 0),
    lane_row<&LaneRules::metered>("metered", K::metered, 0, 0),
};

template <auto Member>
constexpr ClientKey client_row(std::string_view name, KeyKind kind, std::uint64_t min,
                               std::uint64_t max) {
  return named_row<ClientRules, Member>(name, kind, min, max);
}

constexpr std::array kClientKeys{
    client_row<&ClientRules::user>("user", K::text, 0, kAccountNameMax),
    client_row<&ClientRules::group>("group", K::text, 0, kAccountNameMax),
    client_row<&ClientRules::publish>("publish", K::names, 0, limits::kClientFiltersMax),
    client_row<&ClientRules::subscribe>("subscribe", K::names, 0, limits::kClientFiltersMax),
    client_row<&ClientRules::lanes>("lanes", K::names, 0, limits::kLanesMax),
    client_row<&ClientRules::heartbeats>("heartbeats", K::names, 0, limits::kHeartbeats),
    client_row<&ClientRules::messages_per_second>("messages_per_second", K::count, 0, 1'000'000),
    client_row<&ClientRules::control>("control", K::boolean, 0, 0),
};

constexpr std::array kHeartbeatKeys{
    named_row<HeartbeatRules, &HeartbeatRules::every>("every", K::duration, limits::kHeartbeatMinMs,
                                                      limits::kHeartbeatMaxMs),
    named_row<HeartbeatRules, &HeartbeatRules::watchdog>("watchdog", K::boolean, 0, 0),
};

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array kTimeUnits{Unit{"h", kHour}, Unit{"m", kMinute}, Unit{"s", kSecond},
                                Unit{"ms", 1}};
constexpr std::array kSizeUnits{Unit{"GiB", 1024 * kMiB}, Unit{"MiB", kMiB}, Unit{"KiB", kKiB},
                                Unit{"B", 1}};

std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  if (text.empty() || failure != std::errc{} || stop != end) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> parse_units(std::string_view text, std::span<const Unit> units) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, digits));
  if (!number) return std::nullopt;
  if (text == "0") return 0;  // nothing is nothing in every unit
  const auto unit = std::find_if(units.begin(), units.end(),
                                 [&](const Unit& u) { return u.name == text.substr(digits); });
  if (unit == units.end()) return std::nullopt;
  if (*number > std::numeric_limits<std::int64_t>::max() / unit->factor) return std::nullopt;
  return *number * unit->factor;
}

std::string format_units(std::uint64_t number, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (number >= unit.factor && number % unit.factor == 0) {
      return std::to_string(number / unit.factor) + std::string(unit.name);
    }
  }
  return std::to_string(number);  // never reached: the smallest unit divides everything
}

/// Levenshtein's distance, on a pair of short names.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string_view section_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : name.substr(0, dot);
}

std::string_view leaf_of(std::string_view name) { return name.substr(name.rfind('.') + 1); }

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    names.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return names;
}

Error not_expected(const KeySpec& key, std::string_view text) {
  return {Errc::invalid_config, "is " + in_quotes(text) + "; give " + expectation(key)};
}

}  // namespace

std::span<const ConfigKey> config_keys() noexcept { return kKeys; }

const ConfigKey* find_key(std::string_view name) noexcept {
  const auto found = std::find_if(kKeys.begin(), kKeys.end(),
                                  [&](const ConfigKey& key) { return key.name == name; });
  return found == kKeys.end() ? nullptr : &*found;
}

bool is_section(std::string_view name) noexcept {
  return std::any_of(kKeys.begin(), kKeys.end(), [&](const ConfigKey& key) {
    return !name.empty() && key.name.size() > name.size() && key.name.starts_with(name) &&
           key.name[name.size()] == '.';
  });
}

std::span<const LaneKey> lane_keys() noexcept { return kLaneKeys; }

std::span<const ClientKey> client_keys() noexcept { return kClientKeys; }

std::span<const HeartbeatKey> heartbeat_keys() noexcept { return kHeartbeatKeys; }

std::optional<std::uint64_t> parse_duration(std::string_view text) noexcept {
  return parse_units(text, kTimeUnits);
}

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
  return parse_units(text, kSizeUnits);
}

std::string format_duration(std::uint64_t milliseconds) {
  return milliseconds == 0 ? "0s" : format_units(milliseconds, kTimeUnits);
}

std::string format_size(std::uint64_t bytes) {
  return bytes == 0 ? "0B" : format_units(bytes, kSizeUnits);
}

Result<KeyValue> parse_value(const KeySpec& key, std::string_view text) {
  std::optional<KeyValue> value;
  switch (key.kind) {
    case KeyKind::text:
    case KeyKind::path:
      value = std::string(text);
      break;
    case KeyKind::boolean:
      if (text == "true" || text == "false") value = text == "true";
      break;
    case KeyKind::count:
    case KeyKind::qos:
      if (const auto number = parse_number(text)) value = *number;
      break;
    case KeyKind::duration:
    case KeyKind::seconds:
      if (const auto duration = parse_duration(text)) value = *duration;
      break;
    case KeyKind::size:
      if (const auto size = parse_size(text)) value = *size;
      break;
    case KeyKind::version:
      if (text == "5" || text == "3.1.1") value = std::string(text);
      break;
    case KeyKind::names:
    case KeyKind::pairs:
      value = split_names(text);
      break;
    case KeyKind::when_full:
    case KeyKind::on_fault:
    case KeyKind::transport:
    case KeyKind::engine:
    case KeyKind::metrics:
    case KeyKind::use:
    case KeyKind::metered:
    case KeyKind::log_level:
    case KeyKind::log_format:
      if (index_of(words_of(key.kind), text) < words_of(key.kind).size()) value = std::string(text);
      break;
  }
  if (!value) return not_expected(key, text);
  return *std::move(value);
}

std::string check_range(const KeySpec& key, const KeyValue& value) {
  std::uint64_t measure = 0;
  std::string shown;
  if (const auto* number = std::get_if<std::uint64_t>(&value)) {
    measure = *number;
    const bool time = key.kind == KeyKind::duration || key.kind == KeyKind::seconds;
    shown = time                        ? format_duration(measure)
            : key.kind == KeyKind::size ? format_size(measure)
                                        : std::to_string(measure);
    if (key.kind == KeyKind::seconds && measure % kSecond != 0) {
      return "is " + shown + "; give " + expectation(key);
    }
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    if (key.kind == KeyKind::version || !words_of(key.kind).empty()) return {};
    measure = text->size();
    shown = std::to_string(measure) + " bytes long";
    if (measure == 0) shown = "empty";
  } else if (const auto* names = std::get_if<std::vector<std::string>>(&value)) {
    measure = names->size();
    shown = "a list of " + std::to_string(measure);
    for (const std::string& one : *names) {
      if (key.kind != KeyKind::pairs || one.find('=') != std::string::npos) continue;
      return "has " + in_quotes(one) + "; give " + expectation(key);
    }
  } else {
    return {};
  }
  if (measure >= key.min && measure <= key.max) return {};
  return "is " + shown + "; give " + expectation(key);
}

std::string expectation(const KeySpec& key) {
  const auto range = [&](auto&& format) { return format(key.min) + " to " + format(key.max); };
  const auto plain = [](std::uint64_t number) { return std::to_string(number); };
  switch (key.kind) {
    case KeyKind::text:
      return "a text of " + range(plain) + " bytes, in quotes";
    case KeyKind::path:
      return "a path of " + range(plain) + " bytes, in quotes";
    case KeyKind::boolean:
      return "true or false";
    case KeyKind::count:
      return "a whole number, " + range(plain);
    case KeyKind::duration:
      return "a duration such as \"30s\", " + range(format_duration);
    case KeyKind::seconds:
      return "a duration in whole seconds such as \"30s\", " + range(format_duration);
    case KeyKind::size:
      return "a size such as \"128KiB\", " + range(format_size);
    case KeyKind::qos:
      return "0 or 1 (QoS 2 is not offered)";
    case KeyKind::version:
      return "\"5\" or \"3.1.1\"";
    case KeyKind::names:
      return "a list of " + range(plain) + " names such as [\"normal\"]";
    case KeyKind::pairs:
      return "a list of " + range(plain) + " texts such as [\"name=value\"]";
    case KeyKind::when_full:
    case KeyKind::on_fault:
    case KeyKind::transport:
    case KeyKind::engine:
    case KeyKind::metrics:
    case KeyKind::use:
    case KeyKind::metered:
    case KeyKind::log_level:
    case KeyKind::log_format:
      return join_words(words_of(key.kind));
  }
  return {};
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kShownMax)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte >= 0x7F ? '?' : c;
  }
  out += text.size() > kShownMax ? "…\"" : "\"";
  return out;
}

std::string_view nearest_name(std::string_view name) {
  if (name.size() > 2 * kShownMax) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, leaf_of(name).size() / 3) + 1;
  const auto consider = [&](std::string_view candidate, std::size_t bonus) {
    const std::size_t found = distance(name, candidate) + bonus;
    if (found < best_distance) {
      best = candidate;
      best_distance = found;
    }
  };
  for (const ConfigKey& key : kKeys) consider(key.name, 0);
  for (const ConfigKey& key : kKeys) consider(section_of(key.name), 0);
  if (!best.empty()) return best;
  // The right key in the wrong section.
  for (const ConfigKey& key : kKeys) {
    if (leaf_of(key.name) == leaf_of(name)) return key.name;
  }
  return {};
}

bool apply_profile(std::string_view profile, Config& config) {
  if (profile == "aws-iot-core") return true;  // Config's own defaults are its rules
  if (profile == "generic") {
    config.messages_per_second = 0;
    config.bytes_per_second = 0;
    config.limits.topic = limits::kTopicMax;
    config.limits.topic_levels = 128;
    config.metrics.format = MetricsFormat::json;
    return true;
  }
  if (profile == "device-advisor") {
    config.timing.backoff_cap = Milliseconds(8 * kSecond);
    config.keep_alive = Seconds(30);
    return true;
  }
  return false;
}

}  // namespace holdfast::runtime
