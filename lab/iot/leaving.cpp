#include "lab/iot/leaving.h"

#include <array>

namespace holdfast::lab::iot {
namespace {

struct LeavingRow {
  std::string_view name;
  std::uint8_t code;
};
// In the order of the enumeration.
constexpr std::array<LeavingRow, 13> kLeavings = {{
    {"AUTH_ERROR", 0x87},
    {"CLIENT_INITIATED_DISCONNECT", 0x00},
    {"CLIENT_ERROR", 0x82},
    {"CONNECTION_LOST", 0x80},
    {"DUPLICATE_CLIENTID", 0x8E},
    {"FORBIDDEN_ACCESS", 0x87},
    {"MQTT_KEEP_ALIVE_TIMEOUT", 0x8D},
    {"SERVER_ERROR", 0x80},
    {"SERVER_INITIATED_DISCONNECT", 0x8B},
    {"API_INITIATED_DISCONNECT", 0x98},
    {"THROTTLED", 0x97},
    {"WEBSOCKET_TTL_EXPIRATION", 0x98},
    {"CUSTOMAUTH_TTL_EXPIRATION", 0x98},
}};

struct RefusalRow {
  std::uint8_t connack;
  std::uint8_t return_code;  // of 3.1.1; 0: closed without a word
};
constexpr std::array<RefusalRow, 9> kRefusals = {{
    {0x81, 0},  // malformed
    {0x82, 0},  // protocol_error
    {0x85, 2},  // client_id
    {0x86, 4},  // not_authenticated
    {0x87, 5},  // not_authorized
    {0x90, 0},  // will_topic
    {0x9B, 0},  // will_qos
    {0x8C, 0},  // auth_method
    {0x97, 3},  // throttled
}};

}  // namespace

std::string_view to_string(Leaving why) noexcept {
  return kLeavings.at(static_cast<std::size_t>(why)).name;
}
std::uint8_t reason_code(Leaving why) noexcept {
  return kLeavings.at(static_cast<std::size_t>(why)).code;
}
std::uint8_t connack_code(Refusal refusal) noexcept {
  return kRefusals.at(static_cast<std::size_t>(refusal)).connack;
}
std::uint8_t return_code(Refusal refusal, std::uint8_t denied) noexcept {
  if (refusal == Refusal::not_authorized) return denied;
  return kRefusals.at(static_cast<std::size_t>(refusal)).return_code;
}

}  // namespace holdfast::lab::iot
