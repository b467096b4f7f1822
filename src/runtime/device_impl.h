// The Device that applications hold: the public face, the threads' owner and the core's outlet.
//
// Threads:  three, all owned here: loop (Driver, LocalServer), storage (Storage), callbacks
//           (Executor). The public members run on the caller's thread and only queue.
// Locks:    mutex_ guards the tables below; it is never held while calling out.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "env/clock.h"
#include "env/random.h"
#include "holdfast/device.h"
#include "outbox/outbox.h"
#include "posix/event_loop.h"
#include "runtime/driver.h"
#include "runtime/engine_proof.h"
#include "runtime/executor.h"
#include "runtime/guard_keeper.h"
#include "runtime/heartbeat_keeper.h"
#include "runtime/history.h"
#include "runtime/ingress.h"
#include "runtime/local_server.h"
#include "runtime/logger.h"
#include "runtime/metrics_service.h"
#include "runtime/open.h"
#include "runtime/page_service.h"
#include "runtime/power_keeper.h"
#include "runtime/provision_thread.h"
#include "runtime/requester.h"
#include "runtime/side_writes.h"
#include "runtime/storage.h"
#include "runtime/subscribers.h"

namespace holdfast::runtime {

class DeviceImpl final : public Device, private Outlet {
 public:
  /// Everything that can fail has been done by Device::open().
  DeviceImpl(Config config, std::shared_ptr<Logger> log, std::shared_ptr<env::Clock> clock,
             std::unique_ptr<outbox::Outbox> outbox, std::shared_ptr<void> outbox_parts,
             const outbox::RecoveryReport& report, std::shared_ptr<const DiskCounts> disk_counts);
  ~DeviceImpl() override;

  /// Opens the local socket if one is configured, and starts the loop.
  Status begin(OpenHooks hooks);

  PublishAnswer publish(Message message, ReceiptHandler on_receipt, ReceiptScope scope) override;
  void fate(MessageId id, FateHandler handler) override;
  Result<SubscriptionId> subscribe(std::string filter, Qos qos, MessageHandler handler) override;
  Result<SubscriptionId> subscribe_held(std::string filter, Qos qos,
                                        HeldMessageHandler handler) override;
  Result<SubscriptionId> subscribe_unmatched(MessageHandler handler) override;
  Status unsubscribe(SubscriptionId id) override;
  Status request(Message message, Milliseconds timeout, ResponseHandler handler) override;
  void on_connection(ConnectionHandler handler) override;
  [[nodiscard]] DeviceState state() const override;
  [[nodiscard]] std::vector<FilterState> filters() const override;
  [[nodiscard]] LogState log_state() const override { return log_->state(); }
  [[nodiscard]] IdentityState identity() const override;
  Status heartbeat(std::string_view name, Milliseconds every) override {
    return heartbeats_.beat(name, every);
  }
  Status end_heartbeat(std::string_view name) override { return heartbeats_.end(name); }
  [[nodiscard]] std::vector<HeartbeatState> heartbeats() const override {
    return heartbeats_.states();
  }
  [[nodiscard]] Progress progress() override;
  void power_fail(std::string_view why, SavedHandler saved) override;
  void power_back() override;
  void reconnect_now() override;
  Status reload(Config config) override;
  void stop(Milliseconds deadline) override;

 private:
  void give_receipt(const device::GiveReceipt& given) override;
  void give_message(device::GiveMessage given) override;
  void give_connection(const ConnectionState& state) override;
  void give_filters(std::vector<FilterState> filters, BootTime now) override;
  void give_identity(IdentityState state, bool warned) override;
  void give_heartbeat(const HeartbeatState& state);
  void log(const LogLine& line) override { log_->write(line); }
  void log(LogLevel level, LogArea area, std::string text);
  void turn_done(DeviceState state, BootTime now) override;
  void saved() override;
  void away() override;
  void stopped() override;

  /// publish(); `last_words` are taken also while the power goes.
  PublishAnswer take(Message message, ReceiptHandler on_receipt, ReceiptScope scope,
                     bool last_words);
  [[nodiscard]] PowerKeeper::Hooks power_hooks(OpenHooks hooks);
  /// With mutex_ held: keeps the handler for as long as `scope` and the limit say.
  [[nodiscard]] device::Ticket keep(ReceiptHandler handler, ReceiptScope scope);
  /// With mutex_ held.
  [[nodiscard]] Status may_subscribe(bool has_handler) const;
  [[nodiscard]] bool let_in(Durability& durability, std::size_t cost);
  void from_storage(std::vector<device::Event> events);
  void drain_ingress();
  /// Of provisioning, on its thread.
  void give_provisioning(const ProvisioningState& state);
  void provisioned(const std::string& thing);
  [[nodiscard]] posix::UniqueFd passed_socket(const ServiceSockets& sockets);
  [[nodiscard]] Status open_page();
  [[nodiscard]] Status open_metrics();
  [[nodiscard]] Result<Message> last_lines(std::string topic, std::size_t count) const;
  void follow_log_command();
  void look_at_outages(const DeviceState& state, BootTime now);
  void publish_history(std::string_view line);
  [[nodiscard]] std::shared_ptr<const Config> config() const;

  std::shared_ptr<env::Clock> clock_;
  std::unique_ptr<env::Random> random_;
  const std::shared_ptr<Logger> log_;
  const bool recovered_unclean_;

  mutable std::mutex mutex_;
  std::shared_ptr<const Config> config_;
  std::unordered_map<device::Ticket, std::shared_ptr<ReceiptHandler>> tickets_;
  device::Ticket next_ticket_ = 1;
  std::size_t following_ = 0;  // of tickets_: those that wait for the end of their message
  std::vector<device::Publish::Item> ingress_items_;
  ConnectionHandler connection_handler_;
  DeviceState state_;
  BootTime state_at_;
  std::vector<FilterState> filters_;
  BootTime filters_at_;
  IdentityState identity_;
  ProvisioningState provisioning_state_;
  bool stopping_ = false;
  bool refusing_ = false;  // the power goes
  bool core_stopped_ = false;
  std::condition_variable core_ended_;

  std::array<std::atomic<std::uint64_t>, kRejectReasons> rejected_{};  // by publish() itself
  std::atomic<std::uint64_t> inbound_dropped_{0};
  const std::shared_ptr<const DiskCounts> disk_counts_;
  std::atomic<std::uint64_t> loop_proofs_{0};
  std::atomic<bool> loop_proof_asked_{false};
  EngineProof engine_proof_;
  const std::shared_ptr<Subscribers> subscribers_ = Subscribers::make();
  const std::shared_ptr<AckTally> acknowledgements_ = std::make_shared<AckTally>();
  History history_;                    // loop thread
  std::string log_command_topic_;      // loop thread
  SubscriptionId log_command_ = 0;     // loop thread
  BootTime log_service_at_{};          // loop thread
  std::vector<Executor::Task> tasks_;  // gathered on the loop thread, handed over once a turn

  Ingress ingress_;         // durable: until the storage has answered
  Ingress memory_ingress_;  // volatile: until the loop has taken it
  posix::EventLoop loop_;
  HeartbeatKeeper heartbeats_;
  Executor executor_;
  const std::shared_ptr<Requester> requester_;
  Storage storage_;
  SideWrites history_writes_;
  SideWrites note_writes_;   // loop thread
  SideWrites group_writes_;  // loop thread
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<PowerKeeper> power_;   // from begin() on
  std::unique_ptr<GuardKeeper> guards_;  // the same
  std::unique_ptr<LocalServer> local_server_;
  std::unique_ptr<MetricsService> metrics_;  // null unless the configuration wants them
  std::unique_ptr<PageService> page_;
  ProvisionThread provisioning_;
  std::thread loop_thread_;
  std::once_flag stop_once_;
};

}  // namespace holdfast::runtime
