// Offline first: keeps what it is told, whether there is a network or not.
//
//   offline_logger CONFIG.toml TOPIC [SECONDS] < lines
//
// Each line is a message, and is safe once it is counted as accepted: across a power cut, too. At
// the end of the input it waits for the broker for SECONDS (default 0) and leaves the rest to the
// next start. A full queue is waited for, as the lines are not lost meanwhile: whoever writes them
// waits. Exit: 0 all lines are accepted, 1 some are not, 2 configuration.
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

#include "bytes.h"
#include "holdfast/device.h"

namespace {

struct Count {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t given = 0, accepted = 0, refused = 0;

  void receipt(const holdfast::Receipt& receipt) {
    const std::lock_guard lock(mutex);
    ++(receipt.kind == holdfast::ReceiptKind::accepted ? accepted : refused);
    changed.notify_all();
  }
};

void keep(holdfast::Device& device, const std::string& topic, const std::string& line,
          Count& count) {
  holdfast::Message message;
  message.topic = topic;
  message.payload = bytes_of(line);
  for (;;) {
    const auto answer = device.publish(
        message, [&count](const holdfast::Receipt& receipt) { count.receipt(receipt); },
        holdfast::ReceiptScope::accepted);
    const std::lock_guard lock(count.mutex);
    if (answer) {
      ++count.given;
      return;
    }
    if (answer.rejected != holdfast::RejectReason::queue_full) {
      std::cerr << "not accepted: " << to_string(answer.rejected) << '\n';
      ++count.refused;
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void wait_for_the_broker(const holdfast::Device& device, std::chrono::seconds longest) {
  const auto end = std::chrono::steady_clock::now() + longest;
  while (device.state().ledger.pending > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::cerr << "usage: offline_logger CONFIG.toml TOPIC [SECONDS]\n", 2;
  auto config = holdfast::load_config(argv[1]);
  if (!config) return std::cerr << config.error().message << '\n', 2;
  Count count;  // lives longer than the device
  auto opened = holdfast::Device::open(*config);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  holdfast::Device& device = **opened;
  for (std::string line; std::getline(std::cin, line);) keep(device, argv[2], line, count);
  {
    std::unique_lock lock(count.mutex);
    count.changed.wait_for(lock, std::chrono::minutes(1),
                           [&] { return count.accepted + count.refused >= count.given; });
  }
  wait_for_the_broker(device, std::chrono::seconds(argc > 3 ? std::atoi(argv[3]) : 0));
  device.stop(holdfast::Seconds(5));
  std::cout << count.accepted << " accepted, " << device.state().ledger.pending << " wait"
            << std::endl;
  return count.accepted == count.given && count.refused == 0 ? 0 : 1;
}
