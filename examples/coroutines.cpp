// Receipts and answers by co_await, in fifteen lines of glue.  coroutines CONFIG.toml
//
// A coroutine goes on in the handler's thread, so what holds for handlers holds behind a co_await:
// what blocks there delays all other handlers.
#include <coroutine>
#include <future>
#include <iostream>

#include "bytes.h"
#include "holdfast/device.h"

namespace {

/// Waits for one call of a handler; `Start` is given the function to call.
template <class Value, class Start>
struct Awaited {
  Start start;
  Value value{};

  [[nodiscard]] static bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    start([this, waiting](const Value& given) {
      value = given;
      waiting.resume();
    });
  }
  Value await_resume() { return std::move(value); }
};

/// What becomes of the message in the end; a refused one ends at once.
auto delivery(holdfast::Device& device, holdfast::Message message) {
  auto start = [&device, message = std::move(message)](auto done) mutable {
    const auto answer = device.publish(std::move(message), [done](const holdfast::Receipt& one) {
      if (one.last) done(one);
    });
    if (!answer) {
      done(holdfast::Receipt{.kind = holdfast::ReceiptKind::rejected, .rejected = answer.rejected});
    }
  };
  return Awaited<holdfast::Receipt, decltype(start)>{std::move(start)};
}

/// A coroutine that runs by itself; `ended` is told when it is through.
struct Task {
  struct promise_type {
    static Task get_return_object() noexcept { return {}; }
    static std::suspend_never initial_suspend() noexcept { return {}; }
    static std::suspend_never final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    static void unhandled_exception() { std::terminate(); }
  };
};

Task tell_in_order(holdfast::Device& device, std::promise<void>& ended) {
  for (const char* text : {"one", "two", "three"}) {
    holdfast::Message message;
    message.topic = "demo/steps";
    message.payload = bytes_of(text);
    const holdfast::Receipt receipt = co_await delivery(device, std::move(message));
    std::cout << text << ": " << to_string(receipt.kind) << std::endl;
  }
  ended.set_value();
}

}  // namespace

int main(int argc, char** argv) {
  auto config = holdfast::load_config(argc > 1 ? argv[1] : "device.toml");
  if (!config) return std::cerr << config.error().message << '\n', 2;
  std::promise<void> ended;
  auto opened = holdfast::Device::open(*config);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  tell_in_order(**opened, ended);
  const bool done =
      ended.get_future().wait_for(std::chrono::seconds(30)) == std::future_status::ready;
  (*opened)->stop(holdfast::Seconds(5));
  return done ? 0 : 1;
}
