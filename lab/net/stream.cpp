#include "lab/net/stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/write.hpp>

#include "base/check.h"

namespace holdfast::lab::net {

namespace {

namespace asio = boost::asio;

class SocketStream final : public Stream {
 public:
  SocketStream(posix::EventLoop& loop, Socket socket)
      : socket_(std::move(socket)), patience_(loop) {}

  void read(OnRead done) override {
    HF_CHECK(done != nullptr && !reading_);
    reading_ = true;
    socket_.async_read_some(asio::buffer(into_), [self = self_of(), done = std::move(done)](
                                                     const ErrorCode& error, std::size_t count) {
      self->reading_ = false;
      done(error, std::string_view(self->into_.data(), count));
    });
  }

  void write(std::string bytes, OnWrite done) override {
    HF_CHECK(done != nullptr && !writing_ && !bytes.empty());
    writing_ = true;
    out_ = std::move(bytes);
    asio::async_write(
        socket_, asio::buffer(out_),
        [self = self_of(), done = std::move(done)](const ErrorCode& error, std::size_t) {
          self->writing_ = false;
          done(error);
        });
  }

  void close(OnClosed done) override {
    HF_CHECK(done != nullptr && !writing_ && closed_.expired());
    // Owned by what is under way, not by this: it may own this stream.
    const auto kept = std::make_shared<OnClosed>(std::move(done));
    closed_ = kept;
    ErrorCode ignored;  // Not connected any more: then there is nothing to say farewell to.
    socket_.cancel(ignored);
    socket_.shutdown(Socket::shutdown_send, ignored);
    patience_.arm_after(kFarewell, [self = self_of(), kept] { self->finish(); });
    drain(kept);
  }

  void reset() override {
    ErrorCode ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    finish();
  }

  bool peer_is_gone() const override {
    pollfd now{const_cast<Socket&>(socket_).native_handle(), POLLRDHUP, 0};  // NOLINT: only asked
    return ::poll(&now, 1, 0) > 0;
  }

 private:
  std::shared_ptr<SocketStream> self_of() {
    return std::static_pointer_cast<SocketStream>(shared_from_this());
  }

  // A socket closed with bytes unread would answer them with RST, which could overtake what was
  // sent before the FIN.
  void drain(const std::shared_ptr<OnClosed>& kept) {
    socket_.async_read_some(asio::buffer(dropped_),
                            [self = self_of(), kept](const ErrorCode& error, std::size_t) {
                              if (error) {
                                self->finish();
                              } else {
                                self->drain(kept);
                              }
                            });
  }

  void finish() {
    const std::shared_ptr<OnClosed> kept = closed_.lock();
    patience_.cancel();
    ErrorCode ignored;
    socket_.close(ignored);
    if (kept != nullptr && *kept != nullptr) {
      asio::post(socket_.get_executor(), std::exchange(*kept, nullptr));
    }
  }

  Socket socket_;
  posix::Timer patience_;
  std::array<char, kReadMost> into_{};
  std::array<char, 1024> dropped_{};
  std::string out_;
  bool reading_ = false;
  bool writing_ = false;
  std::weak_ptr<OnClosed> closed_;
};

}  // namespace

std::shared_ptr<Stream> make_socket_stream(posix::EventLoop& loop, Socket socket) {
  ErrorCode ignored;  // A Unix socket has no such option.
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  return std::make_shared<SocketStream>(loop, std::move(socket));
}

ErrorCode to_code(StreamError error) noexcept {
  return boost::system::errc::make_error_code(static_cast<boost::system::errc::errc_t>(error));
}

std::string words_of(const ErrorCode& error) {
  if (error == asio::error::eof) return "fin";
  if (error == asio::error::connection_reset || error == asio::error::broken_pipe) return "reset";
  if (error == asio::error::timed_out) return "timeout";
  if (error == asio::error::connection_refused) return "refused";
  if (error == asio::error::host_unreachable || error == asio::error::network_unreachable) {
    return "unreachable";
  }
  if (error == asio::error::operation_aborted) return "here";
  if (error == to_code(StreamError::tls)) return "tls";
  if (error == to_code(StreamError::web)) return "websocket";
  if (error == to_code(StreamError::fault)) return "fault";
  return error.message();
}

}  // namespace holdfast::lab::net
