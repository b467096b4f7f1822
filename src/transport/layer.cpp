#include "transport/layer.h"

#include <sys/socket.h>

#include <cerrno>

#include "posix/os_error.h"

namespace holdfast::transport {

namespace {

class PlainLayer final : public Layer {
 public:
  explicit PlainLayer(int fd) : fd_(fd) {}

  Step handshake() override { return {}; }

  Step read(std::span<std::byte> into) override {
    const ssize_t got = ::recv(fd_, into.data(), into.size(), 0);
    if (got == 0) return Step{Step::Kind::end, 0, {}};
    return result(got, Step::Kind::want_read);
  }

  // MSG_NOSIGNAL: a vanished peer is an error, not a SIGPIPE for the application.
  Step write(std::span<const std::byte> bytes) override {
    return result(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), Step::Kind::want_write);
  }

  Step farewell() override { return {}; }
  std::string name() const override { return "plain"; }

 private:
  static Step result(ssize_t count, Step::Kind again) {
    if (count >= 0) return Step{Step::Kind::done, static_cast<std::size_t>(count), {}};
    if (errno == EAGAIN || errno == EINTR) return Step{again, 0, {}};
    return Step{Step::Kind::failed, 0, established_failure(errno)};
  }

  int fd_;
};

}  // namespace

Step Step::failing(Verdict verdict, std::string detail) {
  return Step{Kind::failed, 0, env::Failure{verdict, 0, std::move(detail)}};
}

std::unique_ptr<Layer> make_plain_layer(int fd) { return std::make_unique<PlainLayer>(fd); }

env::Failure established_failure(int os_error) {
  Verdict verdict = Verdict::server_gone;
  if (os_error == ETIMEDOUT) verdict = Verdict::silent_peer;
  if (os_error == EHOSTUNREACH || os_error == ENETUNREACH || os_error == ENETDOWN ||
      os_error == EHOSTDOWN) {
    verdict = Verdict::no_route;
  }
  return env::Failure{verdict, 0, posix::os_words(os_error)};
}

}  // namespace holdfast::transport
