// See birth.h.
#include "device/birth.h"

#include <memory>
#include <span>

#include "flow/sender.h"

namespace holdfast::device {

MessagePtr birth_message(const StatusMessage& birth) {
  auto message = std::make_shared<StoredMessage>();
  message->id = flow::kBirthToken;
  message->qos = birth.qos;
  message->retain = birth.retain;
  message->topic = birth.topic;
  const auto bytes = std::as_bytes(std::span(birth.payload));
  message->payload.assign(bytes.begin(), bytes.end());
  message->content_type = birth.content_type;
  message->user_properties = birth.user_properties;
  if (birth.expiry) message->expiry_seconds = static_cast<std::uint32_t>(birth.expiry->count());
  return message;
}

}  // namespace holdfast::device
