// See requester.h.
#include "runtime/requester.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "device/admission.h"

namespace holdfast::runtime {

namespace {

constexpr Milliseconds kTimeoutMax = std::chrono::hours(24);

Error wrong(std::string_view what) { return {Errc::invalid_argument, std::string(what)}; }

/// The refusal of a message as an error.
Error error_of(RejectReason reason) {
  const Errc code = reason == RejectReason::queue_full  ? Errc::full
                    : reason == RejectReason::too_large ? Errc::too_large
                    : reason == RejectReason::stopping  ? Errc::closed
                                                        : Errc::invalid_argument;
  return {code, std::string(to_string(reason))};
}

}  // namespace

std::string response_topic_of(const Config& config) {
  return config.response_topic.empty() ? config.client_id + "/responses" : config.response_topic;
}

std::shared_ptr<Requester> Requester::make(Device& device, posix::EventLoop& loop,
                                           std::shared_ptr<const env::Clock> clock,
                                           std::unique_ptr<env::Random> random, Post post) {
  return std::shared_ptr<Requester>(
      new Requester(device, loop, std::move(clock), std::move(random), std::move(post)));
}

Requester::Requester(Device& device, posix::EventLoop& loop,
                     std::shared_ptr<const env::Clock> clock, std::unique_ptr<env::Random> random,
                     Post post)
    : device_(device),
      loop_(loop),
      clock_(std::move(clock)),
      random_(std::move(random)),
      post_(std::move(post)),
      timer_(loop),
      table_(*random_) {}

// ---- asking -------------------------------------------------------------------------------------

Status Requester::ask(Message message, Milliseconds timeout, ResponseHandler handler,
                      const Config& config) {
  if (config.mqtt_version != MqttVersion::v5) {
    return Error{Errc::unsupported, "requests need MQTT 5; see connection.mqtt_version"};
  }
  if (!handler) return wrong("a request needs a handler");
  if (timeout <= Milliseconds::zero() || timeout > kTimeoutMax) {
    return wrong("the timeout of a request is above 0 and at most a day");
  }
  if (config.client_id.empty() && config.response_topic.empty()) {
    return wrong("without a client id of its own a device needs flow.response_topic for answers");
  }
  if (!message.response_topic.empty() || !message.correlation_data.empty()) {
    return wrong("response topic and correlation data of a request are not the caller's");
  }
  message.response_topic = response_topic_of(config);
  message.durability = Durability::memory;  // its handler does not outlive the process either
  const auto useful = std::chrono::ceil<Seconds>(timeout);
  message.expiry = std::min(message.expiry.value_or(useful), useful);
  {
    const std::lock_guard lock(mutex_);
    if (Status status = may_ask(message, config); !status.ok()) return status;
    const Number number = ++last_;
    message.correlation_data = table_.begin(number, clock_->now() + timeout);
    Entry& entry = entries_.emplace(number, Entry{std::move(handler), {}}).first->second;
    if (!granted_) {
      waiting_bytes_ += message.payload.size();
      entry.waiting = std::move(message);
    } else if (const auto rejected = send(number, std::move(message));
               rejected != RejectReason::none) {
      static_cast<void>(table_.give_up(number));
      entries_.erase(number);
      return error_of(rejected);
    }
  }
  arm();
  return {};
}

Status Requester::may_ask(const Message& message, const Config& config) {
  if (stopped_) return Error{Errc::closed, "the device is stopping"};
  if (const auto rejected = device::check(message, config); rejected != RejectReason::none) {
    return error_of(rejected);
  }
  if (table_.full()) {
    return Error{Errc::full, std::to_string(limits::kRequests) + " requests wait already"};
  }
  if (Status status = listen(message.response_topic); !status.ok()) return status;
  if (refused_) {
    char code[8];
    std::snprintf(code, sizeof code, "0x%02X", unsigned{*refused_});
    return Error{Errc::permission, "the broker refuses the response topic '" + topic_ + "' (" +
                                       code + "); allow it, or set flow.response_topic"};
  }
  if (!granted_ && waiting_bytes_ != 0 &&
      waiting_bytes_ + message.payload.size() > config.limits.memory) {
    return Error{Errc::full, "requests that wait for the response topic fill limits.memory"};
  }
  return {};
}

Status Requester::listen(const std::string& topic) {
  if (topic == topic_) return {};
  Result<SubscriptionId> subscription = device_.subscribe(
      topic, Qos::at_least_once,
      [self = shared_from_this()](const InboundMessage& message) { self->heard(message); });
  if (!subscription) return std::move(subscription).error().with("response topic");
  if (subscription_ != 0) static_cast<void>(device_.unsubscribe(subscription_).ok());
  topic_ = topic;
  subscription_ = *subscription;
  granted_ = false;
  refused_.reset();
  return {};
}

RejectReason Requester::send(Number number, Message message) {
  const auto receipt = [self = shared_from_this(), number](const Receipt& got) {
    if (got.kind == ReceiptKind::dropped || got.kind == ReceiptKind::rejected) {
      self->settled(number, got);
    }
  };
  return device_.publish(std::move(message), receipt, ReceiptScope::settled).rejected;
}

// ---- ends ---------------------------------------------------------------------------------------

ResponseHandler Requester::take(Number number) {
  const auto found = entries_.find(number);
  HF_CHECK(found != entries_.end());
  if (found->second.waiting) waiting_bytes_ -= found->second.waiting->payload.size();
  ResponseHandler handler = std::move(found->second.handler);
  entries_.erase(found);
  return handler;
}

Executor::Task Requester::end(Number number, ResponseKind kind, Receipt receipt) {
  Response response;
  response.kind = kind;
  response.receipt = receipt;
  return [handler = take(number), response] { handler(response); };
}

// The executor's thread: it is a subscription's handler.
void Requester::heard(const InboundMessage& message) {
  ResponseHandler handler;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    const std::optional<Number> number = table_.answered(message.correlation_data);
    if (!number) return;
    handler = take(*number);
  }
  Response response;
  response.message = message;
  handler(response);
}

// The executor's thread: it is a receipt's handler.
void Requester::settled(Number number, const Receipt& receipt) {
  Executor::Task task;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_ || !table_.give_up(number)) return;
    task = end(number, ResponseKind::not_sent, receipt);
  }
  task();
}

void Requester::filters_changed(const std::vector<FilterState>& filters) {
  std::vector<Executor::Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    const auto ours = std::find_if(filters.begin(), filters.end(), [&](const FilterState& one) {
      return !topic_.empty() && one.filter == topic_;
    });
    if (ours == filters.end() || stopped_) return;
    granted_ = ours->granted.has_value();
    refused_ = granted_ || ours->code.value_or(0) < 0x80 ? std::nullopt : ours->code;
    if (!granted_ && !refused_) return;
    std::vector<Number> waiting;
    for (const auto& [number, entry] : entries_) {
      if (entry.waiting && entry.waiting->response_topic == topic_) waiting.push_back(number);
    }
    for (const Number number : waiting) {
      Entry& entry = entries_.find(number)->second;
      Receipt receipt;
      if (granted_) {
        waiting_bytes_ -= entry.waiting->payload.size();
        Message message = *std::exchange(entry.waiting, std::nullopt);
        receipt.rejected = send(number, std::move(message));
        if (receipt.rejected == RejectReason::none) continue;
        receipt.kind = ReceiptKind::rejected;
      }
      static_cast<void>(table_.give_up(number));
      const auto kind = granted_ ? ResponseKind::not_sent : ResponseKind::no_answers;
      tasks.push_back(end(number, kind, receipt));
    }
  }
  post_(std::move(tasks));
}

void Requester::stop() {
  std::vector<Executor::Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    while (!entries_.empty()) {
      const Number number = entries_.begin()->first;
      static_cast<void>(table_.give_up(number));
      tasks.push_back(end(number, ResponseKind::stopped));
    }
  }
  post_(std::move(tasks));
}

// ---- time ---------------------------------------------------------------------------------------

void Requester::arm() {
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    BootTime next = kNever;
    {
      const std::lock_guard lock(self->mutex_);
      next = self->table_.next_deadline();
    }
    self->timer_.arm_at(next, [weak] {
      if (const auto requester = weak.lock()) requester->look();
    });
  });
}

void Requester::look() {
  std::vector<Executor::Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    for (const Number number : table_.expire(clock_->now())) {
      tasks.push_back(end(number, ResponseKind::timed_out));
    }
  }
  post_(std::move(tasks));
  arm();
}

RequestCounts Requester::counts() const {
  const std::lock_guard lock(mutex_);
  return table_.counts();
}

}  // namespace holdfast::runtime
