// See escalator.h.
#include "runtime/escalator.h"

#include <charconv>
#include <mutex>
#include <utility>

#include "base/hex.h"
#include "link/supervisor.h"
#include "posix/system.h"

namespace holdfast::runtime {
namespace {

constexpr std::size_t kFileMax = 8192;

std::string boot_text(const env::BootId& boot) {
  return text_to_hex({reinterpret_cast<const char*>(boot.data()), boot.size()});
}

/// A host that refuses, hangs up or speaks has been reached.
bool was_reached(Verdict verdict) {
  return verdict == Verdict::none || verdict == Verdict::tcp_refused ||
         verdict == Verdict::server_gone || verdict == Verdict::protocol_error;
}

}  // namespace

/// Where the storage thread's answers go, as long as there is somebody to hear them.
struct Escalator::Answers {
  std::mutex mutex;
  std::function<void(std::function<void()>)> post;  // empty: nobody
};

Escalator::Escalator(posix::EventLoop& loop, env::Clock& clock, Storage& storage,
                     const Config& config, Hooks hooks)
    : loop_(loop),
      clock_(clock),
      storage_(storage),
      hooks_(std::move(hooks)),
      path_(config.outbox.directory / kName),
      config_(config),
      ladder_(config.escalation, read()),
      probe_(loop, clock),
      timer_(loop),
      answers_(std::make_shared<Answers>()) {
  answers_->post = [&loop](std::function<void()> work) { loop.post(std::move(work)); };
}

Escalator::~Escalator() {
  const std::lock_guard lock(answers_->mutex);
  answers_->post = nullptr;
}

std::vector<health::Taken> Escalator::read() const {
  const Result<std::string> text = posix::read_file(path_, kFileMax);
  auto taken =
      text ? health::parse_escalation(*text) : Result<std::vector<health::Taken>>(text.error());
  if (taken) return std::move(taken).value();
  if (taken.error().code != Errc::not_found) {
    say(LogLevel::warning, "what was done to modem and machine before is not known: " +
                               (text ? path_.string() + ": " : "") + taken.error().message);
  }
  return {};
}

void Escalator::reconfigure(const Config& config) {
  const bool other = config.escalation != config_.escalation;
  config_ = config;
  if (!other) return;
  probe_.cancel();
  ladder_.reconfigure(config.escalation);
  service();
}

health::Moment Escalator::moment() const {
  return {clock_.now(), clock_.wall(), clock_.wall_synchronized(), boot_text(clock_.boot_id())};
}

void Escalator::look(const ConnectionState& connection) {
  if (config_.escalation.steps.empty()) return;
  connection_ = connection;
  service();
}

void Escalator::service() {
  const health::Escalation::Decision decision = ladder_.service(moment(), connection_);
  if (decision.ask) {
    ++counts_.asked;
    ask(0);
  }
  if (decision.take) take(*decision.take);
  timer_.arm_at(ladder_.next_wake(), [this] { service(); });
}

/// One after the other; the first that is reached ends it.
void Escalator::ask(std::size_t host) {
  const auto& hosts = config_.escalation.reference_hosts;
  if (host >= hosts.size()) {
    say(LogLevel::warning, "neither the broker nor a reference host can be reached");
    ladder_.answered(clock_.now(), false);
    return service();
  }
  const auto place = host_and_port(hosts[host]);
  if (!place) return ask(host + 1);  // check_config() has refused it
  Config plain = config_;
  plain.host = place->first;
  plain.port = place->second;
  plain.tls.enabled = false;
  plain.transport = Transport::mqtt;
  probe_.begin(link::request_from(plain), [this, host](const env::Failure& failure) {
    if (!was_reached(failure.verdict)) return ask(host + 1);
    say(LogLevel::info, config_.escalation.reference_hosts[host] +
                            " can be reached: the network is not what keeps the broker away");
    ladder_.answered(clock_.now(), true);
    service();
  });
}

void Escalator::take(health::Rung rung) {
  if (!health::Escalation::has_budget(rung)) return act(rung);
  const std::string text = health::escalation_text(ladder_.remember(moment(), rung));
  storage_.look([this, rung, text, path = path_, answers = answers_,
                 alive = std::weak_ptr(alive_)](outbox::Outbox&) {
    const Status kept = posix::replace_file(path, text);
    const std::lock_guard lock(answers->mutex);
    if (!answers->post) return true;
    answers->post([this, rung, kept, alive] {
      if (alive.expired()) return;
      if (kept) return act(rung);
      ++counts_.failed;
      say(LogLevel::error, "a step is not taken, since it cannot be kept: " + kept.error().message);
    });
    return true;
  });
}

void Escalator::act(health::Rung rung) {
  const std::string name(to_string(rung));
  say(LogLevel::warning, "the network stays away; next step: " + name);
  std::uint64_t* const count[] = {&counts_.reconnects, &counts_.bearers, &counts_.modem_resets,
                                  &counts_.reboots};
  ++*count[static_cast<std::size_t>(rung)];
  hooks_.take(rung, [this, name, alive = std::weak_ptr(alive_)](const Status& done) {
    if (done || alive.expired()) return;
    ++counts_.failed;
    say(LogLevel::error, "the step " + name + " was not taken: " + done.error().message);
  });
}

void Escalator::say(LogLevel level, std::string text) const {
  hooks_.log({level, LogArea::health, std::move(text), {}, {}});
}

std::optional<std::pair<std::string, std::uint16_t>> host_and_port(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  std::string host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  unsigned port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data() + colon + 1, end, port);
  if (host.empty() || failure != std::errc{} || stop != end || port == 0 || port > 65535) {
    return std::nullopt;
  }
  return std::pair(std::move(host), static_cast<std::uint16_t>(port));
}

}  // namespace holdfast::runtime
