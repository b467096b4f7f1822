// hf_lab_relay: stands between a device and a broker, misbehaves as told, and writes down all that
// it sees. docs/relay-trace.md describes what it writes.
//
// Exit codes: 0 ended by SIGTERM or SIGINT; 1 it cannot do what was asked; 2 wrong arguments.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "holdfast/result.h"
#include "lab/net/control.h"
#include "lab/net/endpoint.h"
#include "lab/net/relay.h"
#include "lab/net/trace.h"
#include "posix/event_loop.h"
#include "posix/signals.h"
#include "posix/system.h"

namespace {

using namespace holdfast;            // NOLINT: a program's main file
using namespace holdfast::lab::net;  // NOLINT

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::string listen = "127.0.0.1:0";
  std::string upstream;
  std::string control;
  std::string trace;
};

int fail(int code, const std::string& what) {
  std::fprintf(stderr, "hf_lab_relay: %s\n", what.c_str());
  return code;
}

void declare(CLI::App& app, Arguments& arguments) {
  app.add_option("--listen", arguments.listen, "[host:]port for devices; port 0: a free one")
      ->capture_default_str();
  app.add_option("--upstream", arguments.upstream, "the broker: host:port or unix:PATH")
      ->required();
  app.add_option("--control", arguments.control, "a Unix socket for orders");
  app.add_option("--trace", arguments.trace, "a file that gets what happens, as lines of JSON");
}

Result<RelayOptions> read_options(const Arguments& arguments) {
  RelayOptions options;
  auto listen = parse_endpoint(arguments.listen);
  if (!listen) return std::move(listen).error().with("--listen");
  auto upstream = parse_endpoint(arguments.upstream);
  if (!upstream) return std::move(upstream).error().with("--upstream");
  options.listen = *listen;
  options.upstream = *upstream;
  return options;
}

int run(const Arguments& arguments, RelayOptions options) {
  posix::ignore_sigpipe();
  posix::EventLoop loop;
  const auto clock = posix::make_clock();
  Trace trace(*clock);
  if (!arguments.trace.empty()) {
    if (const Status opened = trace.open(arguments.trace); !opened) {
      return fail(kFailed, "--trace: " + opened.error().message);
    }
  }
  Relay relay(loop, trace, std::move(options));
  Control control(loop);
  relay.add_operations(control);
  add_trace_operation(control, trace);
  if (!arguments.control.empty()) {
    if (const Status opened = control.listen(arguments.control); !opened) {
      return fail(kFailed, "--control: " + opened.error().message);
    }
  }
  if (const Status started = relay.start(); !started) {
    return fail(kFailed, "--listen: " + started.error().message);
  }
  posix::Signals signals(loop, [&loop](int) { loop.stop(); });
  std::printf("{\"listening\":%u}\n", unsigned{relay.port()});
  std::fflush(stdout);
  trace.event("start", 0, {{"port", relay.port()}});
  loop.run();
  trace.event("stop", 0);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Stands between a device and a broker, and misbehaves as told.", "hf_lab_relay");
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  auto options = read_options(arguments);
  if (!options) return fail(kUsage, options.error().message);
  return run(arguments, std::move(options).value());
}
