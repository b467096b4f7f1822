// The named workloads that simulated crashes and failing operations are tried on.
//
// A workload opens an outbox, works, and may crash and open it again. It is the same for the same
// seed. It makes its calls only while the rig is up, so that it also ends when operations fail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/outbox_rig.h"

namespace holdfast::sim {

struct Workload {
  std::string_view name;
  std::string_view what;
  outbox::Options (*options)();
  void (*run)(OutboxRig& rig);
};

[[nodiscard]] const std::vector<Workload>& outbox_workloads();

}  // namespace holdfast::sim
