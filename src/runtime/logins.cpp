#include "runtime/logins.h"

#include <algorithm>
#include <array>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/calendar.h"
#include "posix/system.h"

namespace holdfast::runtime {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using transport::AwsKeys;

constexpr std::size_t kPasswordFileMax = 4096;
constexpr std::size_t kKeysFileMax = std::size_t{64} * 1024;  // a session token has some 1000 bytes

Error corrupt(std::string text) { return Error{Errc::corrupt, std::move(text), 0}; }

/// The first line of a password file.
Status read_password(std::string& password, const fs::path& file, std::string_view key) {
  if (file.empty()) return {};
  Result<std::string> text = posix::read_file(file, kPasswordFileMax);
  if (!text) {
    Error error = std::move(text).error();
    error.message += "; check " + std::string(key);
    return error;
  }
  password = text->substr(0, text->find_first_of("\r\n"));
  return {};
}

/// What is said in a file's own words, whichever kind it is.
struct Field {
  std::string_view ini;
  std::string_view provider;
  std::string_view process;
  std::string AwsKeys::*into;
  bool needed;
};
constexpr std::array<Field, 3> kFields{{
    {"aws_access_key_id", "accessKeyId", "AccessKeyId", &AwsKeys::id, true},
    {"aws_secret_access_key", "secretAccessKey", "SecretAccessKey", &AwsKeys::secret, true},
    {"aws_session_token", "sessionToken", "SessionToken", &AwsKeys::session_token, false},
}};

/// Keys are printable ASCII without blanks; anything else is damage, or another file.
bool plain(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

Result<AwsKeys> from_sections(std::string_view text, std::string_view profile) {
  AwsKeys keys;
  bool inside = false;
  bool found = false;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.starts_with('[')) {
      inside = line.ends_with(']') && trimmed(line.substr(1, line.size() - 2)) == profile;
      found = found || inside;
    }
    const std::size_t equals = line.find('=');
    if (!inside || line.starts_with('#') || equals == std::string_view::npos) continue;
    const std::string_view name = trimmed(line.substr(0, equals));
    for (const Field& field : kFields) {
      if (field.ini != name) continue;
      keys.*field.into = trimmed(line.substr(equals + 1));
      if (!plain(keys.*field.into)) return corrupt("its " + std::string(name) + " is damaged");
    }
  }
  if (!found) {
    return Error{Errc::not_found, "it has no section [" + std::string(profile) + "]", 0};
  }
  for (const Field& field : kFields) {
    if (!field.needed || !(keys.*field.into).empty()) continue;
    return corrupt("its section [" + std::string(profile) + "] lacks " + std::string(field.ini));
  }
  return keys;
}

Result<AwsKeys> read_keys(const SigV4Config& sigv4, WallTime now) {
  const fs::path& file = sigv4.credentials_file;
  Result<std::string> text = posix::read_file(file, kKeysFileMax);
  if (!text) {
    Error error = std::move(text).error();
    error.message += "; check sigv4.credentials_file";
    return error;
  }
  Result<AwsKeys> keys = parse_aws_keys(*text, sigv4.profile);
  if (!keys) return std::move(keys).error().with("AWS keys in " + file.string());
  if (keys->expires && *keys->expires <= now) {
    return Error{Errc::invalid_argument,
                 "the AWS keys in " + file.string() +
                     " have expired by this device's clock; renew them, or set the clock",
                 0};
  }
  return keys;
}

}  // namespace

std::vector<fs::path> login_files(const Config& config) {
  return {config.tls.ca_file,  config.tls.cert_file,       config.tls.key_file,
          config.tls.pin_file, config.proxy.password_file, config.sigv4.credentials_file,
          config.password_file};
}

Result<AwsKeys> parse_aws_json(std::string_view text) {
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object()) return corrupt("it is no JSON object");
  const bool provider = root.contains("credentials");
  const json& from = provider ? root["credentials"] : root;
  if (!from.is_object()) return corrupt("its field credentials is no object");
  AwsKeys keys;
  for (const Field& field : kFields) {
    const std::string name(provider ? field.provider : field.process);
    const auto value = from.find(name);
    if (value == from.end() || value->is_null()) {
      if (field.needed) return corrupt("its field " + name + " is missing");
      continue;
    }
    if (!value->is_string()) return corrupt("its field " + name + " is no text");
    keys.*field.into = value->get<std::string>();
    if (!plain(keys.*field.into)) return corrupt("its field " + name + " is damaged");
  }
  const std::string name = provider ? "expiration" : "Expiration";
  if (const auto value = from.find(name); value != from.end() && !value->is_null()) {
    keys.expires = value->is_string() ? parse_iso_time(value->get<std::string>()) : std::nullopt;
    if (!keys.expires)
      return corrupt("its field " + name + " is no time like 2026-11-27T08:15:30Z");
  }
  return keys;
}

Result<AwsKeys> parse_aws_keys(std::string_view text, std::string_view profile) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool braces = first != std::string_view::npos && text[first] == '{';
  return braces ? parse_aws_json(text) : from_sections(text, profile);
}

std::string signing_region(const SigV4Config& sigv4, std::string_view host) {
  return sigv4.region.empty() ? transport::region_of(host) : sigv4.region;
}

Status fill_in_logins(env::ConnectRequest& request, WallTime now) {
  if (Status read =
          read_password(request.password, request.password_file, "connection.password_file");
      !read) {
    return read;
  }
  if (Status read =
          read_password(request.proxy_password, request.proxy.password_file, "proxy.password_file");
      !read) {
    return read;
  }
  if (request.sigv4.credentials_file.empty()) return {};
  Result<AwsKeys> keys = read_keys(request.sigv4, now);
  if (!keys) return std::move(keys).error();
  sign_request(request, *keys, now);
  return {};
}

void sign_request(env::ConnectRequest& request, const AwsKeys& keys, WallTime now) {
  request.websocket_path =
      transport::sign_upgrade(keys,
                              {request.host, request.port, request.tls.enabled,
                               request.websocket_path, signing_region(request.sigv4, request.host)},
                              now);
}

}  // namespace holdfast::runtime
