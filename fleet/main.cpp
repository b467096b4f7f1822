// holdfast-fleet: hears what a fleet's devices and their broker say, and shows it to Prometheus.
//
// Threads: the device's executor hears, this one answers who asks; a mutex between them.
#include <signal.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "book.h"
#include "holdfast/device.h"
#include "host/http_server.h"
#include "host/prometheus_text.h"
#include "posix/event_loop.h"
#include "posix/system.h"
#include "posix/unique_fd.h"
#include "runtime/config_keys.h"
#include "runtime/http_place.h"
#include "runtime/logger.h"

namespace {

using namespace holdfast;  // NOLINT: a program's main file

enum ExitCode : int { kDone = 0, kFailed = 1, kWrong = 2 };

constexpr Seconds kStopWithin{5};

struct Options {
  std::string config;
  std::string listen = "127.0.0.1:9465";
  bool allow_remote = false;
  std::vector<std::string> presence;
  std::vector<std::string> outages;
  std::vector<std::string> reports;
  bool lifecycle = false;
  std::string forget = "720h";
  fleet::Book::Settings book;
};

int fail(ExitCode code, const std::string& what) {
  std::fprintf(stderr, "holdfast fleet: %s\n", what.c_str());
  return code;
}

void add_options(CLI::App& app, Options& o) {
  app.add_option("CONFIG", o.config, "how to connect: a configuration of holdfastd")->required();
  app.add_option("--listen", o.listen, "where Prometheus asks: ADDRESS:PORT or unix:/PATH")
      ->capture_default_str();
  app.add_flag("--allow-remote", o.allow_remote, "even if other machines reach that address");
  app.add_option("--presence", o.presence,
                 "a filter of birth and will messages; its first + is the device's name")
      ->allow_extra_args(false);
  app.add_option("--outages", o.outages, "a filter of outages: [history] topic of the devices")
      ->allow_extra_args(false);
  app.add_option("--reports", o.reports, "a filter of reports: [metrics] topic, format json")
      ->allow_extra_args(false);
  app.add_flag("--lifecycle", o.lifecycle, "AWS IoT Core's $aws/events/presence");
  app.add_option("--online", o.book.online, "what a presence message says of one that is there")
      ->allow_extra_args(false)
      ->capture_default_str();
  app.add_option("--devices-most", o.book.devices_most, "further ones are counted only")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--forget", o.forget, "a device that is not there and silent for so long")
      ->capture_default_str();
}

/// What is wrong with the options as a whole, or nothing.
std::string wrong_with(Options& o) {
  if (o.presence.empty() && o.outages.empty() && o.reports.empty() && !o.lifecycle) {
    return "nothing to hear; give --presence, --outages, --reports or --lifecycle";
  }
  for (const auto* const filters : {&o.presence, &o.outages, &o.reports}) {
    for (const std::string& filter : *filters) {
      if (("/" + filter + "/").find("/+/") == std::string::npos) {
        return filter + ": has no level + for the device's name; give such as plant/+/status";
      }
    }
  }
  const auto forget = runtime::parse_duration(o.forget);
  if (!forget || *forget < 1000) return "--forget: " + o.forget + " is no time; give such as 720h";
  o.book.forget = std::chrono::duration_cast<Seconds>(Milliseconds(*forget));
  const auto place = runtime::parse_http_place(o.listen);
  if (!place) return "--listen: " + place.error().message;
  if (place->socket.empty() && !place->tcp.loopback && !o.allow_remote) {
    return "--listen: " + o.listen +
           " is reached by other machines; give a loopback address, or --allow-remote if everybody "
           "in that network may read";
  }
  return {};
}

WallTime wall_now() {
  static const auto clock = posix::make_clock();
  return clock->wall();
}

std::string_view text_of(const Bytes& payload) {
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

class Collector {
 public:
  explicit Collector(fleet::Book::Settings settings) : book_(std::move(settings)) {}

  /// Errors: what the device says of a filter.
  Status hear(Device& device, const Options& options) {
    using Take = void (fleet::Book::*)(std::string_view, std::string_view, WallTime);
    const auto each = [&](const std::vector<std::string>& filters, Take take) -> Status {
      for (const std::string& filter : filters) {
        Status added = add(device, filter, [this, take, filter](const InboundMessage& m) {
          (book_.*take)(fleet::device_of(filter, m.topic), text_of(m.payload), wall_now());
        });
        if (!added) return added;
      }
      return {};
    };
    for (const std::string& filter : options.presence) {
      Status added = add(device, filter, [this, filter](const InboundMessage& m) {
        book_.presence(fleet::device_of(filter, m.topic), text_of(m.payload), m.retain, wall_now());
      });
      if (!added) return added;
    }
    if (Status added = each(options.outages, &fleet::Book::outage); !added) return added;
    if (Status added = each(options.reports, &fleet::Book::report); !added) return added;
    if (!options.lifecycle) return {};
    for (const char* const what : {"connected", "disconnected"}) {
      Status added =
          add(device, std::string("$aws/events/presence/") + what + "/+",
              [this](const InboundMessage& m) { book_.lifecycle(text_of(m.payload), wall_now()); });
      if (!added) return added;
    }
    return {};
  }

  MetricFamilies families(const Device& device) {
    MetricFamilies all;
    {
      const std::lock_guard lock(mutex_);
      book_.forget_old(wall_now());
      all = book_.families();
    }
    const bool connected = device.state().connection.state == LinkState::connected;
    all.push_back({"holdfast_fleet_collector_connected",
                   "Whether the collector hears anything: while it is 0, nothing else is news.",
                   MetricKind::gauge,
                   {{{}, connected ? 1.0 : 0.0}}});
    return all;
  }

 private:
  Status add(Device& device, const std::string& filter, MessageHandler take) {
    auto id = device.subscribe(filter, Qos::at_least_once,
                               [this, take = std::move(take)](const InboundMessage& message) {
                                 const std::lock_guard lock(mutex_);
                                 take(message);
                               });
    if (id) return {};
    return Error{id.error().code, filter + ": " + id.error().message};
  }

  std::mutex mutex_;
  fleet::Book book_;
};

int serve(const Options& options, Config config) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  const posix::UniqueFd stop(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!stop) return fail(kFailed, "no descriptor is left; raise the limit (ulimit -n)");
  const auto text = host::PrometheusText::load();
  if (!text) return fail(kFailed, text.error().message);
  auto listening = runtime::listen_http(options.listen);
  if (!listening) return fail(kFailed, "--listen: " + listening.error().message);

  Collector collector(options.book);
  const auto log = runtime::Logger::to_stderr();
  auto device = Device::open(std::move(config), log->handler());
  if (!device) return fail(kFailed, device.error().message);
  if (const Status heard = collector.hear(**device, options); !heard) {
    return fail(kWrong, heard.error().message);
  }
  posix::EventLoop loop;
  posix::FdWatch ended(loop, stop.get());
  ended.want(true, false, [&](bool, bool) { loop.stop(); });
  const host::HttpServer page(
      loop, std::move(listening->fd),
      [&](const host::HttpRequest& request, const host::HttpServer::Answer& answer) {
        if (request.path != "/metrics") {
          return answer({.status = 404, .body = "The metrics are at /metrics.\n"});
        }
        answer({.type = host::kPrometheusContentType,
                .body = text->text(collector.families(**device))});
      });
  log->write({LogLevel::info, LogArea::agent, "the fleet's metrics are at " + options.listen});
  loop.run();
  (*device)->stop(kStopWithin);
  runtime::remove_socket_file(*listening);
  log->finish();
  return kDone;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Hear what a fleet's devices and their broker say, and show it to Prometheus. See "
      "docs/fleet-view.md.",
      "holdfast fleet");
  app.set_version_flag("--version", "holdfast-fleet " HOLDFAST_VERSION);
  add_options(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return fail(kWrong, std::string(error.what()) + "; see holdfast fleet --help");
  }
  if (const std::string wrong = wrong_with(options); !wrong.empty()) return fail(kWrong, wrong);
  Result<Config> config = load_config(options.config);
  if (!config) return fail(kWrong, config.error().message);
  return serve(options, std::move(config).value());
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    return fail(kFailed, std::string(error.what()) + "; please report it");
  }
}
