// NetworkManager's profiles on this machine, for `holdfast network plan`.
//
// Threads: any. Blocks as long as the disk does.
#pragma once

#include <filesystem>

#include "health/network_plan.h"
#include "holdfast/result.h"

namespace holdfast::runtime {

inline constexpr const char* kProfileFolder = "/etc/NetworkManager/system-connections";

/// The keyfiles of a directory, by name, and what the kernel does with dead links. Errors:
/// not_found, permission, io: the directory cannot be read.
[[nodiscard]] Result<health::PlanFacts> plan_facts(const std::filesystem::path& directory);

/// Writes the examples, for their owner only. Errors: in_use when one of them is there; io and the
/// like with the path.
[[nodiscard]] Status write_examples(const std::filesystem::path& directory, const std::string& ssid,
                                    const std::string& apn);

}  // namespace holdfast::runtime
