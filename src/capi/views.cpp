// See views.h.
#include "capi/views.h"

#include <string>
#include <variant>

namespace holdfast::capi {

holdfast_receipt view_of(const Receipt& receipt) noexcept {
  holdfast_receipt c{};
  c.size = sizeof(c);
  c.id = receipt.id;
  c.kind = static_cast<std::int32_t>(receipt.kind);
  c.rejected = static_cast<std::int32_t>(receipt.rejected);
  c.dropped =
      receipt.kind == ReceiptKind::dropped ? static_cast<std::int32_t>(receipt.dropped) : -1;
  c.kept = static_cast<std::int32_t>(receipt.kept);
  c.reason_code = receipt.reason_code;
  c.last = receipt.last;
  return c;
}

holdfast_connection view_of(const ConnectionState& state) noexcept {
  holdfast_connection c{};
  c.size = sizeof(c);
  c.state = static_cast<std::int32_t>(state.state);
  c.verdict = static_cast<std::int32_t>(state.verdict);
  c.detail = state.detail.c_str();
  c.retry_in_ms = state.retry_in.count();
  c.attempts = state.attempts;
  c.session_present = state.session_present;
  c.endpoint = state.endpoint.c_str();
  c.endpoint_name = state.endpoint_name.c_str();
  c.client_id = state.client_id.c_str();
  return c;
}

InboundView::InboundView(const InboundMessage& message) : c{} {
  properties.reserve(message.user_properties.size());
  for (const auto& [name, value] : message.user_properties) {
    properties.push_back({name.c_str(), value.c_str()});
  }
  c.size = sizeof(c);
  c.topic = message.topic.c_str();
  c.payload = message.payload.data();
  c.payload_length = message.payload.size();
  c.qos = static_cast<std::uint8_t>(message.qos);
  c.retain = message.retain;
  c.duplicate = message.duplicate;
  c.content_type = message.content_type.c_str();
  c.response_topic = message.response_topic.c_str();
  c.correlation = message.correlation_data.data();
  c.correlation_length = message.correlation_data.size();
  c.properties = properties.data();
  c.property_count = properties.size();
}

LogView::LogView(const LogLine& line) : c{} {
  values.reserve(line.fields.size());
  fields.reserve(line.fields.size());
  for (const LogField& field : line.fields) {
    const auto* const number = std::get_if<std::int64_t>(&field.value);
    values.push_back(number != nullptr ? std::to_string(*number)
                                       : *std::get_if<std::string>(&field.value));
    fields.push_back({field.name.data(), values.back().c_str()});  // names are literals
  }
  c.size = sizeof(c);
  c.text = line.text.c_str();
  c.area = to_string(line.area).data();
  c.level = static_cast<std::int32_t>(line.level);
  c.verdict = line.verdict ? static_cast<std::int32_t>(*line.verdict) : -1;
  c.fields = fields.data();
  c.field_count = fields.size();
}

}  // namespace holdfast::capi
