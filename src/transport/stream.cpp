#include "transport/stream.h"

#include <boost/asio/post.hpp>

#include "base/check.h"

namespace holdfast::transport {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Outlives the Stream as long as a handler of the loop refers to it; `open` is false from then on
// and nothing is called any more.
//
// A read is idle, or posted (will be tried in the next turn), or waits for the socket; a write
// likewise. Both end by done or failed, and then are idle again. An end asked for with shutdown()
// waits until the write is idle, then may itself wait for the socket to take the farewell.
class StreamState : public std::enable_shared_from_this<StreamState> {
 public:
  StreamState(tcp::socket socket, std::unique_ptr<Layer> layer)
      : socket_(std::move(socket)), layer_(std::move(layer)) {}

  void read_some(std::span<std::byte> into, Stream::Done done) {
    HF_CHECK(done != nullptr && !into.empty());
    HF_CHECK(reading_ == nullptr);
    into_ = into;
    reading_ = std::move(done);
    soon(&StreamState::try_read);
  }

  void write_all(std::span<const std::byte> bytes, Stream::Done done) {
    HF_CHECK(done != nullptr && shutting_ == nullptr);
    HF_CHECK(writing_ == nullptr);
    rest_ = bytes;
    total_ = bytes.size();
    writing_ = std::move(done);
    soon(&StreamState::try_write);
  }

  void shutdown(std::function<void()> done) {
    HF_CHECK(done != nullptr && shutting_ == nullptr);
    shutting_ = std::move(done);
    if (writing_ == nullptr) soon(&StreamState::try_farewell);
  }

  [[nodiscard]] posix::Way way() { return posix::way_of(socket_.native_handle()); }

  // The layer refers to the descriptor, so it goes first.
  void close() {
    open_ = false;
    reading_ = writing_ = nullptr;
    shutting_ = nullptr;
    layer_.reset();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  using Turn = void (StreamState::*)();

  void soon(Turn turn) {
    asio::post(socket_.get_executor(), [self = shared_from_this(), turn] { self->run(turn); });
  }

  void wait(Step::Kind what, Turn turn) {
    const auto kind =
        what == Step::Kind::want_read ? tcp::socket::wait_read : tcp::socket::wait_write;
    socket_.async_wait(kind, [self = shared_from_this(), turn](const boost::system::error_code&) {
      self->run(turn);  // An error shows itself in the next read or write.
    });
  }

  void run(Turn turn) {
    if (open_) (this->*turn)();
  }

  void try_read() {
    const Step step = layer_->read(into_);
    if (step.kind == Step::Kind::want_read || step.kind == Step::Kind::want_write) {
      wait(step.kind, &StreamState::try_read);
      return;
    }
    const Stream::Done done = std::exchange(reading_, nullptr);
    done(step.bytes, step.kind == Step::Kind::failed ? &step.failure : nullptr);
  }

  void try_write() {
    while (!rest_.empty()) {
      const Step step = layer_->write(rest_);
      if (step.kind == Step::Kind::want_read || step.kind == Step::Kind::want_write) {
        wait(step.kind, &StreamState::try_write);
        return;
      }
      if (step.kind != Step::Kind::done) {
        // `end`: the peer has said farewell and takes nothing any more.
        const env::Failure gone{Verdict::server_gone, 0, "the server has ended the connection"};
        finish_write(step.kind == Step::Kind::failed ? &step.failure : &gone);
        return;
      }
      rest_ = rest_.subspan(step.bytes);
    }
    finish_write(nullptr);
  }

  void finish_write(const env::Failure* failure) {
    if (shutting_ != nullptr) soon(&StreamState::try_farewell);
    const Stream::Done done = std::exchange(writing_, nullptr);
    done(total_ - rest_.size(), failure);
  }

  void try_farewell() {
    const Step step = layer_->farewell();
    if (step.kind == Step::Kind::want_write || step.kind == Step::Kind::want_read) {
      wait(step.kind, &StreamState::try_farewell);
      return;
    }
    boost::system::error_code ignored;  // Not connected any more: then it is ended already.
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    const std::function<void()> done = std::exchange(shutting_, [] {});
    done();
  }

  tcp::socket socket_;
  std::unique_ptr<Layer> layer_;
  bool open_ = true;
  std::span<std::byte> into_;
  Stream::Done reading_;
  std::span<const std::byte> rest_;
  std::size_t total_ = 0;
  Stream::Done writing_;
  std::function<void()> shutting_;  // Stays set once begun: nothing is written afterwards.
};

class StreamHandle final : public Stream {
 public:
  StreamHandle(std::shared_ptr<StreamState> state, std::string description)
      : state_(std::move(state)), description_(std::move(description)) {}
  ~StreamHandle() override { state_->close(); }
  StreamHandle(const StreamHandle&) = delete;
  StreamHandle& operator=(const StreamHandle&) = delete;

  void read_some(std::span<std::byte> into, Done done) override {
    state_->read_some(into, std::move(done));
  }
  void write_all(std::span<const std::byte> bytes, Done done) override {
    state_->write_all(bytes, std::move(done));
  }
  void shutdown(std::function<void()> done) override { state_->shutdown(std::move(done)); }
  posix::Way way() const override { return state_->way(); }
  std::string description() const override { return description_; }

 private:
  std::shared_ptr<StreamState> state_;
  std::string description_;
};

}  // namespace

std::unique_ptr<Stream> make_stream(tcp::socket socket, std::unique_ptr<Layer> layer,
                                    std::string description) {
  auto state = std::make_shared<StreamState>(std::move(socket), std::move(layer));
  return std::make_unique<StreamHandle>(std::move(state), std::move(description));
}

}  // namespace holdfast::transport
