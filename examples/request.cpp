// Asks and answers.  request CONFIG.toml serve    answers on demo/time, with the time of day
//                    request CONFIG.toml          asks there, and prints the answer or why not
// Two devices, so two configurations, each with a client_id and an outbox of its own.
#include <ctime>
#include <future>
#include <iostream>
#include <string_view>

#include "bytes.h"
#include "holdfast/device.h"

namespace {

constexpr std::string_view kTopic = "demo/time";

int serve(holdfast::Device& device) {
  const auto answer = [&device](const holdfast::InboundMessage& request) {
    holdfast::Message response = response_to(request);
    if (response.topic.empty()) return;  // nobody wants an answer
    response.payload = bytes_of(std::to_string(std::time(nullptr)));
    // An answer that comes too late is of no use: RAM is enough, and not for ever.
    response.durability = holdfast::Durability::memory;
    response.expiry = holdfast::Seconds(10);
    device.publish(std::move(response));
  };
  const auto wanted = device.subscribe(std::string(kTopic), holdfast::Qos::at_least_once, answer);
  if (!wanted) return std::cerr << wanted.error().message << '\n', 1;
  std::cin.get();  // until a key, or the end of input
  return 0;
}

int ask(holdfast::Device& device) {
  holdfast::Message question;
  question.topic = kTopic;
  std::promise<holdfast::Response> promise;
  const auto asked = device.request(
      question, holdfast::Seconds(10),
      [&promise](const holdfast::Response& response) { promise.set_value(response); });
  if (!asked) return std::cerr << asked.error().message << '\n', 1;
  const holdfast::Response response = promise.get_future().get();  // once, within 10 s
  if (response.kind != holdfast::ResponseKind::answered) {
    return std::cerr << to_string(response.kind) << '\n', 1;
  }
  std::cout << text_of(response.message.payload) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  auto config = holdfast::load_config(argc > 1 ? argv[1] : "device.toml");
  if (!config) return std::cerr << config.error().message << '\n', 2;
  auto opened = holdfast::Device::open(*config);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  holdfast::Device& device = **opened;
  const int code = argc > 2 && std::string_view(argv[2]) == "serve" ? serve(device) : ask(device);
  device.stop(holdfast::Seconds(5));
  return code;
}
