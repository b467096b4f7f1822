// See endpoint_config.h.
#include "link/endpoint_config.h"

#include "base/check.h"

namespace holdfast {

EndpointConfig endpoint_of(const Config& config) {
  EndpointConfig endpoint;
  endpoint.name = config.name;
  endpoint.host = config.host;
  endpoint.port = config.port;
  endpoint.transport = config.transport;
  endpoint.websocket_path = config.websocket_path;
  endpoint.sigv4 = config.sigv4;
  endpoint.tls = config.tls;
  endpoint.identity_directory = config.identity.directory;
  endpoint.client_id = config.client_id;
  endpoint.username = config.username;
  endpoint.password_file = config.password_file;
  endpoint.session_expiry = config.session_expiry;
  endpoint.clean_start = config.clean_start;
  endpoint.topic_prefix = config.topic_prefix;
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
  const EndpointConfig& endpoint = config.endpoints[index - 1];
  own.name = endpoint.name;
  own.host = endpoint.host;
  own.port = endpoint.port;
  own.transport = endpoint.transport;
  own.websocket_path = endpoint.websocket_path;
  own.sigv4 = endpoint.sigv4;
  own.tls = endpoint.tls;
  own.identity.directory = endpoint.identity_directory;
  own.client_id = endpoint.client_id;
  own.username = endpoint.username;
  own.password_file = endpoint.password_file;
  own.session_expiry = endpoint.session_expiry;
  own.clean_start = endpoint.clean_start;
  own.topic_prefix = endpoint.topic_prefix;
  return own;
}

std::string session_owner(const Config& own) {
  return own.name + ' ' + own.host + ':' + std::to_string(own.port) + ' ' + own.client_id + ' ' +
         own.topic_prefix;
}

}  // namespace link
}  // namespace holdfast
