// See endpoint_probe.h.
#include "runtime/endpoint_probe.h"

#include <utility>
#include <variant>

#include "posix/system.h"

namespace holdfast::runtime {
namespace {

/// How long a server has after the handshake to refuse our certificate, which TLS 1.3 does then.
constexpr Duration kSecondThoughts = std::chrono::seconds(1);

}  // namespace

EndpointProbe::EndpointProbe(posix::EventLoop& loop, env::Clock& clock)
    : loop_(loop), clock_(clock), resolver_(posix::make_resolver(loop)), timer_(loop) {}

EndpointProbe::~EndpointProbe() = default;

void EndpointProbe::cancel() {
  answer_ = nullptr;
  timer_.cancel();
  stream_.reset();
  connector_.reset();
}

void EndpointProbe::begin(const env::ConnectRequest& request, Answer answer) {
  cancel();
  answer_ = std::move(answer);
  transport::Target target = transport::target_of(request);
  target.websocket_target.clear();
  connector_ = transport::connect(
      loop_, *resolver_, clock_, target,
      [this](transport::Connector::Outcome outcome) { connected(std::move(outcome)); });
}

void EndpointProbe::connected(transport::Connector::Outcome outcome) {
  if (auto* failure = std::get_if<env::Failure>(&outcome)) return finish(*failure);
  stream_ = std::move(std::get<std::unique_ptr<transport::Stream>>(outcome));
  timer_.arm_at(clock_.now() + kSecondThoughts, [this] { finish({Verdict::none, 0, {}}); });
  stream_->read_some(nothing_, [this](std::size_t bytes, const env::Failure* failure) {
    if (failure != nullptr) return finish(*failure);
    finish(bytes == 0 ? env::Failure{Verdict::server_gone, 0, "it hung up after the handshake"}
                      : env::Failure{Verdict::protocol_error, 0, "it spoke first"});
  });
}

void EndpointProbe::finish(const env::Failure& failure) {
  const Answer answer = std::exchange(answer_, nullptr);
  timer_.arm_at(clock_.now(), [this] { cancel(); });  // not inside a callback of what ends here
  if (answer) answer(failure);
}

}  // namespace holdfast::runtime
