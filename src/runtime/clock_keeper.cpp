// See clock_keeper.h.
#include "runtime/clock_keeper.h"

#include <charconv>
#include <cstdlib>
#include <utility>

#include "base/limits.h"
#include "posix/system.h"

namespace holdfast::runtime {
namespace {

constexpr std::string_view kHead = "holdfast-clock 1\n";
constexpr std::size_t kFileMax = 64;
constexpr std::int64_t kYear3000 = 32'503'680'000'000;  // in milliseconds: nothing true is later

std::int64_t in_ms(Duration duration) {
  return std::chrono::duration_cast<Milliseconds>(duration).count();
}

}  // namespace

ClockKeeper::ClockKeeper(posix::EventLoop& loop, const env::Clock& clock, Storage& storage,
                         const std::filesystem::path& directory, LogHandler log)
    : clock_(clock),
      path_(directory / kName),
      log_(std::move(log)),
      writes_(storage, LogArea::health, "the time was not kept", log_),
      timer_(loop),
      ahead_ms_(ahead_of_boot()) {
  read();
  timer_.arm_after(Duration::zero(), [this] { look(); });
}

void ClockKeeper::read() {
  const Result<std::string> text = posix::read_file(path_, kFileMax);
  const Result<WallTime> floor = text ? parse_clock_file(*text) : Result<WallTime>(text.error());
  if (floor) {
    state_.floor_ms = floor->ms;
  } else if (floor.error().code != Errc::not_found) {
    const std::string where = text ? path_.string() + ": " : "";
    log_({LogLevel::warning, LogArea::health,
          "the time of the last run is not known: " + where + floor.error().message});
  }
}

std::int64_t ClockKeeper::ahead_of_boot() const {
  return clock_.wall().ms - in_ms(clock_.now().time_since_epoch());
}

void ClockKeeper::set() {
  const std::int64_t ahead = ahead_of_boot();
  const std::int64_t by = ahead - std::exchange(ahead_ms_, ahead);
  if (std::abs(by) >= kClockStep.count()) {
    ++state_.steps;
    state_.last_step = Milliseconds(by);
    log_({by < 0 ? LogLevel::warning : LogLevel::info,
          LogArea::health,
          std::string("the clock was set ") + (by < 0 ? "back" : "forward") + " by " +
              std::to_string(std::abs(by) / 1000) + " s",
          {},
          {{"step_ms", by}}});
  }
  look();
}

void ClockKeeper::look() {
  timer_.arm_after(kClockKept, [this] { look(); });
  ahead_ms_ = ahead_of_boot();
  if (!clock_.wall_synchronized()) return;
  const WallTime now = clock_.wall();
  if (now.ms < state_.floor_ms + in_ms(kClockKept)) return;
  state_.floor_ms = now.ms;
  writes_.post(
      [path = path_, text = clock_file_text(now)] { return posix::replace_file(path, text); });
}

ClockState ClockKeeper::state() {
  const BootTime now = clock_.now();
  if (now >= asked_at_ + kClockAsked) {
    asked_at_ = now;
    state_.synchronized = clock_.wall_synchronized();
  }
  return state_;
}

std::string clock_file_text(WallTime floor) {
  return std::string(kHead) + std::to_string(floor.ms) + '\n';
}

Result<WallTime> parse_clock_file(std::string_view text) {
  if (!text.starts_with(kHead)) return Error{Errc::corrupt, "it has another first line"};
  text.remove_prefix(kHead.size());
  if (!text.ends_with('\n')) return Error{Errc::corrupt, "it was cut"};
  text.remove_suffix(1);
  std::int64_t ms = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), ms);
  const bool number = failure == std::errc{} && end == text.data() + text.size();
  if (!number || ms < 0 || ms >= kYear3000) return Error{Errc::corrupt, "it has no time in it"};
  return WallTime{ms};
}

}  // namespace holdfast::runtime
