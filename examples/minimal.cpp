// Publishes a reading and obeys a command, whatever the network does.  minimal CONFIG.toml
#include <iostream>

#include "holdfast/device.h"

int main(int argc, char** argv) {
  auto config = holdfast::load_config(argc > 1 ? argv[1] : "device.toml");
  if (!config) return std::cerr << config.error().message << '\n', 2;
  auto opened = holdfast::Device::open(*config);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  holdfast::Device& device = **opened;

  device.on_connection([](const holdfast::ConnectionState& now) {
    std::cout << to_string(now.state) << ": " << explain(now.verdict) << std::endl;
  });
  auto command = device.subscribe("demo/command", holdfast::Qos::at_least_once,
                                  [](const holdfast::InboundMessage& message) {
                                    std::cout << "command on " << message.topic << std::endl;
                                  });
  if (!command) return std::cerr << command.error().message << '\n', 1;

  holdfast::Message message;
  message.topic = "demo/reading";
  for (const char c : std::string_view(R"({"temperature":21.5})"))
    message.payload.push_back(std::byte(c));
  device.publish(std::move(message),
                 [](const holdfast::Receipt& r) { std::cout << to_string(r.kind) << std::endl; });
  std::cin.get();  // until a key, or the end of input
  device.stop(holdfast::Seconds(5));
}
