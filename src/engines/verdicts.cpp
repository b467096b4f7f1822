#include "engines/verdicts.h"

#include <array>
#include <cstdio>
#include <span>

#include "base/utf8.h"

namespace holdfast::engines {
namespace {

constexpr std::size_t kWordsMax = 200;

Verdict connack_verdict_v5(std::uint8_t code) {
  switch (code) {
    case 0x85:  // client identifier not valid
    case 0x86:  // bad user name or password
    case 0x8C:  // bad authentication method
      return Verdict::bad_credentials;
    case 0x87:  // not authorized
    case 0x8A:  // banned
      return Verdict::not_authorized;
    case 0x80:  // unspecified error
    case 0x83:  // implementation specific error
    case 0x88:  // server unavailable
    case 0x89:  // server busy
    case 0x9C:  // use another server
    case 0x9D:  // server moved
      return Verdict::server_gone;
    case 0x97:
      return Verdict::quota_exceeded;
    case 0x9F:  // connection rate exceeded
      return Verdict::throttled;
    default:  // 0x81, 0x82, 0x84 version, 0x90 and 0x99 to 0x9B (the will), 0x95, unknown ones
      return Verdict::protocol_error;
  }
}

Verdict connack_verdict_v311(std::uint8_t code) {
  switch (code) {
    case 1:
      return Verdict::protocol_error;
    case 2:
    case 4:
      return Verdict::bad_credentials;
    case 3:
      return Verdict::server_gone;
    default:  // 5, and brokers' own inventions: all of them mean "not you"
      return Verdict::not_authorized;
  }
}

Verdict disconnect_verdict(std::uint8_t code) {
  switch (code) {
    case 0x00:  // normal
    case 0x04:
    case 0x80:  // unspecified error
    case 0x83:  // implementation specific error
    case 0x89:  // server busy
    case 0x8B:  // server shutting down
    case 0x8D:  // keep-alive timeout: our packets did not reach it
    case 0x98:  // administrative action
    case 0x9C:  // use another server
    case 0x9D:  // server moved
    case 0xA0:  // maximum connect time
      return Verdict::server_gone;
    case 0x87:
      return Verdict::not_authorized;
    case 0x8E:
      return Verdict::id_taken_over;
    case 0x96:  // message rate too high
    case 0x9F:  // connection rate exceeded
      return Verdict::throttled;
    case 0x97:
      return Verdict::quota_exceeded;
    default:
      return Verdict::protocol_error;
  }
}

// The names that the specifications give.
struct CodeName {
  std::uint8_t code;
  std::string_view name;
};
constexpr CodeName kNamesV5[] = {
    {0x04, "Disconnect with Will Message"},
    {0x80, "Unspecified error"},
    {0x81, "Malformed Packet"},
    {0x82, "Protocol Error"},
    {0x83, "Implementation specific error"},
    {0x84, "Unsupported Protocol Version"},
    {0x85, "Client Identifier not valid"},
    {0x86, "Bad User Name or Password"},
    {0x87, "Not authorized"},
    {0x88, "Server unavailable"},
    {0x89, "Server busy"},
    {0x8A, "Banned"},
    {0x8B, "Server shutting down"},
    {0x8C, "Bad authentication method"},
    {0x8D, "Keep Alive timeout"},
    {0x8E, "Session taken over"},
    {0x8F, "Topic Filter invalid"},
    {0x90, "Topic Name invalid"},
    {0x93, "Receive Maximum exceeded"},
    {0x94, "Topic Alias invalid"},
    {0x95, "Packet too large"},
    {0x96, "Message rate too high"},
    {0x97, "Quota exceeded"},
    {0x98, "Administrative action"},
    {0x99, "Payload format invalid"},
    {0x9A, "Retain not supported"},
    {0x9B, "QoS not supported"},
    {0x9C, "Use another server"},
    {0x9D, "Server moved"},
    {0x9E, "Shared Subscriptions not supported"},
    {0x9F, "Connection rate exceeded"},
    {0xA0, "Maximum connect time"},
    {0xA1, "Subscription Identifiers not supported"},
    {0xA2, "Wildcard Subscriptions not supported"},
};
constexpr CodeName kNamesV311[] = {
    {1, "unacceptable protocol version"}, {2, "identifier rejected"}, {3, "server unavailable"},
    {4, "bad user name or password"},     {5, "not authorized"},
};

std::string name_of(std::span<const CodeName> names, std::uint8_t code) {
  for (const CodeName& known : names) {
    if (known.code == code) return std::string(known.name);
  }
  return "unknown reason";
}

std::string with_reason(std::string text, std::string_view reason) {
  if (!reason.empty()) text += " (\"" + tidy(reason) + "\")";
  return text;
}

std::string in_hex(std::uint8_t code) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "0x%02X", static_cast<unsigned>(code));
  return text.data();
}

}  // namespace

env::Failure connack_failure(MqttVersion version, std::uint8_t code, std::string_view reason) {
  if (version == MqttVersion::v311) {
    return {connack_verdict_v311(code), code,
            "CONNACK " + std::to_string(code) + ": " + name_of(kNamesV311, code)};
  }
  std::string text = "CONNACK " + in_hex(code) + ": ";
  text += code == 0x84 ? "The broker does not speak MQTT 5; set mqtt_version to 3.1.1."
                       : name_of(kNamesV5, code);
  return {connack_verdict_v5(code), code, with_reason(std::move(text), reason)};
}

env::Failure disconnect_failure(std::uint8_t code, std::string_view reason) {
  std::string text = "DISCONNECT " + in_hex(code) + ": ";
  text += code == 0 ? "The broker ended the connection." : name_of(kNamesV5, code);
  return {disconnect_verdict(code), code, with_reason(std::move(text), reason)};
}

std::string tidy(std::string_view words) {
  std::string line(words.substr(0, kWordsMax));
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = '?';
  }
  // The cut may have split a character; then all high bytes go.
  if (valid_utf8(line)) return line;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return line;
}

}  // namespace holdfast::engines
