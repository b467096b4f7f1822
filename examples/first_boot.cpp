// A device that leaves the factory without a certificate.  first_boot CONFIG.toml
//
// CONFIG.toml has [provisioning] (docs/provisioning.md): a claim that all devices of a batch share,
// and a template. At the first boot the device gets a certificate of its own; here the steps are
// shown. The application need not know: it publishes from the first second, and what it has
// published waits. Later boots find the certificate and say so at once.
#include <future>
#include <iostream>
#include <mutex>

#include "bytes.h"
#include "holdfast/device.h"

namespace {

constexpr std::chrono::minutes kLongest{2};

/// The steps, and what keeps one from being done; identity().provisioning has the same at any time.
void tell(const holdfast::LogLine& line) {
  const bool ours =
      line.area == holdfast::LogArea::provisioning || line.area == holdfast::LogArea::identity;
  if (ours) std::cout << to_string(line.area) << ": " << line.text << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  auto config = holdfast::load_config(argc > 1 ? argv[1] : "device.toml");
  if (!config) return std::cerr << config.error().message << '\n', 2;
  auto opened = holdfast::Device::open(*config, tell);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  holdfast::Device& device = **opened;

  std::promise<void> let_in;
  std::once_flag once;
  device.on_connection([&](const holdfast::ConnectionState& now) {
    if (now.state != holdfast::LinkState::connected) return;
    std::call_once(once, [&] { let_in.set_value(); });
  });

  holdfast::Message message;
  message.topic = "plant/hello";
  message.payload = bytes_of("first words");
  device.publish(std::move(message));

  if (let_in.get_future().wait_for(kLongest) != std::future_status::ready) {
    device.stop(holdfast::Seconds(5));
    return std::cerr << "no certificate yet; the next start goes on from here\n", 1;
  }
  const holdfast::SlotState active =
      device.identity().slots[static_cast<std::size_t>(holdfast::IdentitySlot::active)];
  std::cout << "connected as " << device.state().connection.client_id << " with " << active.subject
            << ", " << active.key_type << std::endl;
  std::cin.get();  // until a key, or the end of input
  device.stop(holdfast::Seconds(5));
  std::cout << device.state().ledger.delivered << " delivered" << std::endl;
}
