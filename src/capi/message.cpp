// Messages of holdfast.h before they are published.
#include <cstring>

#include "capi/handle.h"

namespace holdfast::capi {

namespace {

Bytes bytes_of(const void* data, std::size_t length) {
  Bytes bytes(length);
  if (length != 0) std::memcpy(bytes.data(), data, length);
  return bytes;
}

/// Runs `change` on the message of a handle.
template <class Change>
int with(holdfast_message* message, Change&& change) noexcept {
  return guarded([&] {
    if (!usable(message)) return fail(Errc::invalid_argument, "message is no message");
    return change(message->message);
  });
}

int set_text(holdfast_message* message, std::string Message::*member, const char* name,
             const char* value) noexcept {
  return with(message, [&](Message& to) {
    if (value == nullptr) return missing(name);
    to.*member = value;
    return static_cast<int>(HOLDFAST_OK);
  });
}

int set_bytes(holdfast_message* message, Bytes Message::*member, const char* name, const void* data,
              std::size_t length) noexcept {
  return with(message, [&](Message& to) {
    if (data == nullptr && length != 0) return missing(name);
    to.*member = bytes_of(data, length);
    return static_cast<int>(HOLDFAST_OK);
  });
}

}  // namespace

}  // namespace holdfast::capi

using namespace holdfast;  // NOLINT: the calls of the C interface are outside of every namespace
using namespace holdfast::capi;  // NOLINT

extern "C" {

int holdfast_message_new(const char* topic, const void* payload, size_t length,
                         holdfast_message** message) {
  return guarded([&] {
    if (message == nullptr) return missing("message");
    if (topic == nullptr) return missing("topic");
    if (payload == nullptr && length != 0) return missing("payload");
    auto made = std::make_unique<holdfast_message>();
    made->message.topic = topic;
    made->message.payload = bytes_of(payload, length);
    *message = made.release();
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_message_set_payload(holdfast_message* message, const void* payload, size_t length) {
  return set_bytes(message, &Message::payload, "payload", payload, length);
}

int holdfast_message_set_qos(holdfast_message* message, int qos) {
  return with(message, [&](Message& to) {
    if (qos != 0 && qos != 1) {
      return fail(Errc::invalid_argument, "qos is " + std::to_string(qos) + "; give 0 or 1");
    }
    to.qos = static_cast<Qos>(qos);
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_message_set_retain(holdfast_message* message, bool retain) {
  return with(message, [&](Message& to) {
    to.retain = retain;
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_message_set_durability(holdfast_message* message, int durability) {
  return with(message, [&](Message& to) {
    if (durability < HOLDFAST_DURABLE || durability > HOLDFAST_SPILL) {
      return fail(Errc::invalid_argument,
                  "durability is " + std::to_string(durability) + "; give a holdfast_durability");
    }
    to.durability = static_cast<Durability>(durability);
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_message_set_lane(holdfast_message* message, const char* lane) {
  return set_text(message, &Message::lane, "lane", lane);
}

int holdfast_message_set_key(holdfast_message* message, const char* key) {
  return set_text(message, &Message::key, "key", key);
}

int holdfast_message_set_expiry(holdfast_message* message, int64_t seconds) {
  return with(message, [&](Message& to) {
    if (seconds <= 0) return fail(Errc::invalid_argument, "seconds must be above 0");
    to.expiry = Seconds(seconds);
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_message_set_content_type(holdfast_message* message, const char* type) {
  return set_text(message, &Message::content_type, "type", type);
}

int holdfast_message_set_response_topic(holdfast_message* message, const char* topic) {
  return set_text(message, &Message::response_topic, "topic", topic);
}

int holdfast_message_set_correlation(holdfast_message* message, const void* data, size_t length) {
  return set_bytes(message, &Message::correlation_data, "data", data, length);
}

int holdfast_message_add_property(holdfast_message* message, const char* name, const char* value) {
  return with(message, [&](Message& to) {
    if (name == nullptr) return missing("name");
    if (value == nullptr) return missing("value");
    to.user_properties.emplace_back(name, value);
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_message_answer(const holdfast_inbound* request, holdfast_message** message) {
  return guarded([&] {
    if (request == nullptr) return missing("request");
    if (message == nullptr) return missing("message");
    if (*request->response_topic == '\0') return fail(Errc::not_found, "no answer is wanted");
    auto made = std::make_unique<holdfast_message>();
    made->message.topic = request->response_topic;
    made->message.correlation_data = bytes_of(request->correlation, request->correlation_length);
    *message = made.release();
    return static_cast<int>(HOLDFAST_OK);
  });
}

void holdfast_message_free(holdfast_message* message) {
  if (usable(message)) delete message;
}

}  // extern "C"
