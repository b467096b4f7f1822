// What the broker lets this device do, and what a live agent says of it.
//
// Threads:  plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "env/engine.h"
#include "health/doctor.h"
#include "holdfast/config.h"

namespace holdfast::health {

/// What the agent of this machine answered over its local API.
struct AgentFacts {
  std::string socket;          ///< Empty: local.socket is not set.
  std::string problem;         ///< Why there is no answer; empty: there is one.
  bool outbox_in_use = false;  ///< Some program has the outbox.
  std::string state;
  std::string verdict;
  std::string detail;
  std::string client_id;
  std::uint64_t connects = 0;
  std::uint64_t attempts = 0;
  std::uint64_t backlog = 0;
  std::string storage;
  std::vector<std::string> set_aside;  ///< Topics and filters that the broker denies.
  std::vector<std::string> refused;    ///< Filters whose subscription is refused.

  [[nodiscard]] bool connected() const { return problem.empty() && state == "connected"; }
};
[[nodiscard]] Finding judge_agent(const AgentFacts& facts);

/// One CONNECT with a client id of the doctor's own.
struct LoginFacts {
  std::string client_id;
  std::string agent_id;          ///< The client id that the configuration gives to the agent.
  bool agent_runs = false;       ///< A program holds the outbox, or answers at the socket.
  bool agent_connected = false;  ///< And says so.
  bool taken = false;            ///< Not tried: it is the id of the agent that runs.
  bool password = false;         ///< A user name or password was given.
  double ms = 0;
  std::optional<env::UpInfo> up;
  std::optional<env::Failure> failure;  ///< One of both, if it was tried.
  std::string version;                  ///< "5" or "3.1.1".
};
[[nodiscard]] Finding judge_login(const LoginFacts& facts);

/// One SUBSCRIBE or PUBLISH, each on a connection on which nothing else was unanswered.
struct TopicFacts {
  enum class Outcome : std::uint8_t {
    done,
    refused,    ///< Answered with a reason code from 0x80 on.
    hung_up,    ///< The broker ended the connection instead of an answer.
    no_answer,  ///< Within the time.
    not_sent,   ///< No connection for it; or the engine refused it.
  };
  std::string name;  ///< Topic or filter.
  bool wanted =
      false;  ///< The configuration or the command line names it; else it is the doctor's.
  Outcome outcome = Outcome::not_sent;
  std::uint8_t code = 0;
  std::string detail;
  double ms = 0;
};
[[nodiscard]] Finding judge_subscribe(const std::vector<TopicFacts>& facts);
[[nodiscard]] Finding judge_publish(const std::vector<TopicFacts>& facts);

struct RetainFacts {
  bool available = true;       ///< The broker's CONNACK.
  bool wanted = false;         ///< Will or birth message of the configuration are retained.
  bool denied_anyway = false;  ///< The same topic is denied without retain, too.
  TopicFacts tried;
};
[[nodiscard]] Finding judge_retain(const RetainFacts& facts);

struct QuotaFacts {
  Config config;
  std::string profile;
  std::optional<env::UpInfo> up;  ///< What the broker granted, if it was asked.
};
[[nodiscard]] Finding judge_quotas(const QuotaFacts& facts);

}  // namespace holdfast::health
