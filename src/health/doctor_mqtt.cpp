#include "health/doctor_mqtt.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "health/doctor_network.h"

namespace holdfast::health {

namespace {

// AWS IoT Core (AWS General Reference, "AWS IoT Core endpoints and quotas").
constexpr std::uint32_t kAwsPerSecond = 100;
constexpr std::uint32_t kAwsBytesPerSecond = 512 * 1024;
constexpr std::size_t kAwsPayload = std::size_t{128} * 1024;
constexpr std::size_t kAwsTopic = 256;
constexpr std::size_t kAwsLevels = 8;
constexpr std::size_t kAwsSubscriptions = 50;
constexpr std::uint16_t kAwsInFlight = 100;
constexpr Seconds kAwsKeepAliveLeast{30};
constexpr Seconds kAwsKeepAliveMost{1200};
constexpr Seconds kAwsSessionMost{604'800};

std::string in_hex(std::uint8_t code) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "0x%02X", static_cast<unsigned>(code));
  return text.data();
}

std::string outcome_words(const TopicFacts& one) {
  switch (one.outcome) {
    case TopicFacts::Outcome::done:
      return one.name + " in " + in_ms(one.ms);
    case TopicFacts::Outcome::refused:
      return one.name + " is refused (" + in_hex(one.code) + ")";
    case TopicFacts::Outcome::hung_up:
      return one.name + ": the broker ended the connection without a word about it";
    case TopicFacts::Outcome::no_answer:
      return one.name + ": no answer";
    case TopicFacts::Outcome::not_sent:
      break;
  }
  return one.name + ": not sent" + (one.detail.empty() ? "" : ", " + one.detail);
}

/// The policy's action and resource, for AWS; other brokers have the like.
std::string allow(const char* action, const char* resource, const std::string& name) {
  return std::string("allow ") + action + " on " + resource + "/" + name +
         " in the broker's policy (AWS IoT Core's words; elsewhere the ACL)";
}

/// What was asked for decides; what the doctor chose by itself may be denied with good reason.
Finding judge_topics(const std::vector<TopicFacts>& facts, const char* action, const char* resource,
                     const char* option) {
  std::vector<std::string> good;
  std::vector<std::string> denied;
  std::vector<std::string> bad;
  const TopicFacts* worst = nullptr;
  for (const TopicFacts& one : facts) {
    if (one.outcome == TopicFacts::Outcome::done) {
      good.push_back(outcome_words(one));
      continue;
    }
    bad.push_back(outcome_words(one));
    denied.push_back(one.name);
    if (worst == nullptr || (one.wanted && !worst->wanted)) worst = &one;
  }
  Finding finding;
  if (worst == nullptr) {
    finding = good.empty() ? not_applicable("nothing to try") : fine(in_words(good));
  } else {
    std::string advice = worst->outcome == TopicFacts::Outcome::no_answer
                             ? "try again with a longer --timeout"
                             : allow(action, resource, worst->name);
    std::string found = in_words(bad) + (good.empty() ? "" : "; but " + in_words(good));
    if (worst->wanted) {
      finding = fail(std::move(found), std::move(advice));
    } else {
      advice =
          std::string("this name is only the doctor's own; try one that the device uses with ") +
          option + ", or " + advice;
      finding = warn(std::move(found), std::move(advice));
    }
  }
  finding.figures = {{"denied", denied}};
  return finding;
}

/// Something that does not fit, and what to do.
struct Misfit {
  std::string found;
  std::string advice;
};

void against_aws(const Config& config, std::vector<Misfit>& misfits) {
  const auto over = [&](const char* key, std::uint64_t value, std::uint64_t most) {
    if (value != 0 && value <= most) return;
    misfits.push_back({std::string(key) +
                           (value == 0 ? " is unlimited" : " is " + std::to_string(value)) +
                           ", AWS IoT Core takes " + std::to_string(most),
                       "set " + std::string(key) + " to " + std::to_string(most) + " or less"});
  };
  over("flow.messages_per_second", config.messages_per_second, kAwsPerSecond);
  over("flow.bytes_per_second", config.bytes_per_second, kAwsBytesPerSecond);
  over("limits.payload", config.limits.payload, kAwsPayload);
  over("limits.topic", config.limits.topic, kAwsTopic);
  over("limits.topic_levels", config.limits.topic_levels, kAwsLevels);
  over("limits.subscriptions", config.limits.subscriptions, kAwsSubscriptions);
  over("flow.max_in_flight", config.max_in_flight, kAwsInFlight);
  if (config.keep_alive < kAwsKeepAliveLeast || config.keep_alive > kAwsKeepAliveMost) {
    misfits.push_back({"connection.keep_alive is " + std::to_string(config.keep_alive.count()) +
                           " s, AWS IoT Core takes 30 to 1200",
                       "set connection.keep_alive between 30s and 20m"});
  }
  if (config.session_expiry > kAwsSessionMost) {
    misfits.push_back({"connection.session_expiry is longer than AWS IoT Core's 7 days",
                       "set connection.session_expiry to 168h or less"});
  }
}

void against_broker(const Config& config, const env::UpInfo& up, std::vector<Misfit>& misfits) {
  if (up.maximum_packet_size != 0 && config.limits.payload > up.maximum_packet_size) {
    misfits.push_back({"limits.payload is " + in_bytes(config.limits.payload) +
                           ", the broker takes packets of " + in_bytes(up.maximum_packet_size),
                       "set limits.payload below; larger messages are dropped as too_large"});
  }
  if (up.maximum_qos == Qos::at_most_once) {
    misfits.push_back({"the broker takes QoS 0 only",
                       "durable delivery needs QoS 1: raise it in "
                       "the broker"});
  }
  if (up.server_keep_alive.count() != 0 && up.server_keep_alive < config.keep_alive) {
    misfits.push_back(
        {"the broker wants a keep-alive of " + std::to_string(up.server_keep_alive.count()) + " s",
         "set connection.keep_alive to that; the broker's is used anyway"});
  }
}

std::string id_advice(const LoginFacts& facts) {
  std::string advice = allow("iot:Connect", "client", facts.client_id);
  if (facts.password) {
    advice = "check connection.username and connection.password_file; if they are right, " + advice;
  }
  if (facts.agent_runs) {
    return advice + ", or give one that it allows with --client-id; the agent's own, " +
           facts.agent_id + ", is in use";
  }
  if (facts.client_id == facts.agent_id) return advice;
  return advice + "; or try the device's own id, --client-id " + facts.agent_id +
         ", if what waits for it at the broker may be lost";
}

}  // namespace

Finding judge_agent(const AgentFacts& facts) {
  Finding finding;
  if (!facts.problem.empty() || facts.socket.empty()) {
    if (facts.outbox_in_use) {
      return warn("a program uses the outbox, and does not answer at " +
                      (facts.socket.empty() ? std::string("any socket") : facts.socket),
                  "set local.socket (or give --socket), so that it can be asked");
    }
    return not_applicable("no agent runs: " +
                          (facts.socket.empty() ? "local.socket is not set" : facts.problem));
  }
  if (!facts.connected()) {
    std::string found = "the agent is " + facts.state + ", " + facts.verdict;
    if (!facts.detail.empty()) found += ": " + facts.detail;
    finding = fail(std::move(found),
                   "what keeps it out is the first failure in this list; if there is none, "
                   "`holdfast reconnect` makes it try at once");
  } else if (!facts.set_aside.empty() || !facts.refused.empty()) {
    std::vector<std::string> all = facts.set_aside;
    all.insert(all.end(), facts.refused.begin(), facts.refused.end());
    finding = warn("connected, but the broker denies " + in_words(all),
                   "allow them in the broker's policy, or stop using them; `holdfast status` has "
                   "the details");
  } else if (facts.storage != "ok") {
    finding = warn("connected; its storage is " + facts.storage,
                   "see the check disk, and `holdfast status`");
  } else {
    finding = fine("connected as " + facts.client_id + ", " +
                   counted(facts.connects, "connect", "connects") + " of " +
                   counted(facts.attempts, "attempt", "attempts") + ", " +
                   std::to_string(facts.backlog) + " waiting");
  }
  finding.figures = {{"state", facts.state},
                     {"verdict", facts.verdict},
                     {"connects", static_cast<std::int64_t>(facts.connects)},
                     {"attempts", static_cast<std::int64_t>(facts.attempts)},
                     {"backlog", static_cast<std::int64_t>(facts.backlog)}};
  return finding;
}

Finding judge_login(const LoginFacts& facts) {
  Finding finding;
  if (facts.taken) {
    return fail("as " + facts.client_id + ": not tried, since the agent that runs has this id",
                "leave out --client-id, or give one that nobody uses: the broker would throw the "
                "agent out");
  }
  if (facts.up) {
    const std::string id =
        facts.up->assigned_client_id.empty() ? facts.client_id : facts.up->assigned_client_id;
    finding = fine("MQTT " + facts.version + ", let in as " + id + " in " + in_ms(facts.ms));
    finding.figures = {{"client_id", id},
                       {"ms", facts.ms},
                       {"receive_maximum", std::int64_t{facts.up->receive_maximum}},
                       {"maximum_packet_size", std::int64_t{facts.up->maximum_packet_size}},
                       {"server_keep_alive_s", std::int64_t{facts.up->server_keep_alive.count()}}};
    return finding;
  }
  const env::Failure failure = facts.failure.value_or(env::Failure{});
  const Verdict verdict = failure.verdict;
  const std::string found =
      (facts.client_id.empty() ? std::string("with an id of the broker's")
                               : "as " + facts.client_id) +
      ": " + std::string(to_string(verdict)) + ": " +
      (failure.detail.empty() ? std::string(explain(verdict)) : failure.detail);
  const bool about_id = verdict == Verdict::not_authorized || verdict == Verdict::server_gone ||
                        (verdict == Verdict::bad_credentials && failure.reason_code == 0x85);
  if (about_id && facts.agent_connected) {
    finding = warn(found, id_advice(facts) + "; topics were not tried");
  } else if (about_id) {
    finding = fail(found, id_advice(facts) +
                              ". If no id is let in, look whether the certificate (or login) is "
                              "active and has a policy");
  } else {
    finding = fail(found, advice_for(verdict));
  }
  finding.figures = {{"client_id", facts.client_id}, {"verdict", std::string(to_string(verdict))}};
  return finding;
}

Finding judge_subscribe(const std::vector<TopicFacts>& facts) {
  return judge_topics(facts, "iot:Subscribe", "topicfilter", "--filter");
}

Finding judge_publish(const std::vector<TopicFacts>& facts) {
  return judge_topics(facts, "iot:Publish", "topic", "--topic");
}

Finding judge_retain(const RetainFacts& facts) {
  const std::string users = "will or birth message are retained";
  if (!facts.available) {
    if (!facts.wanted) return not_applicable("the broker keeps no retained messages");
    return fail("the broker keeps no retained messages, and " + users,
                "turn retained messages on in the broker, or set retain = false");
  }
  if (facts.tried.outcome == TopicFacts::Outcome::done) {
    return fine(outcome_words(facts.tried) + ", and removed again");
  }
  if (facts.denied_anyway) {
    return not_applicable("cannot be told: " + facts.tried.name + " is denied without it, too");
  }
  const std::string advice = allow("iot:RetainPublish", "topic", facts.tried.name);
  if (facts.wanted) {
    return fail(outcome_words(facts.tried) + ", and " + users, advice);
  }
  return warn(outcome_words(facts.tried),
              "if the device is to publish retained messages, " + advice);
}

Finding judge_quotas(const QuotaFacts& facts) {
  std::vector<Misfit> misfits;
  const bool aws = facts.profile != "generic" || is_aws_endpoint(facts.config.host);
  if (aws) against_aws(facts.config, misfits);
  if (facts.up) against_broker(facts.config, *facts.up, misfits);
  const auto pace = [](std::uint64_t number) {
    return number == 0 ? std::string("unlimited") : std::to_string(number);
  };
  Finding finding;
  if (misfits.empty()) {
    const Config& config = facts.config;
    finding = fine(pace(config.messages_per_second) + " messages/s, " +
                   (config.bytes_per_second == 0 ? "unlimited bytes/s"
                                                 : in_bytes(config.bytes_per_second) + "/s") +
                   ", payload " + in_bytes(config.limits.payload) +
                   (aws ? ": within AWS IoT Core's" : ""));
  } else {
    std::vector<std::string> all;
    for (const Misfit& misfit : misfits) all.push_back(misfit.found);
    finding = warn(in_words(all), misfits.front().advice);
  }
  finding.figures = {{"messages_per_second", std::int64_t{facts.config.messages_per_second}},
                     {"bytes_per_second", std::int64_t{facts.config.bytes_per_second}}};
  return finding;
}

}  // namespace holdfast::health
