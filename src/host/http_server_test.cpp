// Goal:   who asks is answered, and nothing that a peer does keeps the loop, a descriptor or
//         another's answer for longer than the limits say.
// Method: the server on a real loopback socket, its loop in a thread of its own; blocking clients
//         that behave well, slowly, badly and not at all. Every connection must be in the counts.
#include "host/http_server.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "posix/tcp_listener.h"

namespace holdfast::host {
namespace {

using posix::UniqueFd;

/// A client with blocking calls; none waits longer than 20 s.
class Client {
 public:
  /// `before` is run when the socket is made and not yet connected.
  explicit Client(
      std::uint16_t port, const std::function<void()>& before = [] {})
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{20, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    before();
    connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }
  void say(const std::string& text) const {
    static_cast<void>(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL));
  }
  void say_no_more() const { ::shutdown(fd_.get(), SHUT_WR); }
  /// All until the server closes; "TIMEOUT" if it does not, what came before a reset if it resets.
  [[nodiscard]] std::string hear() const {
    std::string all;
    std::array<char, 65536> bytes{};
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
      if (got < 0 && errno == EAGAIN) return "TIMEOUT";
      if (got <= 0) return all;
      all.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
  std::string ask(const std::string& request) const {
    say(request);
    return hear();
  }

 private:
  UniqueFd fd_;
  bool connected_ = false;
};

constexpr const char* kGet = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

class HttpServerTest : public testing::Test {
 protected:
  /// `handler` runs on the loop thread.
  void serve(HttpServer::Handler handler) {
    auto listening = posix::listen_tcp({"127.0.0.1", 0, true});
    ASSERT_TRUE(listening.ok()) << listening.error().message;
    sockaddr_in own{};
    socklen_t size = sizeof own;
    ASSERT_EQ(::getsockname(listening->get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    port_ = ntohs(own.sin_port);
    server_ = std::make_unique<HttpServer>(loop_, std::move(listening).value(), std::move(handler));
    thread_ = std::thread([this] { loop_.run(); });
  }
  void serve_body(const std::string& body) {
    serve([body](const HttpRequest& request, const HttpServer::Answer& answer) {
      if (request.path == "/metrics") return answer({.type = "text/test", .body = body});
      answer({.status = 404});
    });
  }
  ~HttpServerTest() override {
    if (!thread_.joinable()) return;
    loop_.post([this] {
      server_.reset();
      loop_.stop();
    });
    thread_.join();
  }
  /// Runs on the loop thread, and waits for it: so it proves, too, that the loop goes on.
  template <class Work>
  auto on_loop(Work work) {
    std::promise<decltype(work())> done;
    loop_.post([&] { done.set_value(work()); });
    return done.get_future().get();
  }
  HttpServer::Counts counts() {
    return on_loop([this] { return server_->counts(); });
  }
  [[nodiscard]] std::string scrape() const { return Client(port_).ask(kGet); }

  posix::EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  std::uint16_t port_ = 0;
};

TEST_F(HttpServerTest, AnswersAScrape) {
  serve_body("a 1\n");
  EXPECT_EQ(scrape(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/test\r\nContent-Length: 4\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\na 1\n");
  const std::string head = Client(port_).ask("HEAD /metrics?x=1 HTTP/1.0\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 4\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  EXPECT_EQ(counts().answered, 2U);
}

TEST_F(HttpServerTest, AnswersARequestThatComesByteByByte) {
  serve_body("a 1\n");
  const Client client(port_);
  for (const char c : std::string(kGet)) {
    client.say(std::string(1, c));
    static_cast<void>(counts());  // the loop has had a turn
  }
  EXPECT_TRUE(client.hear().ends_with("a 1\n"));
}

TEST_F(HttpServerTest, AnswersAPeerThatHasClosedItsSide) {
  serve_body("a 1\n");
  const Client client(port_);
  client.say(kGet);
  client.say_no_more();
  EXPECT_TRUE(client.hear().ends_with("a 1\n"));
  EXPECT_EQ(counts().lost, 0U);
}

TEST_F(HttpServerTest, RefusesWhatIsNoScrapeAndSaysWhy) {
  serve_body("a 1\n");
  const auto first_line = [this](const std::string& request) {
    const std::string answer = Client(port_).ask(request);
    return answer.substr(0, answer.find('\r'));
  };
  EXPECT_EQ(first_line("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
  EXPECT_EQ(first_line("GET /metricsx HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
  EXPECT_EQ(first_line("POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"),
            "HTTP/1.1 405 Method Not Allowed");
  EXPECT_EQ(first_line(std::string("\x16\x03\x01\x02\0\x01", 6) + "\r\n\r\n"),
            "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(first_line("{\"op\":\"status\"}\n\r\n\r\n"), "HTTP/1.1 400 Bad Request");
  EXPECT_EQ(first_line("GET /metrics HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n"),
            "HTTP/1.1 431 Request Header Fields Too Large");
  EXPECT_EQ(first_line("GET /metrics HTTP/1.1\r\nX: " + std::string(20000, 'x')),
            "HTTP/1.1 431 Request Header Fields Too Large");
  EXPECT_EQ(counts().refused, 7U);
  EXPECT_EQ(counts().answered, 0U);
  EXPECT_TRUE(scrape().ends_with("a 1\n"));
}

TEST_F(HttpServerTest, ClosesOnWhoNeverFinishesAndServesOthersMeanwhile) {
  serve_body("a 1\n");
  const Client silent(port_);
  const Client half(port_);
  half.say("GET /metr");
  EXPECT_TRUE(scrape().ends_with("a 1\n"));
  EXPECT_EQ(silent.hear(), "");
  EXPECT_EQ(half.hear(), "");
  EXPECT_EQ(counts().timed_out, 2U);
}

TEST_F(HttpServerTest, ClosesOnWhoDoesNotReadAndServesOthersMeanwhile) {
  const std::string body(std::size_t{32} * 1024 * 1024, 'x');  // more than the kernel buffers
  serve_body(body);
  const Client deaf(port_);
  deaf.say(kGet);
  EXPECT_EQ(Client(port_).ask("GET / HTTP/1.1\r\n\r\n").substr(0, 12), "HTTP/1.1 404");
  while (counts().timed_out == 0) std::this_thread::yield();
  EXPECT_EQ(counts().answered, 0U);
  EXPECT_LT(deaf.hear().size(), body.size());
}

TEST_F(HttpServerTest, CountsWhoLeavesBeforeTheAnswer) {
  serve_body("a 1\n");
  { const Client client(port_); }
  const Client mute(port_);
  mute.say_no_more();
  EXPECT_EQ(mute.hear(), "");
  while (counts().lost < 2) std::this_thread::yield();
  EXPECT_EQ(counts().answered, 0U);
}

TEST_F(HttpServerTest, SlowOnesCannotKeepAScrapeOut) {
  serve_body("a 1\n");
  std::vector<std::unique_ptr<Client>> slow;
  for (std::size_t i = 0; i < limits::kHttpClients + 3; ++i) {
    slow.push_back(std::make_unique<Client>(port_));
    ASSERT_TRUE(slow.back()->connected());
    slow.back()->say("GET /metr");
  }
  EXPECT_TRUE(scrape().ends_with("a 1\n"));
  EXPECT_EQ(slow.front()->hear(), "");  // the oldest made room
  EXPECT_EQ(counts().displaced, 4U);
  EXPECT_EQ(counts().answered, 1U);
}

TEST_F(HttpServerTest, AShortageOfDescriptorsPasses) {
  serve_body("a 1\n");
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const Client client(port_, [&] {
    const rlimit none{3, usual.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  });
  client.say(kGet);
  for (int turn = 0; turn < 10; ++turn) static_cast<void>(counts());  // it could not be accepted
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_TRUE(client.hear().ends_with("a 1\n"));
}

TEST_F(HttpServerTest, AnAnswerMayComeLaterAndToEachItsOwn) {
  std::vector<HttpServer::Answer> asked;  // of the loop thread
  serve([&asked](const HttpRequest&, HttpServer::Answer answer) {
    asked.push_back(std::move(answer));
  });
  const Client first(port_);
  first.say(kGet);
  while (on_loop([&] { return asked.size(); }) < 1) std::this_thread::yield();
  const Client second(port_);
  second.say(kGet);
  while (on_loop([&] { return asked.size(); }) < 2) std::this_thread::yield();
  on_loop([&] {
    asked[1]({.body = "b"});
    asked[0]({.body = "a"});
    asked[0]({.body = "twice"});
    return 0;
  });
  EXPECT_TRUE(first.hear().ends_with("\r\n\r\na"));
  EXPECT_TRUE(second.hear().ends_with("\r\n\r\nb"));
}

TEST_F(HttpServerTest, TheHandlerSeesPathAndAuthorization) {
  HttpRequest seen;
  serve([&seen](const HttpRequest& request, const HttpServer::Answer& answer) {
    seen = request;
    answer({.headers = "X-Test: 1\r\n"});
  });
  const std::string heard =
      Client(port_).ask("GET /a/b?c=d HTTP/1.1\r\nauthorization: Bearer x\r\n\r\n");
  EXPECT_NE(heard.find("\r\nX-Test: 1\r\n"), std::string::npos) << heard;
  EXPECT_EQ(on_loop([&] { return seen.path + " " + seen.authorization; }), "/a/b Bearer x");
}

TEST_F(HttpServerTest, AnAnswerThatComesTooLateHurtsNobody) {
  HttpServer::Answer kept;
  serve([&kept](const HttpRequest&, HttpServer::Answer answer) { kept = std::move(answer); });
  const Client client(port_);
  EXPECT_EQ(client.ask(kGet), "");  // the limit of time
  EXPECT_EQ(counts().timed_out, 1U);
  on_loop([&] {
    kept({.body = "a 1\n"});
    server_.reset();
    kept({.body = "a 1\n"});
    return 0;
  });
  EXPECT_EQ(Client(port_).ask(kGet), "");
}

}  // namespace
}  // namespace holdfast::host
