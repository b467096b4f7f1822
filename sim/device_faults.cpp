#include "sim/device_faults.h"

namespace holdfast::sim {
namespace {

constexpr std::array<std::string_view, kDeviceFaults> kNames{"no-credentials",
                                                             "link-down",
                                                             "dns-fails",
                                                             "dns-hangs",
                                                             "dns-lies",
                                                             "tcp-refused",
                                                             "tls-fails",
                                                             "tls-hangs",
                                                             "connack-refused",
                                                             "connack-hangs",
                                                             "engine-hangs",
                                                             "black-hole",
                                                             "black-hole-up",
                                                             "black-hole-down",
                                                             "half-open",
                                                             "reset",
                                                             "stall",
                                                             "slow-link",
                                                             "jitter",
                                                             "kick",
                                                             "server-leaves",
                                                             "take-over",
                                                             "session-lost",
                                                             "puback-withheld",
                                                             "puback-late",
                                                             "puback-reordered",
                                                             "puback-quota",
                                                             "puback-denied",
                                                             "policy-hangs-up",
                                                             "policy-answers",
                                                             "rate-drop",
                                                             "suback-refused",
                                                             "redelivered",
                                                             "engine-refuses",
                                                             "late-answer",
                                                             "leave-unheard",
                                                             "kill",
                                                             "power-cut",
                                                             "cut-in-turn",
                                                             "clean-restart",
                                                             "reload",
                                                             "network-changed",
                                                             "reconnect-now",
                                                             "suspend",
                                                             "wall-step",
                                                             "disk-full",
                                                             "disk-read-only",
                                                             "disk-error",
                                                             "disk-unwritable",
                                                             "disk-slow",
                                                             "certificate-expired",
                                                             "region-lost",
                                                             "quota-refused"};
static_assert(!kNames.back().empty());

}  // namespace

std::string_view to_string(Fault fault) noexcept { return kNames[static_cast<std::size_t>(fault)]; }

void DeviceFaults::draw(env::Random& random) {
  for (bool& enabled : enabled_) enabled = random.below(2) == 0;
}

bool DeviceFaults::strikes(Fault fault, env::Random& random, std::uint64_t one_in) {
  if (!enabled(fault) || random.below(one_in) != 0) return false;
  count(fault);
  return true;
}

}  // namespace holdfast::sim
