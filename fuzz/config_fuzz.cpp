// Goal: no configuration text crashes, hangs, or is refused without a line that names the file.
// Method: libFuzzer over the file's text; half of the inputs arrive as an environment variable,
// too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "runtime/config_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;           // NOLINT: one short function
  using namespace holdfast::runtime;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Environment environment;
  if (size > 0 && data[0] % 2 == 1) {
    environment.emplace_back("HOLDFAST_TIMING_CONNECT", text.substr(1));
    environment.emplace_back("HOLDFAST_" + std::string(text.substr(1)), "1");
  }
  const ConfigReport report = parse_config(text, "f.toml", environment);
  for (const Error& problem : report.problems) {
    const bool placed = problem.message.starts_with("f.toml:") ||
                        problem.message.starts_with("environment variable ");
    if (!placed || problem.message.find('\n') != std::string::npos) std::abort();
  }
  // What was read without a problem must be a configuration that checks out.
  if (report.problems.empty() && !check_values(report.config).empty()) std::abort();
  return 0;
}
