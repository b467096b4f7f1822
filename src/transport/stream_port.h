// A Stream as Beast wants it: an AsyncStream of Asio's. An inner header of the WebSocket.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/system/error_code.hpp>

#include "posix/event_loop.h"
#include "transport/transport.h"

namespace holdfast::transport {

/// Beast moves it about; what it refers to is kept by its owner and outlives it.
class StreamPort {
 public:
  using executor_type = boost::asio::io_context::executor_type;  // NOLINT: Asio's name
  using ErrorCode = boost::system::error_code;

  /// The first failure of the stream is left in `failure`; Asio gets a code without words.
  StreamPort(posix::EventLoop& loop, Stream& stream, std::optional<env::Failure>& failure)
      : loop_(&loop), stream_(&stream), failure_(&failure) {}

  [[nodiscard]] executor_type get_executor() const noexcept {
    return loop_->context().get_executor();
  }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& into, Handler&& handler) {
    return boost::asio::async_initiate<Handler, void(ErrorCode, std::size_t)>(
        [this, into](auto&& done) { this->start_read(into, std::forward<decltype(done)>(done)); },
        handler);
  }

  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& from, Handler&& handler) {
    return boost::asio::async_initiate<Handler, void(ErrorCode, std::size_t)>(
        [this, from](auto&& done) { this->start_write(from, std::forward<decltype(done)>(done)); },
        handler);
  }

 private:
  // Beast's handlers can only be moved; std::function wants copies.
  template <class Done>
  Stream::Done translated(Done&& done) {
    auto kept = std::make_shared<std::decay_t<Done>>(std::forward<Done>(done));
    return [kept, failure_slot = failure_](std::size_t bytes, const env::Failure* failure) {
      ErrorCode error;
      if (failure != nullptr) {
        if (!*failure_slot) *failure_slot = *failure;
        error = boost::asio::error::connection_aborted;
      }
      (*kept)(error, bytes);
    };
  }

  // Into the first buffer that has room: "some" is enough.
  template <class Buffers, class Done>
  void start_read(const Buffers& buffers, Done&& done) {
    std::span<std::byte> into;
    for (auto it = boost::asio::buffer_sequence_begin(buffers);
         it != boost::asio::buffer_sequence_end(buffers) && into.empty(); ++it) {
      const boost::asio::mutable_buffer piece = *it;
      into = std::span(static_cast<std::byte*>(piece.data()), piece.size());
    }
    if (into.empty()) return nothing(std::forward<Done>(done));
    auto after = translated(std::forward<Done>(done));
    stream_->read_some(
        into, [after = std::move(after)](std::size_t bytes, const env::Failure* failure) {
          const env::Failure gone{Verdict::server_gone, 0, "the server has ended the connection"};
          after(bytes, failure == nullptr && bytes == 0 ? &gone : failure);
        });
  }

  // A frame's head and its content go out together.
  template <class Buffers, class Done>
  void start_write(const Buffers& buffers, Done&& done) {
    auto bytes = std::make_shared<std::vector<std::byte>>(boost::asio::buffer_size(buffers));
    if (bytes->empty()) return nothing(std::forward<Done>(done));
    boost::asio::buffer_copy(boost::asio::buffer(*bytes), buffers);
    auto after = translated(std::forward<Done>(done));
    stream_->write_all(
        *bytes, [bytes, after = std::move(after)](std::size_t count, const env::Failure* failure) {
          after(count, failure);
        });
  }

  template <class Done>
  void nothing(Done&& done) {
    boost::asio::post(get_executor(), [kept = std::forward<Done>(done)]() mutable {
      kept(ErrorCode(), std::size_t{0});
    });
  }

  posix::EventLoop* loop_;
  Stream* stream_;
  std::optional<env::Failure>* failure_;
};

/// Beast ends a connection through these; ours is ended by its owner.
inline void beast_close_socket(StreamPort& /*port*/) {}
template <class Handler>
void async_teardown(boost::beast::role_type /*role*/, StreamPort& port, Handler&& handler) {
  boost::asio::post(port.get_executor(), [kept = std::forward<Handler>(handler)]() mutable {
    kept(StreamPort::ErrorCode());
  });
}
inline void teardown(boost::beast::role_type /*role*/, StreamPort& /*port*/,
                     StreamPort::ErrorCode& error) {
  error = {};
}

}  // namespace holdfast::transport
