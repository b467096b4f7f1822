// TLS as a stream: OpenSSL between two memory buffers, the stream below moves their bytes.
#include <openssl/err.h>

#include <array>
#include <utility>

#include <boost/asio/error.hpp>

#include "base/check.h"
#include "lab/net/tls.h"
#include "lab/net/tls_context.h"

namespace holdfast::lab::net {

namespace {

namespace asio = boost::asio;

// A handshake or a read waits for bytes from below (`waiting_`); a write waits until all that
// OpenSSL made so far has gone down. `end_` is how the stream below ended, once it has.
class OpenSslStream final : public TlsStream {
 public:
  OpenSslStream(posix::EventLoop& loop, std::shared_ptr<const TlsContext> context,
                std::shared_ptr<Stream> below)
      : loop_(loop), context_(std::move(context)), below_(std::move(below)), patience_(loop) {
    ssl_ = context_->open(record_);
    in_ = ::BIO_new(::BIO_s_mem());
    out_ = ::BIO_new(::BIO_s_mem());
    HF_CHECK(ssl_ != nullptr && in_ != nullptr && out_ != nullptr);
    ::SSL_set_bio(ssl_.get(), in_, out_);
  }

  void handshake(OnWrite done) override {
    HF_CHECK(done != nullptr && waiting_ == nullptr);
    greeted_ = std::move(done);
    waiting_ = &OpenSslStream::try_handshake;
    soon();
  }

  void read(OnRead done) override {
    HF_CHECK(done != nullptr && waiting_ == nullptr);
    reading_ = std::move(done);
    waiting_ = &OpenSslStream::try_read;
    soon();
  }

  void write(std::string bytes, OnWrite done) override {
    HF_CHECK(done != nullptr && writing_ == nullptr && !bytes.empty());
    writing_ = std::move(done);
    ::ERR_clear_error();
    const std::size_t most = context_->server.record_size;  // Each call makes records of its own.
    for (std::size_t at = 0; at < bytes.size() && !write_error_; at += most) {
      const std::string_view record = std::string_view(bytes).substr(at, most);
      std::size_t written = 0;
      if (closed_ || ::SSL_write_ex(ssl_.get(), record.data(), record.size(), &written) != 1) {
        write_error_ = to_code(StreamError::tls);
      }
    }
    loop_.post([self = self_of()] { self->flush(); });
  }

  void close(OnClosed done) override {
    HF_CHECK(done != nullptr && writing_ == nullptr && closing_ == nullptr);
    closing_ = std::move(done);
    closed_ = true;
    ::ERR_clear_error();
    if (record_.facts.established && record_.facts.problem.empty()) ::SSL_shutdown(ssl_.get());
    patience_.arm_after(kFarewell, [self = self_of()] {
      self->below_->reset();  // The farewell may still be on its way out.
      if (self->closing_ != nullptr) std::exchange(self->closing_, nullptr)();
    });
    loop_.post([self = self_of()] { self->flush(); });
    soon();
  }

  void reset() override {
    closed_ = true;
    patience_.cancel();
    below_->reset();
    waiting_ = nullptr;
    // Handlers often own this stream: they go with the loop if it turns no more.
    loop_.post([greeted = std::exchange(greeted_, nullptr), read = std::exchange(reading_, nullptr),
                written = std::exchange(writing_, nullptr),
                closed = std::exchange(closing_, nullptr)] {
      if (greeted) greeted(asio::error::operation_aborted);
      if (read) read(asio::error::operation_aborted, {});
      if (written) written(asio::error::operation_aborted);
      if (closed) closed();
    });
  }

  bool peer_is_gone() const override { return below_->peer_is_gone(); }
  const TlsFacts& facts() const override { return record_.facts; }

 private:
  using Turn = void (OpenSslStream::*)();

  std::shared_ptr<OpenSslStream> self_of() {
    return std::static_pointer_cast<OpenSslStream>(shared_from_this());
  }

  void soon() {
    loop_.post([self = self_of()] { self->turn(); });
  }

  void turn() {
    if (waiting_ != nullptr) (this->*waiting_)();
  }

  void try_handshake() {
    if (closed_) {
      greet(asio::error::operation_aborted);
      return;
    }
    ::ERR_clear_error();
    const int result = ::SSL_do_handshake(ssl_.get());
    if (result == 1) {
      note_established(*ssl_, record_);
      flush();
      greet(ErrorCode());
    } else if (const ErrorCode error = wait_or_fail(result)) {
      greet(error);
    }
  }

  void greet(const ErrorCode& error) {
    waiting_ = nullptr;
    std::exchange(greeted_, nullptr)(error);
  }

  void try_read() {
    std::array<char, kReadMost> bytes{};
    if (closed_) {
      give(asio::error::operation_aborted, {});
      return;
    }
    ::ERR_clear_error();
    const int count = ::SSL_read(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (count > 0) {
      flush();
      give(ErrorCode(), {bytes.data(), static_cast<std::size_t>(count)});
    } else if (const ErrorCode error = wait_or_fail(count)) {
      give(error, {});
    }
  }

  void give(const ErrorCode& error, std::string_view bytes) {
    waiting_ = nullptr;
    std::exchange(reading_, nullptr)(error, bytes);
  }

  // No error: what waits is tried again when bytes have come from below.
  ErrorCode wait_or_fail(int result) {
    const int why = ::SSL_get_error(ssl_.get(), result);
    if (why == SSL_ERROR_WANT_READ) {
      flush();
      if (end_) return end_;
      pull();
      return {};
    }
    if (why == SSL_ERROR_ZERO_RETURN) {
      flush();
      return asio::error::eof;
    }
    if (record_.facts.problem.empty()) record_.facts.problem = openssl_words();
    if (record_.silent) (void)BIO_reset(out_);
    flush();  // The alert.
    return to_code(StreamError::tls);
  }

  void pull() {
    if (std::exchange(pulling_, true)) return;
    below_->read([self = self_of()](const ErrorCode& error, std::string_view bytes) {
      self->pulling_ = false;
      if (error) {
        self->end_ = error;
      } else {
        ::BIO_write(self->in_, bytes.data(), static_cast<int>(bytes.size()));
      }
      self->turn();
    });
  }

  // Takes what OpenSSL has made down, and then tells who waits for that.
  void flush() {
    if (flushing_) return;
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out_, &bytes);
    if (size > 0 && !write_error_) {
      std::string taken(bytes, static_cast<std::size_t>(size));
      (void)BIO_reset(out_);
      flushing_ = true;
      below_->write(std::move(taken), [self = self_of()](const ErrorCode& error) {
        self->flushing_ = false;
        if (error) self->write_error_ = error;
        self->flush();
      });
      return;
    }
    if (writing_ != nullptr) std::exchange(writing_, nullptr)(write_error_);
    if (closing_ == nullptr || flushing_) return;
    patience_.cancel();
    below_->close(std::exchange(closing_, nullptr));
  }

  posix::EventLoop& loop_;
  std::shared_ptr<const TlsContext> context_;
  std::shared_ptr<Stream> below_;
  TlsRecord record_;
  OpenSslPtr<SSL> ssl_;
  BIO* in_ = nullptr;  // Both belong to ssl_.
  BIO* out_ = nullptr;
  Turn waiting_ = nullptr;
  OnWrite greeted_;
  OnRead reading_;
  OnWrite writing_;
  OnClosed closing_;
  posix::Timer patience_;
  ErrorCode end_;
  ErrorCode write_error_;
  bool pulling_ = false;
  bool flushing_ = false;
  bool closed_ = false;
};

}  // namespace

Result<TlsServer> TlsServer::make(TlsServerOptions options) {
  auto context = TlsContext::make(std::move(options));
  if (!context) return std::move(context).error();
  return TlsServer(std::move(context).value());
}

std::shared_ptr<TlsStream> TlsServer::wrap(posix::EventLoop& loop,
                                           std::shared_ptr<Stream> below) const {
  return std::make_shared<OpenSslStream>(loop, context_, std::move(below));
}

Result<TlsClient> TlsClient::make(TlsClientOptions options) {
  auto context = TlsContext::make(std::move(options));
  if (!context) return std::move(context).error();
  return TlsClient(std::move(context).value());
}

std::shared_ptr<TlsStream> TlsClient::wrap(posix::EventLoop& loop,
                                           std::shared_ptr<Stream> below) const {
  return std::make_shared<OpenSslStream>(loop, context_, std::move(below));
}

}  // namespace holdfast::lab::net
