// hf_lab_relay: stands between a device and a broker, misbehaves as told, and writes down all that
// it sees. docs/relay-trace.md describes what it writes.
//
// Exit codes: 0 ended by SIGTERM or SIGINT; 1 it cannot do what was asked; 2 wrong arguments.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "holdfast/result.h"
#include "lab/fault/faults.h"
#include "lab/fault/scenario.h"
#include "lab/net/control.h"
#include "lab/net/endpoint.h"
#include "lab/net/fault_switch.h"
#include "lab/net/relay.h"
#include "lab/net/trace.h"
#include "posix/event_loop.h"
#include "posix/signals.h"
#include "posix/system.h"

namespace {

using namespace holdfast;            // NOLINT: a program's main file
using namespace holdfast::lab::net;  // NOLINT
namespace fault = holdfast::lab::fault;

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::string listen = "127.0.0.1:0";
  std::string upstream;
  std::string tls = "none";
  std::string cert;
  std::string key;
  std::string ca;
  std::string upstream_ca;
  std::string upstream_cert;
  std::string upstream_key;
  std::string upstream_name;
  bool upstream_tls = false;
  bool websocket = false;
  std::string certificates;
  std::string control;
  std::string trace;
  std::string faults;
  std::string scenario;
  double time_scale = 1;
  std::optional<std::uint64_t> seed;
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
  app.add_option("--tls", arguments.tls, "with devices: none, pass (untouched) or terminate (here)")
      ->check(CLI::IsMember({"none", "pass", "terminate"}))
      ->capture_default_str();
  app.add_option("--cert", arguments.cert, "terminate: the relay's certificate chain (PEM)");
  app.add_option("--key", arguments.key, "terminate: its key (PEM)");
  app.add_option("--ca", arguments.ca, "terminate: devices must show a certificate of this CA");
  app.add_option(
      "--certificates", arguments.certificates,
      "terminate: a folder with the certificates of TLS faults (expired.crt and .key, …)");
  app.add_flag("--upstream-tls", arguments.upstream_tls, "speak TLS with the broker");
  app.add_option("--upstream-ca", arguments.upstream_ca, "the CA of its certificate (PEM)");
  app.add_option("--upstream-cert", arguments.upstream_cert, "our certificate for it (PEM)");
  app.add_option("--upstream-key", arguments.upstream_key, "the key of that (PEM)");
  app.add_option("--upstream-name", arguments.upstream_name,
                 "the name in its certificate; default: the host of --upstream");
  app.add_flag("--websocket", arguments.websocket, "devices speak MQTT over WebSocket");
  app.add_option("--control", arguments.control, "a Unix socket for orders");
  app.add_option("--trace", arguments.trace, "a file that gets what happens, as lines of JSON");
  app.add_option("--faults", arguments.faults, "what is wrong from the start: a file or JSON");
  app.add_option("--scenario", arguments.scenario, "what goes wrong when: a TOML file");
  app.add_option("--time-scale", arguments.time_scale, "of the scenario; 60 makes an hour a minute")
      ->check(CLI::Range(fault::ScenarioRun::kSlowest, fault::ScenarioRun::kFastest));
  app.add_option("--seed", arguments.seed, "of the scenario, instead of its own");
}

Error wrong(const std::string& what) { return {Errc::invalid_argument, what}; }

Status read_tls(const Arguments& arguments, RelayOptions& options) {
  using Tls = RelayOptions::Tls;
  options.tls = arguments.tls == "none"   ? Tls::none
                : arguments.tls == "pass" ? Tls::pass
                                          : Tls::terminate;
  if (options.tls != Tls::terminate) {
    if (!arguments.cert.empty() || !arguments.key.empty() || !arguments.ca.empty()) {
      return wrong("--cert, --key and --ca are for --tls terminate");
    }
    return {};
  }
  if (arguments.cert.empty() || arguments.key.empty()) {
    return wrong("--tls terminate needs --cert and --key");
  }
  options.server.chain_file = arguments.cert;
  options.server.key_file = arguments.key;
  options.server.client_ca_file = arguments.ca;
  if (!arguments.ca.empty()) options.server.client = TlsServerOptions::Client::required;
  return {};
}

Status read_upstream(const Arguments& arguments, RelayOptions& options) {
  auto at = parse_endpoint(arguments.upstream);
  if (!at) return std::move(at).error().with("--upstream");
  options.upstream.at = std::move(at).value();
  if (!arguments.upstream_tls) {
    if (!arguments.upstream_ca.empty() || !arguments.upstream_cert.empty()) {
      return wrong("--upstream-ca, -cert and -key are for --upstream-tls");
    }
    return {};
  }
  if (options.tls == RelayOptions::Tls::pass) {
    return wrong("--tls pass leaves TLS with the broker to the device");
  }
  if (arguments.upstream_ca.empty()) return wrong("--upstream-tls needs --upstream-ca");
  if (arguments.upstream_cert.empty() != arguments.upstream_key.empty()) {
    return wrong("--upstream-cert and --upstream-key go together");
  }
  TlsClientOptions tls;
  tls.ca_file = arguments.upstream_ca;
  tls.chain_file = arguments.upstream_cert;
  tls.key_file = arguments.upstream_key;
  tls.server_name =
      arguments.upstream_name.empty() ? options.upstream.at.host : arguments.upstream_name;
  auto client = TlsClient::make(std::move(tls));
  if (!client) return std::move(client).error().with("--upstream-tls");
  options.upstream.tls = std::move(client).value();
  return {};
}

Result<RelayOptions> read_options(const Arguments& arguments) {
  RelayOptions options;
  auto listen = parse_endpoint(arguments.listen);
  if (!listen) return std::move(listen).error().with("--listen");
  options.listen = std::move(listen).value();
  if (const Status read = read_tls(arguments, options); !read) return read.error();
  if (const Status read = read_upstream(arguments, options); !read) return read.error();
  options.websocket = arguments.websocket;
  options.certificates = arguments.certificates;
  if (options.websocket && options.tls == RelayOptions::Tls::pass) {
    return wrong("--websocket cannot be seen with --tls pass");
  }
  return options;
}

// Of a file, or of the text itself when it looks like JSON.
Result<fault::Faults> read_faults(const std::string& text) {
  if (text.empty()) return fault::Faults();
  constexpr std::size_t kMost = std::size_t{1} << 20;
  std::string json = text;
  if (text.find_first_of("{[\"") != 0) {
    auto file = posix::read_file(text, kMost);
    if (!file) return std::move(file).error();
    json = std::move(file).value();
  }
  const Json value = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return wrong("no JSON");
  return fault::parse_faults(value);
}

Result<std::optional<fault::ScenarioRun>> read_scenario(const Arguments& arguments, BootTime now) {
  if (arguments.scenario.empty()) return std::optional<fault::ScenarioRun>();
  const auto text = posix::read_file(arguments.scenario, fault::Scenario::kFileMax);
  if (!text) return text.error();
  auto scenario = fault::Scenario::parse(*text);
  if (!scenario) return std::move(scenario).error().with(arguments.scenario);
  return std::optional(
      fault::ScenarioRun(std::move(scenario).value(), now, arguments.time_scale, arguments.seed));
}

// Everything that must work before the first device may come.
Status prepare(const Arguments& arguments, fault::Faults wanted, Relay& relay, FaultSwitch& faults,
               Control& control, Trace& trace) {
  if (!arguments.trace.empty()) {
    if (Status opened = trace.open(arguments.trace); !opened) {
      return std::move(opened).error().with("--trace");
    }
  }
  if (Status set = faults.set(std::move(wanted), "start"); !set) {
    return std::move(set).error().with("--faults");
  }
  faults.add_operations(control);
  relay.add_operations(control);
  add_trace_operation(control, trace);
  if (!arguments.control.empty()) {
    if (Status opened = control.listen(arguments.control); !opened) {
      return std::move(opened).error().with("--control");
    }
  }
  return relay.start();
}

int run(const Arguments& arguments, RelayOptions options) {
  posix::ignore_sigpipe();
  posix::EventLoop loop;
  const auto clock = posix::make_clock();
  const auto random = posix::make_random();
  Trace trace(*clock);
  FaultSwitch faults(loop, trace, *clock);
  Relay relay({loop, *clock, *random, trace, faults}, std::move(options));
  Control control(loop);
  auto scenario = read_scenario(arguments, clock->now());
  if (!scenario) return fail(kUsage, "--scenario: " + scenario.error().message);
  auto wanted = read_faults(arguments.faults);
  if (!wanted) return fail(kUsage, "--faults: " + wanted.error().message);
  const Status prepared =
      prepare(arguments, std::move(wanted).value(), relay, faults, control, trace);
  if (!prepared) return fail(kFailed, prepared.error().message);
  posix::Signals signals(loop, [&loop](int) { loop.stop(); });
  std::printf("{\"listening\":%u}\n", unsigned{relay.port()});
  std::fflush(stdout);
  trace.event("start", 0, {{"port", relay.port()}});
  if (*scenario) faults.follow(std::move(**scenario));
  loop.run();
  trace.event("stop", 0);
  return trace.failed() ? fail(kFailed, "--trace: could not be written to its end") : 0;
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
