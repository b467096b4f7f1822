#include "lab/iot/sigv4.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr const char* kAlgorithmName = "X-Amz-Algorithm";
constexpr const char* kSignatureName = "X-Amz-Signature";
constexpr std::string_view kToken = "X-Amz-Security-Token";
constexpr std::int64_t kLongestExpiry = std::int64_t{7} * 24 * 3600;  // seconds, as AWS has it

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = std::min(text.find(at), text.size());
    parts.emplace_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// "20150830T123600Z"
std::optional<WallTime> time_of(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto date = number_of(text.substr(0, 8));
  const auto time = number_of(text.substr(9, 6));
  if (!date || !time) return std::nullopt;
  using namespace std::chrono;  // NOLINT: for the calendar only
  const year_month_day day{year(static_cast<int>(*date / 10'000)),
                           month(static_cast<unsigned>(*date / 100 % 100)),
                           std::chrono::day(static_cast<unsigned>(*date % 100))};
  const std::int64_t h = *time / 10'000;
  const std::int64_t m = *time / 100 % 100;
  const std::int64_t s = *time % 100;
  if (!day.ok() || h > 23 || m > 59 || s > 59) return std::nullopt;
  return WallTime{(sys_days(day).time_since_epoch().count() * 86'400 + h * 3600 + m * 60 + s) *
                  1000};
}

/// What a request says of its own signature.
struct Claimed {
  bool in_query = false;
  std::string date;
  std::string signed_headers;
  std::string signature;
  std::optional<std::string> token;
  std::vector<std::string> credential;  ///< Key id, day, region, service, "aws4_request".
  std::int64_t lasts_ms = 0;
};

/// Trims, and makes one blank of several, as canonical headers have it.
std::string trimmed(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ' || (!result.empty() && result.back() != ' ')) result += c;
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

std::optional<Claimed> claimed_in_query(const Target& target, std::int64_t tolerance_ms) {
  std::map<std::string, std::string> values;
  for (const auto& [name, value] : target.query) {
    auto decoded = decode_percent(value);
    if (!decoded || (name.starts_with("X-Amz-") && values.contains(name))) return std::nullopt;
    values[name] = std::move(*decoded);
  }
  if (values[kAlgorithmName] != kAlgorithm) return std::nullopt;
  Claimed claimed{true,
                  values["X-Amz-Date"],
                  values["X-Amz-SignedHeaders"],
                  values[kSignatureName],
                  std::nullopt,
                  split(values["X-Amz-Credential"], '/'),
                  tolerance_ms};
  if (const auto token = values.find(std::string(kToken)); token != values.end()) {
    claimed.token = token->second;
  }
  if (const auto expires = values.find("X-Amz-Expires"); expires != values.end()) {
    const auto seconds = number_of(expires->second);
    if (!seconds || *seconds == 0 || *seconds > kLongestExpiry) return std::nullopt;
    claimed.lasts_ms = *seconds * 1000;
  }
  return claimed;
}

std::optional<Claimed> claimed_in_header(const HttpQuestion& question,
                                         const std::string& authorization,
                                         std::int64_t tolerance_ms) {
  std::string_view rest = authorization;
  if (!rest.starts_with(kAlgorithm)) return std::nullopt;
  rest.remove_prefix(kAlgorithm.size());
  Claimed claimed;
  for (const std::string& part : split(rest, ',')) {
    const std::string one = trimmed(part);
    const std::size_t equals = std::min(one.find('='), one.size());
    const std::string name = one.substr(0, equals);
    const std::string value = one.substr(std::min(equals + 1, one.size()));
    if (name == "Credential") claimed.credential = split(value, '/');
    if (name == "SignedHeaders") claimed.signed_headers = value;
    if (name == "Signature") claimed.signature = value;
  }
  if (const auto* date = header_of(question.headers, "X-Amz-Date")) claimed.date = *date;
  if (const auto* token = header_of(question.headers, kToken)) claimed.token = *token;
  claimed.lasts_ms = tolerance_ms;
  return claimed;
}

std::string canonical_query(const Target& target, bool with_token) {
  HttpFields all;
  for (const auto& [name, value] : target.query) {
    if (name == kSignatureName || (name == kToken && !with_token)) continue;
    // What is encoded in another way, or not at all, counts as if it were encoded rightly.
    all.emplace_back(encode_percent(decode_percent(name).value_or(name)),
                     encode_percent(decode_percent(value).value_or(value)));
  }
  std::sort(all.begin(), all.end());
  std::string text;
  for (const auto& [name, value] : all) {
    if (!text.empty()) text += '&';
    text += name + '=' + value;
  }
  return text;
}

/// All values of a header in one line; nullopt: there is none.
std::optional<std::string> canonical_header(const HttpFields& headers, const std::string& name) {
  std::optional<std::string> joined;
  for (const auto& [other, value] : headers) {
    if (lower_case(other) != name) continue;
    joined = joined ? *joined + ',' + trimmed(value) : trimmed(value);
  }
  return joined;
}

/// nullopt: a header that is said to be signed is not there.
std::optional<std::string> canonical_request(const HttpQuestion& question, const Target& target,
                                             const Claimed& claimed, bool with_token,
                                             const Crypto& crypto) {
  std::string text = question.method + '\n';
  // The path as it was sent is encoded once more, as for all services but S3.
  text += encode_percent(target.path, true) + '\n';
  text += canonical_query(target, with_token) + '\n';
  for (const std::string& name : split(claimed.signed_headers, ';')) {
    const auto value = canonical_header(question.headers, name);
    if (!value) return std::nullopt;
    text += name + ':' + *value + '\n';
  }
  return text + '\n' + claimed.signed_headers + '\n' + hex(crypto.sha256(question.body));
}

std::string sign(const Claimed& claimed, const std::string& request, const AccessKey& key,
                 const Crypto& crypto) {
  const std::vector<std::string>& parts = claimed.credential;
  const std::string text = std::string(kAlgorithm) + '\n' + claimed.date + '\n' + parts[1] + '/' +
                           parts[2] + '/' + parts[3] + '/' + parts[4] + '\n' +
                           hex(crypto.sha256(request));
  std::string secret = "AWS4" + key.secret;
  for (std::size_t i = 1; i < parts.size(); ++i) secret = crypto.hmac_sha256(secret, parts[i]);
  return hex(crypto.hmac_sha256(secret, text));
}

/// Whether the form is right, and the scope ours; and the host is always signed.
bool is_plausible(const Claimed& claimed, const SignatureScope& scope) {
  const auto& parts = claimed.credential;
  const auto signed_headers = split(claimed.signed_headers, ';');
  return parts.size() == 5 && parts[1] == claimed.date.substr(0, 8) && parts[2] == scope.region &&
         parts[3] == scope.service && parts[4] == "aws4_request" &&
         std::find(signed_headers.begin(), signed_headers.end(), "host") != signed_headers.end();
}

}  // namespace

bool is_signed(const HttpQuestion& question) {
  const std::string* authorization = header_of(question.headers, "Authorization");
  if (authorization != nullptr && authorization->starts_with(kAlgorithm)) return true;
  const HttpFields query = parse_target(question.target).query;
  return std::any_of(query.begin(), query.end(), [](const auto& one) {
    return one.first == kAlgorithmName || one.first == kSignatureName;
  });
}

std::variant<AccessKey, std::string> verify_sigv4(WallTime now, const HttpQuestion& question,
                                                  const SignatureScope& scope,
                                                  const AccessKeys& keys, const Crypto& crypto) {
  const std::string none = "NOT_AUTHENTICATED";
  const Target target = parse_target(question.target);
  const std::string* authorization = header_of(question.headers, "Authorization");
  const auto claimed = authorization != nullptr
                           ? claimed_in_header(question, *authorization, scope.tolerance_ms)
                           : claimed_in_query(target, scope.tolerance_ms);
  if (!claimed || !is_plausible(*claimed, scope)) return none;
  const auto date = time_of(claimed->date);
  if (!date) return none;
  const auto key = keys.access_key(claimed->credential[0]);
  if (!key || claimed->token.value_or("") != key->session_token) {
    return std::string("SECURITY_TOKEN_INVALID");
  }
  if (now >= key->expires || now.ms > date->ms + claimed->lasts_ms ||
      now.ms < date->ms - scope.tolerance_ms) {
    return std::string("SECURITY_TOKEN_EXPIRED");
  }
  for (const bool with_token : {true, false}) {
    const auto request = canonical_request(question, target, *claimed, with_token, crypto);
    if (!request) return none;
    if (sign(*claimed, *request, *key, crypto) == claimed->signature) return *key;
  }
  return std::string("SECURITY_TOKEN_SIGNATURE_MISMATCH");
}

}  // namespace holdfast::lab::iot
