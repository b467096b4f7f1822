// MQTT's bytes in WebSocket: the handshake, frames both ways, and peers that do it wrong.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "transport/test_attempt.h"
#include "transport/test_server.h"

namespace holdfast::transport {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using Served = websocket::stream<asio::ip::tcp::socket, false>;

/// A server's end on a descriptor that stays the caller's. `talk` has what was asked for, too.
void serve(int fd,
           const std::function<void(Served&, const http::request<http::string_body>&)>& talk,
           const std::string& protocol = "mqtt") {
  asio::io_context context;
  asio::ip::tcp::socket socket(context, asio::ip::tcp::v4(), ::dup(fd));
  boost::beast::flat_buffer buffer;
  http::request<http::string_body> request;
  boost::system::error_code error;
  http::read(socket, buffer, request, error);
  if (error) return;
  Served stream(std::move(socket));
  stream.set_option(websocket::stream_base::decorator([&](websocket::response_type& response) {
    if (!protocol.empty()) response.set(http::field::sec_websocket_protocol, protocol);
  }));
  stream.accept(request, error);
  if (!error) talk(stream, request);
}

/// Sends each message back, in fragments if asked, until the peer closes.
void echo_messages(Served& stream, const http::request<http::string_body>& /*request*/) {
  boost::system::error_code error;
  stream.binary(true);
  for (;;) {
    boost::beast::flat_buffer message;
    stream.read(message, error);
    if (error) return;
    stream.ping({}, error);
    stream.write(message.data(), error);
    if (error) return;
  }
}

class WebSocketTest : public AttemptTest {
 protected:
  Target at(std::uint16_t port) {
    Target target = target_of(port);
    target.websocket_target = "/mqtt?who=pump";
    return target;
  }
  std::string read_all(Stream& stream, std::size_t size) {
    std::string all;
    std::array<std::byte, 4096> piece{};
    while (all.size() < size) {
      const Transfer got = read(stream, piece);
      if (got.failure || got.bytes == 0) break;
      all.append(reinterpret_cast<const char*>(piece.data()), got.bytes);
    }
    return all;
  }
};

TEST_F(WebSocketTest, AsksForMqttAndCarriesBytesBothWays) {
  std::string host;
  std::string target;
  std::string protocol;
  TestServer server([&](int fd) {
    serve(fd, [&](Served& stream, const http::request<http::string_body>& request) {
      host = std::string(request[http::field::host]);
      target = std::string(request.target());
      protocol = std::string(request[http::field::sec_websocket_protocol]);
      echo_messages(stream, request);
    });
  });
  const auto stream = stream_to(at(server.port()));
  ASSERT_NE(stream, nullptr);
  EXPECT_NE(stream->description().find("WebSocket"), std::string::npos);
  const std::string large(200'000, 'x');
  for (const std::string& words : {std::string("a"), std::string("packet"), large}) {
    const Transfer written = write(*stream, std::as_bytes(std::span(words)));
    EXPECT_FALSE(written.failure);
    EXPECT_EQ(written.bytes, words.size());
    EXPECT_EQ(read_all(*stream, words.size()), words);
  }
  shutdown(*stream);
  EXPECT_EQ(host, "localhost:" + std::to_string(server.port()));
  EXPECT_EQ(target, "/mqtt?who=pump");
  EXPECT_EQ(protocol, "mqtt");
}

TEST_F(WebSocketTest, ThePeersCloseFrameIsAnOrderlyEnd) {
  TestServer server([](int fd) {
    serve(fd, [](Served& stream, const auto&) {
      boost::system::error_code error;
      stream.close(websocket::close_code::going_away, error);
    });
  });
  const auto stream = stream_to(at(server.port()));
  ASSERT_NE(stream, nullptr);
  std::array<std::byte, 16> piece{};
  const Transfer end = read(*stream, piece);
  EXPECT_FALSE(end.failure);
  EXPECT_EQ(end.bytes, 0U);
  shutdown(*stream);
}

TEST_F(WebSocketTest, AnEndWithoutAWordIsNamed) {
  TestServer server([](int fd) { serve(fd, [](Served&, const auto&) {}); });
  const auto stream = stream_to(at(server.port()));
  ASSERT_NE(stream, nullptr);
  std::array<std::byte, 16> piece{};
  const Transfer end = read(*stream, piece);
  ASSERT_TRUE(end.failure);
  EXPECT_EQ(end.failure->verdict, Verdict::server_gone) << end.failure->detail;
}

TEST_F(WebSocketTest, TextIsNoMqtt) {
  TestServer server([](int fd) {
    serve(fd, [](Served& stream, const auto&) {
      stream.text(true);
      boost::system::error_code error;
      stream.write(asio::buffer("hello", 5), error);
      hold(stream.next_layer().native_handle());
    });
  });
  const auto stream = stream_to(at(server.port()));
  ASSERT_NE(stream, nullptr);
  std::array<std::byte, 16> piece{};
  const Transfer got = read(*stream, piece);
  ASSERT_TRUE(got.failure);
  EXPECT_EQ(got.failure->verdict, Verdict::protocol_error);
}

TEST_F(WebSocketTest, AServerThatAgreesToAnotherProtocolIsLeft) {
  for (const std::string protocol : {"", "chat"}) {
    TestServer server([&](int fd) {
      serve(
          fd, [](Served&, const auto&) {}, protocol);
    });
    expect_failure(at(server.port()), Verdict::protocol_error, "not the protocol mqtt");
  }
}

TEST_F(WebSocketTest, OtherAnswersHaveAVerdictEach) {
  struct Case {
    std::string answer;
    Verdict verdict;
    std::string words;
  };
  const std::array<Case, 6> cases{{
      {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", Verdict::not_authorized,
       "answered 403 Forbidden to the request for WebSocket"},
      {"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", Verdict::not_authorized, "401 Who"},
      {"HTTP/1.1 429 Slowly\r\nContent-Length: 0\r\n\r\n", Verdict::throttled, "429 Slowly"},
      {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Verdict::protocol_error, "404"},
      {"\x20\x02 no HTTP \r\n\r\n", Verdict::protocol_error, "does not speak WebSocket"},
      {"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
       "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
       Verdict::protocol_error, ""},
  }};
  for (const Case& wrong : cases) {
    TestServer server([&](int fd) {
      std::array<char, 2048> request{};
      if (::recv(fd, request.data(), request.size(), 0) <= 0) return;
      static_cast<void>(::send(fd, wrong.answer.data(), wrong.answer.size(), MSG_NOSIGNAL));
      hold(fd);
    });
    expect_failure(at(server.port()), wrong.verdict, wrong.words);
  }
}

TEST_F(WebSocketTest, ASilentServerIsGivenUpInTime) {
  TestServer silent(hold);
  Target target = at(silent.port());
  target.connect_timeout = std::chrono::milliseconds(50);
  expect_failure(target, Verdict::mqtt_timeout, "did not answer for WebSocket within 50 ms");
}

TEST_F(WebSocketTest, AStreamCanBeDroppedWhileItReadsAndWrites) {
  TestServer server([](int fd) { serve(fd, [fd](Served&, const auto&) { hold(fd); }); });
  auto stream = stream_to(at(server.port()));
  ASSERT_NE(stream, nullptr);
  std::array<std::byte, 16> piece{};
  const std::string large(8'000'000, 'x');
  stream->read_some(piece, [](std::size_t, const env::Failure*) { FAIL(); });
  stream->write_all(std::as_bytes(std::span(large)),
                    [](std::size_t, const env::Failure*) { FAIL(); });
  turn();
  stream.reset();
  turn();
}

TEST_F(WebSocketTest, AnAttemptCanBeGivenUpWhileItIsAsked) {
  TestServer silent(hold);
  {
    auto connector =
        connect(loop_, resolver_, clock_, at(silent.port()), [](Connector::Outcome) { FAIL(); });
    while (silent.accepted() == 0) turn();
    turn();
  }
  turn();
}

}  // namespace
}  // namespace holdfast::transport
