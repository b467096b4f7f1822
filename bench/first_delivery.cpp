// Time from the first line of main() to the first PUBACK of a durable message.
//
// Usage: first_delivery CONFIG.toml. Prints the milliseconds; whoever starts it can measure the
// time from before fork to that line, too. The outbox named in the configuration should be new.
#include <cstdio>
#include <future>
#include <string>
#include <string_view>
#include <utility>

#include "bench/bare.h"
#include "bench/broker.h"
#include "holdfast/device.h"

namespace {

using holdfast::bench::fail;
using holdfast::bench::time_now;

double publish_and_wait(holdfast::Device& device) {
  std::promise<double> delivered;
  holdfast::Message message;
  message.topic = "bench/holdfast/first";
  message.payload.assign(256, std::byte{'x'});
  const auto answer =
      device.publish(std::move(message), [&delivered](const holdfast::Receipt& receipt) {
        if (receipt.kind == holdfast::ReceiptKind::delivered) delivered.set_value(time_now());
      });
  if (!answer) fail("publish: " + std::string(to_string(answer.rejected)));
  auto when = delivered.get_future();
  if (when.wait_for(holdfast::Seconds(30)) != std::future_status::ready) {
    fail("not delivered within 30 s; verdict " +
         std::string(to_string(device.state().connection.verdict)));
  }
  return when.get();
}

}  // namespace

int main(int count, char** words) {
  const double begin = time_now();
  if (count != 2) fail("usage: first_delivery CONFIG.toml");
  auto config = holdfast::load_config(words[1]);
  if (!config) fail(config.error().message);
  auto device = holdfast::Device::open(std::move(*config));
  if (!device) fail(device.error().message);
  const double delivered = publish_and_wait(**device);
  std::printf("%.1f\n", 1e3 * (delivered - begin));
  std::fflush(stdout);
  (*device)->stop(holdfast::Milliseconds(5000));
  return 0;
}
