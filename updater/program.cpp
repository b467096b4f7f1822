// See program.h.
#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "posix/child.h"
#include "posix/os_error.h"
#include "posix/system.h"

namespace holdfast::updater {
namespace {

constexpr std::size_t kReadAtOnce = 64 * std::size_t{1024};
constexpr Duration kUnbounded = std::chrono::hours(24 * 365);
constexpr int kLookMs = 20;       // the end of a program wakes nobody for sure
constexpr int kReadsAtOnce = 16;  // then others have their turn

Result<std::pair<posix::UniqueFd, posix::UniqueFd>> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return posix::make_os_error(errno, "cannot make a pipe");
  std::pair<posix::UniqueFd, posix::UniqueFd> both{posix::UniqueFd(ends[0]),
                                                   posix::UniqueFd(ends[1])};
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
    return posix::make_os_error(errno, "cannot make a pipe");
  }
  return both;
}

}  // namespace

std::string Program::End::words() const {
  if (stopped) return "was stopped";
  if (timed_out) return "did not end in time";
  return code > 128 ? "was ended by signal " + std::to_string(code - 128)
                    : "exit code " + std::to_string(code);
}

Result<std::unique_ptr<Program>> Program::start(const Order& order, BootTime now) {
  auto output = make_pipe();
  if (!output) return std::move(output).error();
  auto errors = make_pipe();
  if (!errors) return std::move(errors).error();
  posix::ChildPlan plan;
  if (!order.user.empty()) {
    plan.command = {"setpriv", "--reuid=" + order.user, "--regid=" + order.user, "--init-groups",
                    "--"};
  }
  plan.command.insert(plan.command.end(), order.argv.begin(), order.argv.end());
  plan.variables = order.variables;
  plan.output = output->second.get();
  plan.errors = errors->second.get();
  auto child = posix::start_child(plan);
  if (!child) return std::move(child).error();
  std::unique_ptr<Program> program(new Program);
  program->child_ = *child;
  program->output_.fd = std::move(output->first);
  program->errors_.fd = std::move(errors->first);
  program->timeout_ = order.timeout;
  program->deadline_ = now + order.timeout;
  return program;
}

Program::~Program() {
  // As `kKillAfter` is over: nobody waits for it any more.
  for (int rounds = 0; child_ > 0 && rounds < 1000 && !posix::kill_left_behind(child_); ++rounds) {
    ::usleep(1000);
  }
}

void Program::Pipe::drain() {
  std::string bytes(kReadAtOnce, '\0');
  for (int i = 0; fd && i < kReadsAtOnce; ++i) {
    const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return fd.reset();
    const std::string_view piece(bytes.data(), static_cast<std::size_t>(got));
    for (const char c : piece) {
      if (!in_line) ++lines;
      in_line = c != '\n';
    }
    tail += piece;
    if (tail.size() > kTailMax) tail.erase(0, tail.size() - kTailMax);
  }
}

std::optional<Program::End> Program::step(BootTime now) {
  output_.drain();
  errors_.drain();
  if (!code_) code_ = posix::reap(child_);
  if (!code_) {
    if (now >= deadline_ && !timed_out_ && !stopped_) {
      timed_out_ = true;
      terminate(now);
    }
    if (now >= kill_at_) ::kill(-child_, SIGKILL);
    return std::nullopt;
  }
  if (!posix::kill_left_behind(child_)) return std::nullopt;
  child_ = -1;
  output_.drain();  // what was still in the pipes
  errors_.drain();
  return End{*code_, timed_out_, stopped_, output_.tail, errors_.tail, errors_.lines};
}

void Program::stop(BootTime now) {
  if (stopped_ || timed_out_ || code_) return;
  stopped_ = true;
  terminate(now);
}

void Program::terminate(BootTime now) {
  ::kill(-child_, SIGTERM);
  ::kill(-child_, SIGCONT);
  kill_at_ = now + kKillAfter;
}

Program::End run_to_end(std::vector<std::string> argv) {
  const std::unique_ptr<env::Clock> clock = posix::make_clock();
  auto started = Program::start({std::move(argv),
                                 {{"DEBIAN_FRONTEND", "noninteractive"}, {"LC_ALL", "C.UTF-8"}},
                                 "",
                                 kUnbounded},
                                clock->now());
  if (!started) return {127, false, false, "", started.error().message, 1};
  for (;;) {
    std::array<pollfd, 2> fds{
        {{(*started)->output_fd(), POLLIN, 0}, {(*started)->errors_fd(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), kLookMs);
    if (auto end = (*started)->step(clock->now())) return *std::move(end);
  }
}

}  // namespace holdfast::updater
