// Two places to connect to, one outbox.  multi_region CONFIG.toml TOPIC HOST:PORT
//
// CONFIG.toml names the first endpoint; HOST:PORT is the second, with the same credentials here (a
// Region of a cloud has its own: EndpointConfig::tls and ::identity_directory). One that does not
// let us in, by its own fault, is left after [failover] after; the way back is found by itself
// ([failback]). Publishes numbers until standard input ends; prints where each connection went.
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include "bytes.h"
#include "holdfast/device.h"

namespace {

/// Where the endpoints stand, in one line: "primary 50 tcp_refused, second* 100 none".
std::string endpoints(const holdfast::Device& device) {
  std::string line;
  for (const holdfast::EndpointState& one : device.state().endpoints.all) {
    if (!line.empty()) line += ", ";
    line += one.name;
    line += one.current ? "* " : " ";
    line += std::to_string(one.health) + " ";
    line += to_string(one.verdict);
  }
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::cerr << "usage: multi_region CONFIG.toml TOPIC HOST:PORT\n", 2;
  auto config = holdfast::load_config(argv[1]);
  if (!config) return std::cerr << config.error().message << '\n', 2;
  const std::string place = argv[3];
  const std::size_t colon = place.rfind(':');
  if (colon == std::string::npos) return std::cerr << place << ": no port\n", 2;
  holdfast::EndpointConfig second = endpoint_of(*config);
  second.name = "second";
  second.host = place.substr(0, colon);
  second.port = static_cast<std::uint16_t>(std::atoi(place.c_str() + colon + 1));
  config->endpoints.push_back(second);

  auto opened = holdfast::Device::open(*config);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  holdfast::Device& device = **opened;
  device.on_connection([](const holdfast::ConnectionState& now) {
    if (now.state == holdfast::LinkState::connected) {
      std::cout << "connected to " << now.endpoint_name << " (" << now.endpoint << ")" << std::endl;
    }
  });
  std::jthread publisher([&](const std::stop_token& ended) {
    for (int number = 0; !ended.stop_requested(); ++number) {
      holdfast::Message message;
      message.topic = argv[2];
      message.payload = bytes_of(std::to_string(number));
      device.publish(std::move(message));  // neither knows nor cares which endpoint is in use
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  std::cin.get();  // until a key, or the end of input
  publisher = {};
  const std::string stood = endpoints(device);
  device.stop(holdfast::Seconds(5));
  std::cout << stood << "; " << device.state().endpoints.changes << " changes, "
            << device.state().ledger.pending << " wait" << std::endl;
}
