// See driver.h.
#include "runtime/driver.h"

#include <utility>

#include "base/check.h"
#include "engines/engine_list.h"
#include "link/name_watch.h"
#include "posix/system.h"
#include "runtime/logins.h"

namespace holdfast::runtime {
namespace {

device::Opening opening_with(const outbox::RecoveryReport& store, std::string endpoint) {
  device::Opening opening = device::opening_of(store);
  opening.endpoint = std::move(endpoint);
  return opening;
}

}  // namespace

Driver::Driver(posix::EventLoop& loop, env::Clock& clock, env::Random& random, Outlet& outlet,
               Storage& storage, EngineProof& engine_proof, const Config& config,
               const outbox::RecoveryReport& store)
    : loop_(loop),
      clock_(clock),
      outlet_(outlet),
      storage_(storage),
      engine_proof_(engine_proof),
      engine_kind_(config.engine),
      id_prefix_(store.store),
      timer_(loop),
      resolver_(posix::make_resolver(loop)),
      addresses_(clock, storage, config.outbox.directory,
                 [&outlet](const LogLine& line) { outlet.log(line); }),
      endpoint_file_(storage, config.outbox.directory,
                     [&outlet](const LogLine& line) { outlet.log(line); }),
      clock_keeper_(loop, clock, storage, config.outbox.directory,
                    [&outlet](const LogLine& line) { outlet.log(line); }),
      identity_(loop, clock, storage, config,
                {[&outlet](const LogLine& line) { outlet.log(line); },
                 [this] { enqueue(device::Changed{link::Mend::identity}); },
                 [&outlet](IdentityState state, bool warned) {
                   outlet.give_identity(std::move(state), warned);
                 },
                 [this] { return clock_keeper_.floor(); }}),
      role_keys_(loop, clock, random,
                 {[&outlet](const LogLine& line) { outlet.log(line); },
                  [this] { enqueue(device::Changed{link::Mend::identity}); }}),
      core_(config, random, opening_with(store, endpoint_file_.read())),
      probe_(loop, clock),
      follower_(posix::make_resolver(loop)),
      escalator_(
          loop, clock, storage, config,
          {[&outlet](const LogLine& line) { outlet.log(line); },
           [this](health::Rung rung, Escalator::Done done) { take_step(rung, std::move(done)); }}),
      clock_watch_(loop, [this] { clock_set(); }),
      file_watch_(loop, [this] { files_changed(); }),
      network_rules_(config.network),
      network_(loop, [this](bool gained) { network_changed(gained); }) {
  make_engine();
  configure(config);
  for (const std::string& problem : {network_.problem(), file_watch_.problem()}) {
    if (!problem.empty()) outlet_.log({LogLevel::warning, LogArea::connection, problem});
  }
}

Driver::~Driver() = default;

void Driver::make_engine() {
  const engines::EngineKind& kind = engines::kind_of(engine_kind_);
  HF_CHECK(kind.make != nullptr);  // check_settings() has refused what this build has not
  engine_ = kind.make(loop_, *resolver_, clock_, *this);
  engine_proof_.renewed();
}

void Driver::configure(const Config& config) {
  assigned_id_ = config.assigned_client_id;
  std::vector<std::filesystem::path> files = login_files(config);
  for (std::filesystem::path& file : identity_.files()) files.push_back(std::move(file));
  file_watch_.watch(files);
  if (config.network != network_rules_) ask_managers(config.network);
}

void Driver::ask_managers(const Config::Network& rules) {
  network_rules_ = rules;
  managers_.reset();
  if (rules.manager == Use::off && rules.modems == Use::off) {
    return enqueue(device::NetworkNews{std::make_shared<const NetworkState>()});
  }
  managers_ = std::make_unique<host::NetworkManagers>(
      loop_, rules,
      host::NetworkManagers::Hooks{
          [this](const NetworkState& state) {
            enqueue(device::NetworkNews{std::make_shared<const NetworkState>(state)});
          },
          [this](const LogLine& line) { outlet_.log(line); }});
}

void Driver::take_step(health::Rung rung, Escalator::Done done) {
  if (rung == health::Rung::reconnect) {
    enqueue(device::ReconnectNow{});
    return done({});
  }
  if (!managers_) return done(Error{Errc::unsupported, "network.manager and .modems are off"});
  if (rung == health::Rung::bearer) return managers_->drop_bearers(std::move(done));
  if (rung == health::Rung::modem) return managers_->reset_modem(std::move(done));
  managers_->reboot(std::move(done));
}

void Driver::files_changed() {
  identity_.look();
  role_keys_.mended();
  enqueue(device::Changed{link::Mend::credentials});
}

void Driver::clock_set() {
  clock_keeper_.set();
  identity_.service();
  role_keys_.mended();
  enqueue(device::Changed{link::Mend::clock});
}

void Driver::start() {
  ask_managers(Config::Network(network_rules_));
  carry_out(core_.start(clock_.now()));
  carry_out(core_.step(clock_.now(), storage_.first_report()));
  settle_turn();
}

void Driver::enqueue(device::Event event) {
  {
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(event));
    if (std::exchange(turn_posted_, true)) return;
  }
  loop_.post([this] { turn(); });
}

void Driver::enqueue(std::vector<device::Event> events) {
  for (device::Event& event : events) enqueue(std::move(event));
}

void Driver::turn() {
  std::vector<device::Event> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(inbox_);
    turn_posted_ = false;
  }
  for (device::Event& event : events) {
    if (const auto* reload = std::get_if<device::Reload>(&event)) {
      identity_.reconfigure(*reload->config);
      role_keys_.reconfigure(*reload->config);
      configure(*reload->config);
      escalator_.reconfigure(*reload->config);
    }
    carry_out(core_.step(clock_.now(), std::move(event)));
  }
  settle_turn();
}

void Driver::settle_turn() {
  storage_.submit(std::exchange(to_storage_, {}));
  const BootTime now = clock_.now();
  if (filters_given_ != core_.filters_version()) {
    filters_given_ = core_.filters_version();
    outlet_.give_filters(core_.filters(now), now);
  }
  DeviceState state = core_.state(now);
  state.clock = clock_keeper_.state();
  escalator_.look(state.connection);
  state.escalation = escalator_.counts();
  outlet_.turn_done(std::move(state), now);
  rearm();
}

void Driver::rearm() {
  const BootTime wake = core_.next_wake();
  if (wake == armed_for_) return;
  armed_for_ = wake;
  if (wake == kNever) {
    timer_.cancel();
    return;
  }
  timer_.arm_at(wake, [this] {
    armed_for_ = kNever;
    enqueue(device::Tick{});
  });
}

void Driver::carry_out(device::Actions actions) {
  for (device::Action& action : actions) {
    std::visit([this](auto& a) { act(a); }, action);
  }
}

void Driver::network_changed(bool gained) {
  if (engine_) engine_->network_changed(gained);
  if (!gained) return;
  role_keys_.mended();
  enqueue(device::Changed{link::Mend::network});
}

void Driver::act(device::EngineConnect& action) {
  env::ConnectRequest& request = *action.request;
  identity_.fill_in(request);
  if (request.client_id.empty() && !assigned_id_) {
    enqueue(device::EngineFailed{
        request.attempt,
        {Verdict::no_credentials, 0, "provisioning has not given this device its name yet"}});
    return;
  }
  if (Status filled = fill_in_logins(request, clock_.wall()); !filled) {
    enqueue(device::EngineFailed{request.attempt,
                                 {Verdict::no_credentials, 0, std::move(filled).error().message}});
    return;
  }
  outlet_.log({LogLevel::debug,
               LogArea::connection,
               "attempt " + std::to_string(request.attempt) + " begins",
               {},
               {{"attempt", static_cast<std::int64_t>(request.attempt)},
                {"endpoint", request.host + ":" + std::to_string(request.port)}}});
  request.id_prefix = id_prefix_;
  request.addresses = &addresses_.book();
  if (request.sigv4.role_alias.empty()) {
    role_keys_.rest();
    return engine_->connect(request);
  }
  role_keys_.sign(std::move(request),
                  [this](env::ConnectRequest& ready, const env::Failure* failure) {
                    if (failure == nullptr) return engine_->connect(ready);
                    engine_failed(ready.attempt, *failure);
                  });
}

void Driver::act(device::ProbeEndpoint& action) {
  env::ConnectRequest& request = *action.request;
  identity_.lend(request);
  if (!request.sigv4.role_alias.empty()) request.tls.cert_file.clear();  // the provider's only
  request.addresses = &addresses_.book();
  const auto answer = [this, name = request.endpoint_name](const env::Failure& failure) {
    outlet_.log(
        {LogLevel::debug,
         LogArea::connection,
         "probe of " + name + ": " + (failure.verdict == Verdict::none ? "well" : failure.detail),
         failure.verdict,
         {{"endpoint_name", name}}});
    enqueue(device::EndpointProbed{name, failure});
  };
  if (Status filled = fill_in_logins(request, clock_.wall()); !filled) {
    return answer({Verdict::no_credentials, 0, std::move(filled).error().message});
  }
  probe_.begin(request, answer);
}

void Driver::act(device::LookUpName& action) {
  const auto answer = [this, host = action.host](const Result<std::vector<env::Address>>& found) {
    const std::string canonical = found && !found->empty() ? found->front().canonical : "";
    outlet_.log({LogLevel::debug, LogArea::connection,
                 host + " leads to " + (canonical.empty() ? "nowhere known" : canonical)});
    enqueue(device::NameLookedUp{host, canonical});
  };
  follower_->resolve(action.host, link::kLookTime, answer);
}

void Driver::act(device::EnginePublish& action) {
  const Status status = engine_->publish(action.token, *action.message);
  if (!status.ok()) refused(action.attempt, action.token, "publish", status.error());
}

void Driver::refused(env::AttemptId attempt, env::Token token, std::string_view what,
                     const Error& error) {
  outlet_.log({LogLevel::warning, LogArea::engine,
               std::string(what) + " refused by the engine: " + error.message});
  enqueue(device::EngineRefused{attempt, token, error.code});
}

void Driver::act(device::EngineSubscribe& action) {
  const Status status = engine_->subscribe(action.token, action.filters);
  if (!status.ok()) refused(action.attempt, action.token, "subscribe", status.error());
}

void Driver::act(device::EngineUnsubscribe& action) {
  const Status status = engine_->unsubscribe(action.token, action.filters);
  if (!status.ok()) refused(action.attempt, action.token, "unsubscribe", status.error());
}

void Driver::act(device::EngineDisconnect&) { engine_->disconnect(); }

void Driver::act(device::EngineAbort&) {
  identity_.aborted();
  role_keys_.aborted();
  engine_->abort();
  make_engine();
}

void Driver::act(device::Stopped&) { outlet_.stopped(); }

void Driver::engine_up(env::AttemptId attempt, const env::UpInfo& info) {
  enqueue(device::EngineUp{attempt, info});
  identity_.up(attempt);
  role_keys_.up(attempt);
}

void Driver::engine_failed(env::AttemptId attempt, const env::Failure& failure) {
  enqueue(device::EngineFailed{attempt, failure});
  identity_.ended(attempt, failure);
  role_keys_.ended(attempt, failure.verdict);
}

void Driver::engine_down(env::AttemptId attempt, const env::Failure& failure) {
  enqueue(device::EngineDown{attempt, failure});
  identity_.ended(attempt, failure);
  role_keys_.ended(attempt, failure.verdict);
}

void Driver::engine_published(env::AttemptId attempt, env::Token token, std::uint8_t reason_code) {
  enqueue(device::EnginePublished{attempt, token, reason_code});
}

void Driver::engine_subscribed(env::AttemptId attempt, env::Token token,
                               std::span<const std::uint8_t> reason_codes) {
  outlet_.log({LogLevel::debug, LogArea::flow,
               "the broker has answered for " + std::to_string(reason_codes.size()) + " filters"});
  enqueue(device::EngineSubscribed{attempt, token, {reason_codes.begin(), reason_codes.end()}});
}

void Driver::engine_message(env::AttemptId attempt, env::Arrival arrival) {
  enqueue(device::EngineMessage{attempt, std::move(arrival)});
}

}  // namespace holdfast::runtime
