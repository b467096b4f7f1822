// See http_server.h.
#include "host/http_server.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <map>
#include <string_view>
#include <utility>

#include "base/limits.h"

namespace holdfast::host {
namespace {

namespace http = boost::beast::http;
constexpr Duration kAcceptPause = std::chrono::seconds(1);

std::string text_of(const HttpAnswer& answer, bool head_only) {
  std::string text = "HTTP/1.1 " + std::to_string(answer.status) + ' ' +
                     std::string(http::obsolete_reason(static_cast<http::status>(answer.status)));
  text += "\r\nContent-Type: " + answer.type;
  text += "\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\n" + answer.headers;
  text += "Cache-Control: no-store\r\nConnection: close\r\n\r\n";
  if (!head_only) text += answer.body;
  return text;
}

HttpAnswer refusal(unsigned status, std::string_view why) {
  return {.status = status, .body = std::string(why) + "\n"};
}

}  // namespace

class HttpServer::Server {
 public:
  Server(posix::EventLoop& loop, posix::UniqueFd listening, Handler handler)
      : loop_(loop),
        listening_(std::move(listening)),
        handler_(std::move(handler)),
        watch_(loop, listening_.get()),
        pause_(loop) {
    listen();
  }

  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  class Client;

  void listen() {
    watch_.want(true, false, [this](bool, bool) { accept(); });
  }
  void accept();
  void ask(std::uint64_t client, HttpRequest request);
  void give(std::uint64_t client, const HttpAnswer& answer);
  /// Destroys the client that calls it: the last thing it does.
  void end(std::uint64_t client) { clients_.erase(client); }

  posix::EventLoop& loop_;
  posix::UniqueFd listening_;
  const Handler handler_;
  Counts counts_;
  std::map<std::uint64_t, std::unique_ptr<Client>> clients_;  // the oldest first
  std::uint64_t next_client_ = 1;
  /// Gone with the server: an answer may come later.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  posix::FdWatch watch_;
  posix::Timer pause_;
};

/// One connection. Reads its request, waits for the answer, writes, and stays until the peer has
/// closed: to close with bytes unread would take the answer back (RFC 9112 section 9.6).
class HttpServer::Server::Client {
 public:
  Client(Server& server, std::uint64_t number, posix::UniqueFd fd)
      : server_(server),
        number_(number),
        fd_(std::move(fd)),
        watch_(server.loop_, fd_.get()),
        timer_(server.loop_) {
    parser_.header_limit(limits::kHttpRequest);
    timer_.arm_after(std::chrono::seconds(limits::kHttpSeconds),
                     [this] { leave(server_.counts_.timed_out); });
    wait();
  }

  void displace() { leave(server_.counts_.displaced); }

  void give(const HttpAnswer& answer) {
    if (count_ != nullptr) return;  // it has one
    asked_ = true;
    answer_ = text_of(answer, head_only_);
    count_ = answer.status < 400 ? &server_.counts_.answered : &server_.counts_.refused;
    send();
  }

 private:
  void wait() {
    watch_.want(!asked_ || written_, asked_ && !written_, [this](bool readable, bool writable) {
      if (writable && !written_) return send();
      if (readable) receive();
    });
  }

  void receive() {
    std::array<char, 2048> bytes{};
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return wait();
    if (got <= 0) return leave(server_.counts_.lost);
    if (written_) return wait();  // what comes behind the request is not read by anybody
    input_.append(bytes.data(), static_cast<std::size_t>(got));
    parse();
  }

  void parse() {
    boost::system::error_code error;
    input_.erase(0, parser_.put(boost::asio::buffer(input_), error));
    if (parser_.is_header_done()) return obey();
    if (error == http::error::header_limit || input_.size() > limits::kHttpRequest) {
      return refuse(431, "The request has more than 8 KiB.");
    }
    if (error && error != http::error::need_more) return refuse(400, "This is no HTTP request.");
    wait();
  }

  void obey() {
    const auto& request = parser_.get();
    const std::string_view target(request.target().data(), request.target().size());
    head_only_ = request.method() == http::verb::head;
    if (!head_only_ && request.method() != http::verb::get) {
      HttpAnswer answer = refusal(405, "Only GET and HEAD.");
      answer.headers = "Allow: GET, HEAD\r\n";
      return give(answer);
    }
    asked_ = true;
    // Nothing is waited for meanwhile but the timer.
    server_.ask(number_, {std::string(target.substr(0, target.find('?'))),
                          std::string(request[http::field::authorization])});
  }

  void refuse(unsigned status, std::string_view why) { give(refusal(status, why)); }

  void send() {
    const ssize_t put = ::send(fd_.get(), answer_.data() + sent_, answer_.size() - sent_,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno != EAGAIN && errno != EINTR) return leave(server_.counts_.lost);
    sent_ += put > 0 ? static_cast<std::size_t>(put) : 0;
    if (sent_ == answer_.size()) {
      written_ = true;
      ++*count_;
      ::shutdown(fd_.get(), SHUT_WR);
    }
    wait();
  }

  /// `this` is gone when it returns. What was counted once is not counted again.
  void leave(std::uint64_t& count) {
    if (!written_) ++count;
    server_.end(number_);
  }

  Server& server_;
  const std::uint64_t number_;
  posix::UniqueFd fd_;
  http::request_parser<http::empty_body> parser_;
  std::string input_;  // not yet parsed
  std::string answer_;
  std::size_t sent_ = 0;
  bool head_only_ = false;
  bool asked_ = false;    // the request is read, or refused
  bool written_ = false;  // the answer is, and counted
  std::uint64_t* count_ = nullptr;
  posix::FdWatch watch_;
  posix::Timer timer_;
};

void HttpServer::Server::accept() {
  for (std::size_t i = 0; i < limits::kHttpClients; ++i) {
    posix::UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) break;
      pause_.arm_after(kAcceptPause, [this] { listen(); });
      return;
    }
    if (clients_.size() == limits::kHttpClients) clients_.begin()->second->displace();
    const std::uint64_t number = next_client_++;
    clients_.emplace(number, std::make_unique<Client>(*this, number, std::move(fd)));
  }
  listen();
}

void HttpServer::Server::ask(std::uint64_t client, HttpRequest request) {
  // From a handler of its own: the client that asks is still at work.
  loop_.post([this, alive = std::weak_ptr<bool>(alive_), client, request = std::move(request)] {
    if (alive.expired()) return;
    handler_(request, [this, alive, client](const HttpAnswer& answer) {
      if (!alive.expired()) give(client, answer);
    });
  });
}

void HttpServer::Server::give(std::uint64_t client, const HttpAnswer& answer) {
  const auto found = clients_.find(client);
  if (found != clients_.end()) found->second->give(answer);
}

HttpServer::HttpServer(posix::EventLoop& loop, posix::UniqueFd listening, Handler handler)
    : server_(std::make_unique<Server>(loop, std::move(listening), std::move(handler))) {}

HttpServer::~HttpServer() = default;

const HttpServer::Counts& HttpServer::counts() const { return server_->counts(); }

}  // namespace holdfast::host
