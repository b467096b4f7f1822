// The metrics report of AWS IoT Device Defender, checked against its specification.
#pragma once

#include <cstdint>

#include "holdfast/result.h"
#include "lab/iot/json.h"

namespace holdfast::lab::iot {

struct DefenderReport {
  std::int64_t id = 0;
  Json long_form;  ///< With long names only.
};

/// Takes long and short names ("header" or "hed"), also mixed. Fails with Errc::corrupt and the
/// member: "metrics.network_stats.bytes_in must be a count". Names nobody knows are refused, so
/// that a misspelt metric is noticed.
[[nodiscard]] Result<DefenderReport> read_defender_report(const Json& report);

}  // namespace holdfast::lab::iot
