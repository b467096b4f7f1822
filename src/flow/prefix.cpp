// See prefix.h.
#include "flow/prefix.h"

#include <memory>
#include <utility>

namespace holdfast::flow {
namespace {

constexpr std::string_view kShare = "$share/";

}  // namespace

std::string with_prefix(std::string_view prefix, std::string_view topic) {
  if (prefix.empty() || topic.empty()) return std::string(topic);
  if (topic.starts_with(kShare)) {
    const std::size_t end = topic.find('/', kShare.size());
    if (end == std::string_view::npos) return std::string(topic);
    return std::string(topic.substr(0, end + 1)) + with_prefix(prefix, topic.substr(end + 1));
  }
  if (topic.front() == '$') return std::string(topic);
  return std::string(prefix) + std::string(topic);
}

std::string without_prefix(std::string_view prefix, std::string_view topic) {
  if (topic.starts_with(prefix)) topic.remove_prefix(prefix.size());
  return std::string(topic);
}

MessagePtr with_prefix(std::string_view prefix, MessagePtr message) {
  if (prefix.empty()) return message;
  auto sent = std::make_shared<StoredMessage>(*message);
  sent->topic = with_prefix(prefix, message->topic);
  sent->response_topic = with_prefix(prefix, message->response_topic);
  return sent;
}

void take_prefix(std::string_view prefix, InboundMessage& message) {
  if (prefix.empty()) return;
  message.topic = without_prefix(prefix, message.topic);
  message.response_topic = without_prefix(prefix, message.response_topic);
}

}  // namespace holdfast::flow
