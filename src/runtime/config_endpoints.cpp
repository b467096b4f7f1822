// See config_endpoints.h.
#include "runtime/config_endpoints.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "flow/topic.h"
#include "link/endpoint_config.h"

namespace holdfast::runtime {
namespace {

using Problems = std::vector<ConfigProblem>;

constexpr std::array<std::string_view, 29> kEndpointKeys{"name",
                                                         "host",
                                                         "port",
                                                         "transport",
                                                         "websocket_path",
                                                         "client_id",
                                                         "username",
                                                         "password_file",
                                                         "session_expiry",
                                                         "clean_start",
                                                         "topic_prefix",
                                                         "tls.enabled",
                                                         "tls.ca_file",
                                                         "tls.cert_file",
                                                         "tls.key_file",
                                                         "tls.key_uri",
                                                         "tls.pin_file",
                                                         "tls.pkcs11_module",
                                                         "tls.server_name",
                                                         "tls.alpn",
                                                         "tls.just_in_time",
                                                         "identity.directory",
                                                         "sigv4.credentials_file",
                                                         "sigv4.profile",
                                                         "sigv4.region",
                                                         "sigv4.role_alias",
                                                         "sigv4.provider_host",
                                                         "sigv4.provider_port",
                                                         "sigv4.thing_name"};

constexpr std::string_view kConnection = "connection.";

/// The endpoint's key for a key of the Config; empty: it has none.
std::string own_key(std::string_view key) {
  if (key.starts_with(kConnection)) key.remove_prefix(kConnection.size());
  const bool known =
      std::find(kEndpointKeys.begin(), kEndpointKeys.end(), key) != kEndpointKeys.end();
  return known || key == "tls" ? std::string(key) : std::string();
}

std::string key_of(std::size_t index, std::string_view leaf) {
  return index == 0 ? std::string(kConnection) + std::string(leaf)
                    : "endpoint." + std::to_string(index) + "." + std::string(leaf);
}

void check_name(const Config& config, std::size_t index, Problems& problems) {
  const std::string& name = link::endpoint_name(config, index);
  const std::string key = key_of(index, "name");
  if (name.empty()) {
    problems.push_back({key, "is missing; give a name for logs and status"});
  } else if (!is_endpoint_name(name)) {
    problems.push_back({key, "is " + in_quotes(name) + "; give 1 to " +
                                 std::to_string(limits::kEndpointNameMax) +
                                 " of a-z, 0-9, _ and -"});
  }
  for (std::size_t other = 0; other < index; ++other) {
    if (name.empty() || name != link::endpoint_name(config, other)) continue;
    problems.push_back({key, "is " + in_quotes(name) + ", as " + key_of(other, "name") +
                                 " is; give each endpoint a name of its own"});
  }
}

void check_prefix(const Config& config, std::size_t index, Problems& problems) {
  const std::string& prefix =
      index == 0 ? config.topic_prefix : config.endpoints[index - 1].topic_prefix;
  if (prefix.empty()) return;
  const std::string key = key_of(index, "topic_prefix");
  const flow::TopicLimits limits{config.limits.topic, config.limits.topic_levels};
  if (prefix.front() == '$') {
    problems.push_back({key, "begins with $, which belongs to the broker; give another one"});
  } else if (const Status good = flow::check_topic(prefix + 'x', limits); !good) {
    problems.push_back(
        {key, "is " + in_quotes(prefix) + ": " + good.error().message + "; give another one"});
  }
}

void check_places(const Config& config, Problems& problems) {
  for (std::size_t i = 1; i < link::endpoint_count(config); ++i) {
    EndpointConfig one = config.endpoints[i - 1];
    for (std::size_t other = 0; other < i; ++other) {
      EndpointConfig same = other == 0 ? endpoint_of(config) : config.endpoints[other - 1];
      same.name = one.name;
      if (one.host.empty() || !(one == same)) continue;
      problems.push_back({key_of(i, "host"), "leads where " + link::endpoint_name(config, other) +
                                                 " leads, in the same way; give another place"});
      break;
    }
  }
}

}  // namespace

bool is_endpoint_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::kEndpointNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

std::span<const std::string_view> endpoint_keys() noexcept { return kEndpointKeys; }

const ConfigKey* endpoint_key(std::string_view name) noexcept {
  if (std::find(kEndpointKeys.begin(), kEndpointKeys.end(), name) == kEndpointKeys.end()) {
    return nullptr;
  }
  const bool section = name.find('.') != std::string_view::npos;
  return find_key(section ? std::string(name) : std::string(kConnection) + std::string(name));
}

Config endpoint_base(const Config& config, bool own_host) {
  Config base = config;
  base.endpoints.clear();
  base.name.clear();
  if (!own_host) return base;
  base.host.clear();
  base.tls.server_name.clear();
  base.sigv4.region.clear();
  base.sigv4.provider_host.clear();
  return base;
}

std::vector<std::string> endpoint_lines(const Config& config) {
  std::vector<std::string> lines;
  if (config.endpoints.empty()) return lines;
  for (std::size_t i = 0; i < link::endpoint_count(config); ++i) {
    const Config one = link::config_of(config, i);
    std::string line = "endpoint " + std::to_string(i + 1) + ": " + one.name + ", " + one.host +
                       ':' + std::to_string(one.port);
    if (!one.client_id.empty()) line += ", as " + one.client_id;
    const std::string certificate = one.identity.directory.empty()
                                        ? one.tls.cert_file.string()
                                        : one.identity.directory.string();
    if (!certificate.empty()) line += ", certificate in " + certificate;
    if (!one.topic_prefix.empty()) line += ", topics under " + one.topic_prefix;
    lines.push_back(std::move(line));
  }
  return lines;
}

Problems check_each_endpoint(const Config& config, Problems (*check)(const Config&),
                             const Problems& found) {
  Problems problems;
  for (std::size_t i = 1; i < link::endpoint_count(config); ++i) {
    for (ConfigProblem& problem : check(link::config_of(config, i))) {
      const std::string key = own_key(problem.key);
      const bool told = std::any_of(found.begin(), found.end(), [&](const ConfigProblem& p) {
        return p.key == problem.key && p.text == problem.text;
      });
      if (key.empty() || key == "name" || told) continue;
      problem.key = key_of(i, key);
      problems.push_back(std::move(problem));
    }
  }
  return problems;
}

void check_endpoints(const Config& config, Problems& problems) {
  if (link::endpoint_count(config) > limits::kEndpointsMax) {
    problems.push_back({"endpoint", "has more than " + std::to_string(limits::kEndpointsMax - 1) +
                                        " tables; remove some"});
    return;
  }
  for (std::size_t i = 0; i < link::endpoint_count(config); ++i) {
    check_name(config, i, problems);
    check_prefix(config, i, problems);
  }
  check_places(config, problems);
  if (config.failback.probe_every > config.failback.healthy_for) {
    problems.push_back({"failback.probe_every",
                        "is longer than failback.healthy_for; one probe proves too little"});
  }
  const Milliseconds follow = config.failover.follow_dns;
  if (follow.count() != 0 && follow < Seconds(1)) {
    problems.push_back({"failover.follow_dns",
                        "is under a second; give 0 for never, or such as "
                        "\"60s\", the life of the name's entry"});
  } else if (follow.count() != 0 && !config.proxy.host.empty()) {
    problems.push_back({"failover.follow_dns",
                        "does nothing behind [proxy], where only the proxy's name is looked up; "
                        "remove one of them"});
  }
}

}  // namespace holdfast::runtime
