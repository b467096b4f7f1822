// Goal:   a stream carries bytes unchanged both ways, plain and over TLS, and names how it ended.
// Method: real peers on 127.0.0.1 that echo, end in order, vanish, or reset.
#include <sys/socket.h>

#include <future>

#include "transport/test_attempt.h"
#include "transport/test_server.h"

namespace holdfast::transport {
namespace {

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24U);
  }
  return bytes;
}

class StreamTest : public SecureAttemptTest {
 protected:
  /// Writes and reads at the same time until `sent` has come back.
  void expect_echo(Stream& stream, const Bytes& sent) {
    Bytes received;
    std::array<std::byte, 10000> block{};
    bool written = false;
    const auto finish = [&] {
      if (written && received.size() >= sent.size()) loop_.stop();
    };
    std::function<void()> more = [&] {
      stream.read_some(block, [&](std::size_t bytes, const env::Failure* failure) {
        ASSERT_EQ(failure, nullptr) << failure->detail;
        ASSERT_GT(bytes, 0U);
        received.insert(received.end(), block.begin(),
                        block.begin() + static_cast<std::ptrdiff_t>(bytes));
        finish();
        if (received.size() < sent.size()) more();
      });
    };
    more();
    stream.write_all(sent, [&](std::size_t bytes, const env::Failure* failure) {
      EXPECT_EQ(failure, nullptr);
      EXPECT_EQ(bytes, sent.size());
      written = true;
      finish();
    });
    run();
    EXPECT_EQ(received, sent);
  }

  TlsServerContext tls_{{&server_, nullptr, 0, ""}};
  std::array<std::byte, 64> into_{};
};

void plain_echo(int fd) {
  std::array<char, 8192> bytes{};
  while (true) {
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got <= 0) return;
    ssize_t put = 0;
    while (put < got) {
      const ssize_t n =
          ::send(fd, bytes.data() + put, static_cast<std::size_t>(got - put), MSG_NOSIGNAL);
      if (n <= 0) return;
      put += n;
    }
  }
}

TEST_F(StreamTest, CarriesBytesPlain) {
  const TestServer server(plain_echo);
  const auto stream = stream_to(target_of(server.port()));
  ASSERT_NE(stream, nullptr);
  expect_echo(*stream, pattern(64 * 1024));
  expect_echo(*stream, pattern(3'000'001));
}

TEST_F(StreamTest, CarriesBytesOverTls) {
  const TestServer server([this](int fd) { tls_.serve(fd, echo); });
  const auto stream = stream_to(secure(server.port()));
  ASSERT_NE(stream, nullptr);
  expect_echo(*stream, pattern(1));
  expect_echo(*stream, pattern(64 * 1024));
  expect_echo(*stream, pattern(2'000'003));
}

TEST_F(StreamTest, SmallRecordsThatCameTogetherAreReadTogether) {
  std::promise<void> sent;
  const TestServer server([&](int fd) {
    tls_.serve(fd, [&](SSL* ssl) {
      for (int i = 0; i < 5; ++i) ::SSL_write(ssl, "abc", 3);
      sent.set_value();
      hold(fd);
    });
  });
  const auto stream = stream_to(secure(server.port()));
  ASSERT_NE(stream, nullptr);
  sent.get_future().wait();
  const Transfer got = read(*stream, into_);
  EXPECT_FALSE(got.failure);
  EXPECT_EQ(got.bytes % 3, 0U);
  EXPECT_GT(got.bytes, 3U);
}

TEST_F(StreamTest, TheOrderlyEndReadsAsZero) {
  const TestServer plain([](int) {});
  const auto first = stream_to(target_of(plain.port()));
  ASSERT_NE(first, nullptr);
  const Transfer ended = read(*first, into_);
  EXPECT_FALSE(ended.failure);
  EXPECT_EQ(ended.bytes, 0U);

  const TestServer secured(
      [this](int fd) { tls_.serve(fd, [](SSL* ssl) { ::SSL_shutdown(ssl); }); });
  const auto second = stream_to(secure(secured.port()));
  ASSERT_NE(second, nullptr);
  const Transfer farewell = read(*second, into_);
  EXPECT_FALSE(farewell.failure);
  EXPECT_EQ(farewell.bytes, 0U);
}

TEST_F(StreamTest, AnEndOfTlsWithoutFarewellIsServerGone) {
  const TestServer server([this](int fd) { tls_.serve(fd, [](SSL*) {}); });
  const auto stream = stream_to(secure(server.port()));
  ASSERT_NE(stream, nullptr);
  const Transfer end = read(*stream, into_);
  ASSERT_TRUE(end.failure);
  EXPECT_EQ(end.failure->verdict, Verdict::server_gone);
}

// Field lesson 10.
TEST_F(StreamTest, AResetIsServerGoneForReaderAndWriterAndRaisesNoSignal) {
  const TestServer server([](int fd) {
    std::array<char, 16> word{};
    static_cast<void>(::recv(fd, word.data(), word.size(), 0));
    reset_on_close(fd);
  });
  const auto stream = stream_to(target_of(server.port()));
  ASSERT_NE(stream, nullptr);
  const Bytes bytes = pattern(10);
  EXPECT_FALSE(write(*stream, bytes).failure);
  const Transfer end = read(*stream, into_);
  ASSERT_TRUE(end.failure);
  EXPECT_EQ(end.failure->verdict, Verdict::server_gone);
  const Transfer put = write(*stream, bytes);  // SIGPIPE would end the test here.
  ASSERT_TRUE(put.failure);
  EXPECT_EQ(put.failure->verdict, Verdict::server_gone);
}

TEST_F(StreamTest, AResetOfTlsIsServerGoneForTheWriter) {
  const TestServer server([this](int fd) { tls_.serve(fd, [fd](SSL*) { reset_on_close(fd); }); });
  const auto stream = stream_to(secure(server.port()));
  ASSERT_NE(stream, nullptr);
  const Transfer end = read(*stream, into_);
  ASSERT_TRUE(end.failure);
  const Transfer put = write(*stream, pattern(1000));
  ASSERT_TRUE(put.failure);
  EXPECT_EQ(put.failure->verdict, Verdict::server_gone) << put.failure->detail;
}

TEST_F(StreamTest, ShutdownSendsFarewellAndFinAfterTheWriteUnderWay) {
  std::promise<std::pair<std::size_t, bool>> seen;
  const TestServer server([&](int fd) {
    tls_.serve(fd, [&](SSL* ssl) {
      std::size_t total = 0;
      std::array<char, 4096> bytes{};
      int got = 0;
      while ((got = ::SSL_read(ssl, bytes.data(), bytes.size())) > 0) {
        total += static_cast<std::size_t>(got);
      }
      seen.set_value({total, ::SSL_get_error(ssl, got) == SSL_ERROR_ZERO_RETURN});
    });
  });
  const auto stream = stream_to(secure(server.port()));
  ASSERT_NE(stream, nullptr);
  const Bytes bytes = pattern(500'000);
  bool written = false;
  stream->write_all(
      bytes, [&](std::size_t, const env::Failure* failure) { written = failure == nullptr; });
  shutdown(*stream);
  EXPECT_TRUE(written);
  EXPECT_EQ(seen.get_future().get(), (std::pair<std::size_t, bool>{bytes.size(), true}));
}

TEST_F(StreamTest, DestroyedWithReadAndWriteUnderWayNothingIsCalled) {
  const TestListener silent;  // Nobody reads: the write stays under way.
  auto stream = stream_to(target_of(silent.port()));
  ASSERT_NE(stream, nullptr);
  const std::size_t before = open_descriptors();
  const Bytes bytes = pattern(32 * 1024 * 1024);
  bool called = false;
  stream->read_some(into_, [&](std::size_t, const env::Failure*) { called = true; });
  stream->write_all(bytes, [&](std::size_t, const env::Failure*) { called = true; });
  turn();
  stream->shutdown([&] { called = true; });
  turn();
  stream.reset();
  EXPECT_EQ(open_descriptors(), before - 1);
  turn();
  EXPECT_FALSE(called);
}

TEST_F(StreamTest, ACallbackMayDestroyItsStream) {
  const TestServer server(plain_echo);
  auto stream = stream_to(target_of(server.port()));
  ASSERT_NE(stream, nullptr);
  bool read_called = false;
  stream->read_some(into_, [&](std::size_t, const env::Failure*) { read_called = true; });
  const Bytes bytes = pattern(10);
  stream->write_all(bytes, [&](std::size_t, const env::Failure*) {
    stream.reset();
    loop_.stop();
  });
  run();
  turn();
  EXPECT_EQ(stream, nullptr);
  EXPECT_FALSE(read_called);
}

}  // namespace
}  // namespace holdfast::transport
