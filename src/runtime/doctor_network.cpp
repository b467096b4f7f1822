#include "runtime/doctor_network.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>
#include <variant>

#include "posix/route.h"
#include "transport/tcp_race.h"
#include "transport/transport.h"

namespace holdfast::runtime {

namespace {

/// Stages keep their own deadlines; this is only in case one does not.
constexpr Duration kGrace = std::chrono::seconds(2);
/// How long a server has after the handshake to refuse our certificate, which TLS 1.3 does then.
constexpr Duration kSecondThoughts = std::chrono::milliseconds(300);
constexpr std::size_t kTriedMax = 8;

}  // namespace

void LoopWait::finish() {
  if (std::exchange(happened_, true)) return;
  loop_.stop();
}

bool LoopWait::wait(Duration limit) {
  timer_.arm_after(limit, [this] { loop_.stop(); });
  loop_.run();
  timer_.cancel();
  return happened_;
}

void LoopWait::pause(Duration time) {
  happened_ = true;  // What finishes meanwhile does not end the pause.
  timer_.arm_after(time, [this] { loop_.stop(); });
  loop_.run();
}

double NetworkLook::ms_since(BootTime begun) const {
  return std::chrono::duration<double, std::milli>(clock_.now() - begun).count();
}

health::NameFacts NetworkLook::look_up(const std::string& host, Duration timeout) {
  health::NameFacts facts;
  facts.host = host;
  facts.name_servers = posix::name_servers();
  wait_.begin();
  const BootTime begun = clock_.now();
  resolver_.resolve(host, timeout, [&](Result<std::vector<env::Address>> answer) {
    facts.ms = ms_since(begun);
    if (answer) {
      addresses_ = std::move(answer).value();
    } else {
      facts.code = answer.error().code;
      facts.problem = answer.error().message;
    }
    wait_.finish();
  });
  if (!wait_.wait(timeout + kGrace)) {
    resolver_.cancel();
    facts.code = Errc::timeout;
    facts.problem = "no answer from the name servers";
  }
  for (const env::Address& address : addresses_) facts.addresses.push_back(address.numeric);
  return facts;
}

std::vector<health::RouteFacts> NetworkLook::routes() const {
  std::vector<health::RouteFacts> facts;
  for (const env::Address& address : addresses_) {
    const posix::Route route = posix::route_to(address);
    facts.push_back(
        {address.numeric, route.problem, route.interface, route.gateway, route.carrier});
  }
  return facts;
}

std::vector<health::ReachFacts> NetworkLook::reach(std::uint16_t port, Duration timeout) {
  std::vector<health::ReachFacts> facts;
  for (const env::Address& address : addresses_) {
    if (facts.size() == kTriedMax) break;
    health::ReachFacts one;
    one.address = transport::address_text(address.numeric, port);
    wait_.begin();
    const BootTime begun = clock_.now();
    const transport::TcpRace race(loop_, {address}, port, timeout,
                                  [&](transport::TcpRace::Outcome& outcome) {
                                    one.ms = ms_since(begun);
                                    if (auto* failure = std::get_if<env::Failure>(&outcome)) {
                                      one.failure = std::move(*failure);
                                    }
                                    wait_.finish();
                                  });
    if (!wait_.wait(timeout + kGrace)) one.failure = env::Failure{Verdict::tcp_timeout, 0, ""};
    facts.push_back(std::move(one));
  }
  return facts;
}

health::StreamFacts NetworkLook::open_stream(const env::ConnectRequest& request,
                                             env::Clock& clock) {
  transport::Target target = transport::target_of(request);
  health::StreamFacts facts;
  facts.tls = target.tls.enabled;
  facts.alpn_wanted = target.tls.alpn;
  facts.websocket = !target.websocket_target.empty();
  facts.host = target.host;
  facts.port = target.port;
  facts.has_certificate = !target.tls.cert_file.empty();
  facts.now = clock_.wall();
  if (!target.proxy.host.empty()) {
    facts.proxy = target.proxy.host + ':' + std::to_string(target.proxy.port);
  }
  const BootTime begun = clock_.now();
  target.secured = [&](const transport::Secured& agreed) {
    facts.secured = true;
    facts.ms = ms_since(begun);
    facts.version = agreed.version;
    facts.suite = agreed.suite;
    facts.alpn = agreed.alpn;
    facts.peer = agreed.peer.subject;
    facts.peer_issuer = agreed.peer.issuer;
    facts.peer_until = agreed.peer.not_after;
  };
  std::unique_ptr<transport::Stream> stream;
  wait_.begin();
  const auto connector = transport::connect(
      loop_, resolver_, clock, target, [&](transport::Connector::Outcome outcome) {
        if (auto* failure = std::get_if<env::Failure>(&outcome)) {
          facts.failure = std::move(*failure);
        } else {
          stream = std::move(std::get<std::unique_ptr<transport::Stream>>(outcome));
        }
        wait_.finish();
      });
  const bool over = wait_.wait(request.resolve_timeout + 4 * request.connect_timeout + kGrace);
  if (!over) facts.failure = env::Failure{Verdict::tls_timeout, 0, "no end in time"};
  if (!stream || !facts.secured || facts.websocket) return facts;
  std::array<std::byte, 1> nothing{};
  wait_.begin();
  stream->read_some(nothing, [&](std::size_t bytes, const env::Failure* failure) {
    if (failure != nullptr) {
      facts.failure = *failure;
    } else if (bytes == 0) {
      facts.failure = env::Failure{Verdict::server_gone, 0, "it hung up after the handshake"};
    }
    wait_.finish();
  });
  static_cast<void>(wait_.wait(kSecondThoughts));
  return facts;
}

}  // namespace holdfast::runtime
