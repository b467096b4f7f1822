#include "runtime/boot_keeper.h"

#include <linux/watchdog.h>

#include <algorithm>
#include <utility>

#include "base/hex.h"
#include "base/limits.h"
#include "posix/boot_look.h"
#include "posix/system.h"

namespace holdfast::runtime {

namespace {

constexpr const char* kFile = "boot";
constexpr Milliseconds kStartPatience{60'000};  // the outbox waits for the same disk
constexpr Milliseconds kStopPatience{500};      // well below any deadline for stopping
// Of the service manager, beside the stop: a machine that goes down is busy, and both together stay
// below the 5 s in which a stop is over.
constexpr Milliseconds kAskPatience{3000};
static_assert(kAskPatience + kStopPatience < Milliseconds(5000));
static_assert(posix::kPanicLooks <= health::kPanicsMax, "each that is seen is remembered");

health::BootEvidence evidence_of(const posix::BootLook& look) {
  health::BootEvidence evidence;
  const env::BootId boot = posix::make_clock()->boot_id();
  evidence.boot_id = text_to_hex({reinterpret_cast<const char*>(boot.data()), boot.size()});
  evidence.watchdog = look.watchdog;
  evidence.watchdog_reset = (look.boot_status & WDIOF_CARDRESET) != 0;
  evidence.overheat_reset = (look.boot_status & (WDIOF_OVERHEAT | WDIOF_FANFAULT)) != 0;
  evidence.power_bad = (look.boot_status & (WDIOF_POWERUNDER | WDIOF_POWEROVER)) != 0;
  for (const posix::PanicLook& one : look.panics) evidence.panics.push_back({one.name, one.words});
  return evidence;
}

LogLevel level_of(BootReason reason) {
  const bool wanted = reason == BootReason::unknown || reason == BootReason::update ||
                      reason == BootReason::command;
  return wanted ? LogLevel::info : LogLevel::warning;
}

}  // namespace

std::string boot_words(const BootState& boot) {
  return std::string(to_string(boot.reason)) + (boot.detail.empty() ? "" : ": " + boot.detail);
}

BootKeeper::BootKeeper(LogHandler log, std::filesystem::path root)
    : log_(std::move(log)), root_(std::move(root)) {}

void BootKeeper::started(Config& config) {
  {
    const std::lock_guard lock(mutex_);
    if (record_) {  // safe mode has ended: the same run of the program
      config.boot = record_->state();
      return;
    }
    file_.at(config.outbox.directory / kFile);
    Result<std::string> before = posix::read_file(file_.path(), health::kBootTextMax);
    if (!before && before.error().code != Errc::not_found) {
      log_({LogLevel::warning, LogArea::health,
            before.error().message + "; nothing is known of earlier boots"});
    }
    const posix::BootLook look = posix::look_at_boot(root_);
    record_.emplace(before ? *before : std::string(), evidence_of(look));
    config.boot = record_->state();
    if (record_->damaged()) {
      log_({LogLevel::warning, LogArea::health,
            file_.path().string() + " is damaged; nothing is known of earlier boots"});
    }
    if (!look.panics_problem.empty()) {
      log_({LogLevel::debug, LogArea::health,
            look.panics_problem + "; a panic of the kernel may be told as something else"});
    }
  }
  if (config.boot.first_run) {
    log_({level_of(config.boot.reason),
          LogArea::health,
          "this machine was started after: " + boot_words(config.boot),
          {},
          {{"boot_reason", std::string(to_string(config.boot.reason))}}});
  }
  keep(kStartPatience);
}

void BootKeeper::note(BootReason reason, std::string_view detail) {
  {
    const std::lock_guard lock(mutex_);
    if (!record_) return;
    record_->note(reason, detail);
  }
  keep(kStopPatience);
}

void BootKeeper::forget_note() {
  {
    const std::lock_guard lock(mutex_);
    if (!record_) return;
    record_->forget_note();
  }
  keep(kStopPatience);
}

void BootKeeper::stopped() {
  {
    const std::lock_guard lock(mutex_);
    if (!record_) return;
  }
  const std::string how = posix::going_down(kAskPatience);
  {
    const std::lock_guard lock(mutex_);
    if (!how.empty()) record_->note(BootReason::command, how);
    record_->end();
  }
  keep(kStopPatience);
}

void BootKeeper::keep(Milliseconds patience) {
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    text = record_->text();
  }
  const Status kept = file_.write(std::move(text), patience);
  if (kept) return;
  log_({LogLevel::warning, LogArea::health,
        "the record of boots was not written: " + kept.error().message +
            "; the reason of the next one may not be known"});
}

void stamp_birth(Config& config) {
  if (!config.birth || config.boot.id.empty() || config.mqtt_version != MqttVersion::v5) return;
  auto& properties = config.birth->user_properties;
  const auto taken = std::find_if(properties.begin(), properties.end(),
                                  [](const auto& one) { return one.first == kBootProperty; });
  if (taken != properties.end() || properties.size() >= limits::kStatusPropertiesMax) return;
  properties.emplace_back(kBootProperty, std::string(to_string(config.boot.reason)));
}

}  // namespace holdfast::runtime
