#include "runtime/start_record.h"

#include <sys/eventfd.h>

#include <utility>

#include "base/hex.h"
#include "posix/poll_wait.h"
#include "posix/system.h"
#include "runtime/store_aside.h"

namespace holdfast::runtime {

namespace {

constexpr const char* kFile = "starts";
constexpr Milliseconds kStartPatience{60'000};  // the outbox waits for the same disk
constexpr Milliseconds kStopPatience{500};      // well below any deadline for stopping

}  // namespace

StartRecord::StartRecord(LogHandler log)
    : log_(std::move(log)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      clock_(posix::make_clock()) {
  const env::BootId boot = clock_->boot_id();
  boot_id_ = text_to_hex({reinterpret_cast<const char*>(boot.data()), boot.size()});
}

std::string StartRecord::text_before(const Config& config) {
  if (loop_) {  // the run before was one of ours, and is over
    loop_->end();
    return loop_->text();
  }
  file_.at(config.outbox.directory / kFile);
  Result<std::string> read = posix::read_file(file_.path(), health::kCrashTextMax);
  if (read) return std::move(read).value();
  if (read.error().code != Errc::not_found) {
    log_({LogLevel::warning, LogArea::health,
          read.error().message + "; nothing is known of earlier starts"});
  }
  return {};
}

void StartRecord::started(Config& config) {
  bool to_blame = false;
  {
    const std::lock_guard lock(mutex_);
    const std::string before = text_before(config);
    loop_.emplace(config.safe_mode, before, boot_id_, clock_->now());
    leave_ = false;
    config.safe_mode_reason = loop_->reason();
    to_blame = loop_->outbox_to_blame();
    if (loop_->damaged()) {
      log_({LogLevel::warning, LogArea::health,
            file_.path().string() + " is damaged; nothing is known of earlier starts"});
    }
  }
  if (to_blame) move_outbox_aside(config);
  if (!config.safe_mode_reason.empty()) {
    log_({LogLevel::error, LogArea::health,
          "safe mode: this program " + config.safe_mode_reason + "; for " +
              std::to_string(config.safe_mode.lasts.count()) +
              " s it does without what it can do without (holdfast safe-mode --end: now)"});
  }
  keep(text_now(), kStartPatience);
}

std::string StartRecord::text_now() const {
  const std::lock_guard lock(mutex_);
  return loop_->text();
}

void StartRecord::opened() {
  {
    const std::lock_guard lock(mutex_);
    if (!loop_ || loop_->reason().empty()) return;  // nobody asks
    loop_->opened();
  }
  keep(text_now(), kStartPatience);
}

void StartRecord::move_outbox_aside(Config& config) {
  const Result<AsideStore> moved = move_store_aside(config.outbox.directory);
  if (!moved) {
    config.safe_mode_reason += ", at last while it opened the outbox";
    log_({LogLevel::error, LogArea::health,
          "the outbox makes this program crash, and cannot be moved aside: " +
              moved.error().message});
    return;
  }
  config.safe_mode_reason += ", at last while it opened the outbox, which is now " + moved->folder;
  log_({LogLevel::error, LogArea::health,
        "the outbox makes this program crash: its " + std::to_string(moved->files) +
            " files are now in " + (config.outbox.directory / moved->folder).string() +
            ", and what waits in them is not sent; a new one is begun"});
  const std::lock_guard lock(mutex_);
  loop_->blamed();
}

void StartRecord::stopped() {
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    if (!loop_) return;
    loop_->end();
    text = loop_->text();
  }
  keep(std::move(text), kStopPatience);
}

bool StartRecord::look() {
  std::string text;
  bool over = false;
  {
    const std::lock_guard lock(mutex_);
    eventfd_t seen = 0;
    static_cast<void>(::eventfd_read(wake_.get(), &seen));
    if (!loop_) return false;
    if (leave_) return true;
    const health::CrashLoop::Turn turn = loop_->look(clock_->now());
    if (turn == health::CrashLoop::Turn::none) return false;
    over = turn == health::CrashLoop::Turn::leave;
    text = loop_->text();
  }
  keep(std::move(text), kStopPatience);
  return over;
}

int StartRecord::patience_ms() const {
  const std::lock_guard lock(mutex_);
  return posix::poll_wait(loop_ ? loop_->next_look() : kNever, clock_->now());
}

void StartRecord::leave() {
  const std::lock_guard lock(mutex_);
  if (!loop_) return;
  loop_->forget();
  leave_ = true;
  static_cast<void>(::eventfd_write(wake_.get(), 1));
}

void StartRecord::keep(std::string text, Milliseconds patience) {
  const Status kept = file_.write(std::move(text), patience);
  if (!kept) {
    log_({LogLevel::warning, LogArea::health,
          "the record of starts was not written: " + kept.error().message +
              "; a crash loop may not be noticed"});
  }
}

}  // namespace holdfast::runtime
