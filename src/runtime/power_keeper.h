// How the machine's power is, and what follows from it: health::Power with its sources, its notices
// and its command.
//
// Threads:  the loop's; state() from any.
// Errors:   a source that cannot be asked is logged once until it can, and asked for ever; a
//           command that fails is logged.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device/events.h"
#include "env/clock.h"
#include "health/power.h"
#include "holdfast/config.h"
#include "holdfast/device.h"
#include "host/nut_client.h"
#include "posix/event_loop.h"
#include "posix/power_supply.h"
#include "runtime/polled_watch.h"

namespace holdfast::runtime {

class PowerKeeper {
 public:
  struct Hooks {
    /// As Device::publish(), also while publishers are refused.
    std::function<PublishAnswer(Message message, ReceiptHandler on_receipt)> publish;
    std::function<void(bool refuse)> refuse;
    std::function<void(device::Posture posture)> posture;
    /// The reason of the next boot; may be empty.
    std::function<void(BootReason reason, const std::string& detail)> going_down;
    std::function<void()> not_going_down;
    /// Has it done by a thread that may wait for the disk.
    std::function<void(std::function<Status()>)> write;
    /// Has it done by the executor.
    std::function<void(std::function<void()>)> call;
    std::function<bool()> connected;
    LogHandler log;
  };
  PowerKeeper(posix::EventLoop& loop, std::shared_ptr<const env::Clock> clock, const Config& config,
              Hooks hooks);
  ~PowerKeeper();
  PowerKeeper(const PowerKeeper&) = delete;
  PowerKeeper& operator=(const PowerKeeper&) = delete;

  /// Begins to ask the sources.
  void begin();
  /// The device has stopped: nobody is asked, and nothing follows, any more.
  void end();
  void fail(std::string_view why, SavedHandler saved);
  void back();
  /// The core says so.
  void saved();
  void away();

  [[nodiscard]] PowerState state() const;

 private:
  void tick();
  void carry_out(health::PowerOrders orders);
  void publish(health::PowerNotice notice);
  void answer_saved();
  void run_command() const;
  [[nodiscard]] device::Posture posture_of(const health::PowerOrders& orders) const;
  [[nodiscard]] std::string notice_text(health::PowerNotice notice) const;
  void ups_said(const Result<host::NutAnswer>& answer);
  void supply_said(const Result<posix::SupplyLook>& look);
  void trouble(health::PowerSource source, const std::string& problem);
  /// Has it done on the loop, if this is still there then.
  void post(std::function<void(PowerKeeper&)> work);

  posix::EventLoop& loop_;
  std::shared_ptr<const env::Clock> clock_;
  const Config::Power rules_;
  const std::vector<std::string> lanes_;
  std::string client_id_;
  Hooks hooks_;
  health::Power machine_;
  posix::Timer timer_;
  std::optional<host::NutClient> nut_;
  std::optional<PolledWatch<Result<posix::SupplyLook>>> supplies_;
  std::vector<SavedHandler> waiting_;  // for what was accepted to be safe
  std::string troubled_;               // logged
  bool ended_ = false;
  std::uint64_t notice_ = 0;  // the last one's number
  mutable std::mutex mutex_;  // of state_
  PowerState state_;
  std::shared_ptr<PowerKeeper*> self_ = std::make_shared<PowerKeeper*>(this);
};

}  // namespace holdfast::runtime
