// Goal:   the lab's HTTP server answers what is right, refuses what is wrong, and damages downloads
//         exactly as told; WebSocket carries MQTT's bytes.
// Method: raw requests over loopback; for WebSocket, Beast's own client on a thread.
#include "lab/net/http.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "lab/net/test_net.h"

namespace holdfast::lab::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using namespace std::string_literals;

class HttpTest : public NetTest {
 protected:
  HttpTest() {
    server.answer = [this](const HttpQuestion& question) {
      questions.push_back(question);
      return answer;
    };
    server.over = [this](std::string_view how) { over = how; };
    server.answered = [this](const HttpQuestion&, int status, std::uint64_t) {
      statuses.push_back(status);
    };
  }

  void start() {
    Pair pair = make_pair();
    client = pair.client;
    got = read_all(client);
    serve_http(loop, pair.server, nullptr, "peer", server);
  }

  // What comes back until it is quiet for `bytes`, or the end.
  std::string ask(const std::string& request) {
    if (client == nullptr) start();
    got->bytes.clear();
    write(client, request);
    EXPECT_TRUE(until([&] { return got->end.has_value() || whole(got->bytes); })) << got->bytes;
    return got->bytes;
  }

  // Whether the header is complete, and the body it announces.
  static bool whole(const std::string& bytes) {
    const std::size_t end = bytes.find("\r\n\r\n");
    const std::size_t at = bytes.find("Content-Length: ");
    if (end == std::string::npos || at == std::string::npos) return false;
    return bytes.size() - end - 4 >= std::stoul(bytes.substr(at + 16));
  }

  static std::string body_of(const std::string& bytes) {
    return bytes.substr(bytes.find("\r\n\r\n") + 4);
  }
  static int status_of(const std::string& bytes) { return std::stoi(bytes.substr(9, 3)); }

  HttpServer server;
  HttpAnswer answer;
  std::vector<HttpQuestion> questions;
  std::vector<int> statuses;
  std::string over;
  std::shared_ptr<Stream> client;
  std::shared_ptr<Reader> got;
};

TEST_F(HttpTest, AsksTheHandlerAndKeepsTheConnection) {
  answer.body = "{\"message\":\"OK\"}";
  answer.headers = {{"Content-Type", "application/json"}};
  const std::string reply =
      ask("POST /topics/a%2Fb?qos=1 HTTP/1.1\r\nHost: x\r\nX-Thing: t\r\nContent-Length: "
          "5\r\n\r\nhello");
  EXPECT_EQ(reply,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n"
            "Connection: keep-alive\r\n\r\n{\"message\":\"OK\"}");
  ASSERT_EQ(questions.size(), 1U);
  EXPECT_EQ(questions[0].method, "POST");
  EXPECT_EQ(questions[0].target, "/topics/a%2Fb?qos=1");
  EXPECT_EQ(questions[0].path(), "/topics/a%2Fb");
  EXPECT_EQ(questions[0].header("x-thing"), "t");
  EXPECT_EQ(questions[0].header("missing"), "");
  EXPECT_EQ(questions[0].body, "hello");
  EXPECT_EQ(questions[0].peer, "peer");
  ask("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(questions.size(), 2U);
  EXPECT_TRUE(until([&] { return statuses == std::vector<int>{200, 200}; }));
}

TEST_F(HttpTest, AnswersSeveralRequestsInOneGo) {
  answer.body = "x";
  const std::string one = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n";
  ask(one + "GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(until([&] { return got->end.has_value(); }));
  EXPECT_EQ(*got->end, "fin");
  ASSERT_EQ(questions.size(), 2U);
  EXPECT_EQ(questions[1].target, "/2");
  client->close([] {});
  EXPECT_TRUE(until([&] { return over == "answered"; }));
}

TEST_F(HttpTest, RefusesWhatItDoesNotUnderstandAndHangsUp) {
  EXPECT_EQ(status_of(ask("nonsense\r\n\r\n")), 400);
  ASSERT_TRUE(until([&] { return got->end.has_value(); }));
  EXPECT_TRUE(questions.empty());
}

TEST_F(HttpTest, RefusesWhatIsTooLarge) {
  EXPECT_EQ(status_of(ask("GET / HTTP/1.1\r\nA: " + std::string(kHeaderMost, 'a') + "\r\n\r\n")),
            431);
  client = nullptr;
  server.body_most = 10;
  EXPECT_EQ(status_of(ask("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n")), 413);
}

TEST_F(HttpTest, WithoutAHandlerThereIsNothing) {
  server.answer = nullptr;
  EXPECT_EQ(status_of(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), 404);
}

TEST_F(HttpTest, AHeaderCannotBecomeTwo) {
  answer.headers = {{"X-Bad", "a\r\nX-Evil: b"}, {"X-Good", "c"}};
  const std::string reply = ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(reply.find("Evil"), std::string::npos);
  EXPECT_NE(reply.find("X-Good: c"), std::string::npos);
}

TEST_F(HttpTest, AnswersLateWhenTold) {
  answer.delay = std::chrono::milliseconds(80);
  const BootTime begin = clock->now();
  ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_GE(clock->now() - begin, std::chrono::milliseconds(80));
}

// ---- files

class FileTest : public HttpTest {
 protected:
  FileTest() {
    for (int i = 0; i < 200'000; ++i) content += static_cast<char>('a' + i % 26);
    answer.file = write_file("download", content);
  }
  std::string get(const std::string& range) {
    return ask("GET /f HTTP/1.1\r\nHost: x\r\n" +
               (range.empty() ? "" : "Range: " + range + "\r\n") + "\r\n");
  }
  std::string content;
};

TEST_F(FileTest, IsSentWholeAndInRanges) {
  std::string reply = get("");
  EXPECT_EQ(status_of(reply), 200);
  EXPECT_EQ(body_of(reply), content);
  EXPECT_NE(reply.find("Accept-Ranges: bytes"), std::string::npos);
  reply = get("bytes=100-");
  EXPECT_EQ(status_of(reply), 206);
  EXPECT_EQ(body_of(reply), content.substr(100));
  EXPECT_NE(reply.find("Content-Range: bytes 100-199999/200000"), std::string::npos);
  EXPECT_EQ(body_of(get("bytes=5-9")), content.substr(5, 5));
  EXPECT_EQ(body_of(get("bytes=-7")), content.substr(199'993));
}

TEST_F(FileTest, ARangeBeyondTheEndCannotBeMet) {
  const std::string reply = get("bytes=200000-");
  EXPECT_EQ(status_of(reply), 416);
  EXPECT_EQ(body_of(reply), "");
  EXPECT_NE(reply.find("Content-Range: bytes */200000"), std::string::npos);
}

TEST_F(FileTest, HeadHasNoBody) {
  start();
  write(client, "HEAD /f HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(until([&] { return !statuses.empty(); }));
  turn_for(std::chrono::milliseconds(20));
  EXPECT_NE(got->bytes.find("Content-Length: 200000"), std::string::npos);
  EXPECT_EQ(body_of(got->bytes), "");
}

TEST_F(FileTest, ThatIsMissingIsNotFound) {
  answer.file = file("nothing here");
  EXPECT_EQ(status_of(get("")), 404);
  answer.file = "/";
  EXPECT_EQ(status_of(get("")), 404);
}

TEST_F(FileTest, IsCutWhereToldAndTheRestCanBeFetched) {
  answer.damage.cut_at = 70'000;
  const std::string reply = get("");
  EXPECT_LE(body_of(reply).size(), 70'000U);
  ASSERT_TRUE(got->end.has_value());
  EXPECT_EQ(*got->end, "reset");
  EXPECT_EQ(over, "fault");
  client = nullptr;
  EXPECT_EQ(body_of(get("bytes=70001-")), content.substr(70'001));
}

TEST_F(FileTest, OneByteIsCorruptedWhereTold) {
  answer.damage.corrupt_at = 150'000;
  std::string expected = content;
  expected[150'000] = static_cast<char>(~expected[150'000]);
  EXPECT_EQ(body_of(get("")), expected);
}

TEST_F(FileTest, StallsWhereToldUntilTheClientGoes) {
  answer.damage.stall_at = 1000;
  start();
  write(client, "GET /f HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(until([&] { return !statuses.empty(); }));
  turn_for(std::chrono::milliseconds(100));
  EXPECT_EQ(body_of(got->bytes), content.substr(0, 1000));
  EXPECT_FALSE(got->end);
  client->close([] {});
  EXPECT_TRUE(until([&] { return over == "fin"; }));
}

TEST(HttpRange, IsReadAgainstTheSize) {
  const auto check = [](std::string_view header, bool understood, bool met, std::uint64_t first,
                        std::uint64_t count) {
    const HttpRange range = parse_range(header, 100);
    EXPECT_EQ(range.understood, understood) << header;
    EXPECT_EQ(range.met, met) << header;
    EXPECT_EQ(range.first, first) << header;
    EXPECT_EQ(range.count, count) << header;
  };
  check("bytes=0-0", true, true, 0, 1);
  check("bytes=10-500", true, true, 10, 90);
  check("bytes=-500", true, true, 0, 100);
  check("bytes=99-", true, true, 99, 1);
  check("bytes=-0", true, false, 100, 0);
  check("bytes=100-", true, false, 0, 0);
  for (const char* odd :
       {"bytes=", "bytes=-", "bytes=5-4", "bytes=1-2,5-6", "lines=1-2", "bytes=x-"}) {
    check(odd, false, false, 0, 0);
  }
  check("bytes=0-18446744073709551615", true, true, 0, 100);
}

// ---- WebSocket

class WebSocketTest : public HttpTest {
 protected:
  WebSocketTest()
      : listener(loop, {[](const std::string&) { return Reception::serve; },
                        [this](std::shared_ptr<Stream> stream, const std::string& peer) {
                          serve_http(loop, std::move(stream), nullptr, peer, server);
                        }}) {
    EXPECT_TRUE(listener.listen({"127.0.0.1", 0, ""}).ok());
    server.upgraded = [this](const std::shared_ptr<Stream>& stream, const HttpQuestion& question) {
      questions.push_back(question);
      at_server = read_all(stream);
      if (opened) opened(*stream);
    };
  }

  using Client = websocket::stream<asio::ip::tcp::socket>;

  // Runs `talk` with Beast's client, connected and upgraded, on a thread while the loop turns.
  void with_client(const std::string& protocol, const std::function<void(Client&)>& talk) {
    std::atomic<bool> done = false;
    std::thread thread([&] {
      asio::io_context own;
      Client socket(own);
      ErrorCode error;
      socket.next_layer().connect({asio::ip::make_address("127.0.0.1"), listener.port()}, error);
      socket.set_option(websocket::stream_base::decorator([&](websocket::request_type& request) {
        if (!protocol.empty()) request.set(beast::http::field::sec_websocket_protocol, protocol);
      }));
      if (!error) socket.handshake(response, "localhost", "/mqtt?x=y", error);
      handshake = error;
      if (!error) talk(socket);
      done = true;
    });
    EXPECT_TRUE(until([&] {
      // A server ends the TCP connection after the closing handshake; the client waits for it.
      if (at_server != nullptr && at_server->end && !std::exchange(closed, true)) {
        at_server->stream->close([] {});
      }
      return done.load();
    }));
    thread.join();
  }

  Listener listener;
  std::shared_ptr<Reader> at_server;
  std::function<void(Stream&)> opened;
  bool closed = false;  // The server's end, which may be closed once.
  websocket::response_type response;
  ErrorCode handshake;
};

TEST_F(WebSocketTest, CarriesBytesHoweverTheyAreFramed) {
  const std::string large(100'000, 'L');
  std::string back;
  opened = [](Stream& stream) { stream.write("back", [](const ErrorCode&) {}); };
  with_client("mqtt", [&](Client& socket) {
    socket.binary(true);
    socket.write(asio::buffer("one "s));
    socket.write_some(false, asio::buffer("t"s));
    socket.write_some(true, asio::buffer("wo "s));
    socket.write(asio::buffer(large));
    beast::flat_buffer buffer;
    socket.read(buffer);
    back.assign(static_cast<const char*>(buffer.data().data()), buffer.size());
    EXPECT_TRUE(socket.got_binary());
    ErrorCode ignored;
    socket.close(websocket::close_code::normal, ignored);
  });
  ASSERT_FALSE(handshake) << handshake.message();
  EXPECT_EQ(response["Sec-WebSocket-Protocol"], "mqtt");
  EXPECT_EQ(back, "back");
  EXPECT_EQ(questions.at(0).target, "/mqtt?x=y");
  ASSERT_TRUE(until([&] { return at_server->end.has_value(); }));
  EXPECT_EQ(at_server->bytes, "one two " + large);
  EXPECT_EQ(*at_server->end, "fin");
  EXPECT_EQ(over, "upgraded");
}

TEST_F(WebSocketTest, ATextFrameIsNoMqtt) {
  with_client("mqtt", [&](Client& socket) {
    socket.text(true);
    socket.write(asio::buffer("text"s));
  });
  ASSERT_TRUE(until([&] { return at_server != nullptr && at_server->end.has_value(); }));
  EXPECT_EQ(*at_server->end, "websocket");
}

TEST_F(WebSocketTest, OurFarewellReachesTheClient) {
  ErrorCode end;
  opened = [this](Stream& stream) {
    closed = true;
    stream.close([] {});
  };
  with_client("mqtt", [&](Client& socket) {
    beast::flat_buffer buffer;
    socket.read(buffer, end);
  });
  EXPECT_EQ(end, websocket::error::closed);
}

TEST_F(WebSocketTest, WithoutTheSubProtocolThereIsNoUpgrade) {
  with_client("", [](Client&) { FAIL(); });
  EXPECT_EQ(handshake, websocket::error::upgrade_declined);
  EXPECT_TRUE(until([&] { return statuses == std::vector<int>{400}; }));
}

TEST_F(WebSocketTest, AnUpgradeCanBeRefused) {
  server.refuse_upgrade = [](const HttpQuestion&) {
    return HttpAnswer{403, {}, "Forbidden", {}, {}, {}};
  };
  with_client("mqtt", [](Client&) { FAIL(); });
  EXPECT_TRUE(until([&] { return statuses == std::vector<int>{403}; }));
}

}  // namespace
}  // namespace holdfast::lab::net
