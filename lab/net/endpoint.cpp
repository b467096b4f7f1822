#include "lab/net/endpoint.h"

#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <deque>
#include <utility>
#include <vector>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "base/check.h"
#include "posix/os_error.h"
#include "posix/system.h"

namespace holdfast::lab::net {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Address = asio::generic::stream_protocol::endpoint;

Error wrong(std::string_view text, std::string_view why) {
  return {Errc::invalid_argument, std::string(text) + ": " + std::string(why)};
}

std::string shown(const tcp::endpoint& at) {
  return to_string(Endpoint{at.address().to_string(), at.port(), {}});
}

// One attempt after the other, all within one deadline.
class Connecting : public std::enable_shared_from_this<Connecting> {
 public:
  Connecting(posix::EventLoop& loop, OnConnected done)
      : loop_(loop),
        done_(std::move(done)),
        resolver_(posix::make_resolver(loop)),
        deadline_(loop),
        socket_(loop.context()) {}

  void start(const Endpoint& to) {
    what_ = to_string(to);
    deadline_.arm_after(kConnectMost, [self = shared_from_this()] {
      self->finish(Error{Errc::timeout, self->what_ + ": no answer"});
    });
    if (!to.path.empty()) {
      addresses_.emplace_back(asio::local::stream_protocol::endpoint(to.path));
      next(ErrorCode());
      return;
    }
    resolver_->resolve(to.host, kConnectMost,
                       [self = shared_from_this(), port = to.port](auto found) {
                         if (self->done_ == nullptr) return;
                         if (!found) {
                           self->finish(std::move(found).error());
                           return;
                         }
                         for (const env::Address& each : *found) self->add(each, port);
                         self->next(ErrorCode());
                       });
  }

 private:
  void add(const env::Address& found, std::uint16_t port) {
    ErrorCode error;
    const auto address = asio::ip::make_address(found.numeric, error);
    if (!error) addresses_.emplace_back(tcp::endpoint(address, port));
  }

  void next(const ErrorCode& last) {
    if (addresses_.empty()) {
      finish(last ? posix::make_os_error(last.value(), what_)
                  : Error{Errc::not_found, what_ + ": no address"});
      return;
    }
    const Address address = addresses_.front();
    addresses_.pop_front();
    ErrorCode ignored;
    socket_.close(ignored);
    socket_.async_connect(address, [self = shared_from_this()](const ErrorCode& error) {
      if (self->done_ == nullptr) return;
      if (error) {
        self->next(error);
      } else {
        self->finish(make_socket_stream(self->loop_, std::move(self->socket_)));
      }
    });
  }

  void finish(Result<std::shared_ptr<Stream>> result) {
    const auto self = shared_from_this();  // The deadline's handler keeps it alive, and goes now.
    deadline_.cancel();
    resolver_->cancel();
    ErrorCode ignored;
    socket_.close(ignored);
    std::exchange(done_, nullptr)(std::move(result));
  }

  posix::EventLoop& loop_;
  OnConnected done_;
  std::unique_ptr<env::Resolver> resolver_;
  posix::Timer deadline_;
  Socket socket_;
  std::string what_;
  std::deque<Address> addresses_;
};

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  Endpoint out;
  if (text.substr(0, kUnix.size()) == kUnix) {
    out.path = text.substr(kUnix.size());
    if (out.path.empty() || out.path.size() >= sizeof(sockaddr_un::sun_path)) {
      return wrong(text, "no path that a Unix socket can have");
    }
    return out;
  }
  const std::size_t colon = text.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? text : text.substr(colon + 1);
  std::string_view host = colon == std::string_view::npos ? "127.0.0.1" : text.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc() || end != port.data() + port.size() || host.empty()) {
    return wrong(text, "not of the form host:port or unix:PATH");
  }
  out.host = host;
  return out;
}

std::string to_string(const Endpoint& endpoint) {
  if (!endpoint.path.empty()) return "unix:" + endpoint.path;
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

void connect(posix::EventLoop& loop, const Endpoint& to, OnConnected done) {
  HF_CHECK(done != nullptr);
  std::make_shared<Connecting>(loop, std::move(done))->start(to);
}

struct Listener::State : std::enable_shared_from_this<Listener::State> {
  using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

  State(posix::EventLoop& owner, Handlers given)
      : loop(owner), handlers(std::move(given)), acceptor(owner.context()), pause(owner) {}

  void accept() {
    acceptor.async_accept(peer, [self = shared_from_this()](const ErrorCode& error, Socket socket) {
      if (!self->acceptor.is_open()) return;
      if (error) {
        self->wait();  // No descriptor left, most likely: it does not help to ask at once.
        return;
      }
      self->take(std::move(socket));
      if (self->acceptor.is_open()) self->accept();
    });
  }

  void wait() {
    pause.arm_after(kPause, [this] {
      if (acceptor.is_open()) accept();
    });
  }

  std::string peer_name() const {
    if (peer.protocol().family() != AF_INET && peer.protocol().family() != AF_INET6) return "unix";
    tcp::endpoint at;
    at.resize(peer.size());
    std::copy_n(static_cast<const char*>(static_cast<const void*>(peer.data())), peer.size(),
                static_cast<char*>(static_cast<void*>(at.data())));
    return shown(at);
  }

  void take(Socket socket) {
    const std::string name = peer_name();
    auto stream = make_socket_stream(loop, std::move(socket));
    Reception reception = handlers.receive(name);
    if (reception == Reception::ignore) {
      std::erase_if(held, [](const auto& each) { return each->peer_is_gone(); });
      if (held.size() >= kMostIgnored) reception = Reception::refuse;
    }
    if (reception == Reception::serve) {
      handlers.serve(std::move(stream), name);
    } else if (reception == Reception::refuse) {
      stream->reset();
    } else {
      held.push_back(std::move(stream));
    }
  }

  Status open() {
    ErrorCode error;
    acceptor.open(address.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(address, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      ErrorCode ignored;
      acceptor.close(ignored);
      return posix::make_os_error(error.value(), what);
    }
    accept();
    return {};
  }

  static constexpr Duration kPause = std::chrono::milliseconds(100);

  posix::EventLoop& loop;
  Handlers handlers;
  Acceptor acceptor;
  posix::Timer pause;
  Address peer;
  Address address;
  std::string what;
  std::string path;
  std::uint16_t port = 0;
  std::vector<std::shared_ptr<Stream>> held;  // The ignored ones.
};

Listener::Listener(posix::EventLoop& loop, Handlers handlers)
    : state_(std::make_shared<State>(loop, std::move(handlers))) {}

Listener::~Listener() {
  ErrorCode ignored;
  state_->pause.cancel();
  state_->acceptor.close(ignored);
  for (const auto& each : state_->held) each->reset();
  state_->held.clear();
  if (!state_->path.empty()) ::unlink(state_->path.c_str());
}

Status Listener::listen(const Endpoint& at) {
  State& s = *state_;
  s.what = to_string(at);
  if (!at.path.empty()) {
    s.address = asio::local::stream_protocol::endpoint(at.path);
    if (Status opened = s.open(); !opened) return opened;
    s.path = at.path;
    return {};
  }
  ErrorCode error;
  const auto address =
      asio::ip::make_address(at.host == "localhost" ? "127.0.0.1" : at.host, error);
  if (error) return wrong(s.what, "listening needs a numeric address");
  s.address = tcp::endpoint(address, at.port);
  if (Status opened = s.open(); !opened) return opened;
  const Address bound = s.acceptor.local_endpoint(error);
  const auto* raw = static_cast<const sockaddr_in*>(static_cast<const void*>(bound.data()));
  s.port = ntohs(raw->sin_port);  // At the same place in sockaddr_in6.
  return {};
}

std::uint16_t Listener::port() const noexcept { return state_->port; }

}  // namespace holdfast::lab::net
