// The messages of AWS IoT Jobs, as JSON and topics.
//
// Threads:  pure functions.
// Errors:   what is not as the service writes it is nothing.
// Source:   AWS IoT Jobs, "Jobs MQTT API operations".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "update/jobs.h"

namespace holdfast::updater {

/// notify-next.
struct Announcement {
  std::optional<update::JobExecution> next;
};
/// notify: the list of pending jobs has changed.
struct Change {};

using ServiceMessage = std::variant<std::monostate, update::JobAnswer, Announcement, Change>;

class JobTopics {
 public:
  explicit JobTopics(std::string_view thing)
      : prefix_("$aws/things/" + std::string(thing) + "/jobs/") {}

  /// What to subscribe to: never more than fits one SUBSCRIBE.
  [[nodiscard]] std::vector<std::string> filters() const;
  [[nodiscard]] std::string topic_of(const update::JobQuestion& question) const;
  [[nodiscard]] ServiceMessage read(std::string_view topic, std::string_view payload) const;

 private:
  std::string prefix_;
};

[[nodiscard]] std::string payload_of(const update::JobQuestion& question);

}  // namespace holdfast::updater
