#include "lab/net/shaped_stream.h"

#include <algorithm>
#include <utility>

#include <boost/asio/error.hpp>

#include "base/check.h"

namespace holdfast::lab::net {

namespace {

namespace asio = boost::asio;

// run() moves whatever can be moved now; everything that may change that calls it later.
class Shaped final : public ShapedStream {
 public:
  Shaped(posix::EventLoop& loop, const env::Clock& clock, env::Random& random,
         std::shared_ptr<Stream> below, ShapedOptions options)
      : loop_(loop),
        clock_(clock),
        below_(std::move(below)),
        options_(std::move(options)),
        up_(random),
        down_(random),
        timer_(loop),
        watch_(loop) {}

  void set(const fault::ByteSettings& up, const fault::ByteSettings& down) override {
    up_.set(clock_.now(), up);
    down_.set(clock_.now(), down);
    soon();
  }

  void read(OnRead done) override {
    HF_CHECK(done != nullptr && reading_ == nullptr);
    reading_ = std::move(done);
    soon();
  }

  void write(std::string bytes, OnWrite done) override {
    HF_CHECK(done != nullptr && writing_ == nullptr && !bytes.empty());
    writing_ = std::move(done);
    down_.push(clock_.now(), std::move(bytes));
    soon();
  }

  void close(OnClosed done) override {
    HF_CHECK(done != nullptr && writing_ == nullptr && closing_ == nullptr);
    closing_ = std::move(done);
    leaving_ = true;
    soon();
  }

  void reset() override {
    leaving_ = true;
    cut(asio::error::operation_aborted);
    // Handlers often own this stream: they go with the loop if it turns no more.
    loop_.post([read = std::exchange(reading_, nullptr), written = std::exchange(writing_, nullptr),
                closed = std::exchange(closing_, nullptr)] {
      if (read) read(asio::error::operation_aborted, {});
      if (written) written(asio::error::operation_aborted);
      if (closed) closed();
    });
    soon();
  }

  bool peer_is_gone() const override { return below_->peer_is_gone(); }

 private:
  std::shared_ptr<Shaped> self_of() { return std::static_pointer_cast<Shaped>(shared_from_this()); }

  void soon() {
    if (std::exchange(posted_, true)) return;
    loop_.post([self = self_of()] {
      self->posted_ = false;
      self->run();
    });
  }

  void run() {
    if (!end_ && (up_.wants_reset() || down_.wants_reset())) cut(to_code(StreamError::fault));
    pull();
    push();
    give();
    finish_write();
    finish_close();
    if (!end_ && (up_.wants_reset() || down_.wants_reset())) soon();
    plan();
  }

  // From the device into `up_`.
  void pull() {
    if (pulling_ || end_ || peer_end_ || leaving_ || !up_.wants_reading()) return;
    pulling_ = true;
    below_->read([self = self_of()](const ErrorCode& error, std::string_view bytes) {
      self->pulling_ = false;
      if (error) {
        self->peer_ended(error);
      } else {
        if (self->options_.tap && !self->options_.tap(bytes)) self->options_.tap = nullptr;
        self->up_.push(self->clock_.now(), std::string(bytes));
      }
      self->run();
    });
  }

  void peer_ended(const ErrorCode& error) {
    if (leaving_ || end_) return;
    peer_end_ = error;
    const bool held = !up_.idle() || up_.settings().half_open || up_.settings().black_hole;
    if (held && options_.end_held) options_.end_held(words_of(error));
  }

  // From `down_` to the device.
  void push() {
    if (pushing_ || end_) return;
    std::string bytes = down_.take(clock_.now());
    if (bytes.empty()) return;
    pushing_ = true;
    below_->write(std::move(bytes), [self = self_of()](const ErrorCode& error) {
      self->pushing_ = false;
      if (error) self->cut(error);
      self->run();
    });
  }

  // From `up_` to whoever reads.
  void give() {
    if (reading_ == nullptr) return;
    if (leaving_ || end_) {
      std::exchange(reading_, nullptr)(leaving_ ? asio::error::operation_aborted : end_, {});
      return;
    }
    const std::string bytes = up_.take(clock_.now());
    if (!bytes.empty()) {
      std::exchange(reading_, nullptr)(ErrorCode(), bytes);
    } else if (peer_end_ && up_.idle() && !up_.settings().half_open && !up_.settings().black_hole) {
      std::exchange(reading_, nullptr)(peer_end_, {});
    }
  }

  void finish_write() {
    if (writing_ == nullptr) return;
    if (end_) {
      std::exchange(writing_, nullptr)(end_);
    } else if (down_.wants_reading()) {
      std::exchange(writing_, nullptr)(ErrorCode());
    }
  }

  void finish_close() {
    if (closing_ == nullptr || pushing_) return;
    const fault::ByteSettings& settings = down_.settings();
    if (end_ || (down_.idle() && !settings.half_open && !settings.black_hole)) {
      if (!end_) end_ = asio::error::operation_aborted;
      below_->close(std::exchange(closing_, nullptr));
    }
  }

  // The connection is over, in both directions.
  void cut(const ErrorCode& why) {
    if (end_) return;
    end_ = why;
    below_->reset();
  }

  void plan() {
    if (end_) {
      timer_.cancel();
      watch_.cancel();
      return;
    }
    // Bytes that wait for a reader, or for the write before them, are not waited for.
    BootTime when = kNever;
    if (reading_ != nullptr) when = std::min(when, up_.wake());
    if (!pushing_) when = std::min(when, down_.wake());
    timer_.arm_at(when, [self = self_of()] { self->run(); });
    const bool blind = !pulling_ && !peer_end_;
    if (blind || closing_ != nullptr) {
      watch_.arm_after(kLook, [self = self_of()] { self->look(); });
    } else {
      watch_.cancel();
    }
  }

  // Nobody reads, or an end is held back: does the peer still wait?
  void look() {
    if (closing_ != nullptr && (peer_end_ || below_->peer_is_gone())) {
      cut(asio::error::operation_aborted);
    } else if (!peer_end_ && below_->peer_is_gone()) {
      // Told, although what it sent before that is not read; that stays as the faults want it.
      if (!std::exchange(told_, true) && options_.end_held) options_.end_held("gone");
    }
    run();
  }

  static constexpr Duration kLook = std::chrono::milliseconds(50);

  posix::EventLoop& loop_;
  const env::Clock& clock_;
  std::shared_ptr<Stream> below_;
  ShapedOptions options_;
  fault::ByteFaults up_;
  fault::ByteFaults down_;
  posix::Timer timer_;
  posix::Timer watch_;
  OnRead reading_;
  OnWrite writing_;
  OnClosed closing_;
  ErrorCode peer_end_;  // How the device ended, when it has.
  ErrorCode end_;       // Set: nothing moves any more.
  bool posted_ = false;
  bool pulling_ = false;
  bool pushing_ = false;
  bool leaving_ = false;
  bool told_ = false;
};

}  // namespace

std::shared_ptr<ShapedStream> make_shaped_stream(posix::EventLoop& loop, const env::Clock& clock,
                                                 env::Random& random, std::shared_ptr<Stream> below,
                                                 ShapedOptions options) {
  return std::make_shared<Shaped>(loop, clock, random, std::move(below), std::move(options));
}

}  // namespace holdfast::lab::net
