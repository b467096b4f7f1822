// See role_keys.h.
#include "runtime/role_keys.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/calendar.h"
#include "base/limits.h"
#include "posix/system.h"
#include "runtime/logins.h"
#include "transport/credentials.h"
#include "transport/identity_check.h"

namespace holdfast::runtime {

namespace {

using transport::HttpsAnswer;

constexpr std::size_t kAnswerMax = 16 * limits::kKiB;  // a session token has some 1000 bytes
constexpr std::size_t kWordsMax = 200;                 // of what the provider says of a refusal
constexpr unsigned kOk = 200;
constexpr unsigned kAskersFault = 400;
constexpr unsigned kTooMany = 429;
constexpr unsigned kServersFault = 500;
constexpr unsigned kUnavailable = 503;

/// Whatever the provider holds against the question (thing, policy, role, no such alias), it says
/// no.
Verdict verdict_of(unsigned status) {
  if (status == kTooMany || status == kUnavailable) return Verdict::throttled;
  if (status >= kServersFault) return Verdict::server_gone;
  return status >= kAskersFault ? Verdict::not_authorized : Verdict::protocol_error;
}

/// The provider's own words, {"message": …}, if there are any.
std::string reason_in(const std::string& body) {
  using nlohmann::json;
  const json answer = json::parse(body, nullptr, false);
  const auto message = answer.is_object() ? answer.find("message") : answer.end();
  if (message == answer.end() || !message->is_string()) return {};
  std::string words = message->get<std::string>().substr(0, kWordsMax);
  std::replace_if(
      words.begin(), words.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return ": " + words;
}

env::Failure no_keys(std::string problem) {
  return {Verdict::protocol_error, 0, "its answer holds no keys: " + std::move(problem)};
}

/// By whom and for what keys are asked for. A certificate that cannot be read is told by the
/// attempt.
std::string asker_of(const env::ConnectRequest& request) {
  const SigV4Config& sigv4 = request.sigv4;
  std::string asker = sigv4.provider_host + ':' + std::to_string(sigv4.provider_port) + ' ' +
                      sigv4.role_alias + ' ' + sigv4.thing_name;
  auto text = posix::read_file(request.tls.cert_file, transport::kCertFileMax);
  if (!text) return asker;
  const Secret content(std::move(text).value());  // a slot's file has the key, too
  return asker + ' ' + transport::content_id(content.text());
}

transport::HttpsQuestion question_of(const env::ConnectRequest& request) {
  const SigV4Config& sigv4 = request.sigv4;
  transport::HttpsQuestion question;
  question.target = transport::target_of(request);
  question.target.host = sigv4.provider_host;
  question.target.port = sigv4.provider_port;
  question.target.websocket_target.clear();
  question.target.tls.alpn.clear();
  question.target.tls.server_name.clear();
  question.path = "/role-aliases/" + sigv4.role_alias + "/credentials";
  if (!sigv4.thing_name.empty()) {
    question.headers.emplace_back("x-amzn-iot-thingname", sigv4.thing_name);
  }
  question.body_max = kAnswerMax;
  return question;
}

std::string in_seconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<Seconds>(duration).count()) + " s";
}

}  // namespace

std::variant<GrantedKeys, env::Failure> judge_keys(const HttpsAnswer& answer, WallTime wall) {
  if (answer.status != kOk) {
    return env::Failure{verdict_of(answer.status), 0,
                        "it answers " + answer.words + reason_in(answer.body.text())};
  }
  Result<transport::AwsKeys> keys = parse_aws_json(answer.body.text());
  if (!keys) return no_keys(std::move(keys).error().message);
  if (!keys->expires) return no_keys("it does not say when they end");
  GrantedKeys granted{std::move(keys).value(), answer.date.value_or(wall), {}};
  granted.lasts = std::chrono::milliseconds(granted.keys.expires->ms - granted.given.ms);
  if (granted.lasts >= link::kLeaseLeast) return granted;
  return no_keys("those in it have ended by " + std::string(answer.date ? "its" : "this device's") +
                 " own clock");
}

RoleKeys::RoleKeys(posix::EventLoop& loop, env::Clock& clock, env::Random& random, Hooks hooks)
    : loop_(loop),
      clock_(clock),
      hooks_(std::move(hooks)),
      lease_(random),
      resolver_(posix::make_resolver(loop)),
      timer_(loop) {}

void RoleKeys::reconfigure(const Config& config) {
  if (config.sigv4.role_alias.empty()) rest();
}

void RoleKeys::rest() {
  get_.reset();
  lease_.forget();
  rearm();
}

void RoleKeys::sign(env::ConnectRequest request, Ready ready) {
  last_ = request;
  std::string asker = asker_of(request);
  fresh_ = !lease_.serves(clock_.now(), asker);
  if (!fresh_) return finish(std::move(request), ready);
  waiting_ = Waiting{std::move(request), std::move(ready)};
  if (!get_ || asker_ != asker) fetch(std::move(asker));
}

void RoleKeys::fetch(std::string asker) {
  asker_ = std::move(asker);
  lease_.asked();
  get_ = std::make_unique<transport::HttpsGet>(
      loop_, *resolver_, clock_, question_of(last_),
      [this](std::variant<HttpsAnswer, env::Failure> outcome) { answered(std::move(outcome)); });
}

void RoleKeys::answered(std::variant<HttpsAnswer, env::Failure> outcome) {
  get_.reset();
  if (const auto* answer = std::get_if<HttpsAnswer>(&outcome)) {
    auto judged = judge_keys(*answer, clock_.wall());
    if (auto* keys = std::get_if<GrantedKeys>(&judged)) return granted(std::move(*keys));
    outcome = std::move(std::get<env::Failure>(judged));
  }
  refused(std::get<env::Failure>(outcome));
}

void RoleKeys::granted(GrantedKeys keys) {
  keys_ = std::move(keys);
  given_at_ = clock_.now();
  complained_ = false;
  lease_.granted(given_at_, keys_.lasts, asker_);
  hooks_.log({LogLevel::info, LogArea::identity, words()});
  rearm();
  if (waiting_) {
    Waiting waiting = std::exchange(waiting_, std::nullopt).value();
    finish(std::move(waiting.request), waiting.ready);
  } else if (up_) {
    hooks_.renew();
  }
}

void RoleKeys::refused(const env::Failure& failure) {
  const env::Failure told{
      failure.verdict, 0,
      "credential provider " + last_.sigv4.provider_host + ": " + failure.detail};
  lease_.refused(clock_.now(), failure.verdict);
  rearm();
  if (waiting_) {
    Waiting waiting = std::exchange(waiting_, std::nullopt).value();
    waiting.ready(waiting.request, &told);
  } else if (lease_.held(clock_.now()) && !std::exchange(complained_, true)) {
    hooks_.log({LogLevel::warning, LogArea::identity,
                "temporary keys cannot be renewed yet; those at hand serve until " +
                    iso_time(*keys_.keys.expires) + ": " + told.detail});
  }
}

void RoleKeys::finish(env::ConnectRequest request, const Ready& ready) {
  request.tls.cert_file.clear();
  request.tls.key_file.clear();
  request.tls.key_uri.clear();
  request.tls.pin_file.clear();
  const auto passed =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - given_at_);
  sign_request(request, keys_.keys, WallTime{keys_.given.ms + passed.count()});
  attempt_ = request.attempt;
  up_ = false;
  ready(request, nullptr);
}

void RoleKeys::rearm() {
  timer_.arm_at(lease_.next_due(), [this] {
    if (lease_.due(clock_.now())) fetch(asker_of(last_));
  });
}

void RoleKeys::up(env::AttemptId attempt) { up_ = attempt == attempt_; }

void RoleKeys::ended(env::AttemptId attempt, Verdict verdict) {
  if (attempt != attempt_) return;
  up_ = false;
  // Of keys that were good before: the role or its policy may have changed.
  if (verdict == Verdict::not_authorized && !fresh_) lease_.forget();
}

void RoleKeys::aborted() {
  waiting_.reset();
  up_ = false;
}

void RoleKeys::mended() {
  lease_.mended(clock_.now());
  if (!get_) rearm();
}

std::string RoleKeys::words() const {
  return "temporary keys of the role alias " + last_.sigv4.role_alias + ", good for " +
         in_seconds(keys_.lasts) + ", until " + iso_time(*keys_.keys.expires);
}

}  // namespace holdfast::runtime
