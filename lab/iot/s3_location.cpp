#include "lab/iot/s3_location.h"

#include <algorithm>
#include <string>

#include "lab/iot/http.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kSeparator = "://";
constexpr std::string_view kDomain = ".amazonaws.com";

/// "photos" of "photos.s3.eu-central-1.amazonaws.com" and "photos.s3-eu-west-1.amazonaws.com".
std::string_view bucket_of(std::string_view host) {
  if (!host.ends_with(kDomain)) return {};
  for (const std::string_view service : {".s3.", ".s3-"}) {
    const std::size_t at = host.rfind(service);
    if (at != std::string_view::npos) return host.substr(0, at);
  }
  return {};
}

}  // namespace

std::optional<FileLocation> s3_location(std::string_view url) {
  const std::size_t separator = url.find(kSeparator);
  if (separator == std::string_view::npos) return std::nullopt;
  const std::string_view scheme = url.substr(0, separator);
  if (scheme != "s3" && scheme != "https" && scheme != "http") return std::nullopt;
  url.remove_prefix(separator + kSeparator.size());
  const std::size_t host_end = std::min(url.find('/'), url.size());
  const std::string_view host = url.substr(0, host_end);
  const Target target = parse_target(url.substr(host_end));
  auto path = decode_percent(target.path);
  if (!path || path->size() < 2) return std::nullopt;
  path->erase(0, 1);
  FileLocation file;
  file.bucket = scheme == "s3" ? host : bucket_of(host);
  if (file.bucket.empty()) {
    const std::size_t slash = path->find('/');
    if (slash == std::string::npos) return std::nullopt;
    file.bucket = path->substr(0, slash);
    path->erase(0, slash + 1);
  }
  file.key = std::move(*path);
  if (file.bucket.empty() || file.key.empty()) return std::nullopt;
  for (const auto& [name, value] : target.query) {
    if (name == "versionId") file.version = value;
  }
  return file;
}

}  // namespace holdfast::lab::iot
