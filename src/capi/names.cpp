// The enumerators of holdfast.h are those of the library, and so are their names.
#include <limits>

#include "capi/handle.h"
#include "holdfast/log.h"

// The C values never change. Where the library's enumeration changes its order, translate here and
// in device.cpp instead; where it grows, holdfast.h grows at its end.
#define HF_SAME(c, cpp) static_assert(static_cast<int>(c) == static_cast<int>(holdfast::cpp))

HF_SAME(HOLDFAST_INVALID_ARGUMENT - 1, Errc::invalid_argument);
HF_SAME(HOLDFAST_INVALID_CONFIG - 1, Errc::invalid_config);
HF_SAME(HOLDFAST_NOT_FOUND - 1, Errc::not_found);
HF_SAME(HOLDFAST_PERMISSION - 1, Errc::permission);
HF_SAME(HOLDFAST_IO - 1, Errc::io);
HF_SAME(HOLDFAST_NO_SPACE - 1, Errc::no_space);
HF_SAME(HOLDFAST_READ_ONLY - 1, Errc::read_only);
HF_SAME(HOLDFAST_CORRUPT - 1, Errc::corrupt);
HF_SAME(HOLDFAST_TOO_LARGE - 1, Errc::too_large);
HF_SAME(HOLDFAST_FULL - 1, Errc::full);
HF_SAME(HOLDFAST_TIMEOUT - 1, Errc::timeout);
HF_SAME(HOLDFAST_IN_USE - 1, Errc::in_use);
HF_SAME(HOLDFAST_UNSUPPORTED - 1, Errc::unsupported);
HF_SAME(HOLDFAST_CLOSED - 1, Errc::closed);
HF_SAME(HOLDFAST_PROTOCOL - 1, Errc::protocol);
HF_SAME(HOLDFAST_INTERNAL - 1, Errc::internal);

HF_SAME(HOLDFAST_DURABLE, Durability::durable);
HF_SAME(HOLDFAST_MEMORY, Durability::memory);
HF_SAME(HOLDFAST_SPILL, Durability::spill);

HF_SAME(HOLDFAST_REJECT_NONE, RejectReason::none);
HF_SAME(HOLDFAST_REJECT_INVALID_TOPIC, RejectReason::invalid_topic);
HF_SAME(HOLDFAST_REJECT_INVALID_FIELD, RejectReason::invalid_field);
HF_SAME(HOLDFAST_REJECT_UNKNOWN_LANE, RejectReason::unknown_lane);
HF_SAME(HOLDFAST_REJECT_TOO_LARGE, RejectReason::too_large);
HF_SAME(HOLDFAST_REJECT_QUEUE_FULL, RejectReason::queue_full);
HF_SAME(HOLDFAST_REJECT_OUTBOX_FULL, RejectReason::outbox_full);
HF_SAME(HOLDFAST_REJECT_LANE_FULL, RejectReason::lane_full);
HF_SAME(HOLDFAST_REJECT_STORAGE_FAILED, RejectReason::storage_failed);
HF_SAME(HOLDFAST_REJECT_STOPPING, RejectReason::stopping);
HF_SAME(HOLDFAST_REJECT_POWER_FAILING, RejectReason::power_failing);
static_assert(holdfast::kRejectReasons == HOLDFAST_REJECT_POWER_FAILING + 1);

HF_SAME(HOLDFAST_DROP_EXPIRED, DropReason::expired);
HF_SAME(HOLDFAST_DROP_REFUSED, DropReason::refused);
HF_SAME(HOLDFAST_DROP_TOO_LARGE, DropReason::too_large);
HF_SAME(HOLDFAST_DROP_EVICTED, DropReason::evicted);
HF_SAME(HOLDFAST_DROP_CORRUPT, DropReason::corrupt);
HF_SAME(HOLDFAST_DROP_VOLATILE_LOST, DropReason::volatile_lost);
HF_SAME(HOLDFAST_DROP_SUPERSEDED, DropReason::superseded);
static_assert(holdfast::kDropReasons == HOLDFAST_DROP_SUPERSEDED + 1);

HF_SAME(HOLDFAST_ACCEPTED, ReceiptKind::accepted);
HF_SAME(HOLDFAST_RECEIPT_REJECTED, ReceiptKind::rejected);
HF_SAME(HOLDFAST_DELIVERED, ReceiptKind::delivered);
HF_SAME(HOLDFAST_RECEIPT_DROPPED, ReceiptKind::dropped);
HF_SAME(HOLDFAST_UNTIL_ACCEPTED, ReceiptScope::accepted);
HF_SAME(HOLDFAST_UNTIL_SETTLED, ReceiptScope::settled);

HF_SAME(HOLDFAST_FATE_UNKNOWN, FateKind::unknown);
HF_SAME(HOLDFAST_FATE_PENDING, FateKind::pending);
HF_SAME(HOLDFAST_FATE_DELIVERED, FateKind::delivered);
HF_SAME(HOLDFAST_FATE_DROPPED, FateKind::dropped);
HF_SAME(HOLDFAST_FATE_FORGOTTEN, FateKind::forgotten);

HF_SAME(HOLDFAST_ANSWERED, ResponseKind::answered);
HF_SAME(HOLDFAST_TIMED_OUT, ResponseKind::timed_out);
HF_SAME(HOLDFAST_NOT_SENT, ResponseKind::not_sent);
HF_SAME(HOLDFAST_NO_ANSWERS, ResponseKind::no_answers);
HF_SAME(HOLDFAST_STOPPED, ResponseKind::stopped);

HF_SAME(HOLDFAST_IDLE, LinkState::idle);
HF_SAME(HOLDFAST_CONNECTING, LinkState::connecting);
HF_SAME(HOLDFAST_CONNECTED, LinkState::connected);
HF_SAME(HOLDFAST_WAITING, LinkState::waiting);
HF_SAME(HOLDFAST_STOPPING, LinkState::stopping);
HF_SAME(HOLDFAST_STATE_STOPPED, LinkState::stopped);

HF_SAME(HOLDFAST_VERDICT_NONE, Verdict::none);
HF_SAME(HOLDFAST_VERDICT_NOT_STARTED, Verdict::not_started);
HF_SAME(HOLDFAST_VERDICT_NO_CREDENTIALS, Verdict::no_credentials);
HF_SAME(HOLDFAST_VERDICT_LINK_DOWN, Verdict::link_down);
HF_SAME(HOLDFAST_VERDICT_NO_ROUTE, Verdict::no_route);
HF_SAME(HOLDFAST_VERDICT_DNS_FAILED, Verdict::dns_failed);
HF_SAME(HOLDFAST_VERDICT_DNS_TIMEOUT, Verdict::dns_timeout);
HF_SAME(HOLDFAST_VERDICT_TCP_REFUSED, Verdict::tcp_refused);
HF_SAME(HOLDFAST_VERDICT_TCP_TIMEOUT, Verdict::tcp_timeout);
HF_SAME(HOLDFAST_VERDICT_PROXY_FAILED, Verdict::proxy_failed);
HF_SAME(HOLDFAST_VERDICT_TLS_CLOCK, Verdict::tls_clock);
HF_SAME(HOLDFAST_VERDICT_TLS_SERVER_NAME, Verdict::tls_server_name);
HF_SAME(HOLDFAST_VERDICT_TLS_SERVER_UNTRUSTED, Verdict::tls_server_untrusted);
HF_SAME(HOLDFAST_VERDICT_TLS_SERVER_EXPIRED, Verdict::tls_server_expired);
HF_SAME(HOLDFAST_VERDICT_TLS_CLIENT_REFUSED, Verdict::tls_client_refused);
HF_SAME(HOLDFAST_VERDICT_TLS_FAILED, Verdict::tls_failed);
HF_SAME(HOLDFAST_VERDICT_TLS_TIMEOUT, Verdict::tls_timeout);
HF_SAME(HOLDFAST_VERDICT_MQTT_TIMEOUT, Verdict::mqtt_timeout);
HF_SAME(HOLDFAST_VERDICT_NOT_AUTHORIZED, Verdict::not_authorized);
HF_SAME(HOLDFAST_VERDICT_PUBLISH_DENIED, Verdict::publish_denied);
HF_SAME(HOLDFAST_VERDICT_SUBSCRIBE_DENIED, Verdict::subscribe_denied);
HF_SAME(HOLDFAST_VERDICT_BAD_CREDENTIALS, Verdict::bad_credentials);
HF_SAME(HOLDFAST_VERDICT_ID_TAKEN_OVER, Verdict::id_taken_over);
HF_SAME(HOLDFAST_VERDICT_THROTTLED, Verdict::throttled);
HF_SAME(HOLDFAST_VERDICT_QUOTA_EXCEEDED, Verdict::quota_exceeded);
HF_SAME(HOLDFAST_VERDICT_SERVER_GONE, Verdict::server_gone);
HF_SAME(HOLDFAST_VERDICT_PROTOCOL_ERROR, Verdict::protocol_error);
HF_SAME(HOLDFAST_VERDICT_SILENT_PEER, Verdict::silent_peer);
HF_SAME(HOLDFAST_VERDICT_ENGINE_FAILED, Verdict::engine_failed);
HF_SAME(HOLDFAST_VERDICT_CAPTIVE_PORTAL, Verdict::captive_portal);
static_assert(holdfast::kVerdicts == HOLDFAST_VERDICT_CAPTIVE_PORTAL + 1);

HF_SAME(HOLDFAST_LOG_ERROR, LogLevel::error);
HF_SAME(HOLDFAST_LOG_WARNING, LogLevel::warning);
HF_SAME(HOLDFAST_LOG_INFO, LogLevel::info);
HF_SAME(HOLDFAST_LOG_DEBUG, LogLevel::debug);
static_assert(holdfast::kLogLevels == HOLDFAST_LOG_DEBUG + 1);

namespace {

/// The library's names are literals, so a NUL ends them.
template <class Enum>
const char* name(int value) noexcept {
  const bool fits = value >= 0 && value <= std::numeric_limits<std::uint8_t>::max();
  return fits ? to_string(static_cast<Enum>(value)).data() : "?";
}

}  // namespace

extern "C" {

const char* holdfast_error_name(int error) {
  if (error == HOLDFAST_OK) return "ok";
  if (error == HOLDFAST_REJECTED) return "rejected";
  if (error == HOLDFAST_DROPPED) return "dropped";
  return error < 1 ? "?" : name<holdfast::Errc>(error - 1);
}

const char* holdfast_durability_name(int value) { return name<holdfast::Durability>(value); }
const char* holdfast_reject_name(int value) { return name<holdfast::RejectReason>(value); }
const char* holdfast_drop_name(int value) { return name<holdfast::DropReason>(value); }
const char* holdfast_receipt_name(int value) { return name<holdfast::ReceiptKind>(value); }
const char* holdfast_fate_name(int value) { return name<holdfast::FateKind>(value); }
const char* holdfast_response_name(int value) { return name<holdfast::ResponseKind>(value); }
const char* holdfast_state_name(int value) { return name<holdfast::LinkState>(value); }
const char* holdfast_verdict_name(int value) { return name<holdfast::Verdict>(value); }
const char* holdfast_log_level_name(int value) {
  return value <= HOLDFAST_LOG_DEBUG ? name<holdfast::LogLevel>(value) : "?";
}

const char* holdfast_verdict_text(int value) {
  const bool fits = value >= 0 && value < static_cast<int>(holdfast::kVerdicts);
  return fits ? explain(static_cast<holdfast::Verdict>(value)).data() : "?";
}

const char* holdfast_version(void) { return HOLDFAST_VERSION; }
int holdfast_abi(void) { return HOLDFAST_SOVERSION; }

}  // extern "C"
