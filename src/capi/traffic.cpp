// What goes through a device of holdfast.h: messages out, messages in, requests.
#include <optional>

#include "capi/handle.h"
#include "capi/views.h"

namespace holdfast::capi {

namespace {

int rejected(RejectReason reason) noexcept {
  if (reason == RejectReason::stopping) return fail(Errc::closed, "the device has been stopped");
  return fail(HOLDFAST_REJECTED, "the message is not accepted: " + std::string(to_string(reason)));
}

bool is_scope(int scope) noexcept {
  return scope == HOLDFAST_UNTIL_ACCEPTED || scope == HOLDFAST_UNTIL_SETTLED;
}

int check_publish(const holdfast_message* message, int scope) noexcept {
  if (!usable(message)) return fail(Errc::invalid_argument, "message is no message");
  if (is_scope(scope)) return HOLDFAST_OK;
  return fail(Errc::invalid_argument,
              "scope is " + std::to_string(scope) + "; give a holdfast_scope");
}

int publish(holdfast_device& box, const Message& message, int scope,
            holdfast_receipt_handler handler, void* user, holdfast_answer* answer) {
  if (answer != nullptr && answer->size < sizeof(answer->size)) {
    return fail(Errc::invalid_argument, "answer.size must be its sizeof");
  }
  ReceiptHandler on_receipt;
  if (handler != nullptr) {
    on_receipt = [handler, user, device = &box](const Receipt& receipt) {
      const holdfast_receipt view = view_of(receipt);
      const InHandler here(device);
      handler(&view, user);
    };
  }
  const PublishAnswer given =
      box.device->publish(message, std::move(on_receipt), static_cast<ReceiptScope>(scope));
  if (answer != nullptr) {
    static_cast<void>(fill(
        answer, holdfast_answer{sizeof(holdfast_answer), static_cast<std::int32_t>(given.rejected),
                                static_cast<std::int32_t>(given.promised)}));
  }
  return given ? static_cast<int>(HOLDFAST_OK) : rejected(given.rejected);
}

/// How a wait for this receipt ends.
int outcome(const std::optional<Receipt>& receipt, ReceiptScope scope, bool stopped) {
  if (receipt && receipt->kind == ReceiptKind::rejected) return rejected(receipt->rejected);
  if (receipt && receipt->kind == ReceiptKind::dropped) {
    return fail(HOLDFAST_DROPPED,
                "the message was given up: " + std::string(to_string(receipt->dropped)));
  }
  if (receipt && (receipt->kind == ReceiptKind::delivered || scope == ReceiptScope::accepted)) {
    return HOLDFAST_OK;
  }
  if (receipt && receipt->last) {
    return fail(Errc::full, "accepted, but limits.receipts others wait for the ends of messages");
  }
  if (stopped) return fail(Errc::closed, "the device has been stopped");
  return fail(Errc::timeout, receipt ? "accepted, but not delivered within the time"
                                     : "not accepted within the time");
}

int publish_wait(holdfast_device& box, const Message& message, ReceiptScope scope,
                 std::int64_t timeout_ms, holdfast_receipt* receipt) {
  const auto shared = box.shared;
  const auto last = std::make_shared<std::optional<Receipt>>();
  const auto take = [shared, last](const Receipt& one) {
    {
      const std::lock_guard lock(shared->mutex);
      *last = one;
    }
    shared->changed.notify_all();
  };
  const PublishAnswer given = box.device->publish(message, take, scope);
  std::optional<Receipt> came;
  bool stopped = false;
  if (given) {
    const auto limit = Milliseconds(std::clamp<std::int64_t>(timeout_ms, 0, kLongestWaitMs));
    std::unique_lock lock(shared->mutex);
    shared->changed.wait_for(lock, limit,
                             [&] { return shared->stopped || (*last && (*last)->last); });
    came = *last;
    stopped = shared->stopped;
  } else {
    came.emplace();
    came->kind = ReceiptKind::rejected;
    came->rejected = given.rejected;
  }
  if (receipt != nullptr) {
    holdfast_receipt view = came ? view_of(*came) : holdfast_receipt{};
    if (!came) view.dropped = -1;
    static_cast<void>(fill(receipt, view));
  }
  return outcome(came, scope, stopped);
}

/// What every way to subscribe begins with.
template <class Ask>
int subscribe(holdfast_device* device, const char* filter, int qos, bool has_handler,
              std::uint64_t* id, Ask&& ask) noexcept {
  return use(device, [&](holdfast_device& box) {
    if (filter == nullptr) return missing("filter");
    if (!has_handler) return missing("handler");
    if (qos != 0 && qos != 1) {
      return fail(Errc::invalid_argument, "qos is " + std::to_string(qos) + "; give 0 or 1");
    }
    const Result<SubscriptionId> made = ask(box);
    if (!made) return fail(made.error());
    if (id != nullptr) *id = *made;
    return static_cast<int>(HOLDFAST_OK);
  });
}

MessageHandler message_handler(const holdfast_device* device, holdfast_message_handler handler,
                               void* user) {
  return [device, handler, user](const InboundMessage& message) {
    const InboundView view(message);
    const InHandler here(device);
    handler(&view.c, user);
  };
}

void give(const Response& response, holdfast_response_handler handler, void* user) {
  const InboundView message(response.message);
  const holdfast_receipt receipt = view_of(response.receipt);
  const bool answered = response.kind == ResponseKind::answered;
  const bool not_sent = response.kind == ResponseKind::not_sent;
  const holdfast_response view{sizeof(holdfast_response), static_cast<std::int32_t>(response.kind),
                               answered ? &message.c : nullptr, not_sent ? &receipt : nullptr};
  handler(&view, user);
}

}  // namespace

}  // namespace holdfast::capi

using namespace holdfast;  // NOLINT: the calls of the C interface are outside of every namespace
using namespace holdfast::capi;  // NOLINT

extern "C" {

int holdfast_publish(holdfast_device* device, const holdfast_message* message, int scope,
                     holdfast_receipt_handler handler, void* user, holdfast_answer* answer) {
  return use(device, [&](holdfast_device& box) {
    const int wrong = check_publish(message, scope);
    return wrong != HOLDFAST_OK
               ? wrong
               : capi::publish(box, message->message, scope, handler, user, answer);
  });
}

int holdfast_publish_wait(holdfast_device* device, const holdfast_message* message, int scope,
                          int64_t timeout_ms, holdfast_receipt* receipt) {
  return use(device, [&](holdfast_device& box) {
    if (const int wrong = check_publish(message, scope)) return wrong;
    if (receipt != nullptr && receipt->size < sizeof(receipt->size)) {
      return fail(Errc::invalid_argument, "receipt.size must be its sizeof");
    }
    if (InHandler::of(&box)) {
      return fail(Errc::invalid_argument,
                  "holdfast_publish_wait() was called from a handler, where it would wait for "
                  "itself");
    }
    return publish_wait(box, message->message, static_cast<ReceiptScope>(scope), timeout_ms,
                        receipt);
  });
}

int holdfast_ask_fate(holdfast_device* device, uint64_t id, holdfast_fate_handler handler,
                      void* user) {
  return use(device, [&](holdfast_device& box) {
    if (handler == nullptr) return missing("handler");
    box.device->fate(id, [handler, user, id, handle = &box](const Fate& fate) {
      const bool dropped = fate.kind == FateKind::dropped;
      const holdfast_fate view{sizeof(holdfast_fate), id, static_cast<std::int32_t>(fate.kind),
                               dropped ? static_cast<std::int32_t>(fate.dropped) : -1};
      const InHandler here(handle);
      handler(&view, user);
    });
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_subscribe(holdfast_device* device, const char* filter, int qos,
                       holdfast_message_handler handler, void* user, uint64_t* id) {
  return subscribe(device, filter, qos, handler != nullptr, id, [&](holdfast_device& box) {
    return box.device->subscribe(filter, static_cast<Qos>(qos),
                                 message_handler(&box, handler, user));
  });
}

int holdfast_subscribe_held(holdfast_device* device, const char* filter, int qos,
                            holdfast_held_handler handler, void* user, uint64_t* id) {
  return subscribe(device, filter, qos, handler != nullptr, id, [&](holdfast_device& box) {
    return box.device->subscribe_held(
        filter, static_cast<Qos>(qos),
        [handler, user, handle = &box](const InboundMessage& message, const Hold& hold) {
          const InboundView view(message);
          auto* const held = new holdfast_hold{.hold = hold};
          const InHandler here(handle);
          handler(&view.c, held, user);
        });
  });
}

int holdfast_subscribe_unmatched(holdfast_device* device, holdfast_message_handler handler,
                                 void* user, uint64_t* id) {
  return subscribe(device, "", 0, handler != nullptr, id, [&](holdfast_device& box) {
    return box.device->subscribe_unmatched(message_handler(&box, handler, user));
  });
}

int holdfast_acknowledge(holdfast_hold* hold) {
  return guarded([&] {
    if (!usable(hold)) return fail(Errc::invalid_argument, "hold is no hold");
    delete hold;
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_unsubscribe(holdfast_device* device, uint64_t id) {
  return use(device, [&](holdfast_device& box) { return of(box.device->unsubscribe(id)); });
}

int holdfast_request(holdfast_device* device, const holdfast_message* message, int64_t timeout_ms,
                     holdfast_response_handler handler, void* user) {
  return use(device, [&](holdfast_device& box) {
    if (!usable(message)) return fail(Errc::invalid_argument, "message is no message");
    if (handler == nullptr) return missing("handler");
    return of(box.device->request(message->message, Milliseconds(timeout_ms),
                                  [handler, user, handle = &box](const Response& response) {
                                    const InHandler here(handle);
                                    give(response, handler, user);
                                  }));
  });
}

}  // extern "C"
