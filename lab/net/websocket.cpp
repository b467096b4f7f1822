#include "lab/net/websocket.h"

#include <array>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/check.h"
#include "lab/net/asio_stream.h"

namespace holdfast::lab::net {

namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

class WebSocketStream final : public Stream {
 public:
  WebSocketStream(posix::EventLoop& loop, std::shared_ptr<Stream> below, std::string first)
      : below_(below),
        socket_(AsioStream(loop, std::move(below), std::move(first))),
        patience_(loop) {
    socket_.binary(true);
    socket_.auto_fragment(false);
    socket_.read_message_max(kLargestWebMessage);
    socket_.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
      response.set(boost::beast::http::field::sec_websocket_protocol, "mqtt");
    }));
  }

  void accept(OnWrite done) {
    socket_.async_accept([self = self_of(), done = std::move(done)](const ErrorCode& error) {
      done(error ? self->translated(error) : error);
    });
  }

  void read(OnRead done) override {
    HF_CHECK(done != nullptr);
    socket_.async_read_some(asio::buffer(into_), [self = self_of(), done = std::move(done)](
                                                     const ErrorCode& error, std::size_t count) {
      if (error || self->closed_) {
        done(self->translated(error), {});
      } else if (!self->socket_.got_binary()) {
        done(to_code(StreamError::web), {});
      } else if (count == 0) {
        self->read(done);  // An empty frame.
      } else {
        done(error, {self->into_.data(), count});
      }
    });
  }

  void write(std::string bytes, OnWrite done) override {
    HF_CHECK(done != nullptr && !bytes.empty());
    out_ = std::move(bytes);
    socket_.async_write(asio::buffer(out_), [self = self_of(), done = std::move(done)](
                                                const ErrorCode& error, std::size_t) {
      done(error ? self->translated(error) : error);
    });
  }

  void close(OnClosed done) override {
    HF_CHECK(done != nullptr);
    closed_ = true;
    if (!socket_.is_open()) {
      below_->close(std::move(done));
      return;
    }
    // Sends the close frame and waits for the peer's, but not for ever.
    const auto self = self_of();
    farewell_ = std::move(done);
    patience_.arm_after(kFarewell, [self] {
      self->below_->reset();  // Its frame may still be on the way out: too late to be polite.
      if (self->farewell_ != nullptr) std::exchange(self->farewell_, nullptr)();
    });
    socket_.async_close(websocket::close_code::normal,
                        [self](const ErrorCode&) { self->finish(); });
  }

  void reset() override {
    closed_ = true;
    below_->reset();
  }

  bool peer_is_gone() const override { return below_->peer_is_gone(); }

 private:
  std::shared_ptr<WebSocketStream> self_of() {
    return std::static_pointer_cast<WebSocketStream>(shared_from_this());
  }

  void finish() {
    patience_.cancel();
    if (farewell_ != nullptr) below_->close(std::exchange(farewell_, nullptr));
  }

  [[nodiscard]] ErrorCode translated(const ErrorCode& error) const {
    if (closed_) return asio::error::operation_aborted;
    if (error == websocket::error::closed) return asio::error::eof;
    const bool ours =
        error.category() == ErrorCode(websocket::error::closed).category() ||
        error.category() == ErrorCode(boost::beast::http::error::end_of_stream).category();
    return ours ? to_code(StreamError::web) : error;
  }

  std::shared_ptr<Stream> below_;
  websocket::stream<AsioStream, false> socket_;
  std::array<char, kReadMost> into_{};
  std::string out_;
  posix::Timer patience_;
  OnClosed farewell_;
  bool closed_ = false;
};

}  // namespace

void accept_websocket(posix::EventLoop& loop, std::shared_ptr<Stream> below, std::string first,
                      OnWebSocket done) {
  auto stream = std::make_shared<WebSocketStream>(loop, std::move(below), std::move(first));
  stream->accept([stream, done = std::move(done)](const ErrorCode& error) {
    done(error, error ? nullptr : stream);
  });
}

}  // namespace holdfast::lab::net
