// env::Clock over the kernel's clocks and boot id.
#include <sys/timex.h>

#include <ctime>
#include <mutex>

#include "base/check.h"
#include "posix/kept_answer.h"
#include "posix/system.h"

namespace holdfast::posix {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// 36 characters such as 0e1c…-…; false when it is anything else.
bool parse_uuid(const std::string& text, env::BootId& id) {
  std::size_t digits = 0;
  for (const char c : text) {
    if (c == '-' || c == '\n') continue;
    const int value = hex_value(c);
    if (value < 0 || digits >= 2 * id.size()) return false;
    id[digits / 2] = static_cast<std::uint8_t>(id[digits / 2] * 16 + value);
    ++digits;
  }
  return digits == 2 * id.size();
}

// Without /proc the id is random: every start then looks like a new boot, which is the safe side.
env::BootId read_boot_id() {
  env::BootId id{};
  const auto text = read_file("/proc/sys/kernel/random/boot_id", 64);
  if (text.ok() && parse_uuid(text.value(), id)) return id;
  const auto random = make_random();
  for (std::uint8_t& byte : id) byte = static_cast<std::uint8_t>(random->next());
  return id;
}

class SystemClock final : public env::Clock {
 public:
  BootTime now() const override {
    const timespec time = read(CLOCK_BOOTTIME);
    return BootTime(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }
  WallTime wall() const override {
    const timespec time = read(CLOCK_REALTIME);
    return WallTime{std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000};
  }
  bool wall_synchronized() const override {
    const std::lock_guard lock(mutex_);
    return kept_.get(now(), wall(), [] {
      timex state{};
      const int answer = ::adjtimex(&state);
      return answer >= 0 && answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
    });
  }
  env::BootId boot_id() const override { return boot_id_; }

 private:
  static timespec read(clockid_t which) {
    timespec time{};
    HF_CHECK(::clock_gettime(which, &time) == 0);
    return time;
  }
  env::BootId boot_id_ = read_boot_id();
  mutable std::mutex mutex_;
  mutable KeptAnswer kept_;
};

}  // namespace

std::unique_ptr<env::Clock> make_clock() { return std::make_unique<SystemClock>(); }

}  // namespace holdfast::posix
