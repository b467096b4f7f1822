// The messages of AWS IoT Jobs and of MQTT-based file delivery, as JSON and topics.
//
// Threads:  pure functions.
// Errors:   what is not as the service writes it is nothing.
// Source:   AWS IoT Jobs, "Jobs MQTT API operations"; "MQTT-based file delivery".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "update/file_stream.h"
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

struct StreamBlock {
  std::uint32_t file = 0;
  std::uint64_t index = 0;
  std::string bytes;
};
struct StreamRefusal {
  std::string code;
};
struct StreamMessage {
  std::string token;
  std::variant<std::monostate, update::StreamDescription, StreamBlock, StreamRefusal> what;
};

class StreamTopics {
 public:
  StreamTopics(std::string_view thing, std::string_view stream)
      : prefix_("$aws/things/" + std::string(thing) + "/streams/" + std::string(stream) + "/") {}

  [[nodiscard]] std::vector<std::string> filters() const;
  [[nodiscard]] std::string topic_of(const update::StreamQuestion& question) const;
  [[nodiscard]] StreamMessage read(std::string_view topic, std::string_view payload) const;

 private:
  std::string prefix_;
};

[[nodiscard]] std::string payload_of(const update::StreamQuestion& question);

}  // namespace holdfast::updater
