// See log_upload.h.
#include "runtime/log_upload.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace holdfast::runtime {

std::string log_array(const std::vector<std::string>& lines) {
  std::string out = "[";
  for (const std::string& line : lines) {
    if (out.size() > 1) out += ',';
    out += line;
  }
  return out + "]";
}

Message log_message(const Config& config, std::string topic, std::vector<std::string> lines) {
  using nlohmann::json;
  const std::string head =
      "{\"client_id\":" +
      json(config.client_id).dump(-1, ' ', false, json::error_handler_t::replace) + ",\"lines\":";
  std::size_t room = config.limits.payload - std::min(config.limits.payload, head.size() + 3);
  std::size_t kept = 0;
  while (kept < lines.size() && lines[lines.size() - 1 - kept].size() + 1 <= room) {
    room -= lines[lines.size() - 1 - kept].size() + 1;
    ++kept;
  }
  lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kept));
  const std::string text = head + log_array(lines) + "}";
  Message message;
  message.topic = std::move(topic);
  message.lane = config.lanes.back();
  message.content_type = "application/json";
  message.payload.reserve(text.size());
  for (const char c : text) message.payload.push_back(static_cast<std::byte>(c));
  return message;
}

}  // namespace holdfast::runtime
