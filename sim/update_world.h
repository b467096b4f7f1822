// A device that is given a job, and whatever may cut it: power, a crash of the updater, the service
// giving the job up, its network.
//
// Purpose:  prove that a cut at any instant leaves a device that runs the old version or the new
// one,
//           never neither; that only what proved to be well is kept; that the service hears what
//           really became of the job; that nothing with an effect is done twice unasked.
// Method:   the real JobAgent, with a journal on a disk that loses what was not synced, a model of
// the
//           service and one of the device. The instants of a run are counted: each operation of the
//           disk, and before, in and after each order that is carried out.
// Threads:  one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/model_jobs.h"
#include "sim/power_cut_disk.h"
#include "sim/seeded_random.h"
#include "update/job_agent.h"

namespace holdfast::sim {

/// What is done to the device, and what becomes of it.
struct UpdateCase {
  std::string_view name;
  std::string_view what;
  std::vector<update::Step> steps;
  bool healthy = true;        ///< The new version proves itself.
  bool back_reboots = false;  ///< Taking back takes a reboot.
  std::int64_t failing = -1;  ///< This step fails when it is carried out.
};
[[nodiscard]] const std::vector<UpdateCase>& update_cases();

struct UpdateFaults {
  struct Cut {
    std::uint64_t instant = 0;
    bool power = true;  ///< Of the machine; else only the process ends.
  };
  std::vector<Cut> cuts;                    ///< In the order of their instants.
  std::optional<std::uint64_t> give_up_at;  ///< The service cancels the job, by force.
  std::uint64_t seed = 1;
};

struct UpdateResult {
  std::string wrong;           ///< Empty: everything is as it must be.
  std::uint64_t instants = 0;  ///< Of the run.
  unsigned cuts = 0;           ///< That came.
  std::string end;             ///< The status at the service.
};

[[nodiscard]] UpdateResult run_update(const UpdateCase& what, const UpdateFaults& faults);

}  // namespace holdfast::sim
