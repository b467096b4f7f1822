#include "lab/iot/topics.h"

#include <algorithm>

#include "flow/topic.h"
#include "lab/iot/quotas.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kRules = "$aws/rules/";
constexpr std::string_view kShare = "$share/";
constexpr std::string_view kService = "$aws/";

bool too_long(std::string_view text) {
  return text.size() > quotas::kTopic ||
         static_cast<std::size_t>(std::count(text.begin(), text.end(), '/')) > quotas::kSlashes;
}

/// A '#' stands alone at the end; a '+' alone in its level.
bool wildcards_in_place(std::string_view filter) {
  for (std::size_t i = 0; i < filter.size(); ++i) {
    if (filter[i] != '+' && filter[i] != '#') continue;
    const bool begins = i == 0 || filter[i - 1] == '/';
    const bool ends = i + 1 == filter.size() || (filter[i] == '+' && filter[i + 1] == '/');
    if (!begins || !ends) return false;
  }
  return !filter.empty();
}

}  // namespace

std::string_view basic_ingest_rule(std::string_view topic) {
  if (!topic.starts_with(kRules)) return {};
  const std::string_view rest = topic.substr(kRules.size());
  const std::size_t slash = rest.find('/');
  return slash == std::string_view::npos ? std::string_view() : rest.substr(0, slash);
}

TopicVerdict judge_topic(std::string_view topic) {
  if (topic.empty() || topic.find_first_of("+#") != std::string_view::npos) {
    return TopicVerdict::malformed;
  }
  const std::string_view rule = basic_ingest_rule(topic);
  if (!rule.empty()) {
    topic.remove_prefix(kRules.size() + rule.size() + 1);
    if (topic.empty()) return TopicVerdict::malformed;
  } else if (topic.starts_with('$')) {
    if (!topic.starts_with(kService)) return TopicVerdict::reserved;
    return topic.size() > 4 * quotas::kTopic ? TopicVerdict::too_long : TopicVerdict::good;
  }
  return too_long(topic) ? TopicVerdict::too_long : TopicVerdict::good;
}

TopicVerdict judge_filter(std::string_view filter) {
  if (filter.starts_with(kShare)) {
    filter.remove_prefix(kShare.size());
    const std::size_t slash = filter.find('/');
    const std::string_view name = filter.substr(0, slash);
    if (slash == std::string_view::npos || name.empty() || name.size() > quotas::kShareName ||
        name.find_first_of("+#") != std::string_view::npos) {
      return TopicVerdict::malformed;
    }
    filter.remove_prefix(slash + 1);
  } else if (filter.starts_with(kService)) {
    if (!wildcards_in_place(filter)) return TopicVerdict::malformed;
    return filter.size() > 4 * quotas::kTopic ? TopicVerdict::too_long : TopicVerdict::good;
  }
  if (!wildcards_in_place(filter)) return TopicVerdict::malformed;
  if (filter.starts_with('$')) return TopicVerdict::reserved;
  return too_long(filter) ? TopicVerdict::too_long : TopicVerdict::good;
}

bool matches(std::string_view filter, std::string_view topic) {
  if (!flow::matches(filter, topic)) return false;
  // "a/#" on "a": only there the filter has as many slashes as it has beyond the topic's.
  if (!filter.ends_with("/#")) return true;
  if (filter.starts_with(kShare)) filter.remove_prefix(filter.find('/', kShare.size()) + 1);
  return std::count(topic.begin(), topic.end(), '/') >=
         std::count(filter.begin(), filter.end(), '/');
}

bool is_exact(std::string_view filter) {
  return !filter.starts_with(kShare) && filter.find_first_of("+#") == std::string_view::npos;
}

}  // namespace holdfast::lab::iot
