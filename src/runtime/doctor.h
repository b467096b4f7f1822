// `holdfast doctor`: goes through the whole chain, from the configuration file to a message at the
// broker, and says in order what is wrong and how to mend it.
//
// Purpose:  the half that looks: it gathers facts with the same code that the agent connects with;
//           health/doctor.h judges them.
// Disturbs: nothing. A live agent is asked over its local API and keeps its connection; the broker
//           sees a client id of the doctor's own. What is written: one small message for each topic
//           that is tried, and a file without a name in outbox.directory.
// Threads:  one, which it blocks; each stage of the network has its deadline.
// Secrets:  none is told.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "health/doctor.h"
#include "holdfast/types.h"
#include "runtime/config_file.h"

namespace holdfast::runtime {

struct DoctorWish {
  std::filesystem::path config_file;
  Environment environment;
  std::filesystem::path socket;          ///< The agent's; empty: local.socket.
  std::optional<std::string> client_id;  ///< Else the configured one and "-doctor".
  std::vector<std::string> topics;       ///< To publish to; none: one of the doctor's own.
  std::vector<std::string> filters;      ///< To subscribe to; none: what is configured, or its own.
  std::string unit = "holdfastd.service";
  std::optional<Milliseconds> timeout;  ///< Of each stage, where it is shorter than [timing]'s.
  std::vector<health::Check> only;      ///< These, and what they rest on; empty: all.
};

struct DoctorListener {
  std::function<void(health::Check)> begins;
  /// In order. Of checks that are only rested on, those that failed.
  std::function<void(health::Check, const health::Finding&)> found;
};

/// Makes the checks, each once.
void examine(const DoctorWish& wish, const DoctorListener& listener);

}  // namespace holdfast::runtime
