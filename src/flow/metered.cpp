// See metered.h.
#include "flow/metered.h"

#include <algorithm>

namespace holdfast::flow {
namespace {

/// Whether traffic goes through a modem: as NetworkManager says, or else as the modem does.
bool by_modem(const NetworkState& network, const ModemState& modem) {
  if (!network.managed) return modem.state == "connected";
  return network.type == "gsm" || network.type == "cdma";
}

}  // namespace

bool costs_money(const NetworkState& network, const Config::Network& rules) {
  if (network.metered == Metered::yes || network.metered == Metered::guess_yes) return true;
  return rules.roaming_is_metered &&
         std::any_of(network.modems.begin(), network.modems.end(), [&](const ModemState& modem) {
           return modem.roaming() && by_modem(network, modem);
         });
}

LaneSet held_lanes(const NetworkState& network, const Config& config) {
  LaneSet held;
  if (!costs_money(network, config.network)) return held;
  for (std::size_t i = 0; i < config.lanes.size(); ++i) {
    const auto rules = config.lane_rules.find(config.lanes[i]);
    held[i] = rules != config.lane_rules.end() && rules->second.metered == WhenMetered::hold;
  }
  return held;
}

std::vector<std::string> held_lane_names(const NetworkState& network, const Config& config) {
  const LaneSet held = held_lanes(network, config);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < config.lanes.size(); ++i) {
    if (held[i]) names.push_back(config.lanes[i]);
  }
  return names;
}

}  // namespace holdfast::flow
