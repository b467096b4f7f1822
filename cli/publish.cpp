// holdfast publish: one message, a file, or a line each from standard input at full speed.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "commands.h"
#include "publish_session.h"
#include "runtime/local_client.h"

namespace holdfast::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr Milliseconds kFirstRepeat{2};
constexpr Milliseconds kLastRepeat{500};
constexpr Milliseconds kProgressEvery{200};

/// One run of the command.
class Publisher {
 public:
  Publisher(runtime::LocalClient& client, const PublishOptions& options)
      : client_(client),
        options_(options),
        session_(options.message, options.wait_delivered ? runtime::WantedReceipt::delivered
                                                         : runtime::WantedReceipt::accepted) {}

  ExitCode run(const std::optional<std::string>& single) {
    if (single) {
      client_.send(session_.request(*single));
      input_ended_ = true;
    }
    while (!input_ended_ || session_.open() > 0 || has_lines_) {
      if (const ExitCode code = step(); code != kOk) return clear_progress(), code;
      show_progress(false);
    }
    show_progress(true);
    clear_progress();
    return report();
  }

 private:
  ExitCode step() {
    send_lines();
    if (input_ended_ && !has_lines_ && session_.open() == 0) return kOk;  // nothing to wait for
    if (session_.has_repeats() && Clock::now() >= repeat_at_) client_.send(session_.repeat());
    const bool wants_input = !input_ended_ && !has_lines_ && session_.has_room();
    const Result<bool> readable = client_.pump(wait_time(), wants_input ? STDIN_FILENO : -1);
    const bool answered = take_answers();
    if (!readable) {
      return fail(exit_code_of(readable.error()), readable.error().message + counts());
    }
    if (*readable && !read_input()) return kFailed;
    const auto now = Clock::now();
    // Time spent waiting for input is nobody's delay.
    if (answered || session_.open() == 0) last_answer_ = now;
    if (options_.timeout && now - last_answer_ > *options_.timeout) {
      return fail(kTimedOut, std::string("no answer in time") + counts() +
                                 "; see holdfast status, or give a longer --timeout");
    }
    return kOk;
  }

  void send_lines() {
    std::string line;
    while (session_.has_room()) {
      has_lines_ = lines_.next(line);
      if (!has_lines_) return;
      if (options_.json) {
        if (!line.empty()) client_.send(session_.repeat_request(line));
      } else {
        client_.send(session_.request(line));
      }
    }
  }

  bool take_answers() {
    bool any = false;
    const bool repeating = session_.has_repeats();
    const std::uint64_t before = session_.done() + session_.failed();
    while (const std::optional<std::string> line = client_.next_line()) {
      any = session_.take(*line) || any;
    }
    // Only an agent that gets nothing done at all is asked less and less often.
    if (session_.done() + session_.failed() > before) pause_ = kFirstRepeat;
    if (!repeating && session_.has_repeats()) {
      repeat_at_ = Clock::now() + pause_;
      pause_ = std::min(2 * pause_, kLastRepeat);
    }
    return any;
  }

  bool read_input() {
    std::array<char, 64 * 1024> block;  // NOLINT: written before it is read
    const ssize_t got = ::read(STDIN_FILENO, block.data(), block.size());
    if (got < 0 && errno != EINTR && errno != EAGAIN) {
      fail(kFailed, std::string("cannot read standard input: ") + std::strerror(errno) + counts());
      return false;
    }
    if (got > 0) lines_.feed({block.data(), static_cast<std::size_t>(got)});
    if (got == 0) {
      lines_.finish();
      input_ended_ = true;
    }
    has_lines_ = true;  // perhaps; send_lines() finds out
    return true;
  }

  [[nodiscard]] Milliseconds wait_time() const {
    Milliseconds wait{-1};
    const auto sooner = [&](Clock::duration left) {
      const auto ms = std::max(std::chrono::ceil<Milliseconds>(left), Milliseconds{0});
      if (wait.count() < 0 || ms < wait) wait = ms;
    };
    const auto now = Clock::now();
    if (has_lines_ && session_.has_room()) sooner({});
    if (session_.has_repeats()) sooner(repeat_at_ - now);
    if (options_.timeout && session_.open() > 0) sooner(last_answer_ + *options_.timeout - now);
    if (terminal_ && session_.open() > 0) sooner(kProgressEvery);
    return wait;
  }

  void show_progress(bool end) {
    const auto now = Clock::now();
    if (!terminal_ || session_.sent() < 2 || (!end && now < progress_at_)) return;
    progress_at_ = now + kProgressEvery;
    const double seconds = std::chrono::duration<double>(now - started_).count();
    std::fprintf(stderr, "\r\033[K%llu sent, %llu %s, %.0f/s",
                 static_cast<unsigned long long>(session_.sent()),
                 static_cast<unsigned long long>(session_.done()), word(),
                 seconds > 0 ? static_cast<double>(session_.done()) / seconds : 0.0);
    progress_shown_ = true;
  }

  void clear_progress() {
    if (progress_shown_) std::fputc('\n', stderr);
    progress_shown_ = false;
  }

  [[nodiscard]] const char* word() const {
    return options_.wait_delivered ? "delivered" : "accepted";
  }

  [[nodiscard]] std::string counts() const {
    return " (" + std::to_string(session_.sent()) + " sent, " + std::to_string(session_.done()) +
           " " + word() + ")";
  }

  ExitCode report() {
    auto failures = session_.failures();
    if (lines_.skipped() > 0) failures["too_large"].count += lines_.skipped();
    for (const auto& [reason, failure] : failures) {
      if (session_.sent() + lines_.skipped() == 1) {
        fail(kFailed, "not " + std::string(word()) + ": " + advice(reason));
      } else {
        fail(kFailed, std::to_string(failure.count) + " of " +
                          std::to_string(session_.sent() + lines_.skipped()) + " not " + word() +
                          ", first number " +
                          std::to_string(std::max<std::uint64_t>(failure.first, 1)) + ": " +
                          advice(reason));
      }
    }
    return failures.empty() ? kOk : kFailed;
  }

  runtime::LocalClient& client_;
  const PublishOptions& options_;
  PublishSession session_;
  LineSplitter lines_{options_.json ? limits::kLocalLine : runtime::kLocalPayloadMax};
  bool input_ended_ = false;
  bool has_lines_ = false;
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool progress_shown_ = false;
  Milliseconds pause_ = kFirstRepeat;
  Clock::time_point repeat_at_{};
  Clock::time_point started_ = Clock::now();
  Clock::time_point last_answer_ = started_;
  Clock::time_point progress_at_ = started_ + kProgressEvery;
};

}  // namespace

Result<std::string> content_of(const std::string& file) {
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(stream), {}};
  if (!stream || stream.bad()) {
    return Error{Errc::io, "cannot read " + file + ": " + std::strerror(errno == 0 ? EIO : errno) +
                               "; check the path"};
  }
  if (content.size() > runtime::kLocalPayloadMax) {
    return Error{
        Errc::too_large,
        file + ": larger than " + std::to_string(runtime::kLocalPayloadMax) + " bytes; send less"};
  }
  return content;
}

ExitCode run_publish(const std::filesystem::path& socket, const PublishOptions& options) {
  std::optional<std::string> single = options.text;
  if (options.file) {
    Result<std::string> content = content_of(*options.file);
    if (!content) return fail(kUsage, content.error().message);
    single = std::move(content).value();
  }
  if (!single && !options.stdin_lines && ::isatty(STDIN_FILENO) == 1) {
    return fail(kUsage, "no message; give one, or --file, or --stdin-lines");
  }
  Result<runtime::LocalClient> client = runtime::LocalClient::connect(socket);
  if (!client) return fail(kUnreachable, client.error().message);
  return Publisher(*client, options).run(single);
}

}  // namespace holdfast::cli
