#include "posix/log.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include "posix/system.h"

namespace holdfast::posix {

namespace {

constexpr double kRefillSeconds = 60;

constexpr std::string_view kNames[] = {"error  ", "warning", "info   ", "debug  "};
constexpr char kJournalLevels[] = {'3', '4', '6', '7'};  // syslog's, RFC 5424 section 6.2.1

std::size_t index_of(Severity severity) {
  return std::min<std::size_t>(static_cast<std::size_t>(severity), std::size(kNames) - 1);
}

void write_whole(std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(STDERR_FILENO, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;  // A log that cannot be written has nowhere to complain.
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

}  // namespace

void BurstLimiter::refill(Bucket& bucket, BootTime now, double capacity) {
  const std::chrono::duration<double> passed = now - bucket.filled;
  bucket.tokens = std::min(capacity, bucket.tokens + passed.count() * capacity / kRefillSeconds);
  bucket.filled = now;
}

BurstLimiter::Bucket& BurstLimiter::bucket_of(std::uint64_t kind, BootTime now) {
  Bucket* oldest = &buckets_.front();
  for (Bucket& bucket : buckets_) {
    if (bucket.kind == kind) return bucket;
    if (bucket.used < oldest->used) oldest = &bucket;
  }
  forgotten_ += oldest->suppressed;
  *oldest = Bucket{kind, limits::kLogBurst, now, now, 0};
  return *oldest;
}

BurstLimiter::Answer BurstLimiter::admit(std::uint64_t kind, BootTime now) {
  if (total_.kind == 0) total_ = Bucket{1, kTotalBurst, now, now, 0};
  Bucket& bucket = bucket_of(kind, now);
  bucket.used = now;
  refill(bucket, now, limits::kLogBurst);
  refill(total_, now, kTotalBurst);
  if (bucket.tokens < 1 || total_.tokens < 1) {
    ++bucket.suppressed;
    return Answer{false, 0};
  }
  bucket.tokens -= 1;
  total_.tokens -= 1;
  return Answer{true, std::exchange(bucket.suppressed, 0)};
}

std::uint64_t BurstLimiter::take_suppressed() {
  std::uint64_t sum = std::exchange(forgotten_, 0);
  for (Bucket& bucket : buckets_) sum += std::exchange(bucket.suppressed, 0);
  return sum;
}

// FNV-1a over the text without its digits.
std::uint64_t kind_of_line(Severity severity, std::string_view line) {
  std::uint64_t hash = 0xcbf29ce484222325ULL + index_of(severity);
  for (const char c : line) {
    if (c >= '0' && c <= '9') continue;
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash == 0 ? 1 : hash;
}

std::string utc_stamp(WallTime time) {
  std::int64_t seconds = time.ms / 1000;
  std::int64_t millis = time.ms % 1000;
  if (millis < 0) {  // Before 1970, which a device without a clock battery can be.
    millis += 1000;
    --seconds;
  }
  const std::time_t whole = seconds;
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof(text) - length, ".%03dZ", static_cast<int>(millis));
  return text;
}

std::string format_line(Severity severity, std::string_view text, WallTime time, bool journal) {
  std::string line;
  line.reserve(text.size() + 40);
  if (journal) {
    line += '<';
    line += kJournalLevels[index_of(severity)];
    line += '>';
  } else {
    line += utc_stamp(time);
    line += ' ';
    line += kNames[index_of(severity)];
    line += ' ';
  }
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  return line;
}

struct StderrLog::State {
  explicit State(Severity severity) : most(severity) {}

  void put(Severity severity, std::string_view text) {
    write_whole(format_line(severity, text, clock->wall(), journal) + '\n');
  }

  std::mutex mutex;
  Severity most;
  BurstLimiter limiter;
  std::unique_ptr<env::Clock> clock = make_clock();
  bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
};

StderrLog::StderrLog(Severity most) : state_(std::make_shared<State>(most)) {}

void StderrLog::write(Severity severity, std::string_view line) const {
  const std::lock_guard hold(state_->mutex);
  if (severity > state_->most) return;
  const auto answer = state_->limiter.admit(kind_of_line(severity, line), state_->clock->now());
  if (!answer.pass) return;
  if (answer.suppressed > 0) {
    state_->put(severity,
                std::to_string(answer.suppressed) + " more lines suppressed, like the next");
  }
  state_->put(severity, line);
}

void StderrLog::set_most(Severity most) const {
  const std::lock_guard hold(state_->mutex);
  state_->most = most;
}

void StderrLog::flush() const {
  const std::lock_guard hold(state_->mutex);
  const std::uint64_t count = state_->limiter.take_suppressed();
  if (count > 0) state_->put(Severity::warning, std::to_string(count) + " more lines suppressed");
}

}  // namespace holdfast::posix
