#include "lab/fault/client_hello.h"

#include <algorithm>
#include <array>
#include <span>

#include "lab/mqtt/wire.h"

namespace holdfast::lab::fault {
namespace {

using mqtt::Reader;
using Json = nlohmann::ordered_json;

constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kRecordMax = 16'384 + 256;
constexpr std::size_t kHandshakeHeader = 4;
constexpr std::size_t kRandomBytes = 32;

struct Suite {
  std::uint16_t id;
  SuiteStanding standing;
  std::string_view name;
};

constexpr auto kBest = SuiteStanding::recommended;
constexpr auto kGood = SuiteStanding::supported;
constexpr auto kBad = SuiteStanding::unsupported;
constexpr auto kSignal = SuiteStanding::signalling;

/// What AWS IoT Core has, and what clients otherwise often offer; sorted by id. Those of TLS 1.3
/// count as recommended: a client cannot choose among its own but for these three.
constexpr Suite kSuites[] = {
    {0x0004, kBad, "TLS_RSA_WITH_RC4_128_MD5"},
    {0x0005, kBad, "TLS_RSA_WITH_RC4_128_SHA"},
    {0x000A, kBad, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"},
    {0x0016, kBad, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA"},
    {0x002F, kGood, "TLS_RSA_WITH_AES_128_CBC_SHA"},
    {0x0032, kBad, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA"},
    {0x0033, kBad, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"},
    {0x0035, kGood, "TLS_RSA_WITH_AES_256_CBC_SHA"},
    {0x0038, kBad, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA"},
    {0x0039, kBad, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA"},
    {0x003C, kGood, "TLS_RSA_WITH_AES_128_CBC_SHA256"},
    {0x003D, kGood, "TLS_RSA_WITH_AES_256_CBC_SHA256"},
    {0x0041, kBad, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA"},
    {0x0045, kBad, "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA"},
    {0x0067, kBad, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256"},
    {0x006B, kBad, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256"},
    {0x0084, kBad, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA"},
    {0x0088, kBad, "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA"},
    {0x008C, kBad, "TLS_PSK_WITH_AES_128_CBC_SHA"},
    {0x008D, kBad, "TLS_PSK_WITH_AES_256_CBC_SHA"},
    {0x009C, kGood, "TLS_RSA_WITH_AES_128_GCM_SHA256"},
    {0x009D, kGood, "TLS_RSA_WITH_AES_256_GCM_SHA384"},
    {0x009E, kBad, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"},
    {0x009F, kBad, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"},
    {0x00A8, kBad, "TLS_PSK_WITH_AES_128_GCM_SHA256"},
    {0x00A9, kBad, "TLS_PSK_WITH_AES_256_GCM_SHA384"},
    {0x00BA, kBad, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256"},
    {0x00FF, kSignal, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"},
    {0x1301, kBest, "TLS_AES_128_GCM_SHA256"},
    {0x1302, kBest, "TLS_AES_256_GCM_SHA384"},
    {0x1303, kBest, "TLS_CHACHA20_POLY1305_SHA256"},
    {0x1304, kBad, "TLS_AES_128_CCM_SHA256"},
    {0x1305, kBad, "TLS_AES_128_CCM_8_SHA256"},
    {0x5600, kSignal, "TLS_FALLBACK_SCSV"},
    {0xC008, kBad, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"},
    {0xC009, kGood, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"},
    {0xC00A, kGood, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"},
    {0xC011, kBad, "TLS_ECDHE_RSA_WITH_RC4_128_SHA"},
    {0xC012, kBad, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"},
    {0xC013, kGood, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"},
    {0xC014, kGood, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"},
    {0xC023, kGood, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"},
    {0xC024, kGood, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"},
    {0xC027, kGood, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"},
    {0xC028, kGood, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384"},
    {0xC02B, kBest, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {0xC02C, kGood, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
    {0xC02F, kBest, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
    {0xC030, kGood, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
    {0xC09C, kBad, "TLS_RSA_WITH_AES_128_CCM"},
    {0xC09D, kBad, "TLS_RSA_WITH_AES_256_CCM"},
    {0xC09E, kBad, "TLS_DHE_RSA_WITH_AES_128_CCM"},
    {0xC09F, kBad, "TLS_DHE_RSA_WITH_AES_256_CCM"},
    {0xC0A0, kBad, "TLS_RSA_WITH_AES_128_CCM_8"},
    {0xC0A1, kBad, "TLS_RSA_WITH_AES_256_CCM_8"},
    {0xC0AC, kBad, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"},
    {0xC0AD, kBad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM"},
    {0xC0AE, kBad, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"},
    {0xC0AF, kBad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8"},
    {0xCCA8, kBad, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
    {0xCCA9, kBad, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
    {0xCCAA, kBad, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
};

const Suite* find_suite(std::uint16_t id) noexcept {
  const auto* const found = std::find_if(std::begin(kSuites), std::end(kSuites),
                                         [id](const Suite& suite) { return suite.id == id; });
  return found == std::end(kSuites) ? nullptr : found;
}

/// Values that clients send to keep servers tolerant (RFC 8701): 0x0A0A, 0x1A1A … 0xFAFA.
bool is_grease(std::uint16_t id) noexcept {
  return (id & 0x0F0FU) == 0x0A0AU && id >> 8U == (id & 0xFFU);
}

std::string hex_of(std::uint16_t id) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text = "0x";
  for (const unsigned shift : {12U, 8U, 4U, 0U}) text += kDigits[(id >> shift) & 15U];
  return text;
}

std::string version_name(std::uint16_t version) {
  constexpr std::array<std::string_view, 5> kNames{"SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2",
                                                   "TLS 1.3"};
  const unsigned minor = version & 0xFFU;
  if (version >> 8U == 3 && minor < kNames.size()) return std::string(kNames.at(minor));
  return hex_of(version);
}

Error wrong(std::string_view words) {
  return {Errc::corrupt, "no ClientHello: " + std::string(words)};
}

/// 16-bit numbers until the end of a vector.
std::vector<std::uint16_t> numbers(std::string_view bytes) {
  std::vector<std::uint16_t> all;
  Reader reader(bytes);
  while (!reader.at_end()) {
    const std::uint16_t number = reader.two();
    if (reader.failed()) break;
    all.push_back(number);
  }
  return all;
}

void read_server_name(std::string_view body, ClientHello& hello) {
  Reader list(Reader(body).binary());
  while (!list.at_end() && !list.failed()) {
    const bool host_name = list.byte() == 0;
    const std::string_view name = list.binary();
    if (host_name && hello.server_name.empty()) hello.server_name = name;
  }
}

void read_alpn(std::string_view body, ClientHello& hello) {
  Reader list(Reader(body).binary());
  while (!list.at_end()) {
    const std::string_view name = list.take(list.byte());
    if (list.failed()) break;
    hello.alpn.emplace_back(name);
  }
}

/// RFC 6066, section 4: 1 to 4 stand for 512 to 4,096 bytes.
void read_fragment_length(std::string_view body, ClientHello& hello) {
  const unsigned code = Reader(body).byte();
  if (code >= 1 && code <= 4) hello.max_fragment_length = std::size_t{256} << code;
}

void read_extension(std::uint16_t type, std::string_view body, ClientHello& hello) {
  switch (type) {
    case 0:
      return read_server_name(body, hello);
    case 1:
      return read_fragment_length(body, hello);
    case 10:
      hello.groups = numbers(Reader(body).binary());
      return;
    case 13:
      hello.signature_algorithms = numbers(Reader(body).binary());
      return;
    case 16:
      return read_alpn(body, hello);
    case 35:
      hello.session_ticket = true;
      hello.session_ticket_sent = !body.empty();
      return;
    case 41:
      hello.pre_shared_key = true;
      return;
    case 43: {
      Reader reader(body);
      hello.versions = numbers(reader.take(reader.byte()));
      return;
    }
    default:
      return;
  }
}

Result<std::optional<ClientHello>> read_body(std::string_view body) {
  ClientHello hello;
  Reader reader(body);
  hello.legacy_version = reader.two();
  reader.take(kRandomBytes);
  reader.take(reader.byte());  // session id
  hello.suites = numbers(reader.binary());
  reader.take(reader.byte());  // compression
  if (reader.failed()) return wrong("it ends too early");
  Reader extensions(reader.at_end() ? std::string_view() : reader.binary());
  if (reader.failed()) return wrong("its extensions end too early");
  while (!extensions.at_end()) {
    const std::uint16_t type = extensions.two();
    const std::string_view extension = extensions.binary();
    if (extensions.failed()) return wrong("an extension ends too early");
    read_extension(type, extension, hello);
  }
  if (hello.versions.empty()) hello.versions.push_back(hello.legacy_version);
  return std::optional(std::move(hello));
}

std::string_view standing_name(SuiteStanding standing) {
  constexpr std::array<std::string_view, 4> kNames{"recommended", "supported", "unsupported",
                                                   "signalling"};
  return kNames.at(static_cast<std::size_t>(standing));
}

Json hex_list(std::span<const std::uint16_t> ids) {
  Json list = Json::array();
  for (const std::uint16_t id : ids) list.push_back(hex_of(id));
  return list;
}

/// Bytes of a stranger as a text of JSON: what is not printable ASCII is shown as '?'.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace

SuiteStanding standing(std::uint16_t suite) noexcept {
  if (is_grease(suite)) return SuiteStanding::signalling;
  const Suite* const known = find_suite(suite);
  return known == nullptr ? SuiteStanding::unsupported : known->standing;
}

std::string suite_name(std::uint16_t suite) {
  if (is_grease(suite)) return "GREASE";
  const Suite* const known = find_suite(suite);
  return known == nullptr ? hex_of(suite) : std::string(known->name);
}

Result<std::optional<ClientHello>> parse_client_hello(std::string_view bytes) {
  std::string handshake;  // what the records carry, joined
  Reader records(bytes);
  for (bool whole = true;;) {
    if (!handshake.empty() && handshake[0] != 1) {
      return wrong("another handshake message comes first");
    }
    if (handshake.size() >= kHandshakeHeader) {
      Reader header(handshake);
      const std::size_t length = header.four() & 0xFF'FFFFU;  // after the type, three bytes
      if (length > kHelloMax) return wrong("it says that it is too long");
      if (handshake.size() >= kHandshakeHeader + length) {
        return read_body(std::string_view(handshake).substr(kHandshakeHeader, length));
      }
    }
    if (!whole) return std::optional<ClientHello>();
    const std::string_view rest = bytes.substr(records.offset());
    if (!rest.empty() && rest[0] != 22) return wrong("no handshake record");
    if (rest.size() > 1 && rest[1] != 3) return wrong("a record of no known version");
    if (rest.size() < kRecordHeader) return std::optional<ClientHello>();
    records.take(3);
    const std::size_t length = records.two();
    if (length == 0 || length > kRecordMax) return wrong("a record of an impossible length");
    const std::string_view part = rest.substr(kRecordHeader, length);
    handshake += part;
    records.take(part.size());
    whole = part.size() == length;
  }
}

Json to_json(const ClientHello& hello) {
  Json json = Json::object();
  json["versions"] = Json::array();
  for (const std::uint16_t version : hello.versions) {
    if (!is_grease(version)) json["versions"].push_back(version_name(version));
  }
  json["suites"] = Json::array();
  for (const std::uint16_t suite : hello.suites) {
    json["suites"].push_back({{"id", hex_of(suite)},
                              {"name", suite_name(suite)},
                              {"aws", standing_name(standing(suite))}});
  }
  json["server_name"] = printable(hello.server_name);
  json["alpn"] = Json::array();
  for (const std::string& name : hello.alpn) json["alpn"].push_back(printable(name));
  json["groups"] = hex_list(hello.groups);
  json["signature_algorithms"] = hex_list(hello.signature_algorithms);
  json["session_ticket"] = hello.session_ticket;
  json["session_ticket_sent"] = hello.session_ticket_sent;
  json["pre_shared_key"] = hello.pre_shared_key;
  if (hello.max_fragment_length != 0) json["max_fragment_length"] = hello.max_fragment_length;
  return json;
}

}  // namespace holdfast::lab::fault
