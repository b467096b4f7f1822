#include "runtime/watch_program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/limits.h"
#include "health/heartbeats.h"
#include "posix/child.h"
#include "posix/notify_socket.h"
#include "posix/poll_wait.h"
#include "posix/unique_fd.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"

namespace holdfast::runtime {

namespace {

using health::ProgramWatch;
using Deed = ProgramWatch::Deed;

constexpr Duration kAgentBeat = std::chrono::seconds(10);
constexpr Milliseconds kAgentEvery{30'000};
constexpr Duration kLastWords = std::chrono::seconds(1);  // for output and leftovers at the end
constexpr Duration kPortLookMin = std::chrono::milliseconds(50);
constexpr Duration kPortLookMax = std::chrono::seconds(10);
constexpr int kPortLooks = 4;  // within the time for an answer
// POLLOUT means that a pipe takes so much without waiting.
constexpr std::size_t kRelayBytes = 4096;
constexpr int kCannotRun = 126;
constexpr int kNotThere = 127;

/// A stream of the program, on its way to ours.
class Relay {
 public:
  explicit Relay(int to) : to_(to) {}

  /// The program's end, or -1.
  int open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
    from_ = posix::UniqueFd(ends[0]);
    its_ = posix::UniqueFd(ends[1]);
    ::fcntl(its_.get(), F_SETFL, 0);  // the program expects to wait
    return its_.get();
  }
  void started() { its_.reset(); }

  [[nodiscard]] pollfd wish() const {
    if (!waiting_.empty()) return {to_, POLLOUT, 0};
    return {from_.get(), POLLIN, 0};  // poll() passes over -1
  }
  [[nodiscard]] bool waits() const { return !waiting_.empty(); }

  /// Once poll() has found the wish. True: the program has said something.
  bool step() {
    if (!waiting_.empty()) {
      const ssize_t put = ::write(to_, waiting_.data(), waiting_.size());
      // Where nobody reads any more the words are lost, and the program is not held up.
      waiting_.erase(0, put < 0 ? (errno == EAGAIN || errno == EINTR ? 0 : waiting_.size())
                                : static_cast<std::size_t>(put));
      return false;
    }
    waiting_.resize(kRelayBytes);
    const ssize_t got = ::read(from_.get(), waiting_.data(), waiting_.size());
    waiting_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got == 0) from_.reset();
    return got > 0;
  }

 private:
  int to_;
  posix::UniqueFd from_;
  posix::UniqueFd its_;  // until the program has it
  std::string waiting_;
};

/// Whether something accepts connections at a port.
class PortLook {
 public:
  PortLook(const posix::TcpPlace& place, Duration within)
      : pause_(std::clamp(within / kPortLooks, kPortLookMin, kPortLookMax)) {
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&address_);
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address_);
    if (::inet_pton(AF_INET, place.address.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(place.port);
      size_ = sizeof *v4;
    } else if (::inet_pton(AF_INET6, place.address.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(place.port);
      size_ = sizeof *v6;
    }
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] BootTime next() const { return next_; }

  /// Begins anew when it is time; the last attempt has failed then.
  void look(BootTime now) {
    if (now < next_) return;
    next_ = now + pause_;
    fd_ = posix::UniqueFd(
        ::socket(address_.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address_);
    // A refusal at once would leave no trace on the socket.
    if (::connect(fd_.get(), generic, size_) != 0 && errno != EINPROGRESS) fd_.reset();
  }
  /// Once poll() has something to say of fd().
  bool answered() {
    int problem = 0;
    socklen_t size = sizeof problem;
    const bool good =
        ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem == 0;
    fd_.reset();
    return good;
  }

 private:
  sockaddr_storage address_{};
  socklen_t size_ = 0;
  Duration pause_;
  posix::UniqueFd fd_;
  BootTime next_{};
};

/// The heartbeat at the agent, as far as there is one.
class AgentWord {
 public:
  AgentWord(const WatchOptions& options, const std::function<void(const std::string&)>& say)
      : options_(options), say_(say) {}

  [[nodiscard]] BootTime next() const { return next_; }

  void beat(BootTime now) {
    if (now < next_) return;
    next_ = now + kAgentBeat;
    begun_ = tell("heartbeat", {{"name", options_.name}, {"every_ms", kAgentEvery.count()}});
  }
  /// What is over in order is missed by nobody.
  void end() {
    if (begun_) tell("heartbeat_end", {{"name", options_.name}});
  }

 private:
  /// A connection each time: nothing is to be kept, and the agent may have been started anew.
  bool tell(const char* op, const nlohmann::json& fields) {
    constexpr Milliseconds kPatience{1000};
    Result<LocalClient> agent = LocalClient::connect(options_.socket);
    if (!agent) return false;
    agent->send(op_line(1, op, fields.dump()));
    const Result<std::string> line = agent->receive(kPatience);
    if (!line) return false;
    const nlohmann::json answer = nlohmann::json::parse(*line, nullptr, false);
    if (answer.is_object() && answer.value("ok", false)) return true;
    if (!std::exchange(refused_, true)) {
      say_("the agent does not take the heartbeat " + options_.name + ": " +
           (answer.is_object() ? answer.value("error", "no reason given") : "no answer"));
    }
    return false;
  }

  const WatchOptions& options_;
  const std::function<void(const std::string&)>& say_;
  BootTime next_{};
  bool begun_ = false;
  bool refused_ = false;
};

/// The clock that stands still with the program while the machine is suspended.
BootTime run_time() { return BootTime(std::chrono::steady_clock::now().time_since_epoch()); }

class Runner {
 public:
  Runner(const WatchOptions& options, const std::function<void(const std::string&)>& say)
      : options_(options),
        say_(say),
        watch_(options.rules),
        port_(options.port, wish(LifeSign::port)),
        agent_(options, say) {}

  int run() {
    take_signals();
    posix::adopt_orphans();
    if (wish(LifeSign::heartbeat) > Duration::zero()) {
      auto made = posix::NotifySocket::open();
      if (!made) return fail(made.error().message);
      beats_ = std::move(made).value();
    }
    while (true) {
      const BootTime now = run_time();
      ProgramWatch::Step step = watch_.step(now);
      if (!step.words.empty()) say_(options_.command.front() + " " + step.words);
      if (step.deed == Deed::finish) break;
      if (step.deed == Deed::start) start(now);
      if (step.deed == Deed::terminate) ::kill(-child_, SIGTERM);
      if (step.deed == Deed::kill) ::kill(-child_, SIGKILL);
      if (step.deed == Deed::nothing) wait(now);
    }
    if (stopped_ || watch_.exit_code() == 0) agent_.end();
    return watch_.exit_code();
  }

 private:
  [[nodiscard]] Duration wish(LifeSign sign) const {
    return options_.rules.within.at(static_cast<std::size_t>(sign));
  }
  int fail(const std::string& what) {
    say_(what);
    return kCannotRun;
  }

  void take_signals() {
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int one : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD}) {
      ::sigaddset(&signals, one);
    }
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    signals_ = posix::UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  void start(BootTime now) {
    posix::ChildPlan plan{options_.command};
    if (wish(LifeSign::output) > Duration::zero()) {
      plan.output = output_.open();
      plan.errors = errors_.open();
    }
    if (beats_.fd() >= 0) {
      const auto usec =
          std::chrono::duration_cast<std::chrono::microseconds>(wish(LifeSign::heartbeat));
      plan.variables = {{"NOTIFY_SOCKET", beats_.name()},
                        {"WATCHDOG_USEC", std::to_string(usec.count())},
                        {"WATCHDOG_PID", "$PID"}};
    }
    const Result<pid_t> child = posix::start_child(plan);
    output_.started();
    errors_.started();
    if (child) {
      child_ = *child;
      watch_.started(now);
    } else {
      say_(child.error().message);
      watch_.not_started(now, child.error().code == Errc::not_found ? kNotThere : kCannotRun);
    }
  }

  void wait(BootTime now) {
    BootTime due = watch_.next_step();
    if (watch_.healthy()) {
      agent_.beat(now);
      due = std::min(due, agent_.next());
      if (wish(LifeSign::port) > Duration::zero()) {
        port_.look(now);
        due = std::min(due, port_.next());
      }
    }
    std::array<pollfd, 5> ready{output_.wish(),
                                errors_.wish(),
                                {signals_.get(), POLLIN, 0},
                                {beats_.fd(), POLLIN, 0},
                                {port_.fd(), POLLOUT, 0}};
    if (::poll(ready.data(), ready.size(), posix::poll_wait(due, now)) < 0) return;
    const BootTime then = run_time();
    for (std::size_t i = 0; i < 2; ++i) {
      Relay& relay = i == 0 ? output_ : errors_;
      // Whose words are not taken from it is not silent.
      const bool said = ready.at(i).revents != 0 && relay.step();
      if (said || relay.waits()) watch_.sign(LifeSign::output, then);
    }
    if (ready[3].revents != 0) {
      for (const std::string& word : beats_.receive(child_)) {
        if (word == "WATCHDOG=1") watch_.sign(LifeSign::heartbeat, then);
      }
    }
    if (ready[4].revents != 0 && port_.answered()) watch_.sign(LifeSign::port, then);
    if (ready[2].revents != 0) take_signal(then);
  }

  void take_signal(BootTime now) {
    signalfd_siginfo info{};
    if (::read(signals_.get(), &info, sizeof info) != sizeof info) return;
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGTERM || signal == SIGINT) {
      stopped_ = true;
      watch_.stop(now);
    } else if (signal != SIGCHLD) {
      if (child_ > 0) ::kill(child_, signal);
    } else if (const std::optional<int> code = posix::reap(child_)) {
      end_what_is_left();
      watch_.ended(run_time(), *code);
    }
  }

  /// Kills what the program has left behind, and passes on what it has said last.
  void end_what_is_left() {
    const pid_t child = std::exchange(child_, 0);
    const BootTime end = run_time() + kLastWords;
    do {
      const bool alone = posix::kill_left_behind(child);
      std::array<pollfd, 2> ready{output_.wish(), errors_.wish()};
      if (alone && ready[0].fd < 0 && ready[1].fd < 0) return;
      constexpr int kMoment = 10;
      if (::poll(ready.data(), ready.size(), kMoment) < 0) continue;
      if (ready[0].revents != 0) output_.step();
      if (ready[1].revents != 0) errors_.step();
    } while (run_time() < end);
  }

  const WatchOptions& options_;
  const std::function<void(const std::string&)>& say_;
  ProgramWatch watch_;
  PortLook port_;
  AgentWord agent_;
  posix::NotifySocket beats_;
  posix::UniqueFd signals_;
  Relay output_{STDOUT_FILENO};
  Relay errors_{STDERR_FILENO};
  pid_t child_ = 0;
  bool stopped_ = false;
};

}  // namespace

Result<posix::TcpPlace> parse_watched_port(std::string_view text) {
  const bool port_alone = text.find(':') == std::string_view::npos;
  return posix::parse_tcp_place((port_alone ? "127.0.0.1:" : "") + std::string(text));
}

std::string heartbeat_name_of(const std::string& program) {
  std::string name = std::filesystem::path(program).filename().string();
  name.resize(std::min(name.size(), limits::kHeartbeatNameMax));
  for (char& c : name) {
    if (!health::is_heartbeat_name(std::string_view(&c, 1))) c = '-';
  }
  return name;
}

int watch_program(const WatchOptions& options, const std::function<void(const std::string&)>& say) {
  return Runner(options, say).run();
}

}  // namespace holdfast::runtime
