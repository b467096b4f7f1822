// What is wrong with a Config, as far as can be known without the network (see config_file.h).
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>

#include "base/limits.h"
#include "base/utf8.h"
#include "device/admission.h"
#include "engines/engine_list.h"
#include "flow/topic.h"
#include "health/escalation.h"
#include "health/heartbeats.h"
#include "host/nut_client.h"
#include "posix/os_error.h"
#include "runtime/config_endpoints.h"
#include "runtime/config_file.h"
#include "runtime/config_keys.h"
#include "runtime/escalator.h"
#include "runtime/logins.h"
#include "runtime/metrics_config.h"
#include "runtime/outbox_keys.h"
#include "runtime/page_service.h"
#include "transport/sigv4.h"
#include "transport/tpm_key.h"
#include "transport/transport.h"

namespace holdfast::runtime {
namespace {

/// More often would be work for the broker and not for safety.
constexpr Milliseconds kVerifyMin{60000};

namespace fs = std::filesystem;
using Problems = std::vector<ConfigProblem>;

/// Lengths of optional texts are in the table; these must be given.
void check_required(const Config& config, Problems& problems) {
  const auto require = [&](bool given, std::string_view key, std::string_view what) {
    if (!given) problems.push_back({std::string(key), "is missing; give " + std::string(what)});
  };
  require(!config.host.empty(), "connection.host", "the broker's name or address");
  // Provisioning names the thing, and that is the client id then.
  require(!config.client_id.empty() || config.assigned_client_id || config.provisioning.wanted(),
          "connection.client_id", "a name that no other client of this broker has");
  require(!config.outbox.directory.empty(), "outbox.directory",
          "a directory of this device's own, such as \"/var/lib/holdfast\"");
  require(!config.will || !config.will->topic.empty(), "connection.will.topic", "a topic");
  require(!config.birth || !config.birth->topic.empty(), "connection.birth.topic", "a topic");
}

void check_ranges(const Config& config, Problems& problems) {
  for (const ConfigKey& key : config_keys()) {
    const std::optional<KeyValue> value = key.get(config);
    if (!value) continue;
    const bool reported = std::any_of(problems.begin(), problems.end(),
                                      [&](const ConfigProblem& p) { return p.key == key.name; });
    std::string wrong = check_range(key, *value);
    if (!wrong.empty() && !reported) problems.push_back({std::string(key.name), std::move(wrong)});
  }
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

/// What to give instead; empty if it can be a host.
std::string wrong_host(std::string_view host, std::string_view port_key) {
  if (host.find("://") != std::string_view::npos || host.find('/') != std::string_view::npos) {
    return "give the name alone, without mqtts:// or a path";
  }
  if (host.find_first_of(" \t[]") != std::string_view::npos || has_control(host)) {
    return "give a host name or address without blanks or brackets";
  }
  if (std::count(host.begin(), host.end(), ':') == 1) {
    return "give the port in " + std::string(port_key) + " instead";
  }
  return {};
}

/// What may stand in a request line (RFC 9112 section 3.2.1).
bool valid_path(std::string_view path) {
  return path.starts_with('/') && std::all_of(path.begin(), path.end(), [](char c) {
           return c > ' ' && c <= '~' && c != '#';
         });
}

void check_texts(const Config& config, Problems& problems) {
  const auto check_host = [&](std::string_view key, const std::string& host,
                              std::string_view port_key) {
    std::string wrong = wrong_host(host, port_key);
    if (wrong.empty()) return;
    problems.push_back({std::string(key), "is " + in_quotes(host) + "; " + std::move(wrong)});
  };
  check_host("connection.host", config.host, "connection.port");
  const auto check_text = [&](std::string_view key, const std::string& text) {
    if (valid_utf8(text) && !has_control(text)) return;
    problems.push_back({std::string(key), "has bytes that are no UTF-8 text; remove them"});
  };
  check_text("connection.client_id", config.client_id);
  check_text("connection.username", config.username);
  check_text("proxy.username", config.proxy.username);
  check_host("proxy.host", config.proxy.host, "proxy.port");
  check_host("sigv4.provider_host", config.sigv4.provider_host, "sigv4.provider_port");
  if (!config.websocket_path.empty() && !valid_path(config.websocket_path)) {
    problems.push_back(
        {"connection.websocket_path",
         "is " + in_quotes(config.websocket_path) +
             "; give a path that begins with / and has no blanks, such as \"/mqtt\""});
  }
  check_text("sigv4.profile", config.sigv4.profile);
  check_text("tls.server_name", config.tls.server_name);
  check_text("tls.alpn", config.tls.alpn);
}

void check_assigned_id(const Config& config, Problems& problems) {
  if (!config.assigned_client_id) return;
  const std::string key = "connection.assigned_client_id";
  if (!config.client_id.empty()) {
    problems.push_back({key, "stands beside connection.client_id; give one of the two"});
  } else if (config.mqtt_version != MqttVersion::v5) {
    problems.push_back({key, "needs MQTT 5; give connection.client_id"});
  }
}

void check_relations(const Config& config, Problems& problems) {
  const auto& timing = config.timing;
  const auto duration = [](Milliseconds ms) {
    return format_duration(static_cast<std::uint64_t>(ms.count()));
  };
  if (timing.backoff_first > timing.backoff_cap) {
    problems.push_back({"timing.backoff_first", "is " + duration(timing.backoff_first) +
                                                    "; give at most timing.backoff_cap, " +
                                                    duration(timing.backoff_cap)});
  }
  if (timing.verify_subscriptions.count() != 0 && timing.verify_subscriptions < kVerifyMin) {
    problems.push_back({"timing.verify_subscriptions",
                        "is " + duration(timing.verify_subscriptions) +
                            "; give 0 for never, or at least " + duration(kVerifyMin)});
  }
  const auto& watchdog = config.watchdog;
  if (watchdog.pretimeout.count() != 0 && watchdog.pretimeout >= watchdog.timeout) {
    problems.push_back({"watchdog.pretimeout", "is " + duration(watchdog.pretimeout) +
                                                   "; give less than watchdog.timeout, " +
                                                   duration(watchdog.timeout)});
  }
  if (config.limits.memory < config.limits.payload) {
    problems.push_back({"limits.memory", "is " + format_size(config.limits.memory) +
                                             "; give at least limits.payload, " +
                                             format_size(config.limits.payload)});
  }
  if (!config.password_file.empty() && config.username.empty() &&
      config.mqtt_version == MqttVersion::v311) {
    problems.push_back(
        {"connection.password_file", "needs connection.username in MQTT 3.1.1; give that, too"});
  }
  if (!config.proxy.password_file.empty() && config.proxy.username.empty()) {
    problems.push_back({"proxy.password_file", "needs proxy.username; give that, too"});
  }
  if (config.outbox.encrypt && config.outbox.key_file.empty() && config.tls.key_file.empty()) {
    problems.push_back(
        {"outbox.key_file", "is missing; outbox.encrypt needs it where there is no tls.key_file"});
  }
}

void check_power(const Config& config, Problems& problems) {
  const Config::Power& power = config.power;
  const auto check_lane = [&](const std::string& key, const std::string& lane) {
    const auto& lanes = config.lanes;
    if (std::find(lanes.begin(), lanes.end(), lane) != lanes.end()) return;
    problems.push_back({key, "has " + in_quotes(lane) + "; give one of flow.lanes"});
  };
  if (!power.lane.empty()) check_lane("power.lane", power.lane);
  for (const std::string& lane : power.battery_lanes) check_lane("power.battery_lanes", lane);
  if (power.nut.empty()) return;
  const auto place = host::parse_nut_place(power.nut);
  if (!place) problems.push_back({"power.nut", in_quotes(power.nut) + " " + place.error().message});
}

bool has_key(const TlsConfig& tls) { return !tls.key_file.empty() || !tls.key_uri.empty(); }

void check_tls_key(const TlsConfig& tls, Problems& problems) {
  if (tls.cert_file.empty() && has_key(tls)) {
    problems.push_back({"tls.cert_file", "is missing; the private key needs its certificate"});
  } else if (!tls.cert_file.empty() && !has_key(tls)) {
    problems.push_back({"tls.key_file", "is missing; tls.cert_file needs its private key"});
  }
  if (tls.key_uri.empty()) {
    return;
  }
  if (!tls.key_file.empty()) {
    problems.push_back({"tls.key_uri", "stands beside tls.key_file; the key is in one place only"});
  }
  if (!tls.key_uri.starts_with("pkcs11:") && !tls.key_uri.starts_with(transport::kTpmHandle)) {
    problems.push_back({"tls.key_uri",
                        "begins with neither pkcs11: (RFC 7512) nor handle:; give such as "
                        "\"pkcs11:token=device;object=key\" or \"handle:0x81000001\""});
  }
  if (tls.key_uri.find("pin-") != std::string::npos) {
    problems.push_back({"tls.key_uri", "has a PIN, or its place; put the PIN into tls.pin_file"});
  }
}

void check_identity(const Config& config, Problems& problems) {
  if (config.identity.directory.empty()) {
    const bool unused = !config.tls.pin_file.empty() && !has_key(config.tls);
    if (unused) problems.push_back({"tls.pin_file", "needs tls.key_uri or tls.key_file"});
    return;
  }
  if (!config.tls.enabled) {
    problems.push_back({"identity.directory", "needs tls.enabled; certificates belong to TLS"});
  }
  if (!config.tls.key_uri.empty()) {
    problems.push_back({"identity.directory",
                        "stands beside tls.key_uri; a key in a token cannot move between slots"});
  }
  if (config.identity.directory == config.outbox.directory) {
    problems.push_back({"identity.directory", "is outbox.directory; give it one of its own"});
  }
}

bool is_template_name(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

/// Where the claim comes from: two files, or one.
void check_claim(const Config::Provisioning& wanted, Problems& problems) {
  const bool pair = !wanted.claim_certificate.empty() || !wanted.claim_key.empty();
  if (pair && !wanted.claim_file.empty()) {
    problems.push_back({"provisioning.claim_file",
                        "stands beside provisioning.claim_certificate or claim_key; the claim "
                        "comes from one place"});
  } else if (!pair && wanted.claim_file.empty()) {
    problems.push_back({"provisioning.claim_certificate",
                        "is missing; give the claim's certificate and "
                        "provisioning.claim_key, or provisioning.claim_file"});
  } else if (pair && wanted.claim_certificate.empty()) {
    problems.push_back({"provisioning.claim_certificate",
                        "is missing; provisioning.claim_key needs its certificate"});
  } else if (pair && wanted.claim_key.empty()) {
    problems.push_back({"provisioning.claim_key",
                        "is missing; provisioning.claim_certificate needs its private key"});
  }
}

void check_provisioning(const Config& config, Problems& problems) {
  const Config::Provisioning& wanted = config.provisioning;
  if (!wanted.wanted()) {
    const bool given = !wanted.claim_certificate.empty() || !wanted.claim_key.empty() ||
                       !wanted.claim_file.empty() || !wanted.client_id.empty() ||
                       !wanted.parameters.empty();
    if (given) {
      problems.push_back(
          {"provisioning.template", "is missing; give the name of the provisioning template"});
    }
    return;
  }
  if (!is_template_name(wanted.template_name)) {
    problems.push_back({"provisioning.template", "is " + in_quotes(wanted.template_name) +
                                                     "; give a name of letters, digits, _ and -"});
  }
  if (config.identity.directory.empty()) {
    problems.push_back(
        {"identity.directory", "is missing; provisioning needs a directory for the certificate"});
  }
  check_claim(wanted, problems);
  for (const auto& [name, value] : wanted.parameters) {
    if (!name.empty() && valid_utf8(name) && valid_utf8(value) && !has_control(name + value)) {
      continue;
    }
    problems.push_back(
        {"provisioning.parameters", "has a name or value that is empty or no text; mend it"});
  }
}

/// AWS allows these in names of role aliases and things, and none of them has to be encoded.
bool plain_name(std::string_view name, std::string_view marks) {
  return std::all_of(name.begin(), name.end(), [marks](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           marks.find(c) != std::string_view::npos;
  });
}

void check_role_alias(const Config& config, Problems& problems) {
  const SigV4Config& sigv4 = config.sigv4;
  const auto refuse = [&](const std::string& key, const std::string& text) {
    problems.push_back({"sigv4." + key, text});
  };
  if (!plain_name(sigv4.role_alias, "_=,@-")) {
    refuse("role_alias", "is " + in_quotes(sigv4.role_alias) +
                             "; give the alias's name, of letters, digits and _=,@- only");
  }
  if (!plain_name(sigv4.thing_name, "_:-")) {
    refuse("thing_name", "is " + in_quotes(sigv4.thing_name) +
                             "; give the thing's name, of letters, digits and _:- only");
  }
  if (sigv4.role_alias.empty()) return;
  if (!sigv4.credentials_file.empty()) {
    refuse("role_alias", "stands beside sigv4.credentials_file; give one of the two");
  }
  if (sigv4.provider_host.empty()) {
    refuse(
        "provider_host",
        "is missing; `aws iot describe-endpoint --endpoint-type iot:CredentialProvider` says it");
  }
  if (!config.tls.enabled || (config.tls.cert_file.empty() && config.identity.directory.empty())) {
    refuse("role_alias", "needs TLS and a certificate; set tls.cert_file or identity.directory");
  }
  if (config.provisioning.wanted()) {
    refuse("role_alias",
           "stands beside [provisioning], which has to connect with a certificate; leave one out");
  }
}

void check_sigv4(const Config& config, Problems& problems) {
  const SigV4Config& sigv4 = config.sigv4;
  if (!sigv4.region.empty() && !std::all_of(sigv4.region.begin(), sigv4.region.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      })) {
    problems.push_back({"sigv4.region", "is " + in_quotes(sigv4.region) +
                                            "; give the name of a Region, such as \"eu-west-1\""});
  }
  check_role_alias(config, problems);
  if (sigv4.credentials_file.empty() && sigv4.role_alias.empty()) return;
  const std::string key = sigv4.role_alias.empty() ? "sigv4.credentials_file" : "sigv4.role_alias";
  if (config.transport != Transport::websocket) {
    problems.push_back({key,
                        "needs connection.transport = \"websocket\"; AWS IoT Core takes a "
                        "signature there only"});
  }
  if (!transport::plain_path(config.websocket_path)) {
    problems.push_back(
        {"connection.websocket_path", "is " + in_quotes(config.websocket_path) + "; with " + key +
                                          " give a path without a query, of letters, "
                                          "digits and -._~/ only, such as \"/mqtt\""});
  }
  if (signing_region(sigv4, config.host).empty()) {
    problems.push_back({"sigv4.region", "is missing; connection.host, " + in_quotes(config.host) +
                                            ", does not have it"});
  }
}

/// What this build has, and what the engine can.
void check_engine(const Config& config, Problems& problems) {
  const engines::EngineKind& kind = engines::kind_of(config.engine);
  const std::string name = "is " + in_quotes(kind.name);
  if (kind.make == nullptr) {
    problems.push_back({"connection.engine", name + ", which this build does not have; give " +
                                                 in_quotes(engine_names()) + ", or build with " +
                                                 std::string(kind.library)});
  } else if (config.mqtt_version == MqttVersion::v311 && !kind.can.mqtt311) {
    problems.push_back({"connection.engine", name +
                                                 ", which cannot speak MQTT 3.1.1; give another, "
                                                 "or connection.mqtt_version \"5\""});
  }
}

/// The ranges of a section such as [lane.NAME].
template <class Key, class Rules>
void check_named(const std::string& section, std::span<const Key> keys, const Rules& rules,
                 Problems& problems) {
  for (const Key& key : keys) {
    std::string wrong = check_range(key, key.get(rules));
    if (wrong.empty()) continue;
    problems.push_back({section + "." + std::string(key.name), std::move(wrong)});
  }
}

void check_lane_rules(const Config& config, const std::string& name, const LaneRules& rules,
                      Problems& problems) {
  const std::string section = "lane." + name;
  if (std::find(config.lanes.begin(), config.lanes.end(), name) == config.lanes.end()) {
    problems.push_back({section, "is not in flow.lanes; add it there, or remove this section"});
  }
  check_named(section, lane_keys(), rules, problems);
  if (rules.max_bytes != 0 && rules.max_bytes < config.limits.payload) {
    problems.push_back({section + ".max_size", "is " + format_size(rules.max_bytes) +
                                                   "; give 0 or at least limits.payload, " +
                                                   format_size(config.limits.payload)});
  }
}

void check_client_filters(const Config& config, const std::string& key,
                          const std::vector<std::string>& filters, Problems& problems) {
  for (const std::string& filter : filters) {
    const Status valid = flow::check_filter(filter, device::topic_limits(config, filter));
    if (!valid) {
      problems.push_back({key, "has " + in_quotes(filter) + ": " + valid.error().message});
    }
  }
}

void check_client(const Config& config, const std::string& name, const ClientRules& rules,
                  Problems& problems) {
  const std::string section = "client." + name;
  check_named(section, client_keys(), rules, problems);
  if (rules.user.empty() == rules.group.empty()) {
    problems.push_back({section, "says not whom it is for; give either user or group"});
  }
  check_client_filters(config, section + ".publish", rules.publish, problems);
  check_client_filters(config, section + ".subscribe", rules.subscribe, problems);
  for (const std::string& lane : rules.lanes) {
    if (std::find(config.lanes.begin(), config.lanes.end(), lane) != config.lanes.end()) continue;
    problems.push_back(
        {section + ".lanes", "has " + in_quotes(lane) + ", which is not in flow.lanes"});
  }
}

void check_clients(const Config& config, Problems& problems) {
  if (config.client_rules.empty()) return;
  if (config.local_socket.empty()) {
    problems.push_back({"local.socket", "is missing; [client.NAME] is about who may use it"});
  }
  if (config.client_rules.size() > limits::kClientSections) {
    problems.push_back({"client", "has more than " + std::to_string(limits::kClientSections) +
                                      " sections; put users into groups"});
  }
  for (const auto& [name, rules] : config.client_rules) check_client(config, name, rules, problems);
}

void check_heartbeats(const Config& config, Problems& problems) {
  if (config.heartbeats.size() > limits::kHeartbeats) {
    problems.push_back({"heartbeat", "has more than " + std::to_string(limits::kHeartbeats) +
                                         " sections; remove some"});
  }
  for (const auto& [name, rules] : config.heartbeats) {
    const std::string section = "heartbeat." + name;
    if (!health::is_heartbeat_name(name)) {
      problems.push_back({section, "is no name of a heartbeat; give 1 to " +
                                       std::to_string(limits::kHeartbeatNameMax) +
                                       " letters, digits and . _ : @ -"});
    }
    check_named(section, heartbeat_keys(), rules, problems);
  }
}

void check_lanes(const Config& config, Problems& problems) {
  const auto& lanes = config.lanes;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const std::string& name = lanes[i];
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (name.empty() || name.size() > limits::kLaneNameMax || !plain) {
      problems.push_back({"flow.lanes", "has the name " + in_quotes(name) + "; give 1 to " +
                                            std::to_string(limits::kLaneNameMax) +
                                            " of a-z, 0-9, _ and -"});
      return;
    }
    if (std::find(lanes.begin(), lanes.begin() + static_cast<std::ptrdiff_t>(i), name) !=
        lanes.begin() + static_cast<std::ptrdiff_t>(i)) {
      problems.push_back({"flow.lanes", "has " + in_quotes(name) + " twice; give each name once"});
      return;
    }
  }
  for (const auto& [name, rules] : config.lane_rules)
    check_lane_rules(config, name, rules, problems);
}

void check_escalation(const Config& config, Problems& problems) {
  const Config::Escalation& rules = config.escalation;
  for (const std::string& step : rules.steps) {
    if (health::rung_of(step)) continue;
    problems.push_back({"escalation.steps", "has " + in_quotes(step) +
                                                "; give some of \"reconnect\", \"bearer\", "
                                                "\"modem\" and \"reboot\""});
  }
  for (const std::string& host : rules.reference_hosts) {
    if (host_and_port(host)) continue;
    problems.push_back(
        {"escalation.reference_hosts",
         "has " + in_quotes(host) + "; give HOST:PORT, such as \"example.org:443\""});
  }
  if (!rules.steps.empty() && rules.reference_hosts.empty()) {
    problems.push_back({"escalation.reference_hosts",
                        "is empty; give servers that others run: without them nobody can tell "
                        "whether the network is away, or only the cloud"});
  }
}

void check_topic(const Config& config, const std::string& topic, const std::string& key,
                 Problems& problems) {
  if (topic.empty()) return;  // where one must be given, check_required() says so
  const Status good = flow::check_topic(topic, device::topic_limits(config, topic));
  if (!good) {
    problems.push_back(
        {key, "is " + in_quotes(topic) + ": " + good.error().message + "; give another topic"});
  }
}

/// What only MQTT 5 can say must not be lost in silence.
void check_status_properties(const Config& config, const StatusMessage& message,
                             const std::string& section, Problems& problems) {
  const auto check = [&](const char* key, bool given, bool text_good, std::size_t bytes,
                         std::size_t most) {
    const std::string name = section + "." + key;
    if (given && config.mqtt_version != MqttVersion::v5) {
      problems.push_back(
          {name, "needs MQTT 5; remove it, or set connection.mqtt_version to \"5\""});
    } else if (!text_good) {
      problems.push_back({name, "has bytes that are no UTF-8 text; remove them"});
    } else if (bytes > most) {
      problems.push_back(
          {name, "is " + format_size(bytes) + " long; give at most " + format_size(most)});
    }
  };
  std::size_t bytes = 0;
  bool good = true;
  for (const auto& [name, value] : message.user_properties) {
    bytes += name.size() + value.size();
    good = good && valid_utf8(name) && valid_utf8(value);
  }
  check("user_properties", !message.user_properties.empty(), good, bytes,
        limits::kUserPropertiesMax);
  check("content_type", !message.content_type.empty(), valid_utf8(message.content_type), 0, 0);
  check("expiry", message.expiry.has_value(), true, 0, 0);
  check("on_stop", message.on_stop, true, 0, 0);
  check("delay", message.delay.count() > 0, true, 0, 0);
}

void check_status_message(const Config& config, const std::optional<StatusMessage>& message,
                          const std::string& section, Problems& problems) {
  if (!message || message->topic.empty()) return;
  check_topic(config, message->topic, section + ".topic", problems);
  if (message->payload.size() > config.limits.payload) {
    problems.push_back({section + ".payload", "is " + format_size(message->payload.size()) +
                                                  " long; give at most limits.payload, " +
                                                  format_size(config.limits.payload)});
  }
  check_status_properties(config, *message, section, problems);
}

// --- what the Config names on this machine ---

std::string os_text(int os_error) { return posix::os_words(os_error); }

bool check_readable(const fs::path& file, std::string_view key, Problems& problems) {
  if (file.empty()) return true;
  std::error_code failure;
  if (fs::is_directory(file, failure)) {
    problems.push_back(
        {std::string(key), file.string() + " is a directory; name a file in it", Errc::not_found});
    return false;
  }
  if (::access(file.c_str(), R_OK) == 0) return true;
  const int why = errno;
  problems.push_back(
      {std::string(key),
       "cannot read " + file.string() + ": " + os_text(why) + "; check path and permissions",
       posix::errc_of(why)});
  return false;
}

void check_credentials(const Config& config, Problems& problems) {
  static_cast<void>(check_readable(config.password_file, "connection.password_file", problems));
  static_cast<void>(check_readable(config.proxy.password_file, "proxy.password_file", problems));
  static_cast<void>(
      check_readable(config.sigv4.credentials_file, "sigv4.credentials_file", problems));
  if (!config.tls.enabled) return;
  const bool ca = check_readable(config.tls.ca_file, "tls.ca_file", problems);
  const bool cert = check_readable(config.tls.cert_file, "tls.cert_file", problems);
  const bool key = check_readable(config.tls.key_file, "tls.key_file", problems) &&
                   check_readable(config.tls.pin_file, "tls.pin_file", problems) &&
                   check_readable(config.tls.pkcs11_module, "tls.pkcs11_module", problems);
  if (!ca || !cert || !key || config.tls.cert_file.empty() == has_key(config.tls)) return;
  if (const Status status = transport::check_credentials(config.tls); !status) {
    const Errc code = status.error().code;
    problems.push_back({"tls", status.error().message + "; mend the files of this section",
                        code == Errc::invalid_config ? Errc::invalid_argument : code});
  }
}

void check_outbox_keys(const Config& config, Problems& problems) {
  const auto keys = load_outbox_keys(config);
  if (keys || keys.error().code == Errc::invalid_config) return;  // check_relations() tells that
  problems.push_back({"outbox.key_file", keys.error().message + "; mend it or name another file",
                      keys.error().code});
}

void check_directory(const fs::path& directory, Problems& problems) {
  if (directory.empty()) return;
  const auto report = [&](const std::string& text) {
    problems.push_back({"outbox.directory", text, Errc::permission});
  };
  // The nearest folder that exists decides whether the rest can be made.
  fs::path existing = directory;
  std::error_code failure;
  while (!fs::exists(existing, failure) && !failure && existing.has_relative_path()) {
    existing = existing.parent_path();
  }
  if (failure && failure != std::errc::no_such_file_or_directory &&
      failure != std::errc::not_a_directory) {
    report("cannot look at " + directory.string() + ": " + failure.message() +
           "; check its permissions");
  } else if (!fs::is_directory(existing, failure)) {
    report(existing.string() + " is not a directory; give another path");
  } else if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    const std::string what = existing == directory ? "cannot write to " : "cannot create it in ";
    report(what + existing.string() + ": " + os_text(errno) + "; give this user the right to");
  } else if (existing == directory) {
    const fs::perms others = fs::status(directory, failure).permissions() &
                             (fs::perms::group_write | fs::perms::others_write);
    if (others != fs::perms::none) {
      report("others may write to " + directory.string() + "; chmod go-w it");
    }
  }
}

void check_log_file(const fs::path& file, Problems& problems) {
  if (file.empty()) return;
  std::error_code failure;
  const fs::path folder = file.parent_path();
  const auto report = [&](const std::string& text) {
    problems.push_back({"log.file", text, Errc::io});
  };
  if (fs::exists(file, failure) && !fs::is_regular_file(file, failure)) {
    report(file.string() + " exists and is not a file; give another path");
  } else if (!fs::is_directory(folder, failure)) {
    report(folder.string() + " does not exist; create it");
  } else if (::access(folder.c_str(), W_OK | X_OK) != 0) {  // to rotate takes the folder, too
    report("cannot write to " + folder.string() + ": " + os_text(errno) +
           "; give this user the right to");
  }
}

void check_socket(const fs::path& socket, Problems& problems) {
  if (socket.empty() || socket.string().size() > find_key("local.socket")->max) return;
  const auto report = [&](const std::string& text) {
    problems.push_back({"local.socket", text, Errc::io});
  };
  std::error_code failure;
  const fs::file_status status = fs::symlink_status(socket, failure);
  if (fs::exists(status) && !fs::is_socket(status)) {
    report(socket.string() + " exists and is not a socket; give another path");
    return;
  }
  // The server makes the last folder itself, so one level may be missing.
  fs::path folder = socket.parent_path();
  if (!fs::exists(folder, failure)) folder = folder.parent_path();
  if (!fs::is_directory(folder, failure)) {
    report("the folder of " + socket.string() + " does not exist; create it");
  } else if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    report("cannot write to " + folder.string() + ": " + os_text(errno) +
           "; give another path, or this user the right to");
  }
}

}  // namespace

Error as_error(const ConfigProblem& problem) {
  return {problem.code, problem.key + ": " + problem.text};
}

std::string engine_names() {
  std::string names;
  for (const engines::EngineKind& kind : engines::known_engines()) {
    if (kind.make == nullptr) continue;
    if (!names.empty()) names += ", ";
    names += kind.name;
  }
  return names;
}

namespace {

Problems check_one_place(const Config& config) {
  Problems problems;
  check_required(config, problems);
  check_ranges(config, problems);
  check_texts(config, problems);
  check_assigned_id(config, problems);
  check_relations(config, problems);
  check_power(config, problems);
  check_engine(config, problems);
  check_tls_key(config.tls, problems);
  check_identity(config, problems);
  check_provisioning(config, problems);
  check_sigv4(config, problems);
  check_lanes(config, problems);
  check_escalation(config, problems);
  check_clients(config, problems);
  check_heartbeats(config, problems);
  check_topic(config, config.response_topic, "flow.response_topic", problems);
  check_topic(config, config.history_topic, "history.topic", problems);
  check_topic(config, config.power.topic, "power.topic", problems);
  check_topic(config, config.guards.topic, "guards.topic", problems);
  check_metrics(config, problems);
  check_page(config, problems);
  check_topic(config, config.log.topic, "log.topic", problems);
  check_topic(config, config.log.command_topic, "log.command_topic", problems);
  if (!config.log.command_topic.empty() && config.log.topic.empty()) {
    problems.push_back({"log.command_topic", "needs log.topic, where the answer is published"});
  }
  check_status_message(config, config.will, "connection.will", problems);
  check_status_message(config, config.birth, "connection.birth", problems);
  return problems;
}

Problems check_files(const Config& config) {
  Problems problems;
  check_credentials(config, problems);
  return problems;
}

void add(Problems more, Problems& problems) {
  std::move(more.begin(), more.end(), std::back_inserter(problems));
}

}  // namespace

std::vector<ConfigProblem> check_values(const Config& config) {
  Problems problems = check_one_place(config);
  if (!config.endpoints.empty())
    add(check_each_endpoint(config, check_one_place, problems), problems);
  check_endpoints(config, problems);
  return problems;
}

Status check_settings(const Config& config) {
  const std::vector<ConfigProblem> problems = check_values(config);
  if (problems.empty()) return {};
  return as_error(problems.front());
}

std::vector<ConfigProblem> check_surroundings(const Config& config) {
  Problems problems = check_files(config);
  add(check_each_endpoint(config, check_files, problems), problems);
  check_outbox_keys(config, problems);
  check_directory(config.outbox.directory, problems);
  check_socket(config.local_socket, problems);
  check_metrics_module(config, problems);
  check_log_file(config.log.file, problems);
  return problems;
}

}  // namespace holdfast::runtime

namespace holdfast {

std::vector<Error> check_config(const Config& config) {
  std::vector<Error> errors;
  for (const auto& check : {runtime::check_values, runtime::check_surroundings}) {
    for (const runtime::ConfigProblem& problem : check(config)) {
      errors.push_back(runtime::as_error(problem));
    }
  }
  return errors;
}

}  // namespace holdfast
