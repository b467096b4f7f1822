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
  app.add_option("--tls", arguments.tls, "with devices: none, pass (untouched) or terminate (here)")
      ->check(CLI::IsMember({"none", "pass", "terminate"}))
      ->capture_default_str();
  app.add_option("--cert", arguments.cert, "terminate: the relay's certificate chain (PEM)");
  app.add_option("--key", arguments.key, "terminate: its key (PEM)");
  app.add_option("--ca", arguments.ca, "terminate: devices must show a certificate of this CA");
  app.add_flag("--upstream-tls", arguments.upstream_tls, "speak TLS with the broker");
  app.add_option("--upstream-ca", arguments.upstream_ca, "the CA of its certificate (PEM)");
  app.add_option("--upstream-cert", arguments.upstream_cert, "our certificate for it (PEM)");
  app.add_option("--upstream-key", arguments.upstream_key, "the key of that (PEM)");
  app.add_option("--upstream-name", arguments.upstream_name,
                 "the name in its certificate; default: the host of --upstream");
  app.add_flag("--websocket", arguments.websocket, "devices speak MQTT over WebSocket");
  app.add_option("--control", arguments.control, "a Unix socket for orders");
  app.add_option("--trace", arguments.trace, "a file that gets what happens, as lines of JSON");
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
  if (options.websocket && options.tls == RelayOptions::Tls::pass) {
    return wrong("--websocket cannot be seen with --tls pass");
  }
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
    return fail(kFailed, started.error().message);
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
