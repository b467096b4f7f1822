// A fleet that lives at its second endpoint returns to the first, which is well again.
//
// Purpose:  whether the return keeps to the connect quota of the first endpoint (issue: never above
//           1.0 of it), with the real link::Supervisor of each device deciding when to go.
// Method:   virtual time; every device is connected to its second endpoint, probes the first as its
//           supervisor asks for it, and counts in the second in which it connects there. Devices do
//           not meet, so they are run one after the other.
// Threads:  one for each run; runs share nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace holdfast::sim {

struct ReturnSettings {
  std::size_t devices = 100'000;
  std::uint32_t quota = 3000;  ///< Connects a second of the first endpoint.
  std::uint64_t seed = 1;
  /// So many of a hundred returns fail, by chance, and are undone; the device comes again later.
  std::uint32_t failing_percent = 0;
};

struct ReturnResult {
  std::vector<std::uint32_t> offered;  ///< In each second since the first endpoint is well.
  std::uint32_t worst = 0;             ///< Offered in the worst second.
  double pressure = 0;                 ///< That, divided by the quota.
  double back_s = 0;                   ///< Until the last device lived at the first endpoint.
  std::size_t away = 0;                ///< Devices that are not back at the end: a failure.
  double probes = 0;                   ///< A device.
};

[[nodiscard]] ReturnResult run_return(const ReturnSettings& settings);

}  // namespace holdfast::sim
