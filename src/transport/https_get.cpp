#include "transport/https_get.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "base/calendar.h"
#include "base/check.h"
#include "transport/http_words.h"
#include "transport/stream_port.h"

namespace holdfast::transport {

namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr unsigned kHttp11 = 11;

}  // namespace

// Outlives its owner as long as a handler of the loop refers to it; `done_` is empty from then on.
class HttpsGet::Work : public std::enable_shared_from_this<Work> {
 public:
  Work(posix::EventLoop& loop, HttpsQuestion question, Done done)
      : loop_(loop), question_(std::move(question)), done_(std::move(done)), patience_(loop) {
    HF_CHECK(done_ != nullptr && question_.target.websocket_target.empty());
    answer_.body_limit(question_.body_max);
  }

  void start(env::Resolver& resolver, env::Clock& clock) {
    connector_ = connect(loop_, resolver, clock, question_.target,
                         [weak = weak_from_this()](Connector::Outcome outcome) {
                           if (const auto self = weak.lock()) self->connected(std::move(outcome));
                         });
  }

  void close() {
    done_ = nullptr;
    patience_.cancel();
    stream_.reset();
    connector_.reset();
  }

 private:
  void connected(Connector::Outcome outcome) {
    if (auto* failure = std::get_if<env::Failure>(&outcome)) return fail(std::move(*failure));
    stream_ = std::move(std::get<std::unique_ptr<Stream>>(outcome));
    port_.emplace(loop_, *stream_, failure_);
    const Target& target = question_.target;
    request_ = {http::verb::get, question_.path, kHttp11};
    request_.set(http::field::host, host_header(target.host, target.port, target.tls.enabled));
    request_.set(http::field::accept, "application/json");
    request_.set(http::field::connection, "close");
    for (const auto& [name, value] : question_.headers) request_.set(name, value);
    patience_.arm_after(target.connect_timeout, [self = shared_from_this()] {
      self->fail({Verdict::silent_peer, 0, "it did not answer in time"});
    });
    http::async_write(*port_, request_,
                      [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                        if (self->done_) self->asked(error);
                      });
  }

  // The header by itself: Boost 1.74 forgets that a body is too long if its beginning has come with
  // the header.
  void asked(const ErrorCode& error) {
    if (error) return fail(failure_of(error));
    http::async_read_header(*port_, buffer_, answer_,
                            [self = shared_from_this()](const ErrorCode& result, std::size_t) {
                              if (self->done_) self->announced(result);
                            });
  }

  void announced(const ErrorCode& error) {
    if (error) return fail(failure_of(error));
    http::async_read(*port_, buffer_, answer_,
                     [self = shared_from_this()](const ErrorCode& result, std::size_t) {
                       if (self->done_) self->answered(result);
                     });
  }

  void answered(const ErrorCode& error) {
    if (error) return fail(failure_of(error));
    connector_->let_in();
    auto message = answer_.release();
    const auto date = message[http::field::date];
    finish(HttpsAnswer{message.result_int(), status_words(message.base()),
                       Secret(std::move(message.body())),
                       parse_http_date({date.data(), date.size()})});
  }

  [[nodiscard]] env::Failure failure_of(const ErrorCode& error) const {
    if (failure_) return *failure_;
    if (error == http::error::body_limit || error == http::error::header_limit ||
        error == http::error::buffer_overflow) {
      return {Verdict::protocol_error, 0,
              "its answer is longer than " + std::to_string(question_.body_max) + " bytes"};
    }
    return {Verdict::protocol_error, 0, "its answer is no HTTP: " + error.message()};
  }

  void fail(env::Failure failure) {
    if (stream_) connector_->ended(failure.verdict);
    finish(std::move(failure));
  }

  // The last thing that happens: the receiver may destroy the owner.
  void finish(std::variant<HttpsAnswer, env::Failure> outcome) {
    const auto self = shared_from_this();
    const auto done = std::exchange(done_, nullptr);
    close();
    done(std::move(outcome));
  }

  posix::EventLoop& loop_;
  const HttpsQuestion question_;
  Done done_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<Stream> stream_;
  std::optional<env::Failure> failure_;  ///< The first of `stream_`.
  std::optional<StreamPort> port_;
  http::request<http::empty_body> request_;
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::string_body> answer_;
  posix::Timer patience_;
};

HttpsGet::HttpsGet(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock,
                   HttpsQuestion question, Done done)
    : work_(std::make_shared<Work>(loop, std::move(question), std::move(done))) {
  work_->start(resolver, clock);
}

HttpsGet::~HttpsGet() { work_->close(); }

}  // namespace holdfast::transport
