// Device::open(): everything that can fail, in the order in which it is cheapest to find out.
#include <chrono>
#include <thread>
#include <utility>

#include "device/store_turn.h"
#include "env/disk.h"
#include "holdfast/device.h"
#include "outbox/outbox.h"
#include "posix/system.h"
#include "runtime/boot_keeper.h"
#include "runtime/config_file.h"
#include "runtime/counting_disk.h"
#include "runtime/device_impl.h"
#include "runtime/hold_up.h"
#include "runtime/open.h"
#include "runtime/outbox_keys.h"
#include "runtime/provisioner.h"
#include "runtime/safe_mode.h"

namespace holdfast {

namespace {

/// What the outbox refers to; handed to the storage thread, which may outlive the device.
struct OutboxParts {
  std::shared_ptr<env::Clock> clock;
  std::unique_ptr<env::Random> random;
  std::unique_ptr<env::Disk> disk;
  std::shared_ptr<runtime::DiskCounts> disk_counts = std::make_shared<runtime::DiskCounts>();
  std::unique_ptr<env::KeyRing> keys;
};

std::string words_of(const outbox::RecoveryReport& report) {
  if (report.created) return "new store";
  std::string text = std::to_string(report.pending) + " messages pending, last run " +
                     (report.clean ? "ended in order" : "was cut off");
  if (report.torn != 0) text += ", " + std::to_string(report.torn) + " unaccepted records torn";
  if (report.corrupt != 0) text += ", " + std::to_string(report.corrupt) + " messages corrupt";
  if (report.locked != 0) {
    text += ", " + std::to_string(report.locked) +
            " wait for the key that they were sealed with (outbox.previous_key_file)";
  }
  if (report.set_aside != report.unreadable) {
    text += ", " + std::to_string(report.set_aside - report.unreadable) +
            " files of another store or version set aside (holdfast outbox verify names them)";
  }
  if (report.unreadable != 0) {
    text +=
        ", " + std::to_string(report.unreadable) +
        " files that cannot be read set aside; what was in them may be lost, and is not counted";
  }
  if (report.rebuilt) text += ", a checkpoint was rebuilt: duplicates are possible";
  if (report.read_only) text += ", file system is read-only: draining only";
  return text;
}

/// Waits for a disk that may read a moment later.
class Patience {
 public:
  explicit Patience(runtime::Logger& log) : log_(log) {}

  bool operator()(const Error& error) {
    if (!told_) {
      const auto seconds = std::chrono::duration_cast<Seconds>(outbox::kOpenRetry);
      log_.write({LogLevel::warning, LogArea::outbox,
                  error.message + "; tried again for " +
                      std::to_string(seconds.count() * outbox::kOpenTries) +
                      " s, then opened without what cannot be read"});
    }
    told_ = true;
    std::this_thread::sleep_for(outbox::kOpenRetry);
    return true;
  }

 private:
  runtime::Logger& log_;
  bool told_ = false;
};

Result<std::unique_ptr<outbox::Outbox>> open_outbox(Config& config, OutboxParts& parts,
                                                    const runtime::OpenHooks& hooks,
                                                    runtime::Logger& log,
                                                    outbox::RecoveryReport& report) {
  auto disk = posix::open_disk(config.outbox.directory);
  if (!disk.ok()) return std::move(disk).error().with("outbox.directory");
  parts.disk = runtime::count_writes(std::move(disk).value(), parts.disk_counts);
  parts.random = posix::make_random();
  Status locked = parts.disk->lock();
  if (!locked.ok()) return std::move(locked).error().with("outbox.directory");
  if (hooks.locked) hooks.locked(config);
  runtime::leave_out_extras(config);
  runtime::stamp_birth(config);
  log.configure(config.log);
  if (Status kept = runtime::check_hold_up(config, log.handler()); !kept) {
    return std::move(kept).error();
  }
  auto keys = runtime::load_outbox_keys(config);
  if (!keys.ok()) return std::move(keys).error();
  parts.keys = std::move(keys).value();
  outbox::Options options = device::store_options(config);
  options.keys = parts.keys.get();
  auto outbox = outbox::Outbox::open_patiently(*parts.disk, *parts.clock, *parts.random,
                                               std::move(options), report, Patience(log));
  if (!outbox.ok()) return std::move(outbox).error().with("outbox");
  if (hooks.opened) hooks.opened();
  return outbox;
}

}  // namespace

Result<std::unique_ptr<Device>> Device::open(Config config, LogHandler log) {
  return runtime::open_device(std::move(config),
                              runtime::Logger::handing(posix::make_clock(), std::move(log)));
}

namespace runtime {

ServiceSockets sockets_of_environment() {
  return std::make_shared<const posix::PassedSockets>(posix::PassedSockets::from_environment());
}

Result<std::unique_ptr<Device>> open_device(Config config, std::shared_ptr<Logger> log,
                                            OpenHooks hooks) {
  // A wrong setting never mends itself; missing credentials may come later.
  if (Status valid = check_settings(config); !valid.ok()) return std::move(valid).error();
  log->configure(config.log);
  use_provisioned_name(config);
  auto parts = std::make_shared<OutboxParts>();
  parts->clock = posix::make_clock();
  outbox::RecoveryReport report;
  auto outbox = open_outbox(config, *parts, hooks, *log, report);
  if (!outbox.ok()) return std::move(outbox).error();
  const bool damage = report.corrupt != 0 || report.rebuilt || report.read_only ||
                      report.set_aside != 0 || report.locked != 0;
  log->write({damage ? LogLevel::warning : LogLevel::info, LogArea::outbox, words_of(report)});
  auto clock = parts->clock;
  auto disk_counts = parts->disk_counts;
  auto device = std::make_unique<DeviceImpl>(std::move(config), std::move(log), std::move(clock),
                                             std::move(outbox).value(), std::move(parts), report,
                                             std::move(disk_counts));
  Status begun = device->begin(std::move(hooks));
  if (!begun.ok()) return std::move(begun).error();
  return std::unique_ptr<Device>(std::move(device));
}

}  // namespace runtime

}  // namespace holdfast
