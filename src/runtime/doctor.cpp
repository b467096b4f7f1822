#include "runtime/doctor.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include "base/calendar.h"
#include "link/supervisor.h"
#include "posix/event_loop.h"
#include "posix/system.h"
#include "runtime/doctor_machine.h"
#include "runtime/doctor_mqtt.h"
#include "runtime/doctor_network.h"
#include "runtime/identity_slots.h"
#include "runtime/logins.h"
#include "runtime/role_keys.h"

namespace holdfast::runtime {

namespace {

using health::Check;
using health::CheckResult;
using health::Finding;

/// AWS IoT Core takes one retained message a second for one topic.
constexpr Duration kRetainSpacing = std::chrono::milliseconds(1100);
constexpr Milliseconds kAgentTime{5000};
constexpr const char* kSharedPrefix = "$share/";

/// One pass over the chain. What later checks need of earlier ones is kept here.
class Examination {
 public:
  Examination(const DoctorWish& wish, const DoctorListener& listener)
      : wish_(wish), listener_(listener) {}

  void run() {
    std::vector<Check> wanted = wish_.only;
    for (std::size_t i = 0; wish_.only.empty() && i < health::kChecks; ++i) {
      wanted.push_back(static_cast<Check>(i));
    }
    for (const Check check : health::with_needs(wanted)) {
      const bool shown = std::find(wanted.begin(), wanted.end(), check) != wanted.end();
      if (listener_.begins) listener_.begins(check);
      const Finding finding = make(check);
      if (finding.result == CheckResult::failed) cause_.at(index(check)) = check;
      if (shown || finding.result == CheckResult::failed) listener_.found(check, finding);
    }
    if (probe_) probe_->leave();
  }

 private:
  static std::size_t index(Check check) { return static_cast<std::size_t>(check); }

  Finding make(Check check) {
    for (const std::optional<Check>& need : health::info_of(check).needs) {
      if (!need || !cause_.at(index(*need))) continue;
      cause_.at(index(check)) = cause_.at(index(*need));
      return health::skipped(*cause_.at(index(check)));
    }
    return look(check);
  }

  Finding look(Check check) {
    switch (check) {
      case Check::configuration:
        return configuration();
      case Check::files:
        return health::judge_files(file_facts(wish_.config_file, config_));
      case Check::credentials:
        credentials_ = credential_facts(config_);
        return health::judge_credentials(credentials_);
      case Check::chain:
        return health::judge_chain(credentials_);
      case Check::dates:
        return health::judge_dates(credentials_, clock_->wall());
      case Check::clock:
        return health::judge_clock(clock_facts(*clock_, configured_ ? &config_ : nullptr));
      case Check::time_sync:
        return health::judge_time_sync(time_sync_facts(*clock_));
      case Check::disk:
        return health::judge_disk(disk_facts(config_));
      case Check::sync:
        return health::judge_sync(sync_facts(config_));
      case Check::unit:
        return health::judge_unit(unit_facts(wish_.unit));
      case Check::watchdog:
        return health::judge_watchdog(watchdog_facts(config_.watchdog.device));
      case Check::network_manager:
        return health::judge_manager(manager_facts());
      default:
        return look_outside(check);
    }
  }

  Finding look_outside(Check check) {
    switch (check) {
      case Check::dns:
        return look_up();
      case Check::route:
        return health::judge_routes(network_.routes());
      case Check::tcp:
        return health::judge_reach(
            network_.reach(proxied() ? config_.proxy.port : config_.port, config_.timing.connect));
      case Check::keys:
        return get_keys();
      case Check::proxy:
        return open_stream();
      case Check::tls:
        return health::judge_tls(stream_);
      case Check::alpn:
        return health::judge_alpn(stream_);
      case Check::websocket:
        return health::judge_websocket(stream_);
      case Check::agent:
        return health::judge_agent(agent());
      case Check::mqtt:
        return log_in();
      case Check::subscribe:
        return subscribe();
      case Check::publish:
        return publish();
      case Check::retain:
        return retain();
      default:
        return health::judge_quotas({config_, profile_, up_});
    }
  }

  Finding configuration() {
    ConfigReport report = read_config(wish_.config_file, wish_.environment);
    config_ = std::move(report.config);
    use_active_slot(config_);
    profile_ = report.profile;
    configured_ = report.problems.empty();
    health::ConfigurationFacts facts;
    facts.file = wish_.config_file.string();
    facts.unreadable =
        !report.problems.empty() && report.problems.front().code != Errc::invalid_config;
    for (Error& problem : report.problems) facts.problems.push_back(std::move(problem.message));
    facts.profile = profile_;
    facts.endpoint = config_.host + ':' + std::to_string(config_.port);
    if (wish_.timeout) {
      Config::Timing& timing = config_.timing;
      for (Milliseconds* one : {&timing.resolve, &timing.connect, &timing.connack}) {
        *one = std::min(*one, *wish_.timeout);
      }
    }
    return health::judge_configuration(facts);
  }

  [[nodiscard]] bool proxied() const { return !config_.proxy.host.empty(); }

  Finding look_up() {
    health::NameFacts facts =
        network_.look_up(proxied() ? config_.proxy.host : config_.host, config_.timing.resolve);
    facts.proxy = proxied();
    return health::judge_name(facts);
  }

  /// What the agent would ask for, with the doctor's id, and nothing that others would notice.
  Result<env::ConnectRequest> unsigned_request() {
    env::ConnectRequest request = link::request_from(config_);
    request.client_id = own_id();
    request.will.reset();  // A doctor that is cut off must not make the device look dead.
    request.clean_start = true;
    request.session_expiry = Seconds(0);
    request.id_property.clear();
    request.topic_aliases = 0;
    if (Status filled = fill_in_logins(request, clock_->wall()); !filled) {
      return std::move(filled).error();
    }
    return request;
  }

  [[nodiscard]] bool wants_keys() const { return !config_.sigv4.role_alias.empty(); }

  Result<env::ConnectRequest> request() {
    Result<env::ConnectRequest> asked = unsigned_request();
    if (asked && wants_keys()) static_cast<void>(sign(*asked));  // get_keys() tells of failures
    return asked;
  }

  /// Asks the credential provider where there are no keys yet.
  std::optional<env::Failure> sign(env::ConnectRequest& request) {
    std::optional<env::Failure> problem{{Verdict::silent_peer, 0, "no end in time"}};
    LoopWait wait(loop_);
    wait.begin();
    role_keys_.sign(request, [&](env::ConnectRequest& ready, const env::Failure* failure) {
      problem = failure == nullptr ? std::nullopt : std::optional(*failure);
      request = ready;
      wait.finish();
    });
    const auto& timing = config_.timing;
    if (!wait.wait(timing.resolve + 4 * timing.connect)) role_keys_.aborted();
    return problem;
  }

  Finding get_keys() {
    health::KeyFacts facts;
    facts.wanted = wants_keys();
    if (!facts.wanted) return health::judge_keys(facts);
    Result<env::ConnectRequest> asked = unsigned_request();
    if (!asked) {
      return health::fail(asked.error().message, health::advice_for(Verdict::no_credentials));
    }
    const BootTime begun = clock_->now();
    facts.failure = sign(*asked);
    facts.ms = std::chrono::duration<double, std::milli>(clock_->now() - begun).count();
    if (!facts.failure) facts.words = role_keys_.words();
    return health::judge_keys(facts);
  }

  Finding open_stream() {
    const Result<env::ConnectRequest> asked = request();
    if (!asked) {
      return health::fail(asked.error().message, health::advice_for(Verdict::no_credentials));
    }
    stream_ = network_.open_stream(*asked, *clock_);
    return health::judge_proxy(stream_);
  }

  [[nodiscard]] std::string own_id() const {
    if (wish_.client_id) return *wish_.client_id;
    return config_.client_id.empty() ? std::string() : config_.client_id + "-doctor";
  }

  /// Asked once; later checks take care not to disturb it.
  const health::AgentFacts& agent() {
    if (!agent_) {
      agent_ = agent_facts(wish_.socket.empty() ? config_.local_socket : wish_.socket, kAgentTime);
      agent_->outbox_in_use = outbox_in_use(config_);
    }
    return *agent_;
  }

  Finding log_in() {
    health::LoginFacts facts;
    facts.client_id = own_id();
    const bool answers = agent().problem.empty() && !agent().socket.empty();
    facts.agent_id = answers && !agent().client_id.empty() ? agent().client_id : config_.client_id;
    facts.agent_runs = answers || agent().outbox_in_use;
    facts.agent_connected = answers && agent().connected();
    facts.taken = facts.agent_runs && facts.client_id == facts.agent_id && !facts.client_id.empty();
    facts.password = !config_.username.empty() || !config_.password_file.empty();
    facts.version = config_.mqtt_version == MqttVersion::v5 ? "5" : "3.1.1";
    Result<env::ConnectRequest> asked = request();
    if (!asked) {
      return health::fail(asked.error().message, health::advice_for(Verdict::no_credentials));
    }
    if (!facts.taken) {
      probe_ = std::make_unique<MqttProbe>(loop_, *resolver_, *clock_, config_.engine,
                                           std::move(asked).value());
      probe_->log_in(facts);
    }
    up_ = facts.up;
    if (!up_) cause_.at(index(Check::mqtt)) = Check::mqtt;  // Also where that is only a warning.
    return health::judge_login(facts);
  }

  Finding subscribe() {
    std::vector<std::string> filters = wish_.filters;
    if (filters.empty() && !config_.response_topic.empty()) {
      filters.push_back(config_.response_topic);
    }
    const bool wanted = !filters.empty();
    if (!wanted) filters.push_back(doctors_topic(config_));
    std::vector<health::TopicFacts> facts;
    for (const std::string& filter : filters) {
      if (filter.starts_with(kSharedPrefix)) continue;  // It would take messages from the others.
      facts.push_back(probe_->subscribe(filter));
      facts.back().wanted = wanted;
    }
    return health::judge_subscribe(facts);
  }

  [[nodiscard]] std::string payload() const {
    return R"({"from":"holdfast doctor","time":")" + iso_time(clock_->wall()) + R"("})";
  }

  Finding publish() {
    std::vector<std::string> topics = wish_.topics;
    const bool wanted = !topics.empty();
    if (!wanted) topics.push_back(doctors_topic(config_));
    std::vector<health::TopicFacts> facts;
    for (const std::string& topic : topics) {
      facts.push_back(probe_->publish(topic, payload(), false));
      facts.back().wanted = wanted;
    }
    return health::judge_publish(facts);
  }

  /// On the doctor's own topic only: a retained message of somebody else must not be replaced.
  Finding retain() {
    health::RetainFacts facts;
    facts.available = up_->retain_available;
    facts.wanted =
        (config_.will && config_.will->retain) || (config_.birth && config_.birth->retain);
    const std::string topic = doctors_topic(config_);
    if (facts.available) {
      facts.tried = probe_->publish(topic, payload(), true);
      if (facts.tried.outcome == health::TopicFacts::Outcome::done) {
        probe_->pause(kRetainSpacing);
        static_cast<void>(probe_->publish(topic, "", true));
      } else {
        facts.denied_anyway =
            probe_->publish(topic, payload(), false).outcome != health::TopicFacts::Outcome::done;
      }
    }
    return health::judge_retain(facts);
  }

  const DoctorWish& wish_;
  const DoctorListener& listener_;
  std::unique_ptr<env::Clock> clock_ = posix::make_clock();
  posix::EventLoop loop_;
  std::unique_ptr<env::Resolver> resolver_ = posix::make_resolver(loop_);
  NetworkLook network_{loop_, *resolver_, *clock_};
  std::unique_ptr<env::Random> random_ = posix::make_random();
  RoleKeys role_keys_{loop_, *clock_, *random_, {[](const LogLine&) {}, [] {}}};

  /// Of each check that failed or was skipped: the one that failed first.
  std::array<std::optional<Check>, health::kChecks> cause_;
  Config config_;
  std::string profile_;
  bool configured_ = false;
  health::CredentialFacts credentials_;
  health::StreamFacts stream_;
  std::optional<health::AgentFacts> agent_;
  std::optional<env::UpInfo> up_;
  std::unique_ptr<MqttProbe> probe_;
};

}  // namespace

void examine(const DoctorWish& wish, const DoctorListener& listener) {
  Examination(wish, listener).run();
}

}  // namespace holdfast::runtime
