// See log_gate.h.
#include "runtime/log_gate.h"

#include <algorithm>
#include <string>
#include <utility>

namespace holdfast::runtime {
namespace {

constexpr std::size_t kSampleText = 256;  // of a line whose repeats are counted

/// FNV-1a. Two lines of one kind differ in digits only.
std::uint64_t hash_of(const LogLine& line, bool digits) {
  constexpr std::uint64_t kPrime = 0x100000001b3ULL;
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto add = [&](unsigned byte) { hash = (hash ^ byte) * kPrime; };
  add(static_cast<unsigned>(line.level));
  add(static_cast<unsigned>(line.area));
  add(line.verdict ? static_cast<unsigned>(*line.verdict) : 0xFFU);
  for (const char c : line.text) {
    if (digits || c < '0' || c > '9') add(static_cast<unsigned char>(c));
  }
  return hash == 0 ? 1 : hash;
}

std::string words_of(Duration span) {
  const auto seconds = std::chrono::duration_cast<Seconds>(span).count();
  return seconds < 120 ? std::to_string(seconds) + " s" : std::to_string(seconds / 60) + " min";
}

/// A text may end within a character: whoever writes it mends that.
std::string shortened(const std::string& text) {
  return text.size() <= kSampleText ? text : text.substr(0, kSampleText) + "…";
}

}  // namespace

std::vector<LogLine> LogGate::admit(LogLine line, BootTime now) {
  std::vector<LogLine> out = due(now);
  const std::uint64_t exact = hash_of(line, true);
  std::uint64_t& last = last_[static_cast<std::size_t>(line.area)];
  if (!line.asked) {
    Kind& kind = kind_of(hash_of(line, false), now, out);
    if (kind.passed >= limits::kLogBurst || (kind.passed > 0 && exact == last)) {
      ++kind.held;
      ++repeats_;
      kind.sample = {line.level, line.area, shortened(line.text), line.verdict};
      return out;
    }
    ++kind.passed;
  }
  last = exact;
  pass(std::move(line), now, out);
  return out;
}

LogGate::Kind& LogGate::kind_of(std::uint64_t hash, BootTime now, Lines& out) {
  Kind* oldest = &kinds_.front();
  for (Kind& kind : kinds_) {
    if (kind.hash == hash) return kind;
    const bool free = kind.hash == 0;
    if (oldest->hash != 0 && (free || kind.since < oldest->since)) oldest = &kind;
  }
  report(*oldest, now, out);
  oldest->hash = hash;
  oldest->since = now;
  return *oldest;
}

/// Says what a kind has held back, and frees its place.
void LogGate::report(Kind& kind, BootTime now, Lines& out) {
  const Kind ended = std::exchange(kind, Kind{});
  if (ended.held == 0) return;
  LogLine line = ended.sample;
  line.text += " (" + std::to_string(ended.held) + (ended.held == 1 ? " time" : " times") +
               " more in the last " + words_of(now - ended.since) + ")";
  line.fields = {{"times", static_cast<std::int64_t>(ended.held)}};
  pass(std::move(line), now, out);
}

void LogGate::pass(LogLine line, BootTime now, Lines& out) {
  end_hour(now, out);
  const bool severe = line.level <= LogLevel::warning;
  const std::uint32_t most = severe ? per_hour_ : per_hour_ - per_hour_ / limits::kLogReserve;
  if (used_ >= most) {
    ++over_;
    ++over_total_;
    if (severe) ++over_severe_;
    return;
  }
  if (used_++ == 0) hour_from_ = now;
  out.push_back(std::move(line));
}

void LogGate::end_hour(BootTime now, Lines& out) {
  if (used_ == 0 || now - hour_from_ < kHour) return;
  used_ = 0;
  const std::uint64_t over = std::exchange(over_, 0);
  const std::uint64_t severe = std::exchange(over_severe_, 0);
  if (over == 0) return;
  used_ = 1;  // this one
  hour_from_ = now;
  out.push_back({LogLevel::warning,
                 LogArea::agent,
                 std::to_string(over) + " log lines were left out in the last hour, " +
                     std::to_string(severe) + " of them warnings or errors: more than " +
                     std::to_string(per_hour_) + " an hour (log.lines_per_hour)",
                 {},
                 {{"left_out", static_cast<std::int64_t>(over)}}});
}

std::vector<LogLine> LogGate::due(BootTime now) {
  Lines out;
  end_hour(now, out);
  for (Kind& kind : kinds_) {
    if (kind.hash != 0 && now - kind.since >= kWindow) report(kind, now, out);
  }
  return out;
}

BootTime LogGate::next_due() const {
  BootTime at = over_ > 0 ? hour_from_ + kHour : kNever;
  for (const Kind& kind : kinds_) {
    if (kind.held > 0) at = std::min(at, kind.since + kWindow);
  }
  return at;
}

std::vector<LogLine> LogGate::rest(BootTime now) {
  Lines out;
  for (Kind& kind : kinds_) report(kind, now, out);
  if (over_ > 0) {
    hour_from_ = now - kHour;
    end_hour(now, out);
  }
  return out;
}

}  // namespace holdfast::runtime
