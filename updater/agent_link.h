// The updater's line to the agent: it publishes and subscribes there, and hears of the connection.
//
// Purpose:  one connection to the broker for both; whatever ends the agent, this comes back.
// Threads:  one; never blocks.
// Errors:   none. While the agent is away it is tried again, later and later, up to kRetryCap.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "runtime/local_client.h"

namespace holdfast::updater {

inline constexpr Duration kRetryFirst = std::chrono::milliseconds(500);
inline constexpr Duration kRetryCap = std::chrono::seconds(10);

class AgentLink {
 public:
  struct Events {
    /// The agent's connection to its broker is there, or not (also: the agent is not there).
    std::function<void(bool connected)> connection;
    std::function<void(const std::string& topic, const std::string& payload)> message;
    std::function<void(const std::string& line)> say;
  };

  AgentLink(std::filesystem::path socket, Events events);

  /// What to be subscribed to, and to nothing else; from the next step on.
  void subscribe(std::vector<std::string> filters);
  /// As much as goes now: connects, sends, receives.
  void step(BootTime now);
  /// -1: the agent is not there.
  [[nodiscard]] int fd() const { return client_ ? client_->fd() : -1; }
  [[nodiscard]] bool writes() const { return client_ && client_->unsent() > 0; }
  /// When step() has something to do without an event.
  [[nodiscard]] BootTime next_step() const { return client_ ? kNever : retry_; }

  /// Volatile, or to survive the agent's end. False: the agent is not there.
  bool publish(const std::string& topic, const std::string& payload, bool durable);

  using Answer = std::function<void(bool ok, const std::string& line)>;
  /// Any request; `answer` gets its answer, or false when the agent has gone.
  bool ask(std::string fields, Answer answer);

  [[nodiscard]] bool there() const { return client_.has_value(); }
  [[nodiscard]] bool connected() const { return connected_; }
  /// Of the agent, once it has said so.
  [[nodiscard]] const std::string& client_id() const { return client_id_; }

 private:
  void open(BootTime now);
  void subscribed(const std::string& filter, bool ok, const std::string& line);
  void unsubscribe(std::uint64_t subscription);
  void close(BootTime now, const std::string& why);
  void take(const std::string& line);

  std::filesystem::path socket_;
  Events events_;
  std::vector<std::string> filters_;
  std::map<std::string, std::uint64_t> subscriptions_;  ///< The agent's numbers; 0: not known yet.
  std::optional<runtime::LocalClient> client_;
  BootTime retry_{};
  Duration pause_ = kRetryFirst;
  std::string said_;  ///< The last trouble, told once.
  bool connected_ = false;
  std::string client_id_;
  std::uint64_t number_ = 0;
  std::map<std::uint64_t, Answer> waiting_;
};

}  // namespace holdfast::updater
