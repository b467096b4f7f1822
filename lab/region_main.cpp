// hf_lab_region: one Region of the local IoT Core, before a mosquitto that `holdfast lab up`
// started.
//
// Exit codes: 0 ended by SIGTERM or SIGINT; 1 it cannot do what was asked; 2 wrong arguments.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/result.h"
#include "lab/net/control.h"
#include "lab/net/crypto.h"
#include "lab/net/fault_switch.h"
#include "lab/net/pki.h"
#include "lab/net/trace.h"
#include "lab/region_http.h"
#include "lab/region_server.h"
#include "lab/region_services.h"
#include "posix/event_loop.h"
#include "posix/signals.h"
#include "posix/system.h"

namespace {

using namespace holdfast;       // NOLINT: a program's main file
using namespace holdfast::lab;  // NOLINT

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::string region = "eu-central-1";
  std::string directory = ".";
  std::string pki = "../pki";
  std::string control = "control.sock";
  std::string trace;
  std::vector<std::string> names;
  std::string switches;
  std::string faults;
  RegionServer::Options server;
};

int fail(int code, const std::string& what) {
  std::fprintf(stderr, "hf_lab_region: %s\n", what.c_str());
  return code;
}

void declare(CLI::App& app, Arguments& a) {
  app.add_option("--region", a.region, "its name")->capture_default_str();
  app.add_option("--directory", a.directory, "where its state is kept")->capture_default_str();
  app.add_option("--pki", a.pki, "where the CA is kept")->capture_default_str();
  app.add_option("--control", a.control, "a Unix socket for orders")->capture_default_str();
  app.add_option("--trace", a.trace, "a file that gets what happens, as lines of JSON");
  app.add_option("--name", a.names, "one more name or address of the endpoint");
  app.add_option("--switches", a.switches, "a JSON object of switches to change");
  app.add_option("--faults", a.faults, "what holds from the start: faults.set's JSON");
  app.add_option("--listen", a.server.listen, "an address for devices")->capture_default_str();
  app.add_option("--mqtt-port", a.server.ports.mqtt, "as AWS's 8883; 0: a free one");
  app.add_option("--mixed-port", a.server.ports.mixed, "as AWS's 443; 0: a free one");
  app.add_option("--https-port", a.server.ports.https, "as AWS's 8443; 0: a free one");
  app.add_option("--broker", a.server.broker_socket, "the Unix socket of mosquitto")->required();
  app.add_option("--broker-password-file", "what its plugin was told")
      ->required()
      ->each([&a](const std::string& file) { a.server.broker_password = file; });
}

iot::Admission::Shown shown_by(const net::PeerCertificate& peer, std::string server_name) {
  return {peer.fingerprint, peer.pem, std::move(server_name)};
}

/// The switch `refused_certificate`; nullopt: as the state of the certificate says.
std::optional<net::ClientVerdict> always(std::string_view how) {
  using Verdict = net::ClientVerdict;
  constexpr std::pair<std::string_view, Verdict> kAll[] = {
      {"unknown_ca", Verdict::unknown_ca},
      {"certificate_revoked", Verdict::revoked},
      {"certificate_expired", Verdict::expired},
      {"bad_certificate", Verdict::bad},
      {"certificate_unknown", Verdict::unknown},
      {"handshake_failure", Verdict::failure},
      {"no_alert", Verdict::silent},
      {"closed", Verdict::accept}};
  for (const auto& [name, verdict] : kAll) {
    if (name == how) return verdict;
  }
  return std::nullopt;
}

/// During the handshake.
net::ClientVerdict judge(const iot::Admission& admission, const iot::Switches& switches,
                         WallTime now, const net::PeerCertificate& peer) {
  const auto verdict = admission.look(now, shown_by(peer, {}));
  if (verdict == iot::Admission::Verdict::fine) return net::ClientVerdict::accept;
  if (const auto set = always(switches.refused_certificate)) return *set;
  if (verdict == iot::Admission::Verdict::unknown) return net::ClientVerdict::unknown_ca;
  return verdict == iot::Admission::Verdict::inactive ? net::ClientVerdict::revoked
                                                      : net::ClientVerdict::expired;
}

/// After it.
std::optional<std::string> turn_away(const net::TlsFacts& facts, WallTime now,
                                     iot::Admission& admission, iot::Region& region) {
  if (!facts.peer) return std::nullopt;
  const auto shown = shown_by(*facts.peer, facts.server_name);
  if (admission.look(now, shown) != iot::Admission::Verdict::fine) {
    return "the certificate is refused after the handshake";
  }
  iot::Answers answers;
  auto words = admission.turn_away(now, shown, answers);
  region.accept(std::move(answers));
  return words;
}

iot::Arrival arrival_of(const net::Visitor& visitor, const RegionHttp& http) {
  iot::Arrival arrival;
  arrival.address = visitor.peer.substr(0, visitor.peer.rfind(':'));
  arrival.websocket = visitor.upgrade != nullptr;
  if (visitor.tls == nullptr) return arrival;
  arrival.domain = visitor.tls->server_name;
  if (visitor.tls->peer) arrival.principal = visitor.tls->peer->fingerprint;
  if (visitor.tls->alpn == "mqtt") arrival.by = iot::Arrival::By::custom;
  if (visitor.upgrade != nullptr) http.recognize(*visitor.upgrade, arrival);
  return arrival;
}

/// The endpoint's certificates: the right ones, and the bad ones of faults.
Status use_certificates(net::Pki& pki, WallTime now, RegionServer::Options& options) {
  net::ServerFiles identity = pki.server_files();
  options.chain_file = std::move(identity.chain);
  options.key_file = std::move(identity.key);
  options.client_ca_file = pki.ca_file();
  for (const net::BadServer kind : net::kBadServers) {
    if (const auto made = pki.bad_server(now, kind); !made) return made.error();
  }
  options.fault_certificates = pki.fault_folder();
  return {};
}

Status set_switches(iot::Switches& switches, const std::string& wanted) {
  if (wanted.empty()) return {};
  const auto changes = iot::parse_json(wanted);
  return changes ? iot::change(switches, *changes) : changes.error();
}

Status start_with(net::FaultSwitch& faults, const std::string& request) {
  if (request.empty()) return {};
  const auto wanted = iot::parse_json(request);
  const auto done = wanted ? faults.order(*wanted, "start") : Result<net::Json>(wanted.error());
  return done ? Status() : Status(done.error());
}

int serve(const Arguments& a, RegionServer::Options options) {
  posix::ignore_sigpipe();
  posix::EventLoop loop;
  const auto clock = posix::make_clock();
  const auto random = posix::make_random();
  net::Trace trace(*clock);
  if (!a.trace.empty()) {
    if (const Status opened = trace.open(a.trace); !opened) {
      return fail(kFailed, "--trace: " + opened.error().message);
    }
  }
  auto pki = net::Pki::open(a.pki, clock->wall(), *random, a.names);
  if (!pki) return fail(kFailed, pki.error().message);
  if (const Status done = use_certificates(**pki, clock->wall(), options); !done) {
    return fail(kFailed, done.error().message);
  }

  const net::OpenSslCrypto crypto;
  const std::filesystem::path files = std::filesystem::path(a.directory) / "files";
  RegionServices services(
      {a.region, *random, **pki, **pki, crypto, options.broker_password, files});
  iot::Region region({*clock, *random, services.access, options.broker_password});
  services.join(region);
  RegionHttp http({*clock, region, services, crypto, trace, a.region, files});
  net::FaultSwitch faults(loop, trace, *clock);
  RegionServer server(
      {{loop, *clock, *random, trace, faults},
       region,
       [&](const auto& peer) {
         return judge(services.admission, region.switches, clock->wall(), peer);
       },
       [&](const net::TlsFacts& facts) {
         return turn_away(facts, clock->wall(), services.admission, region);
       },
       [&http](const net::Visitor& visitor) { return arrival_of(visitor, http); },
       [&http](const net::HttpQuestion& question) { return http.answer(question); },
       [&http](const net::HttpQuestion& question) { return http.refuse_upgrade(question); }},
      std::move(options));
  if (const Status started = server.start(); !started) {
    return fail(kFailed, started.error().message);
  }
  if (const Status set = set_switches(region.switches, a.switches); !set) {
    return fail(kUsage, "--switches: " + set.error().message);
  }
  if (const Status set = start_with(faults, a.faults); !set) {
    return fail(kUsage, "--faults: " + set.error().message);
  }
  const RegionPorts ports = server.ports();
  http.set_port(ports.mixed);
  region.endpoint = {a.names.empty() ? "localhost" : a.names.front(), ports.mqtt, ports.mixed,
                     ports.https};
  net::Control control(loop);
  http.add_operations(control);
  server.add_operations(control);
  faults.add_operations(control);
  add_trace_operation(control, trace);
  if (const Status opened = control.listen(a.control); !opened) {
    return fail(kFailed, "--control: " + opened.error().message);
  }
  posix::Signals signals(loop, [&loop](int) { loop.stop(); });
  std::printf("{\"region\":\"%s\",\"mqtt\":%u,\"mixed\":%u,\"https\":%u}\n", a.region.c_str(),
              unsigned{ports.mqtt}, unsigned{ports.mixed}, unsigned{ports.https});
  std::fflush(stdout);
  loop.run();
  if (const Status saved = server.save(); !saved) return fail(kFailed, saved.error().message);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A Region of the local AWS IoT Core; started by `holdfast lab up`.",
               "hf_lab_region");
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  RegionServer::Options options = arguments.server;
  auto password = posix::read_file(options.broker_password, 4096);
  if (!password) return fail(kFailed, password.error().message);
  options.broker_password = std::move(*password);
  options.state_file = std::filesystem::path(arguments.directory) / "state.json";
  return serve(arguments, std::move(options));
}
