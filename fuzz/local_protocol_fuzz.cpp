// Goal: no line on the local socket crashes the agent or gets an answer that is not one JSON line.
// Method: libFuzzer over one request line. A publish that was understood is written and read again
//         and must be the same message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/base64.h"
#include "runtime/local_protocol.h"
#include "runtime/outbox_look.h"

namespace {

using namespace holdfast;           // NOLINT: a short program
using namespace holdfast::runtime;  // NOLINT

void require(bool holds) {
  if (!holds) std::abort();
}

void require_line(const std::string& line) {
  require(line.find('\n') == line.size() - 1 && nlohmann::json::accept(line));
}

void check_round_trip(const PublishRequest& request) {
  std::string line = publish_line(1, request.message, request.receipt);
  require_line(line);
  line.pop_back();
  const auto again = parse_request(line);
  const auto* parsed = std::get_if<LocalRequest>(&again);
  require(parsed != nullptr);
  const auto* copy = std::get_if<PublishRequest>(&parsed->what);
  require(copy != nullptr);
  require(copy->message.topic == request.message.topic);
  require(copy->message.payload == request.message.payload);
  require(copy->message.user_properties == request.message.user_properties);
  require(copy->message.response_topic == request.message.response_topic);
  require(copy->message.correlation_data == request.message.correlation_data);
  require(copy->message.expiry == request.message.expiry && copy->receipt == request.receipt);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse_request(line);
  if (const auto* refusal = std::get_if<LocalRefusal>(&parsed)) {
    require(!refusal->error.empty());
    require_line(error_line(refusal->id, refusal->error));
  } else {
    const auto& request = std::get<LocalRequest>(parsed);
    require_line(ok_line(request.id));
    if (const auto* publish = std::get_if<PublishRequest>(&request.what)) {
      check_round_trip(*publish);
    }
    if (const auto* subscribe = std::get_if<SubscribeRequest>(&request.what)) {
      require_line(subscribe_line(1, *subscribe));
    }
    if (const auto* done = std::get_if<AcknowledgeRequest>(&request.what)) {
      require(!done->deliveries.empty() && done->deliveries.size() <= limits::kLocalAcknowledged);
    }
  }
  if (const auto bytes = from_base64(line)) require(to_base64(*bytes) == line);
  if (const auto cursor = parse_cursor(line); !cursor) require(!cursor.error().message.empty());
  InboundMessage message;
  message.topic = line;
  message.payload.assign(reinterpret_cast<const std::byte*>(data),
                         reinterpret_cast<const std::byte*>(data) + size);
  require_line(message_line(1, message));
  require_line(held_line(1, size, size % 2 == 0, message));
  return 0;
}
