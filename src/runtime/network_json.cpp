// See network_json.h.
#include "runtime/network_json.h"

#include <nlohmann/json.hpp>

namespace holdfast::runtime {
namespace {

using nlohmann::ordered_json;

ordered_json modem_json(const ModemState& modem) {
  return {{"name", modem.name},
          {"port", modem.port},
          {"state", modem.state},
          {"registration", modem.registration},
          {"roaming", modem.roaming()},
          {"operator_name", modem.operator_name},
          {"operator_code", modem.operator_code},
          {"technology", modem.technology},
          {"signal_percent", modem.signal},
          {"signal_recent", modem.signal_recent}};
}

}  // namespace

void add_network(ordered_json& status, const DeviceState& state) {
  const NetworkState& network = state.network;
  ordered_json modems = ordered_json::array();
  for (const ModemState& modem : network.modems) modems.push_back(modem_json(modem));
  status["network"] = {{"managed", network.managed},
                       {"problem", network.problem},
                       {"connectivity", to_string(network.connectivity)},
                       {"connection", network.connection},
                       {"type", network.type},
                       {"device", network.device},
                       {"metered", to_string(network.metered)},
                       {"changes", state.network_counts.changes},
                       {"attempts_spared", state.network_counts.spared},
                       {"checks", state.network_counts.checks},
                       {"held_lanes", state.held_lanes},
                       {"modems", std::move(modems)}};
  const EscalationCounts& done = state.escalation;
  status["escalation"] = {{"asked", done.asked},     {"reconnects", done.reconnects},
                          {"bearers", done.bearers}, {"modem_resets", done.modem_resets},
                          {"reboots", done.reboots}, {"failed", done.failed}};
  status["clock"] = {{"synchronized", state.clock.synchronized},
                     {"steps", state.clock.steps},
                     {"last_step_ms", state.clock.last_step.count()},
                     {"floor_ms", state.clock.floor_ms}};
}

}  // namespace holdfast::runtime
