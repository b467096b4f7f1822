#include "lab/fault/match.h"

#include <algorithm>

namespace holdfast::lab::fault {
namespace {

/// The first level of a topic; takes it away, and its slash. `last`: there was none.
std::string_view first_level(std::string_view& topic, bool& last) {
  const std::size_t slash = topic.find('/');
  last = slash == std::string_view::npos;
  const std::string_view level = topic.substr(0, slash);
  topic = last ? std::string_view() : topic.substr(slash + 1);
  return level;
}

bool topic_matches(std::string_view filter, const Seen& seen) {
  if (seen.type == mqtt::Type::publish) return filter_matches(filter, seen.topic);
  if (seen.packet == nullptr) return false;
  if (const auto* subscribe = std::get_if<mqtt::Subscribe>(seen.packet)) {
    return std::any_of(
        subscribe->subscriptions.begin(), subscribe->subscriptions.end(),
        [&](const mqtt::Subscription& one) { return filter_matches(filter, one.filter); });
  }
  if (const auto* unsubscribe = std::get_if<mqtt::Unsubscribe>(seen.packet)) {
    return std::any_of(unsubscribe->filters.begin(), unsubscribe->filters.end(),
                       [&](const std::string& one) { return filter_matches(filter, one); });
  }
  return false;
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // the last '*', and where its text ended
  std::size_t after_star = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after_star;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool filter_matches(std::string_view filter, std::string_view topic) noexcept {
  for (;;) {
    bool filter_ends = false;
    bool topic_ends = false;
    const std::string_view wanted = first_level(filter, filter_ends);
    if (wanted == "#") return true;
    const std::string_view level = first_level(topic, topic_ends);
    if (wanted != "+" && wanted != level) return false;
    if (topic_ends) return filter_ends || filter == "#";
    if (filter_ends) return false;
  }
}

bool matches(const Match& match, const Seen& seen) {
  if (!match.packets.empty() &&
      std::find(match.packets.begin(), match.packets.end(), seen.type) == match.packets.end()) {
    return false;
  }
  if (match.from && *match.from != seen.from) return false;
  if (match.qos) {
    const auto* publish =
        seen.packet == nullptr ? nullptr : std::get_if<mqtt::Publish>(seen.packet);
    if (publish == nullptr || publish->qos != *match.qos) return false;
  }
  if (!match.client_id.empty() && !glob_matches(match.client_id, seen.client_id)) return false;
  return match.topic.empty() || topic_matches(match.topic, seen);
}

}  // namespace holdfast::lab::fault
