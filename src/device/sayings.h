// The lines that the core logs, in words and values. Those of connections are link's.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "flow/sender.h"
#include "flow/subscriptions.h"
#include "flow/suspicion.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "holdfast/types.h"

namespace holdfast::device {

[[nodiscard]] LogLine storage_is(StorageHealth health, OnFault on_fault);
[[nodiscard]] LogLine disk_answers(bool again);
[[nodiscard]] LogLine birth_refused(std::uint8_t code);
[[nodiscard]] LogLine filter_refused(const flow::Subscriptions::Notice& notice, bool denied);
/// Proven by a reason code.
[[nodiscard]] LogLine operation_denied(const flow::Operation& operation, std::uint8_t code);
[[nodiscard]] LogLine message_dropped(const flow::Settlement& end);
[[nodiscard]] LogLine stopped_early();

/// What is set aside now and was not before, and the other way round.
[[nodiscard]] std::vector<LogLine> set_aside(flow::Operation::Kind kind, const flow::Names& before,
                                             const flow::Names& after);

}  // namespace holdfast::device
