#include "runtime/question_line.h"

#include <utility>

#include "base/check.h"
#include "engines/engine_list.h"

namespace holdfast::runtime {

namespace {

/// Stages keep their own deadlines; this is only in case one does not.
constexpr Duration kGrace = std::chrono::seconds(2);
constexpr Duration kLeaveTime = std::chrono::seconds(1);

}  // namespace

QuestionLine::QuestionLine(posix::EventLoop& loop, env::Resolver& resolver, env::Clock& clock,
                           MqttEngine engine)
    : clock_(clock), wait_(loop) {
  const engines::EngineKind& kind = engines::kind_of(engine);
  HF_CHECK(kind.make != nullptr);  // check_values() has refused what this build has not.
  engine_ = kind.make(loop, resolver, clock, *this);
}

QuestionLine::~QuestionLine() { engine_->abort(); }

std::optional<env::Failure> QuestionLine::connect(env::ConnectRequest request) {
  leave();
  engine_->abort();
  request.attempt = ++attempt_;
  acknowledged_within_ = request.connack_timeout;
  failure_.reset();
  wait_.begin();
  engine_->connect(request);
  const Duration longest =
      request.resolve_timeout + 4 * request.connect_timeout + request.connack_timeout + kGrace;
  if (!wait_.wait(longest)) {
    engine_->abort();
    failure_ = env::Failure{Verdict::mqtt_timeout, 0, "no end in time"};
  }
  return up_ ? std::nullopt : failure_;
}

template <class Start>
QuestionLine::End QuestionLine::operate(Duration longest, Start start) {
  End over;
  over.failure = failure_;
  if (!up_) return over;
  ++token_;
  code_.reset();
  wait_.begin();
  if (const Status sent = start(token_); !sent) {
    over.failure = env::Failure{Verdict::engine_failed, 0, sent.error().message};
    return over;
  }
  static_cast<void>(wait_.wait(longest));
  over.answered = code_.has_value();
  over.code = code_.value_or(0);
  over.failure = failure_;
  return over;
}

QuestionLine::End QuestionLine::subscribe(const env::FilterRequest& filter) {
  return operate(acknowledged_within_, [&](env::Token token) {
    return engine_->subscribe(token, std::span(&filter, 1));
  });
}

QuestionLine::End QuestionLine::publish(StoredMessage message) {
  return operate(acknowledged_within_, [&](env::Token token) {
    message.id = token;
    return engine_->publish(token, message);
  });
}

QuestionLine::Answer QuestionLine::ask(const std::string& topic, const std::string& payload,
                                       const std::string& accepted, const std::string& rejected,
                                       Duration longest) {
  message_.reset();
  accepted_ = accepted;
  rejected_ = rejected;
  Answer over{operate(longest,
                      [&](env::Token token) {
                        StoredMessage message;
                        message.id = token;
                        message.topic = topic;
                        const auto bytes = std::as_bytes(std::span(payload));
                        message.payload.assign(bytes.begin(), bytes.end());
                        message.expires = clock_.now() + longest;
                        return engine_->publish(token, message);
                      }),
              {},
              {}};
  accepted_.clear();
  rejected_.clear();
  over.answered = message_.has_value();
  if (!message_) return over;
  over.topic = message_->topic;
  const auto& got = message_->payload;
  over.payload.assign(reinterpret_cast<const char*>(got.data()), got.size());
  return over;
}

void QuestionLine::leave() {
  if (!up_) return;
  wait_.begin();
  engine_->disconnect();
  static_cast<void>(wait_.wait(kLeaveTime));
  engine_->abort();
  up_.reset();
}

void QuestionLine::engine_up(env::AttemptId, const env::UpInfo& info) {
  up_ = info;
  wait_.finish();
}

void QuestionLine::engine_failed(env::AttemptId, const env::Failure& failure) { end(failure); }
void QuestionLine::engine_down(env::AttemptId, const env::Failure& failure) { end(failure); }

void QuestionLine::end(const env::Failure& failure) {
  up_.reset();
  failure_ = failure;
  wait_.finish();
}

void QuestionLine::engine_published(env::AttemptId, env::Token token, std::uint8_t reason_code) {
  if (token != token_) return;
  code_ = reason_code;
  if (accepted_.empty() || reason_code >= kFirstRefusal) wait_.finish();
}

void QuestionLine::engine_subscribed(env::AttemptId, env::Token token,
                                     std::span<const std::uint8_t> reason_codes) {
  if (token != token_ || reason_codes.empty()) return;
  code_ = reason_codes.front();
  wait_.finish();
}

void QuestionLine::engine_message(env::AttemptId, env::Arrival arrival) {
  if (arrival.ticket != 0) engine_->taken(arrival.ticket);
  InboundMessage& message = arrival.message;
  if (message.topic.empty() || (message.topic != accepted_ && message.topic != rejected_)) return;
  message_ = std::move(message);
  wait_.finish();
}

}  // namespace holdfast::runtime
