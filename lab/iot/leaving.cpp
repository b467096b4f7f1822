#include "lab/iot/leaving.h"

#include <array>

namespace holdfast::lab::iot {
namespace {

// Of the DISCONNECT, in the order of DisconnectReason.
constexpr std::array<std::uint8_t, 13> kCodes = {
    0x87,  // auth_error
    0x00,  // client_initiated_disconnect
    0x82,  // client_error
    0x80,  // connection_lost
    0x8E,  // duplicate_clientid
    0x87,  // forbidden_access
    0x8D,  // mqtt_keep_alive_timeout
    0x80,  // server_error
    0x8B,  // server_initiated_disconnect
    0x98,  // api_initiated_disconnect
    0x97,  // throttled
    0x98,  // websocket_ttl_expiration
    0x98,  // customauth_ttl_expiration
};

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

std::uint8_t reason_code(DisconnectReason why) noexcept {
  return kCodes.at(static_cast<std::size_t>(why));
}
std::uint8_t connack_code(Refusal refusal) noexcept {
  return kRefusals.at(static_cast<std::size_t>(refusal)).connack;
}
std::uint8_t return_code(Refusal refusal, std::uint8_t denied) noexcept {
  if (refusal == Refusal::not_authorized) return denied;
  return kRefusals.at(static_cast<std::size_t>(refusal)).return_code;
}

}  // namespace holdfast::lab::iot
