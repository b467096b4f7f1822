// A Stream as Beast wants it: an AsyncStream of Asio's. An inner header of the WebSocket layer.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>

#include "lab/net/stream.h"

namespace holdfast::lab::net {

class AsioStream {
 public:
  using executor_type = boost::asio::io_context::executor_type;  // NOLINT: Asio's name

  /// `first`: bytes that were read already and come before all others.
  AsioStream(posix::EventLoop& loop, std::shared_ptr<Stream> stream, std::string first)
      : loop_(&loop), stream_(std::move(stream)), first_(std::move(first)) {}

  [[nodiscard]] executor_type get_executor() const noexcept {
    return loop_->context().get_executor();
  }
  [[nodiscard]] const std::shared_ptr<Stream>& stream() const noexcept { return stream_; }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& into, Handler&& handler) {
    return boost::asio::async_initiate<Handler, void(ErrorCode, std::size_t)>(
        [this, into](auto&& done) {
          this->start_read(into, keep(std::forward<decltype(done)>(done)));
        },
        handler);
  }

  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& from, Handler&& handler) {
    return boost::asio::async_initiate<Handler, void(ErrorCode, std::size_t)>(
        [this, from](auto&& done) {
          this->start_write(from, keep(std::forward<decltype(done)>(done)));
        },
        handler);
  }

 private:
  // Beast's handlers can only be moved; std::function wants copies.
  template <class Done>
  static auto keep(Done&& done) {
    return std::make_shared<std::decay_t<Done>>(std::forward<Done>(done));
  }

  template <class Buffers, class Done>
  void start_read(const Buffers& into, std::shared_ptr<Done> done) {
    if (boost::asio::buffer_size(into) == 0) {
      loop_->post([done] { (*done)(ErrorCode(), std::size_t{0}); });
      return;
    }
    if (!first_.empty()) {
      const std::size_t count = boost::asio::buffer_copy(into, boost::asio::buffer(first_));
      first_.erase(0, count);
      loop_->post([done, count] { (*done)(ErrorCode(), count); });
      return;
    }
    stream_->read([this, into, done](const ErrorCode& error, std::string_view bytes) {
      const std::size_t count =
          boost::asio::buffer_copy(into, boost::asio::buffer(bytes.data(), bytes.size()));
      // Not through `this` when nothing is left over: the handler may be all that kept it.
      if (count < bytes.size()) first_.assign(bytes.substr(count));
      (*done)(error, count);
    });
  }

  template <class Buffers, class Done>
  void start_write(const Buffers& from, std::shared_ptr<Done> done) {
    std::string bytes(boost::asio::buffer_size(from), '\0');
    boost::asio::buffer_copy(boost::asio::buffer(bytes), from);
    const std::size_t count = bytes.size();
    if (count == 0) {
      loop_->post([done] { (*done)(ErrorCode(), std::size_t{0}); });
      return;
    }
    stream_->write(std::move(bytes), [done, count](const ErrorCode& error) {
      (*done)(error, error ? std::size_t{0} : count);
    });
  }

  posix::EventLoop* loop_;
  std::shared_ptr<Stream> stream_;
  std::string first_;
};

/// For Beast's own time limits, which we do not use.
inline void beast_close_socket(AsioStream& stream) { stream.stream()->reset(); }

/// Beast ends a connection after the closing handshake through these; our streams are closed by
/// whoever owns them.
template <class Handler>
void async_teardown(boost::beast::role_type /*role*/, AsioStream& stream, Handler&& handler) {
  boost::asio::post(stream.get_executor(),
                    [kept = std::forward<Handler>(handler)]() mutable { kept(ErrorCode()); });
}
inline void teardown(boost::beast::role_type /*role*/, AsioStream& /*stream*/, ErrorCode& error) {
  error = {};
}

}  // namespace holdfast::lab::net
