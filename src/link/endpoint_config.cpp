// See endpoint_config.h.
#include "link/endpoint_config.h"

#include "base/check.h"

namespace holdfast {
namespace {

/// Each field that an endpoint has of its own, in the one and the other form.
template <class Whole, class Own, class Pair>
void each_field(Whole& config, Own& endpoint, Pair pair) {
  pair(config.name, endpoint.name);
  pair(config.host, endpoint.host);
  pair(config.port, endpoint.port);
  pair(config.transport, endpoint.transport);
  pair(config.websocket_path, endpoint.websocket_path);
  pair(config.sigv4, endpoint.sigv4);
  pair(config.tls, endpoint.tls);
  pair(config.identity.directory, endpoint.identity_directory);
  pair(config.client_id, endpoint.client_id);
  pair(config.username, endpoint.username);
  pair(config.password_file, endpoint.password_file);
  pair(config.session_expiry, endpoint.session_expiry);
  pair(config.clean_start, endpoint.clean_start);
  pair(config.topic_prefix, endpoint.topic_prefix);
}

}  // namespace

EndpointConfig endpoint_of(const Config& config) {
  EndpointConfig endpoint;
  each_field(config, endpoint, [](const auto& from, auto& to) { to = from; });
  return endpoint;
}

namespace link {

std::size_t endpoint_count(const Config& config) { return 1 + config.endpoints.size(); }

const std::string& endpoint_name(const Config& config, std::size_t index) {
  HF_CHECK(index < endpoint_count(config));
  return index == 0 ? config.name : config.endpoints[index - 1].name;
}

Config config_of(const Config& config, std::size_t index) {
  HF_CHECK(index < endpoint_count(config));
  Config own = config;
  if (index == 0) return own;
  each_field(own, config.endpoints[index - 1], [](auto& to, const auto& from) { to = from; });
  return own;
}

std::string session_owner(const Config& own) {
  return own.name + ' ' + own.host + ':' + std::to_string(own.port) + ' ' + own.client_id + ' ' +
         own.topic_prefix;
}

}  // namespace link
}  // namespace holdfast
