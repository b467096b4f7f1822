// Any text as a scenario file: a scenario that runs, or an error with its line; and faults that are
// read are written to what is read as the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "lab/fault/scenario.h"

using namespace holdfast;              // NOLINT: a fuzz target's only file
using namespace holdfast::lab::fault;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto scenario = Scenario::parse({reinterpret_cast<const char*>(data), size});
  if (!scenario) {
    HF_CHECK(!scenario.error().message.empty());
    return 0;
  }
  for (const Step& step : scenario->steps) {
    for (const Faults& faults : step.choice) {
      const auto again = parse_faults(to_json(faults));
      HF_CHECK(again.ok());
      HF_CHECK(*again == faults);
    }
  }
  ScenarioRun run(*scenario, BootTime{std::chrono::seconds(1)});
  for (int orders = 0; orders < 1000 && !run.over(); ++orders) {
    const BootTime at = run.wake();
    HF_CHECK(run.next(at).has_value());
    HF_CHECK(run.wake() >= at);
  }
  return 0;
}
