// holdfastd: opens a Device from a configuration file, obeys signals, ends in order.
//
// Signals: SIGTERM and SIGINT stop, SIGHUP reads the configuration again, SIGUSR1 logs the state.
//          They are blocked before the first thread exists and fetched by this one, so no handler
//          runs anywhere.
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <thread>

#include "exit_codes.h"
#include "holdfast/device.h"
#include "runtime/boot_keeper.h"
#include "runtime/config_file.h"
#include "runtime/key_guard.h"
#include "runtime/local_protocol.h"
#include "runtime/logger.h"
#include "runtime/open.h"
#include "runtime/service_report.h"
#include "runtime/start_record.h"
#include "runtime/watchdog_keeper.h"

namespace {

using namespace holdfast;         // NOLINT: a program's main file
using namespace holdfast::agent;  // NOLINT

constexpr const char* kUsage =
    "usage: holdfastd --config FILE [--check] [--allow-core-dumps]\n"
    "       holdfastd --version | --help\n"
    "Keeps a device connected as FILE says and serves the local API. See holdfastd(8).\n"
    "  -c, --config FILE  the configuration (TOML)\n"
    "      --check        only check FILE and what it names; print every problem\n"
    "      --allow-core-dumps  and debuggers: both show the private key\n";

struct Options {
  std::string config;
  bool check = false;
  bool core_dumps = false;
};

int fail(ExitCode code, const std::string& what) {
  std::fprintf(stderr, "holdfastd: %s\n", what.c_str());
  return code;
}

int usage_error(const std::string& what) {
  return fail(kConfiguration, what + "; see holdfastd --help");
}

/// The exit code when there is nothing more to do, else -1.
int parse(int argc, char** argv, Options& options) {
  constexpr std::array<option, 6> kLong{{{"config", required_argument, nullptr, 'c'},
                                         {"check", no_argument, nullptr, 'k'},
                                         {"allow-core-dumps", no_argument, nullptr, 'd'},
                                         {"version", no_argument, nullptr, 'V'},
                                         {"help", no_argument, nullptr, 'h'},
                                         {nullptr, 0, nullptr, 0}}};
  opterr = 0;
  for (int got = 0; (got = getopt_long(argc, argv, ":c:h", kLong.data(), nullptr)) != -1;) {
    switch (got) {
      case 'c':
        options.config = optarg;
        break;
      case 'k':
        options.check = true;
        break;
      case 'd':
        options.core_dumps = true;
        break;
      case 'V':
        return std::printf("holdfastd " HOLDFAST_VERSION "\nengines: %s\n",
                           runtime::engine_names().c_str()) < 0
                   ? kFailed
                   : kStopped;
      case 'h':
        return std::fputs(kUsage, stdout) < 0 ? kFailed : kStopped;
      case ':':
        return usage_error(std::string(argv[optind - 1]) + " needs a value");
      default:
        return usage_error(std::string(argv[optind - 1]) + " is not an option");
    }
  }
  if (optind < argc) return usage_error(std::string(argv[optind]) + " is not expected");
  return options.config.empty() ? usage_error("--config FILE is missing") : -1;
}

int check(const std::string& file) {
  const auto report =
      runtime::read_config(file, runtime::process_environment(), runtime::CheckDepth::surroundings);
  for (const Error& problem : report.problems) {
    std::fprintf(stderr, "holdfastd: %s\n", problem.message.c_str());
  }
  if (report.problems.empty()) std::printf("%s: ok\n", file.c_str());
  return report.problems.empty() ? kStopped : kConfiguration;
}

/// What somebody has asked for, so each time.
void say(runtime::Logger& log, LogLevel level, std::string text) {
  LogLine line{level, LogArea::agent, std::move(text)};
  line.asked = true;
  log.write(std::move(line));
}

void reload(Device& device, const std::string& file, runtime::Logger& log,
            runtime::ServiceReport& report) {
  report.reloading();
  Result<Config> config = load_config(file);
  const Status status = config ? device.reload(std::move(config).value()) : config.error();
  if (status) {
    say(log, LogLevel::info, "configuration read again");
  } else {
    say(log, LogLevel::error, "reload: " + status.error().message + "; the old one stays in force");
  }
  report.reloaded(device);
}

/// All that `holdfast status --json` shows, as one line: also where no socket is configured.
void dump(const Device& device, runtime::Logger& log) {
  std::string line = runtime::status_line("", device.state(), device.filters(), device.identity(),
                                          device.log_state(), device.heartbeats());
  line.pop_back();  // its newline
  say(log, LogLevel::info, "state: " + line);
}

/// From now on a second SIGTERM or SIGINT ends the process at once.
void let_signals_kill(const sigset_t& signals) {
  struct sigaction action {};
  action.sa_handler = [](int signal) { ::_exit(kSignalBase + signal); };
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGUSR1, SIG_IGN);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

/// Those whom this process's life concerns.
struct Keepers {
  explicit Keepers(const Config& config, const LogHandler& log)
      : report(log), starts(log), boots(log), dog(config.watchdog, log) {}

  runtime::ServiceReport report;
  runtime::StartRecord starts;
  runtime::BootKeeper boots;
  runtime::WatchdogKeeper dog;
  // Ours for life: who connects while the device is opened anew waits.
  runtime::ServiceSockets sockets = runtime::sockets_of_environment();
};

constexpr int kOpeningGraceMs = 1000;
constexpr Milliseconds kEndReserve{5000};  // from the stop's deadline to the end

/// While it lives, SIGTERM and SIGINT end the process at last after kOpeningGrace: opening may wait
/// for a disk. If it is through before, the signal is still there, and the device ends in order.
class EndsWhileOpening {
 public:
  EndsWhileOpening(sigset_t signals, Keepers& keepers) : over_(::eventfd(0, EFD_CLOEXEC)) {
    sigdelset(&signals, SIGHUP);
    sigdelset(&signals, SIGUSR1);
    if (over_ < 0) return;
    watch_ = std::thread([over = over_, signals, &keepers] {
      const int signal = ::signalfd(-1, &signals, SFD_CLOEXEC);
      std::array<pollfd, 2> ready{{{over, POLLIN, 0}, {signal, POLLIN, 0}}};
      while (::poll(ready.data(), ready.size(), -1) < 0) {
      }
      if (::poll(ready.data(), 1, kOpeningGraceMs) == 0) {
        keepers.starts.stopped();
        keepers.boots.stopped();
        keepers.dog.disarm();
        ::_exit(kStopped);
      }
      ::close(signal);
    });
  }
  ~EndsWhileOpening() {
    if (over_ < 0) return;
    static_cast<void>(::eventfd_write(over_, 1));
    watch_.join();
    ::close(over_);
  }
  EndsWhileOpening(const EndsWhileOpening&) = delete;
  EndsWhileOpening& operator=(const EndsWhileOpening&) = delete;

 private:
  int over_;
  std::thread watch_;
};

Result<std::unique_ptr<Device>> open_device(const Config& config,
                                            const std::shared_ptr<runtime::Logger>& log,
                                            const sigset_t& signals, Keepers& keepers) {
  keepers.dog.trust(config.watchdog.opening);
  const EndsWhileOpening ends(signals, keepers);
  runtime::StartRecord& starts = keepers.starts;
  return runtime::open_device(
      config, log,
      {[&keepers](Config& what) {
         keepers.starts.started(what);
         keepers.boots.started(what);
       },
       [&starts] { starts.opened(); }, [&starts] { starts.leave(); }, keepers.sockets,
       [&keepers](BootReason reason, const std::string& detail) {
         keepers.boots.note(reason, detail);
       },
       [&keepers] { keepers.boots.forget_note(); }});
}

/// Of two of poll(2)'s waiting times; -1 is for ever.
int sooner(int one, int other) {
  if (one < 0 || other < 0) return std::max(one, other);
  return std::min(one, other);
}

constexpr int kSafeModeOver = 0;  // no signal has this number

/// The next of `signals`, or kSafeModeOver; meanwhile the service manager is told what changes.
int next_signal(int signals, Device& device, Keepers& keepers) {
  auto& [report, starts, boots, dog, sockets] = keepers;
  for (;;) {
    report.step(device);
    dog.step(device);
    if (starts.look()) return kSafeModeOver;
    std::array<pollfd, 3> ready{
        {{signals, POLLIN, 0}, {report.wake_fd(), POLLIN, 0}, {starts.wake_fd(), POLLIN, 0}}};
    const int wait = sooner(dog.patience_ms(), sooner(report.patience_ms(), starts.patience_ms()));
    if (::poll(ready.data(), ready.size(), wait) <= 0) continue;
    signalfd_siginfo info{};
    if (ready[0].revents != 0 && ::read(signals, &info, sizeof info) == sizeof info) {
      return static_cast<int>(info.ssi_signo);
    }
  }
}

/// From a device that is open to the next signal that ends it, or to the end of safe mode.
int serve(Device& device, const Options& options, int signals, runtime::Logger& log,
          Keepers& keepers) {
  // What the handshake needed goes back to the system; nobody waits for it here.
  device.on_connection([changed = keepers.report.changed()](const ConnectionState& now) {
    if (now.state == LinkState::connected) ::malloc_trim(0);
    changed();
  });
  int signal = 0;
  while ((signal = next_signal(signals, device, keepers)) == SIGHUP || signal == SIGUSR1) {
    if (signal == SIGHUP) reload(device, options.config, log, keepers.report);
    if (signal == SIGUSR1) dump(device, log);
  }
  return signal;
}

int stop(Device& device, int signal, const sigset_t& signals, Milliseconds deadline,
         runtime::Logger& log, Keepers& keepers) {
  say(log, LogLevel::info, std::string("stopping: ") + (signal == SIGINT ? "SIGINT" : "SIGTERM"));
  let_signals_kill(signals);
  keepers.report.stopping(deadline);
  keepers.starts.stopped();
  keepers.dog.trust(deadline + kEndReserve);
  std::thread asked([&keepers] { keepers.boots.stopped(); });  // while the device leaves
  device.stop(deadline);
  asked.join();
  say(log, LogLevel::info,
      "stopped; messages waiting for the next start: " +
          std::to_string(device.state().ledger.pending));
  keepers.dog.disarm();
  log.finish();
  return kStopped;
}

int run(const Options& options, const sigset_t& signals) {
  const auto logger = runtime::Logger::to_stderr();
  runtime::Logger& log = *logger;
  runtime::guard_keys(options.core_dumps, log);
  Result<Config> config = load_config(options.config);
  if (!config) return fail(kConfiguration, config.error().message);
  const int signal_fd = ::signalfd(-1, &signals, SFD_CLOEXEC);
  if (signal_fd < 0) return fail(kFailed, "no descriptor is left; raise the limit (ulimit -n)");
  Keepers keepers(*config, logger->handler());
  keepers.report.opening();
  for (bool first = true;; first = false) {
    const Milliseconds deadline = config->timing.stop_deadline;
    auto opened = open_device(*config, logger, signals, keepers);
    if (!opened) {
      keepers.starts.stopped();
      keepers.boots.stopped();
      keepers.dog.disarm();
      return fail(exit_code_of(opened.error().code), opened.error().message);
    }
    Device& device = **opened;
    keepers.dog.watch(device);
    if (first) {
      say(log, LogLevel::info, "holdfastd " HOLDFAST_VERSION " runs");
      keepers.report.ready(device);
    } else {
      keepers.report.reloaded(device);
    }
    const int signal = serve(device, options, signal_fd, log, keepers);
    if (signal != kSafeModeOver) return stop(device, signal, signals, deadline, log, keepers);
    say(log, LogLevel::info, "safe mode is over: everything is begun anew");
    keepers.report.reloading();
    keepers.dog.trust(deadline + kEndReserve);
    device.stop(deadline);
    // What a reload has brought counts; what is wrong with the file does not, as in a reload.
    if (Result<Config> now = load_config(options.config)) config = std::move(now);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const int code = parse(argc, argv, options); code >= 0) return code;
  if (options.check) return check(options.config);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  // The TPM's library would write to our standard error; what is wrong is in our own words.
  ::setenv("TSS2_LOG", "all+NONE", 0);
  // The first process of a container inherits orphans: let the kernel reap them.
  if (::getpid() == 1) ::signal(SIGCHLD, SIG_IGN);
  ::mallopt(M_ARENA_MAX, 2);  // two threads are busy; each further pool of memory would stay
  return run(options, signals);
}
