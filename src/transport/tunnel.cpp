#include "transport/tunnel.h"

#include <utility>

#include <boost/beast/core/flat_static_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "posix/os_error.h"
#include "transport/http_words.h"

namespace holdfast::transport {

namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;

constexpr std::size_t kAnswerMax = 8192;

// As in a URI: an IPv6 address stands in brackets (RFC 3986 section 3.2.2).
std::string authority(const std::string& host, std::uint16_t port) {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

env::Failure failing(std::string words) {
  return {Verdict::proxy_failed, 0, "the proxy " + std::move(words)};
}

}  // namespace

// Outlives the Tunnel as long as a handler of the loop refers to it; `done` is null from then on.
struct Tunnel::State : std::enable_shared_from_this<Tunnel::State> {
  State(boost::asio::ip::tcp::socket& to_proxy, Done to_call)
      : socket(to_proxy), done(std::move(to_call)) {
    parser.header_limit(kAnswerMax);
    parser.skip(true);  // What follows the header is the tunnel.
  }

  void ask(const std::string& target, const std::string& authorization) {
    request = {http::verb::connect, target, 11};
    request.set(http::field::host, target);
    if (!authorization.empty()) request.set(http::field::proxy_authorization, authorization);
    http::async_write(socket, request,
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        if (self->done == nullptr) return;
                        if (error) return self->finish_failing(error);
                        self->listen();
                      });
  }

  void listen() {
    http::async_read_header(socket, buffer, parser,
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (self->done == nullptr) return;
                              if (error) return self->finish_failing(error);
                              self->judge();
                            });
  }

  void judge() {
    const auto& answer = parser.get().base();
    if (http::to_status_class(answer.result()) != http::status_class::successful) {
      finish(failing("answered " + status_words(answer)));
    } else if (buffer.size() != 0) {
      finish(failing("sent bytes behind its answer, before anything was asked for"));
    } else {
      std::exchange(done, nullptr)(nullptr);
    }
  }

  void finish_failing(const error_code& error) {
    if (error == http::error::end_of_stream || error == http::error::partial_message) {
      finish(failing("ended the connection without an answer"));
    } else if (error.category() == boost::system::system_category()) {
      finish(failing("cannot be spoken to: " + posix::os_words(error.value())));
    } else {
      finish(failing("does not speak HTTP: " + error.message()));
    }
  }

  void finish(const env::Failure& failure) { std::exchange(done, nullptr)(&failure); }

  boost::asio::ip::tcp::socket& socket;
  Done done;
  http::request<http::empty_body> request;
  http::response_parser<http::empty_body> parser;
  boost::beast::flat_static_buffer<kAnswerMax> buffer;
};

Tunnel::Tunnel(boost::asio::ip::tcp::socket& socket, const std::string& host, std::uint16_t port,
               const std::string& authorization, Done done)
    : state_(std::make_shared<State>(socket, std::move(done))) {
  state_->ask(authority(host, port), authorization);
}

Tunnel::~Tunnel() { state_->done = nullptr; }

}  // namespace holdfast::transport
