#include "runtime/machine_json.h"

#include <nlohmann/json.hpp>
#include <string>

namespace holdfast::runtime {

using nlohmann::ordered_json;

ordered_json boot_json(const BootState& boot) {
  ordered_json boots = ordered_json::object();
  for (std::size_t i = 0; i < kBootReasons; ++i) {
    boots[std::string(to_string(static_cast<BootReason>(i)))] = boot.boots.at(i);
  }
  return {{"id", boot.id},
          {"reason", to_string(boot.reason)},
          {"detail", boot.detail},
          {"first_run", boot.first_run},
          {"boots", std::move(boots)}};
}

ordered_json power_json(const PowerState& power) {
  ordered_json out{{"phase", to_string(power.phase)},
                   {"detail", power.detail},
                   {"problem", power.problem},
                   {"on_battery", power.on_battery},
                   {"going_down", power.going_down}};
  if (power.charge) out["charge"] = *power.charge;
  if (power.runtime) out["runtime_s"] = power.runtime->count();
  if (power.safe) out["saved_ms"] = power.safe->count();
  return out;
}

ordered_json guard_json(const GuardState& guard) {
  ordered_json out{{"guard", to_string(guard.kind)},
                   {"alarm", guard.alarm},
                   {"value", guard.value},
                   {"limit", guard.limit},
                   {"alarms", guard.alarms}};
  if (!guard.detail.empty()) out["detail"] = guard.detail;
  return out;
}

}  // namespace holdfast::runtime
