// See device_impl.h.
#include "runtime/device_impl.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "device/admission.h"
#include "flow/topic.h"
#include "posix/system.h"
#include "runtime/boot_keeper.h"
#include "runtime/config_file.h"
#include "runtime/log_upload.h"
#include "runtime/provisioner.h"
#include "runtime/safe_mode.h"

namespace holdfast::runtime {

namespace {

/// Part of the stop deadline that is kept back for ending the threads once the core has finished.
constexpr Duration kThreadReserve = std::chrono::milliseconds(200);
/// How often the log is asked, at most, whether it has something to say by itself.
constexpr Duration kLogService = Seconds(1);
/// A message that asks for the log this soon after another is passed over.
constexpr Duration kLogSendGap = std::chrono::seconds(10);

}  // namespace

DeviceImpl::DeviceImpl(Config config, std::shared_ptr<Logger> log,
                       std::shared_ptr<env::Clock> clock, std::unique_ptr<outbox::Outbox> outbox,
                       std::shared_ptr<void> outbox_parts, const outbox::RecoveryReport& report,
                       std::shared_ptr<const DiskCounts> disk_counts)
    : clock_(std::move(clock)),
      random_(posix::make_random()),
      log_(std::move(log)),
      recovered_unclean_(!report.created && !report.clean),
      config_(std::make_shared<const Config>(std::move(config))),
      state_at_(clock_->now()),
      disk_counts_(std::move(disk_counts)),
      history_([this](std::string line) {
        history_writes_.post([directory = this->config()->outbox.directory,
                              line = std::move(line)] { return append_history(directory, line); });
      }),
      ingress_(config_->limits.memory),
      memory_ingress_(config_->limits.memory),
      heartbeats_(loop_, clock_, config_->heartbeats, log_->handler(),
                  [this](const HeartbeatState& state) { give_heartbeat(state); }),
      executor_(clock_, config_->timing.callback_alarm, log_->handler()),
      requester_(Requester::make(
          *this, loop_, clock_, posix::make_random(),
          [this](std::vector<Executor::Task> tasks) { executor_.post(std::move(tasks)); })),
      storage_(std::move(outbox), std::move(outbox_parts), clock_, config_->lanes.size(),
               [this](std::vector<device::Event> events) {
                 // Storage and loop start at different times; the loop keeps this until it runs.
                 auto shared = std::make_shared<std::vector<device::Event>>(std::move(events));
                 loop_.post([this, shared] { from_storage(std::move(*shared)); });
               }),
      history_writes_(storage_, LogArea::health, "the history of outages was not written",
                      log_->handler()),
      note_writes_(storage_, LogArea::health, "the coming end was not noted", log_->handler()),
      group_writes_(storage_, LogArea::local_api, "who acknowledges messages was not kept",
                    log_->handler()),
      driver_(std::make_unique<Driver>(loop_, *clock_, *random_, static_cast<Outlet&>(*this),
                                       storage_, engine_proof_, *config_, report)),
      provisioning_({log_->handler(),
                     [this](const ProvisioningState& state) { give_provisioning(state); },
                     [this](const std::string& thing) { provisioned(thing); }}) {
  // Until the loop's first turn this is what state() answers: not an empty ledger.
  state_.ledger = storage_.first_report().ledger;
  state_.storage = storage_.first_report().health;
  subscribers_->on_taken(
      [this](flow::Delivery delivery) { driver_->enqueue(device::MessageTaken{delivery}); });
}

DeviceImpl::~DeviceImpl() { stop(config()->timing.stop_deadline); }

Status DeviceImpl::begin(OpenHooks hooks) {
  posix::UniqueFd passed = passed_socket(hooks.sockets);
  power_ = std::make_unique<PowerKeeper>(loop_, clock_, *config_, power_hooks(hooks));
  guards_ = std::make_unique<GuardKeeper>(
      loop_, clock_, *config_,
      [this](Message message) {
        static_cast<void>(publish(std::move(message), {}, ReceiptScope::settled));
      },
      log_->handler());
  if (Status opened = open_page(); !opened) return opened;
  if (!config_->local_socket.empty()) {
    Result<LocalAccess> access = LocalAccess::make(config_->client_rules);
    if (!access) return std::move(access).error();
    auto server = LocalServer::open(
        loop_, *this,
        {config_->local_socket, config_->outbox.directory, log_,
         [this](Look look) { storage_.look(std::move(look)); },
         [this](std::string topic, std::size_t count) {
           return last_lines(std::move(topic), count);
         },
         std::move(access).value(), page_ ? page_->url() : std::string(), config_->safe_mode_reason,
         std::move(hooks.leave_safe_mode), std::move(hooks.going_down), acknowledgements_,
         [this](SideWrites::Write write) { group_writes_.post(std::move(write)); },
         std::move(passed)});
    if (!server.ok()) return std::move(server).error();
    local_server_ = std::move(server).value();
  }
  if (Status opened = open_metrics(); !opened) return opened;
  loop_.post([this] {
    const std::shared_ptr<const Config> config = this->config();
    const std::string started = history_.started(clock_->wall(), recovered_unclean_,
                                                 config->safe_mode_reason, config->boot);
    const bool news = !config->safe_mode_reason.empty() || config->boot.first_run;
    if (news) publish_history(started);
    driver_->start();
    power_->begin();
    guards_->begin();
  });
  loop_thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "hf-loop");
    loop_.run();
  });
  provisioning_.start(*config());
  loop_.post([this] { follow_log_command(); });
  return {};
}

posix::UniqueFd DeviceImpl::passed_socket(const ServiceSockets& sockets) {
  if (sockets == nullptr) return {};
  const std::filesystem::path& ours = config_->local_socket;
  auto given = sockets->listening_at(ours);
  if (given.fd) {
    log(LogLevel::info, LogArea::local_api,
        "serves the service manager's socket " + given.name + " (" + ours.string() + ")");
  }
  for (const std::string& other : sockets->others(ours)) {  // who connects there waits for ever
    log(LogLevel::warning, LogArea::local_api,
        "the service manager's socket " + other +
            " is not served; give local.socket and its ListenStream= the same path");
  }
  return std::move(given.fd);
}

Status DeviceImpl::open_page() {
  if (config_->page.listen.empty()) return {};
  auto service = PageService::open({loop_, *random_, [this] { return config(); }, log_->handler()});
  if (!service.ok()) return std::move(service).error();
  page_ = std::move(service).value();
  return {};
}

Status DeviceImpl::open_metrics() {
  if (!config_->metrics.wanted()) return {};
  auto service = MetricsService::open(
      {loop_, *this, *clock_, *random_, disk_counts_, [this] { return config(); },
       [this](Look look) { storage_.look(std::move(look)); }, log_->handler()});
  if (!service.ok()) return std::move(service).error();
  metrics_ = std::move(service).value();
  return {};
}

std::shared_ptr<const Config> DeviceImpl::config() const {
  const std::lock_guard lock(mutex_);
  return config_;
}

// ---- towards the core ---------------------------------------------------------------------------

PublishAnswer DeviceImpl::publish(Message message, ReceiptHandler on_receipt, ReceiptScope scope) {
  return take(std::move(message), std::move(on_receipt), scope, false);
}

PublishAnswer DeviceImpl::take(Message message, ReceiptHandler on_receipt, ReceiptScope scope,
                               bool last_words) {
  Durability durability = message.durability;
  device::Admission admission = device::admit(std::move(message), *config());
  PublishAnswer answer{admission.rejected, durability};
  if (answer.rejected == RejectReason::none) {
    const std::size_t cost = admission.message.cost();
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      answer.rejected = RejectReason::stopping;
    } else if (refusing_ && !last_words) {
      answer.rejected = RejectReason::power_failing;
    } else if (!let_in(durability, cost)) {
      answer.rejected = RejectReason::queue_full;
    } else {
      answer.promised = durability;
      const device::Ticket ticket = on_receipt ? keep(std::move(on_receipt), scope) : 0;
      ingress_items_.push_back({ticket, durability, std::move(admission.message)});
      if (ingress_items_.size() == 1) loop_.post([this] { drain_ingress(); });
    }
  }
  if (answer.rejected != RejectReason::none) {
    rejected_[static_cast<std::size_t>(answer.rejected)].fetch_add(1, std::memory_order_relaxed);
  }
  return answer;
}

// While the disk keeps the gate shut, a durable message may be kept in RAM instead, if so
// configured.
bool DeviceImpl::let_in(Durability& durability, std::size_t cost) {
  if (durability == Durability::durable) {
    if (ingress_.enter(cost)) return true;
    if (config_->outbox.on_fault == OnFault::reject) return false;
    durability = Durability::spill;
  }
  return memory_ingress_.enter(cost);
}

device::Ticket DeviceImpl::keep(ReceiptHandler handler, ReceiptScope scope) {
  device::Ticket ticket = next_ticket_++;
  if (scope == ReceiptScope::settled && following_ < config_->limits.receipts) {
    ++following_;
  } else {
    ticket |= device::kUntilAccepted;
  }
  tickets_.emplace(ticket, std::make_shared<ReceiptHandler>(std::move(handler)));
  return ticket;
}

void DeviceImpl::drain_ingress() {
  device::Publish publish;
  {
    const std::lock_guard lock(mutex_);
    publish.items.swap(ingress_items_);
  }
  if (publish.items.empty()) return;
  memory_ingress_.leave(static_cast<std::size_t>(
      std::count_if(publish.items.begin(), publish.items.end(),
                    [](const auto& item) { return item.durability != Durability::durable; })));
  driver_->enqueue(std::move(publish));
}

void DeviceImpl::from_storage(std::vector<device::Event> events) {
  for (const device::Event& event : events) {
    const auto* appended = std::get_if<device::StoreAppended>(&event);
    if (appended == nullptr) continue;
    ingress_.leave(
        static_cast<std::size_t>(std::count_if(appended->items.begin(), appended->items.end(),
                                               [](const auto& item) { return item.gated; })));
  }
  driver_->enqueue(std::move(events));
}

void DeviceImpl::fate(MessageId id, FateHandler handler) {
  if (!handler) return;
  auto shared = std::make_shared<FateHandler>(std::move(handler));
  loop_.post([this, id, shared] {
    storage_.look([this, id, shared](outbox::Outbox& outbox) {
      const Fate fate = outbox.fate(id);
      loop_.post([this, fate, shared] { executor_.post({[fate, shared] { (*shared)(fate); }}); });
      return true;
    });
  });
}

Result<SubscriptionId> DeviceImpl::subscribe(std::string filter, Qos qos, MessageHandler handler) {
  if (!handler) return subscribe_held(std::move(filter), qos, {});
  return subscribe_held(std::move(filter), qos,
                        [handler = std::move(handler)](const InboundMessage& message, const Hold&) {
                          handler(message);
                        });
}

Result<SubscriptionId> DeviceImpl::subscribe_held(std::string filter, Qos qos,
                                                  HeldMessageHandler handler) {
  Status status = flow::check_filter(filter, device::topic_limits(*config(), filter));
  if (!status.ok()) return std::move(status).error();
  const std::lock_guard lock(mutex_);
  if (Status free = may_subscribe(handler != nullptr); !free.ok()) return std::move(free).error();
  const SubscriptionId id = subscribers_->add_held(std::move(handler));
  driver_->enqueue(device::Subscribe{id, std::move(filter), qos});
  return id;
}

Result<SubscriptionId> DeviceImpl::subscribe_unmatched(MessageHandler handler) {
  const std::lock_guard lock(mutex_);
  if (Status free = may_subscribe(handler != nullptr); !free.ok()) return std::move(free).error();
  return subscribers_->add_unmatched(std::move(handler));
}

Status DeviceImpl::may_subscribe(bool has_handler) const {
  if (!has_handler) return Error{Errc::invalid_argument, "a subscription needs a handler"};
  if (stopping_) return Error{Errc::closed, "the device is stopping"};
  if (subscribers_->size() < config_->limits.subscriptions) return {};
  return Error{Errc::full, "all " + std::to_string(config_->limits.subscriptions) +
                               " subscriptions are in use; raise limits.subscriptions"};
}

Status DeviceImpl::unsubscribe(SubscriptionId id) {
  const std::lock_guard lock(mutex_);
  if (!subscribers_->remove(id)) {
    return Error{Errc::not_found, "no subscription " + std::to_string(id)};
  }
  if (!stopping_) driver_->enqueue(device::Unsubscribe{id});
  return {};
}

Status DeviceImpl::request(Message message, Milliseconds timeout, ResponseHandler handler) {
  return requester_->ask(std::move(message), timeout, std::move(handler), *config());
}

PowerKeeper::Hooks DeviceImpl::power_hooks(OpenHooks hooks) {
  return {[this](Message message, ReceiptHandler on_receipt) {
            return take(std::move(message), std::move(on_receipt), ReceiptScope::settled, true);
          },
          [this](bool refuse) {
            const std::lock_guard lock(mutex_);
            refusing_ = refuse;
          },
          [this](device::Posture posture) {
            drain_ingress();  // what publish() has taken goes ahead
            driver_->enqueue(posture);
          },
          std::move(hooks.going_down),
          std::move(hooks.not_going_down),
          [this](SideWrites::Write write) { note_writes_.post(std::move(write)); },
          [this](Executor::Task task) {  // behind the receipts of this turn, with its state
            tasks_.push_back(std::move(task));
            driver_->enqueue(device::Tick{});
          },
          [this] {
            const std::lock_guard lock(mutex_);
            return state_.connection.state == LinkState::connected;
          },
          log_->handler()};
}

void DeviceImpl::power_fail(std::string_view why, SavedHandler saved) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  loop_.post([this, why = std::string(why), saved = std::move(saved)]() mutable {
    if (power_) power_->fail(why, std::move(saved));
  });
}

void DeviceImpl::power_back() {
  loop_.post([this] {
    if (power_) power_->back();
  });
}

void DeviceImpl::saved() { power_->saved(); }

void DeviceImpl::away() { power_->away(); }

void DeviceImpl::reconnect_now() {
  const std::lock_guard lock(mutex_);
  if (!stopping_) driver_->enqueue(device::ReconnectNow{});
}

Status DeviceImpl::reload(Config config) {
  if (Status valid = check_settings(config); !valid.ok()) return valid;
  use_provisioned_name(config);
  const std::lock_guard lock(mutex_);
  config.safe_mode_reason = config_->safe_mode_reason;
  config.boot = config_->boot;
  leave_out_extras(config);
  stamp_birth(config);
  const auto fixed = [](std::string_view key) {
    return Error{Errc::unsupported, std::string(key) + " cannot change while running; restart"};
  };
  if (stopping_) return Error{Errc::closed, "the device is stopping"};
  if (config.engine != config_->engine) return fixed("connection.engine");
  if (config.outbox.directory != config_->outbox.directory) return fixed("outbox.directory");
  if (config.outbox.max_bytes != config_->outbox.max_bytes) return fixed("outbox.max_size");
  if (config.outbox.preallocate != config_->outbox.preallocate) return fixed("outbox.preallocate");
  if (config.outbox.always_pad != config_->outbox.always_pad) return fixed("outbox.always_pad");
  if (config.outbox.ack_flush != config_->outbox.ack_flush) return fixed("outbox.ack_flush");
  if (config.outbox.encrypt != config_->outbox.encrypt) return fixed("outbox.encrypt");
  if (config.outbox.key_file != config_->outbox.key_file) return fixed("outbox.key_file");
  if (config.outbox.previous_key_file != config_->outbox.previous_key_file) {
    return fixed("outbox.previous_key_file");
  }
  if (config.lanes != config_->lanes) return fixed("flow.lanes");
  const std::vector<LaneRules> rules = device::lane_rules(config);
  const std::vector<LaneRules> rules_before = device::lane_rules(*config_);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (rules[i].conflate != rules_before[i].conflate) {
      return fixed("lane." + config.lanes[i] + ".conflate");
    }
  }
  if (config.local_socket != config_->local_socket) return fixed("local.socket");
  if (config.client_rules != config_->client_rules) return fixed("client");
  if (config.heartbeats != config_->heartbeats) return fixed("heartbeat");
  if (config.safe_mode != config_->safe_mode) return fixed("safe_mode");
  if (config.watchdog != config_->watchdog) return fixed("watchdog");
  if (config.power != config_->power) return fixed("power");
  if (config.guards != config_->guards) return fixed("guards");
  if (config.metrics != config_->metrics) return fixed("metrics");
  if (config.page != config_->page) return fixed("page");
  if (config.limits.memory != config_->limits.memory) return fixed("limits.memory");
  log_->configure(config.log);
  executor_.set_alarm(config.timing.callback_alarm);
  config_ = std::make_shared<const Config>(std::move(config));
  driver_->enqueue(device::Reload{config_});
  provisioning_.start(*config_);
  loop_.post([this] { follow_log_command(); });
  return {};
}

// ---- towards the application (loop thread) ------------------------------------------------------

void DeviceImpl::give_receipt(const device::GiveReceipt& given) {
  if (given.ticket == 0) return;
  std::shared_ptr<ReceiptHandler> handler;
  {
    const std::lock_guard lock(mutex_);
    const auto found = tickets_.find(given.ticket);
    if (found == tickets_.end()) return;
    handler = found->second;
    if (given.receipt.last) {
      if (device::follows_to_end(given.ticket)) --following_;
      tickets_.erase(found);
    }
  }
  tasks_.emplace_back([handler, receipt = given.receipt] { (*handler)(receipt); });
}

void DeviceImpl::give_message(device::GiveMessage given) {
  const flow::Delivery delivery = given.delivery;
  const bool wanted = subscribers_->address(given);
  if (wanted) {
    auto task = subscribers_->task_for(std::move(given), config()->limits.memory);
    if (task && executor_.post_droppable(std::move(*task))) return;
  }
  driver_->enqueue(device::MessageTaken{delivery});
  if (!wanted) return;
  const std::uint64_t dropped = ++inbound_dropped_;
  log(LogLevel::warning, LogArea::callbacks,
      "inbound messages dropped because callbacks are too slow: " + std::to_string(dropped) +
          " so far");
}

void DeviceImpl::give_connection(const ConnectionState& state) {
  {
    const std::lock_guard lock(mutex_);
    state_.connection = state;
    if (connection_handler_) {
      tasks_.emplace_back([handler = connection_handler_, state] { handler(state); });
    }
  }
  if (local_server_) local_server_->connection_changed(state);
  if (metrics_) metrics_->connection_changed(state);
}

void DeviceImpl::on_connection(ConnectionHandler handler) {
  const std::lock_guard lock(mutex_);
  connection_handler_ = std::move(handler);
  if (!connection_handler_) return;
  executor_.post({[handler = connection_handler_, state = state_.connection] { handler(state); }});
}

void DeviceImpl::log(LogLevel level, LogArea area, std::string text) {
  log_->write({level, area, std::move(text)});
}

Result<Message> DeviceImpl::last_lines(std::string topic, std::size_t count) const {
  const std::shared_ptr<const Config> config = this->config();
  if (topic.empty()) topic = config->log.topic;
  if (topic.empty()) {
    return Error{Errc::invalid_argument, "no topic is given, and log.topic is not configured"};
  }
  return log_message(*config, std::move(topic), log_->last(count));
}

/// Wants messages on log.command_topic, each of which asks for the last lines.
void DeviceImpl::follow_log_command() {
  const std::string topic = config()->log.command_topic;
  if (topic == log_command_topic_) return;
  if (log_command_ != 0) static_cast<void>(unsubscribe(std::exchange(log_command_, 0)));
  log_command_topic_ = topic;
  if (topic.empty()) return;
  const auto handler = [this, last = BootTime::min()](const InboundMessage&) mutable {
    const BootTime now = clock_->now();
    if (last != BootTime::min() && now - last < kLogSendGap) return;
    last = now;
    Result<Message> message = last_lines({}, limits::kLogLast);
    if (message) static_cast<void>(publish(std::move(*message), {}, ReceiptScope::settled));
  };
  Result<SubscriptionId> wanted = subscribe(topic, Qos::at_least_once, handler);
  if (wanted) {
    log_command_ = *wanted;
  } else if (wanted.error().code != Errc::closed) {
    log(LogLevel::warning, LogArea::agent,
        "nobody can ask for the log from afar: " + wanted.error().message);
  }
}

void DeviceImpl::look_at_outages(const DeviceState& state, BootTime now) {
  const std::optional<std::string> outage = history_.look(now, clock_->wall(), state);
  if (outage) publish_history(*outage);
}

void DeviceImpl::publish_history(std::string_view line) {
  const std::shared_ptr<const Config> config = this->config();
  if (config->history_topic.empty()) return;
  Message message;
  message.topic = config->history_topic;
  message.lane = config->lanes.back();
  message.content_type = "application/json";
  for (const char c : line) message.payload.push_back(static_cast<std::byte>(c));
  static_cast<void>(publish(std::move(message), {},
                            ReceiptScope::settled));  // refused, it is counted as any other
}

void DeviceImpl::turn_done(DeviceState state, BootTime now) {
  look_at_outages(state, now);
  {
    const std::lock_guard lock(mutex_);
    state_ = std::move(state);
    state_at_ = now;
  }
  executor_.post(std::exchange(tasks_, {}));
  if (now < log_service_at_) return;
  log_service_at_ = now + kLogService;
  log_->service();
}

DeviceState DeviceImpl::state() const {
  DeviceState state;
  BootTime taken;
  {
    const std::lock_guard lock(mutex_);
    state = state_;
    taken = state_at_;
    state.certificate_days_left = certificate_days_left(identity_, clock_->wall());
  }
  const auto age = std::chrono::duration_cast<Milliseconds>(clock_->now() - taken);
  state.connection.retry_in = std::max(state.connection.retry_in - age, Milliseconds{0});
  for (std::size_t i = 0; i < kRejectReasons; ++i) {
    state.ledger.rejected[i] += rejected_[i].load(std::memory_order_relaxed);
  }
  state.slow_callbacks = executor_.slow_callbacks();
  state.inbound_dropped = inbound_dropped_.load();
  state.acknowledgements = acknowledgements_->counts();
  state.requests = requester_->counts();
  state.heartbeat_misses = heartbeats_.misses();
  state.recovered_unclean = recovered_unclean_;
  state.safe_mode = config()->safe_mode_reason;
  state.boot = config()->boot;
  if (power_) state.power = power_->state();
  if (guards_) state.guards = guards_->states();
  return state;
}

void DeviceImpl::give_identity(IdentityState state, bool warned) {
  ConnectionState connection;
  bool news = warned;
  state.days_left = certificate_days_left(state, clock_->wall());
  {
    const std::lock_guard lock(mutex_);
    news = news || state.phase != identity_.phase || state.kept != identity_.kept ||
           state.rolled_back != identity_.rolled_back;
    identity_ = state;
    connection = state_.connection;
  }
  if (news && local_server_) local_server_->identity_changed(identity());
  if (warned) give_connection(connection);  // a service manager's status is told so
}

void DeviceImpl::give_heartbeat(const HeartbeatState& state) {
  if (local_server_) local_server_->heartbeat_changed(state);
  const std::lock_guard lock(mutex_);
  if (!connection_handler_) return;
  // A service manager's status is told so.
  executor_.post({[handler = connection_handler_, now = state_.connection] { handler(now); }});
}

void DeviceImpl::give_provisioning(const ProvisioningState& state) {
  {
    const std::lock_guard lock(mutex_);
    provisioning_state_ = state;
  }
  loop_.post([this] {
    if (local_server_) local_server_->identity_changed(identity());
  });
}

/// The credential's file is seen by whoever watches it; a name needs another connection.
void DeviceImpl::provisioned(const std::string& thing) {
  loop_.post([this, thing] {
    Config named = *config();
    if (thing.empty() || !named.client_id.empty() || named.assigned_client_id) return;
    named.client_id = thing;
    const Status done = reload(std::move(named));
    log(done ? LogLevel::info : LogLevel::error, LogArea::provisioning,
        "this device is " + thing + (done ? "" : ": " + done.error().message));
  });
}

IdentityState DeviceImpl::identity() const {
  const std::lock_guard lock(mutex_);
  IdentityState state = identity_;
  state.provisioning = provisioning_state_;
  state.days_left = certificate_days_left(state, clock_->wall());
  return state;
}

void DeviceImpl::give_filters(std::vector<FilterState> filters, BootTime now) {
  requester_->filters_changed(filters);
  const std::lock_guard lock(mutex_);
  filters_ = std::move(filters);
  filters_at_ = now;
}

std::vector<FilterState> DeviceImpl::filters() const {
  const std::lock_guard lock(mutex_);
  std::vector<FilterState> filters = filters_;
  const auto age = std::chrono::duration_cast<Milliseconds>(clock_->now() - filters_at_);
  for (FilterState& one : filters) one.next_in = std::max(one.next_in - age, Milliseconds{0});
  return filters;
}

// The number is read before the next proof is asked for, so that it grows after this call.
Progress DeviceImpl::progress() {
  Progress progress;
  progress.loop = loop_proofs_.load();
  if (!loop_proof_asked_.exchange(true)) {
    loop_.post([this] {
      loop_proof_asked_ = false;
      ++loop_proofs_;
      driver_->ask_engine();
    });
  }
  progress.engine = engine_proof_.look();
  progress.storage = storage_.prove();
  progress.callbacks = executor_.prove();
  progress.applications = heartbeats_.prove();
  return progress;
}

// ---- the end ------------------------------------------------------------------------------------

void DeviceImpl::stopped() {
  const std::lock_guard lock(mutex_);
  core_stopped_ = true;
  core_ended_.notify_all();
}

void DeviceImpl::stop(Milliseconds deadline) {
  if (executor_.on_executor_thread()) {
    log(LogLevel::error, LogArea::callbacks,
        "stop() was called from a handler, where it would wait for itself; ignored");
    return;
  }
  std::call_once(stop_once_, [this, deadline] {
    const BootTime end = clock_->now() + std::max<Duration>(deadline, 2 * kThreadReserve);
    requester_->stop();
    if (!provisioning_.stop(std::min<Duration>(deadline / 4, Seconds(1)))) {
      log(LogLevel::error, LogArea::provisioning,
          "provisioning did not stop in time; its thread is left behind");
    }
    if (loop_thread_.joinable()) {
      std::unique_lock lock(mutex_);
      stopping_ = true;
      // What publish() has promised to hand over goes before the stop, not after it.
      if (!ingress_items_.empty())
        driver_->enqueue(device::Publish{std::exchange(ingress_items_, {})});
      driver_->enqueue(device::Stop{end - kThreadReserve - clock_->now()});
      const bool in_order =
          core_ended_.wait_for(lock, end - clock_->now(), [this] { return core_stopped_; });
      lock.unlock();
      if (!in_order) {
        log(LogLevel::error, LogArea::health, "the deadline passed before everything was in order");
      }
      loop_.post([this] {
        page_.reset();
        metrics_.reset();
        local_server_.reset();
        power_->end();
        guards_->end();
      });
      loop_.post([this] { loop_.stop(); });
      loop_thread_.join();
    } else {  // it could not begin: nobody else closes the store
      storage_.submit({device::StoreClose{}});
    }
    page_.reset();
    metrics_.reset();
    local_server_.reset();
    subscribers_->on_taken(nullptr);
    driver_.reset();
    if (!storage_.join(end)) {
      log(LogLevel::error, LogArea::outbox,
          "the disk did not answer in time; its thread is left behind");
    }
    if (!executor_.stop(end)) {
      subscribers_->clear();
      log(LogLevel::error, LogArea::callbacks,
          "an application callback did not return in time; it is left behind");
    }
  });
}

}  // namespace holdfast::runtime
