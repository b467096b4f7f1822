// Alarms go ahead of history.  lanes CONFIG.toml LIMIT, with one reading a line on standard input
//
// A reading is telemetry: in the last lane, where the oldest makes room when an outage is long. One
// above LIMIT is an alarm besides: in the first lane, retained, and worth an hour. So after an
// outage the broker hears of the alarm first. The lanes and their limits are set here; they may as
// well be in the file ([lane.NAME]).
#include <cstdlib>
#include <iostream>
#include <string>

#include "bytes.h"
#include "holdfast/device.h"

namespace {

void publish(holdfast::Device& device, holdfast::Message message, const std::string& reading) {
  message.payload = bytes_of(reading);
  const std::string lane = message.lane;
  const auto answer = device.publish(std::move(message), {});
  if (!answer) std::cerr << lane << ": not accepted: " << to_string(answer.rejected) << std::endl;
}

holdfast::Message telemetry() {
  holdfast::Message message;
  message.topic = "plant/telemetry";
  message.lane = "bulk";
  message.durability = holdfast::Durability::spill;  // on disk only while offline: kind to flash
  return message;
}

holdfast::Message alarm() {
  holdfast::Message message;
  message.topic = "plant/alarm";
  message.lane = "urgent";
  message.retain = true;  // for who comes later
  message.expiry = holdfast::Seconds(3600);
  return message;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::cerr << "usage: lanes CONFIG.toml LIMIT\n", 2;
  const double limit = std::atof(argv[2]);
  auto config = holdfast::load_config(argv[1]);
  if (!config) return std::cerr << config.error().message << '\n', 2;
  config->lanes = {"urgent", "normal", "bulk"};
  holdfast::LaneRules& bulk = config->lane_rules["bulk"];
  bulk.max_messages = 10000;
  bulk.when_full = holdfast::WhenFull::drop_oldest;
  auto opened = holdfast::Device::open(*config);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  holdfast::Device& device = **opened;
  for (std::string reading; std::getline(std::cin, reading);) {
    publish(device, telemetry(), reading);
    if (std::atof(reading.c_str()) > limit) publish(device, alarm(), reading);
  }
  device.stop(holdfast::Seconds(5));
  const holdfast::Ledger ledger = device.state().ledger;
  std::cout << ledger.accepted << " accepted, " << ledger.delivered << " delivered, "
            << ledger.pending << " wait for the next start" << std::endl;
}
