#include "sim/device_checks.h"

namespace holdfast::sim {
namespace {

constexpr std::array<std::string_view, kDeviceChecks> kNames{"no-loss",
                                                             "no-silent-drop",
                                                             "accept-is-durable",
                                                             "order",
                                                             "dup-bound",
                                                             "ack-owner",
                                                             "no-forgery",
                                                             "recovery-idempotent",
                                                             "bounded-memory",
                                                             "bounded-disk",
                                                             "clock-proof",
                                                             "shutdown-bound",
                                                             "no-hot-loop",
                                                             "delay-resets-late",
                                                             "progress",
                                                             "reconnect-bound",
                                                             "drain-bound",
                                                             "subscribed",
                                                             "will-after-loss",
                                                             "retained-last",
                                                             "verdict-named",
                                                             "hold-off",
                                                             "blame",
                                                             "denied-alone",
                                                             "command-kept",
                                                             "secrets"};
static_assert(!kNames.back().empty());

}  // namespace

std::string_view to_string(Check check) noexcept { return kNames[static_cast<std::size_t>(check)]; }

}  // namespace holdfast::sim
