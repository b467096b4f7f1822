// A connection as a stream of bytes, whatever it is made of: a TCP or Unix socket, TLS over one, or
// WebSocket over that.
//
// Threads:   the loop's thread only.
// Ownership: shared; an operation under way keeps its stream alive. Layers own what is below them.
// Errors:    as boost::system::error_code; words_of() gives the trace's words.
// Handlers:  called from the loop, never from inside the call that asked. After reset() what is
//            under way ends with operation_aborted.
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include "posix/event_loop.h"

namespace holdfast::lab::net {

using ErrorCode = boost::system::error_code;
using Socket = boost::asio::generic::stream_protocol::socket;

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  /// Bytes and no error, or an error; asio::error::eof is the orderly end.
  using OnRead = std::function<void(const ErrorCode& error, std::string_view bytes)>;
  using OnWrite = std::function<void(const ErrorCode& error)>;
  using OnClosed = std::function<void()>;

  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  /// Whatever comes next, at most kReadMost bytes. One at a time.
  virtual void read(OnRead done) = 0;
  /// All of `bytes`. One at a time. REQUIRES: not empty.
  virtual void write(std::string bytes, OnWrite done) = 0;
  /// Says farewell (close frame, close_notify, FIN), takes what the peer still sends and drops it,
  /// and is closed when the peer has ended, too, or after kFarewell. A read under way ends with
  /// operation_aborted. REQUIRES: no write under way.
  virtual void close(OnClosed done) = 0;
  /// RST, at once.
  virtual void reset() = 0;
  /// For silence: whether the peer has ended or broken the connection, although nobody reads.
  [[nodiscard]] virtual bool peer_is_gone() const = 0;

  static constexpr std::size_t kReadMost = std::size_t{16} * 1024;
  static constexpr Duration kFarewell = std::chrono::seconds(2);
};

/// Takes over a connected socket.
[[nodiscard]] std::shared_ptr<Stream> make_socket_stream(posix::EventLoop& loop, Socket socket);

/// Failures that Asio has no code for; codes of the system that sockets do not use.
enum class StreamError : std::uint8_t {
  tls = EPROTO,   ///< The handshake failed, or an alert or a wrong record ended the connection.
  web = EBADMSG,  ///< WebSocket: the peer broke the protocol.
  fault = ECOMM,  ///< A fault ended the connection.
};
[[nodiscard]] ErrorCode to_code(StreamError error) noexcept;

/// How a connection ended, in a word for the trace: "fin", "reset", "timeout", "unreachable",
/// "refused", "tls", "websocket", "fault", "here", or the system's own words.
[[nodiscard]] std::string words_of(const ErrorCode& error);

}  // namespace holdfast::lab::net
