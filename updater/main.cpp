// holdfast-updater: options, signals and the service manager.
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "fetch.h"
#include "job_tool.h"
#include "kept_file.h"
#include "package.h"
#include "posix/service_manager.h"
#include "posix/unique_fd.h"
#include "report.h"
#include "runtime/logger.h"
#include "settings.h"
#include "unpack.h"
#include "updater.h"

namespace {

using namespace holdfast;           // NOLINT: a program's main file
using namespace holdfast::updater;  // NOLINT

enum ExitCode : int { kDone = 0, kFailed = 1, kWrong = 2, kInUse = 4 };

constexpr const char* kUsage =
    "usage: holdfast-updater --config FILE [--check]\n"
    "       holdfast-updater job check | make ...\n"
    "       holdfast-updater --version | --help\n"
    "Carries out AWS IoT Jobs on this device, through the agent. See docs/jobs.md.\n"
    "  -c, --config FILE  the configuration (TOML)\n"
    "      --check        only check it; print every problem\n"
    "  job                documents of jobs; the same as `holdfast job`\n";

int fail(ExitCode code, const std::string& what) {
  std::fprintf(stderr, "holdfast-updater: %s\n", what.c_str());
  return code;
}

struct Options {
  std::string config;
  bool check = false;
};

/// The exit code when there is nothing more to do, else -1.
int parse(int argc, char** argv, Options& options) {
  constexpr std::array<option, 5> kLong{{{"config", required_argument, nullptr, 'c'},
                                         {"check", no_argument, nullptr, 'k'},
                                         {"version", no_argument, nullptr, 'V'},
                                         {"help", no_argument, nullptr, 'h'},
                                         {nullptr, 0, nullptr, 0}}};
  opterr = 0;
  const auto usage = [](const std::string& what) {
    return fail(kWrong, what + "; see holdfast-updater --help");
  };
  for (int got = 0; (got = ::getopt_long(argc, argv, ":c:h", kLong.data(), nullptr)) != -1;) {
    switch (got) {
      case 'c':
        options.config = optarg;
        break;
      case 'k':
        options.check = true;
        break;
      case 'V':
        return std::puts("holdfast-updater " HOLDFAST_VERSION) < 0 ? kFailed : kDone;
      case 'h':
        return std::fputs(kUsage, stdout) < 0 ? kFailed : kDone;
      case ':':
        return usage(std::string(argv[optind - 1]) + " needs a value");
      default:
        return usage(std::string(argv[optind - 1]) + " is not an option");
    }
  }
  if (optind < argc) return usage(std::string(argv[optind]) + " is not expected");
  return options.config.empty() ? usage("--config FILE is missing") : -1;
}

/// As a program of a step: --fetch.
int run_fetch() {
  const char* const text = std::getenv(kFetchVariable);
  const auto order = parse_fetch_order(text == nullptr ? "" : text);
  if (!order) return fail(kWrong, "--fetch is for the updater itself");
  std::string words;
  const FetchEnd end = fetch(*order, words);
  if (!words.empty()) std::fprintf(stderr, "%s\n", words.c_str());
  return static_cast<int>(end);
}

/// As a program of a step: --unpack ARCHIVE DIRECTORY BYTES.
int run_unpack(char** arguments) {
  const std::string_view bytes = arguments[2];
  std::uint64_t most = 0;
  std::from_chars(bytes.data(), bytes.data() + bytes.size(), most);
  const Status done = unpack(arguments[0], arguments[1], most);
  if (done) return kDone;
  std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return static_cast<int>(done.error().code == Errc::corrupt ? FetchEnd::wrong : FetchEnd::later);
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// What a step's program has said.
int told(FetchEnd end, const std::string& words) {
  if (!words.empty()) {
    std::fprintf(end == FetchEnd::done ? stdout : stderr, "%s\n", words.c_str());
  }
  return static_cast<int>(end);
}

/// As a program of a step: --report.
int run_report() {
  const auto order = parse_report_order(variable(kReportVariable));
  if (!order) return fail(kWrong, "--report is for the updater itself");
  std::string words;
  const FetchEnd end = report(*order, words);
  return told(end, words);
}

/// As a program of a step: --package ACTION NAME FOLDER [CACHE].
int run_package_step(int count, char** arguments) {
  PackageOrder order;
  order.action = arguments[0];
  order.package = arguments[1];
  order.folder = arguments[2];
  if (count > 3) order.cache = arguments[3];
  order.version = variable("HOLDFAST_VERSION");
  order.artifact = variable("HOLDFAST_ARTIFACT");
  std::string words;
  const FetchEnd end = run_package(order, words);
  return told(end, words);
}

/// As a program of a step: --file ACTION FILE FOLDER [VALIDATE...].
int run_file_step(int count, char** arguments) {
  FileOrder order;
  order.action = arguments[0];
  order.file = arguments[1];
  order.folder = arguments[2];
  order.validate.assign(arguments + 3, arguments + count);
  order.version = variable("HOLDFAST_VERSION");
  order.artifact = variable("HOLDFAST_ARTIFACT");
  std::string words;
  const FetchEnd end = run_file(order, words);
  return told(end, words);
}

/// Until it is to end, or `successor` has its turn.
int work(const Settings& settings, int stop_fd, const posix::ServiceManager& manager, bool& ready,
         std::optional<Successor>& successor) {
  const auto log = runtime::Logger::to_stderr();
  auto updater = Updater::create(settings, "/proc/self/exe", [&log](const std::string& line) {
    log->write({LogLevel::info, LogArea::agent, line});
  });
  if (!updater) {
    return fail(updater.error().code == Errc::in_use ? kInUse : kFailed, updater.error().message);
  }
  successor = (*updater)->run(stop_fd, [&](const std::string& words) {
    posix::Notice notice;
    notice.ready = !std::exchange(ready, true);
    notice.alive = true;
    notice.status = words;
    static_cast<void>(manager.tell(notice));
    log->service();
  });
  log->finish();
  return kDone;
}

int run(const Options& options) {
  SettingsReport report = read_settings(options.config);
  for (const Error& problem : report.problems) fail(kWrong, problem.message);
  if (!report.problems.empty()) return kWrong;
  if (options.check) return std::printf("%s: ok\n", options.config.c_str()) < 0 ? kFailed : kDone;

  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  const posix::UniqueFd stop(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!stop) return fail(kFailed, "no descriptor is left; raise the limit (ulimit -n)");
  const posix::UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ::dup2(nothing.get(), STDIN_FILENO);  // programs of a job have nothing to read

  const auto manager = posix::ServiceManager::from_environment();
  bool ready = false;
  for (;;) {
    std::optional<Successor> successor;
    if (const int code = work(report.settings, stop.get(), manager, ready, successor);
        code != kDone || !successor) {
      return code;
    }
    if (try_successor(*successor, options.config, stop.get(), manager) != TrialEnd::failed) {
      return kDone;  // whoever started us starts what is to run from now on
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  if (argc == 2 && std::string_view(argv[1]) == "--fetch") return run_fetch();
  if (argc == 5 && std::string_view(argv[1]) == "--unpack") return run_unpack(argv + 2);
  const std::string_view first = argc >= 2 ? argv[1] : "";
  if (argc == 2 && first == "--report") return run_report();
  if (argc >= 5 && first == "--package") return run_package_step(argc - 2, argv + 2);
  if (argc >= 5 && first == "--file") return run_file_step(argc - 2, argv + 2);
  if (argc >= 2 && std::string_view(argv[1]) == "job") return job_tool(argc - 1, argv + 1);
  Options options;
  if (const int code = parse(argc, argv, options); code >= 0) return code;
  return run(options);
}
