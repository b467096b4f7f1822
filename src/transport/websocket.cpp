#include "transport/websocket.h"

#include <utility>

#include <boost/beast/http/fields.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "base/check.h"
#include "transport/http_words.h"
#include "transport/stream_port.h"

namespace holdfast::transport {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using ErrorCode = boost::system::error_code;

// A frame of this size fills one TLS record.
constexpr std::size_t kWriteBuffer = std::size_t{16} * 1024;
constexpr char kProtocol[] = "mqtt";
// The peer's close frame is awaited so long; then TCP ends the connection.
constexpr Duration kFarewell = std::chrono::seconds(1);

Verdict verdict_of(http::status status) {
  switch (status) {
    case http::status::unauthorized:
    case http::status::forbidden:
      return Verdict::not_authorized;
    case http::status::too_many_requests:
    case http::status::service_unavailable:
      return Verdict::throttled;
    default:
      return Verdict::protocol_error;
  }
}

// Outlives its owner as long as a handler of the loop refers to it; `open_` is false from then on
// and nothing is called any more.
class WebSocketState : public std::enable_shared_from_this<WebSocketState> {
 public:
  WebSocketState(posix::EventLoop& loop, std::unique_ptr<Stream> below)
      : below_(std::move(below)), socket_(StreamPort(loop, *below_, failure_)), patience_(loop) {
    socket_.binary(true);
    socket_.auto_fragment(false);
    socket_.write_buffer_bytes(kWriteBuffer);
    socket_.read_message_max(0);  // A message is no unit of ours: it is handed up in pieces.
    socket_.set_option(websocket::stream_base::decorator([](websocket::request_type& request) {
      request.set(http::field::sec_websocket_protocol, kProtocol);
    }));
  }

  using OnShaken = std::function<void(const env::Failure*)>;
  void shake_hands(const UpgradeRequest& request, OnShaken done) {
    socket_.async_handshake(
        answer_, request.host, request.target,
        [self = shared_from_this(), done = std::move(done)](const ErrorCode& error) {
          if (!self->open_) return;
          const std::optional<env::Failure> failure = self->judge(error);
          done(failure ? &*failure : nullptr);
        });
  }

  void read_some(std::span<std::byte> into, Stream::Done done) {
    socket_.async_read_some(asio::buffer(into.data(), into.size()),
                            [self = shared_from_this(), into, done = std::move(done)](
                                const ErrorCode& error, std::size_t bytes) {
                              if (self->open_) self->has_read(into, error, bytes, done);
                            });
  }

  void write_all(std::span<const std::byte> bytes, Stream::Done done) {
    HF_CHECK(!shutting_);
    writing_ = true;
    socket_.async_write(asio::buffer(bytes.data(), bytes.size()),
                        [self = shared_from_this(), done = std::move(done)](const ErrorCode& error,
                                                                            std::size_t count) {
                          if (self->open_) self->has_written(error, count, done);
                        });
  }

  void shutdown(std::function<void()> done) {
    HF_CHECK(!shutting_);
    shutting_ = true;
    farewell_ = std::move(done);
    if (!writing_) say_farewell();
  }

  void close() {
    open_ = false;
    farewell_ = nullptr;
    patience_.cancel();
    below_.reset();
  }

  [[nodiscard]] posix::Way way() const { return below_->way(); }
  [[nodiscard]] std::string description() const { return below_->description() + " WebSocket"; }

 private:
  std::optional<env::Failure> judge(const ErrorCode& error) {
    if (!error) {
      if (answer_[http::field::sec_websocket_protocol] == kProtocol) return std::nullopt;
      return env::Failure{Verdict::protocol_error, 0,
                          "the server speaks WebSocket, but not the protocol mqtt in it"};
    }
    if (error == websocket::error::upgrade_declined) {
      return env::Failure{
          verdict_of(answer_.result()), 0,
          "the server answered " + status_words(answer_.base()) + " to the request for WebSocket"};
    }
    return failure_of(error);
  }

  [[nodiscard]] env::Failure failure_of(const ErrorCode& error) const {
    if (failure_) return *failure_;
    return {Verdict::protocol_error, 0, "the server does not speak WebSocket: " + error.message()};
  }

  void has_read(std::span<std::byte> into, const ErrorCode& error, std::size_t bytes,
                const Stream::Done& done) {
    if (error == websocket::error::closed) {
      done(0, nullptr);
    } else if (error) {
      const env::Failure failure = failure_of(error);
      done(0, &failure);
    } else if (!socket_.got_binary()) {
      const env::Failure failure{Verdict::protocol_error, 0,
                                 "the server sent text in WebSocket; MQTT has binary frames only"};
      done(0, &failure);
    } else if (bytes == 0) {
      read_some(into, done);  // An empty frame.
    } else {
      done(bytes, nullptr);
    }
  }

  void has_written(const ErrorCode& error, std::size_t count, const Stream::Done& done) {
    writing_ = false;
    if (shutting_) say_farewell();
    const std::optional<env::Failure> failure =
        error ? std::optional(failure_of(error)) : std::nullopt;
    done(count, failure ? &*failure : nullptr);
  }

  void say_farewell() {
    patience_.arm_after(kFarewell, [self = shared_from_this()] { self->over(); });
    socket_.async_close(websocket::close_code::normal,
                        [self = shared_from_this()](const ErrorCode&) { self->end_below(); });
  }

  void end_below() {
    if (!open_ || farewell_ == nullptr) return;
    below_->shutdown([self = shared_from_this()] { self->over(); });
  }

  void over() {
    patience_.cancel();
    if (!open_ || farewell_ == nullptr) return;
    const auto done = std::exchange(farewell_, nullptr);
    done();
  }

  std::unique_ptr<Stream> below_;
  std::optional<env::Failure> failure_;  ///< The first of `below_`.
  websocket::stream<StreamPort, false> socket_;
  websocket::response_type answer_;
  bool open_ = true;
  bool writing_ = false;
  bool shutting_ = false;
  std::function<void()> farewell_;
  posix::Timer patience_;
};

class WebSocketStream final : public Stream {
 public:
  explicit WebSocketStream(std::shared_ptr<WebSocketState> state) : state_(std::move(state)) {}
  ~WebSocketStream() override { state_->close(); }
  WebSocketStream(const WebSocketStream&) = delete;
  WebSocketStream& operator=(const WebSocketStream&) = delete;

  void read_some(std::span<std::byte> into, Done done) override {
    state_->read_some(into, std::move(done));
  }
  void write_all(std::span<const std::byte> bytes, Done done) override {
    state_->write_all(bytes, std::move(done));
  }
  void shutdown(std::function<void()> done) override { state_->shutdown(std::move(done)); }
  posix::Way way() const override { return state_->way(); }
  std::string description() const override { return state_->description(); }

 private:
  std::shared_ptr<WebSocketState> state_;
};

}  // namespace

struct Upgrade::State {
  std::shared_ptr<WebSocketState> socket;
  Done done;
};

Upgrade::Upgrade(posix::EventLoop& loop, std::unique_ptr<Stream> below,
                 const UpgradeRequest& request, Done done)
    : state_(std::make_shared<State>()) {
  HF_CHECK(done != nullptr);
  state_->socket = std::make_shared<WebSocketState>(loop, std::move(below));
  state_->done = std::move(done);
  state_->socket->shake_hands(request, [weak = std::weak_ptr(state_)](const env::Failure* failure) {
    const auto state = weak.lock();
    if (!state) return;
    const auto told = std::exchange(state->done, nullptr);
    if (failure != nullptr) return told(*failure);
    told(std::make_unique<WebSocketStream>(std::exchange(state->socket, nullptr)));
  });
}

Upgrade::~Upgrade() {
  if (state_->socket) state_->socket->close();
}

}  // namespace holdfast::transport
