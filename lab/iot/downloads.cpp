#include "lab/iot/downloads.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/base64.h"

namespace holdfast::lab::iot {
namespace {

/// The path of "https://HOST/PATH", with its slash; of a text without host, "/" and the text.
std::string path_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return '/' + std::string(url);
  url.remove_prefix(scheme + 3);
  const std::size_t slash = std::min(url.find('/'), url.size());
  url = url.substr(slash, url.find('?', slash) - slash);
  return url.empty() ? "/" : std::string(url);
}

/// Decoded, without the first slash; nullopt when it leads elsewhere than down.
std::optional<std::string> file_of(std::string_view path) {
  const auto decoded = decode_percent(path);
  if (!decoded || decoded->size() < 2 || decoded->front() != '/' ||
      decoded->find('\0') != std::string::npos) {
    return std::nullopt;
  }
  std::string_view rest = std::string_view(*decoded).substr(1);
  for (;;) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    if (part.empty() || part == "." || part == "..") return std::nullopt;
    if (end == rest.size()) return decoded->substr(1);
    rest.remove_prefix(end + 1);
  }
}

Download refused(int status, const std::string& code, const std::string& message) {
  HttpAnswer answer{status, {{"Content-Type", "application/xml"}}, {}};
  answer.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code +
                "</Code><Message>" + message + "</Message></Error>";
  return {{}, {}, std::move(answer)};
}

}  // namespace

Downloads::Downloads(std::string base, std::string secret, const Crypto& crypto)
    : base_(std::move(base)), secret_(std::move(secret)), crypto_(crypto) {}

std::string Downloads::signature(std::string_view path, std::int64_t expires) const {
  std::string text = "GET\n" + std::to_string(expires) + '\n';
  return text_to_base64(crypto_.hmac_sha256(secret_, text.append(path)));
}

std::string Downloads::presign(WallTime now, std::string_view url, std::int64_t seconds) {
  const std::string path = path_of(url);
  const std::int64_t expires = now.ms / 1000 + std::clamp<std::int64_t>(seconds, 0, kLongest);
  return base_ + path + "?Expires=" + std::to_string(expires) +
         "&Signature=" + encode_percent(signature(path, expires));
}

Download Downloads::open(WallTime now, const HttpQuestion& question) const {
  if (question.method != "GET" && question.method != "HEAD") {
    return refused(405, "MethodNotAllowed", "Only GET and HEAD read files");
  }
  const Target target = parse_target(question.target);
  std::optional<std::int64_t> expires;
  std::optional<std::string> given;
  for (const auto& [name, value] : target.query) {
    if (name == "Signature") given = decode_percent(value);
    if (name != "Expires") continue;
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (failure == std::errc{} && end == value.data() + value.size()) expires = number;
  }
  if (!expires || !given) return refused(403, "AccessDenied", "Access Denied");
  auto file = file_of(target.path);
  if (!file || *given != signature(target.path, *expires)) {
    return refused(403, "SignatureDoesNotMatch", "The signature is not that of this link");
  }
  const auto fault = faults_.find(*file);
  DownloadFault found = fault == faults_.end() ? DownloadFault() : fault->second;
  if (found.expired || now.ms / 1000 >= *expires) {
    return refused(403, "AccessDenied", "Request has expired");
  }
  return {std::move(*file), found, {}};
}

void Downloads::set_fault(const std::string& path, const DownloadFault& fault) {
  faults_.erase(path);
  if (fault != DownloadFault()) faults_[path] = fault;
}

}  // namespace holdfast::lab::iot
