#include "health/crash_loop.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>

namespace holdfast::health {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view kFirstLine = "holdfast starts 1";
constexpr std::string_view kOpening = " opening";  // behind a crash's time
static_assert(kCrashTextMax >= 256 + kCrashesMax * 32, "a crash has a line of up to 30 bytes");

/// Takes the line away; empty: there is none that ends.
std::optional<std::string_view> next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

/// What follows the word and a blank.
std::optional<std::string_view> after(std::string_view word, std::string_view line) {
  if (!line.starts_with(word) || line.size() <= word.size() || line[word.size()] != ' ') {
    return std::nullopt;
  }
  return line.substr(word.size() + 1);
}

std::optional<BootTime> time_of(std::string_view text) {
  std::int64_t ms = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), ms);
  constexpr std::int64_t kMost = std::int64_t{100} * 365 * 24 * 3600 * 1000;
  if (problem != std::errc() || end != text.data() + text.size() || ms < 0 || ms > kMost) {
    return std::nullopt;
  }
  return BootTime(milliseconds(ms));
}

}  // namespace

CrashLoop::CrashLoop(const Config::SafeMode& rules, std::string_view text, std::string_view boot_id,
                     BootTime now)
    : rules_(rules), boot_id_(boot_id) {
  if (!text.empty() && !read(text, boot_id, now)) {
    damaged_ = true;
    crashed_ = false;
    crashes_.clear();
  }
  if (crashed_) crashes_.push_back({now, opening_});
  opening_ = false;
  std::erase_if(crashes_, [&](const Crash& crash) {
    return crash.at > now || now - crash.at >= rules_.window;
  });
  if (crashes_.size() > kCrashesMax) {
    crashes_.erase(crashes_.begin(), crashes_.end() - std::ptrdiff_t{kCrashesMax});
  }
  if (rules_.crashes != 0 && crashes_.size() >= rules_.crashes) {
    reason_ = "ended " + std::to_string(crashes_.size()) + " times in " +
              std::to_string(rules_.window.count()) + " s without being stopped";
    next_look_ = now + rules_.lasts;
    opening_ = true;
  } else if (!crashes_.empty()) {
    next_look_ = now + rules_.window;
  }
}

bool CrashLoop::read(std::string_view text, std::string_view boot_id, BootTime now) {
  if (text.size() > kCrashTextMax || next_line(text) != kFirstLine) return false;
  const auto boot = after("boot", next_line(text).value_or(""));
  const auto run = after("run", next_line(text).value_or(""));
  if (!boot || (run != "open" && run != "opening" && run != "ended")) return false;
  const bool same_boot = boot == boot_id;
  crashed_ = same_boot && run != "ended";
  opening_ = run == "opening";
  while (!text.empty()) {
    auto at = after("crash", next_line(text).value_or(""));
    const bool opening = at && at->ends_with(kOpening);
    if (opening) at->remove_suffix(kOpening.size());
    const auto time = at ? time_of(*at) : std::nullopt;
    if (!time) return false;
    // What came before a reboot is as old as the boot, at least.
    crashes_.push_back({same_boot ? *time : std::min(BootTime(), now), opening});
  }
  return true;
}

bool CrashLoop::outbox_to_blame() const {
  if (reason_.empty() || crashes_.size() < kOpeningCrashes) return false;
  return std::all_of(crashes_.end() - std::ptrdiff_t{kOpeningCrashes}, crashes_.end(),
                     [](const Crash& crash) { return crash.opening; });
}

void CrashLoop::blamed() {
  for (Crash& crash : crashes_) crash.opening = false;
}

CrashLoop::Turn CrashLoop::look(BootTime now) {
  if (now < next_look_) return Turn::none;
  next_look_ = kNever;
  if (reason_.empty()) {
    crashes_.clear();
    return Turn::stable;
  }
  // On probation: one more crash leads back.
  crashes_.assign(rules_.crashes - 1, Crash{now, false});
  return Turn::leave;
}

void CrashLoop::forget() { crashes_.clear(); }

std::string CrashLoop::text() const {
  std::string text(kFirstLine);
  const char* const run = !open_ ? "ended" : opening_ ? "opening" : "open";
  text += "\nboot " + boot_id_ + "\nrun " + run + "\n";
  for (const Crash& crash : crashes_) {
    const auto ms = std::chrono::duration_cast<milliseconds>(crash.at.time_since_epoch());
    text += "crash " + std::to_string(ms.count());
    if (crash.opening) text += kOpening;
    text += '\n';
  }
  return text;
}

}  // namespace holdfast::health
