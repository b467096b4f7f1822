// Publishes one message and says what became of it.  basic CONFIG.toml TOPIC TEXT
//
// Exit: 0 delivered, 1 not, 2 configuration. What was accepted and not delivered goes with the next
// start of any program on this outbox.
#include <future>
#include <iostream>

#include "bytes.h"
#include "holdfast/device.h"

int main(int argc, char** argv) {
  if (argc != 4) return std::cerr << "usage: basic CONFIG.toml TOPIC TEXT\n", 2;
  auto config = holdfast::load_config(argv[1]);
  if (!config) return std::cerr << config.error().message << '\n', 2;
  auto opened = holdfast::Device::open(*config);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  holdfast::Device& device = **opened;

  holdfast::Message message;
  message.topic = argv[2];
  message.payload = bytes_of(argv[3]);
  std::promise<holdfast::Receipt> settled;
  const auto answer = device.publish(std::move(message), [&](const holdfast::Receipt& receipt) {
    std::cout << to_string(receipt.kind) << ' ' << receipt.id << std::endl;
    if (receipt.last) settled.set_value(receipt);
  });
  if (!answer) return std::cerr << to_string(answer.rejected) << '\n', 1;

  auto end = settled.get_future();
  const bool in_time = end.wait_for(std::chrono::seconds(30)) == std::future_status::ready;
  if (!in_time) {
    const holdfast::ConnectionState now = device.state().connection;
    std::cerr << "still waiting: " << explain(now.verdict) << ' ' << now.detail << '\n';
  }
  device.stop(holdfast::Seconds(5));  // no handler runs behind this
  return in_time && end.get().kind == holdfast::ReceiptKind::delivered ? 0 : 1;
}
