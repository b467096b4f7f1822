// See metrics_page.h.
#include "host/metrics_page.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace holdfast::host {
namespace {

namespace http = boost::beast::http;
constexpr Duration kAcceptPause = std::chrono::seconds(1);
constexpr std::string_view kPath = "/metrics";

std::string answer_of(unsigned status, std::string_view type, std::string_view body,
                      bool with_body = true) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + ' ' +
                     std::string(http::obsolete_reason(static_cast<http::status>(status)));
  text += "\r\nContent-Type: " + std::string(type);
  text += "\r\nContent-Length: " + std::to_string(body.size());
  if (status == 405) text += "\r\nAllow: GET, HEAD";
  text += "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n";
  if (with_body) text += body;
  return text;
}

std::string refusal(unsigned status, std::string_view why) {
  return answer_of(status, "text/plain; charset=utf-8", std::string(why) + "\n");
}

}  // namespace

class MetricsPage::Server {
 public:
  Server(posix::EventLoop& loop, posix::UniqueFd listening, std::string type, Collect collect)
      : loop_(loop),
        listening_(std::move(listening)),
        type_(std::move(type)),
        collect_(std::move(collect)),
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
  void ask(std::uint64_t client);
  void collected(const std::string& body);
  /// Destroys the client that calls it: the last thing it does.
  void end(std::uint64_t client) { clients_.erase(client); }

  posix::EventLoop& loop_;
  posix::UniqueFd listening_;
  const std::string type_;
  const Collect collect_;
  Counts counts_;
  std::map<std::uint64_t, std::unique_ptr<Client>> clients_;  // the oldest first
  std::uint64_t next_client_ = 1;
  std::vector<std::uint64_t> waiting_;  // for the page that is being collected
  /// Gone with the server: a page may be collected later.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  posix::FdWatch watch_;
  posix::Timer pause_;
};

/// One connection. Reads its request, waits for the page, writes, and stays until the peer has
/// closed: to close with bytes unread would take the answer back (RFC 9112 section 9.6).
class MetricsPage::Server::Client {
 public:
  Client(Server& server, std::uint64_t number, posix::UniqueFd fd)
      : server_(server),
        number_(number),
        fd_(std::move(fd)),
        watch_(server.loop_, fd_.get()),
        timer_(server.loop_) {
    parser_.header_limit(limits::kMetricsRequest);
    timer_.arm_after(std::chrono::seconds(limits::kMetricsSeconds),
                     [this] { leave(server_.counts_.timed_out); });
    wait();
  }

  void displace() { leave(server_.counts_.displaced); }

  void give(const std::string& body) {
    write(answer_of(200, server_.type_, body, !head_only_), server_.counts_.answered);
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
    if (error == http::error::header_limit || input_.size() > limits::kMetricsRequest) {
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
      return refuse(405, "Only GET and HEAD.");
    }
    if (target.substr(0, target.find('?')) != kPath) {
      return refuse(404, "The metrics are at /metrics.");
    }
    asked_ = true;
    server_.ask(number_);  // nothing is waited for meanwhile but the timer
  }

  void refuse(unsigned status, std::string_view why) {
    write(refusal(status, why), server_.counts_.refused);
  }

  void write(std::string answer, std::uint64_t& count) {
    asked_ = true;
    answer_ = std::move(answer);
    count_ = &count;
    send();
  }

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

void MetricsPage::Server::accept() {
  for (std::size_t i = 0; i < limits::kMetricsClients; ++i) {
    posix::UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) break;
      pause_.arm_after(kAcceptPause, [this] { listen(); });
      return;
    }
    if (clients_.size() == limits::kMetricsClients) clients_.begin()->second->displace();
    const std::uint64_t number = next_client_++;
    clients_.emplace(number, std::make_unique<Client>(*this, number, std::move(fd)));
  }
  listen();
}

void MetricsPage::Server::ask(std::uint64_t client) {
  waiting_.push_back(client);
  if (waiting_.size() > 1) return;
  // From a handler of its own: the client that asks is still at work.
  loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    collect_([this, alive](const std::string& body) {
      if (!alive.expired()) collected(body);
    });
  });
}

void MetricsPage::Server::collected(const std::string& body) {
  for (const std::uint64_t number : std::exchange(waiting_, {})) {
    const auto client = clients_.find(number);
    if (client != clients_.end()) client->second->give(body);
  }
}

MetricsPage::MetricsPage(posix::EventLoop& loop, posix::UniqueFd listening,
                         std::string content_type, Collect collect)
    : server_(std::make_unique<Server>(loop, std::move(listening), std::move(content_type),
                                       std::move(collect))) {}

MetricsPage::~MetricsPage() = default;

const MetricsPage::Counts& MetricsPage::counts() const { return server_->counts(); }

}  // namespace holdfast::host
