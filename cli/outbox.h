// holdfast outbox: what waits on the disk, through the agent or straight from the directory.
//
// Purpose:  one set of answers (JSON objects of the local API) from two sources, shown for people
//           or for programs.
// Threads:  one.
// Errors:   one line on standard error, an exit code of exit_codes.h. A reader that closes the pipe
//           is no error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "exit_codes.h"
#include "holdfast/result.h"

namespace holdfast::cli {

struct OutboxOptions {
  std::string directory;  ///< Empty: ask the agent.
  std::string key_file;   ///< Opens what is sealed in the directory; the agent has its own.
  std::string lane;       ///< Empty: all.
  std::uint64_t limit = 100;
  bool all = false;
  bool json = false;
  bool yes = false;
  std::uint64_t id = 0;
};

[[nodiscard]] ExitCode run_outbox_ls(const std::filesystem::path& socket,
                                     const OutboxOptions& options);
[[nodiscard]] ExitCode run_outbox_stat(const std::filesystem::path& socket,
                                       const OutboxOptions& options);
[[nodiscard]] ExitCode run_outbox_cat(const std::filesystem::path& socket,
                                      const OutboxOptions& options);
[[nodiscard]] ExitCode run_outbox_export(const std::filesystem::path& socket,
                                         const OutboxOptions& options);
[[nodiscard]] ExitCode run_outbox_verify(const OutboxOptions& options);
[[nodiscard]] ExitCode run_outbox_repair(const OutboxOptions& options);

// --- where answers come from ---

class OutboxSource {
 public:
  virtual ~OutboxSource() = default;
  [[nodiscard]] virtual Result<nlohmann::json> stat() = 0;
  /// {"messages":[…],"next":…}
  [[nodiscard]] virtual Result<nlohmann::json> page(const std::string& lane, std::uint64_t limit,
                                                    const std::string& from, bool payload) = 0;
  /// Errors: not_found.
  [[nodiscard]] virtual Result<nlohmann::json> message(std::uint64_t id) = 0;
};

/// The directory if one is given, else the agent at the socket.
[[nodiscard]] Result<std::unique_ptr<OutboxSource>> open_source(const std::filesystem::path& socket,
                                                                const OutboxOptions& options);

// --- how they are shown (pure) ---

/// Control characters, and what turns the direction of writing, as \xNN and \uNNNN.
[[nodiscard]] std::string printable(const std::string& text);
/// A line of `ls`; `now_ms` is the wall clock.
[[nodiscard]] std::string render_listed(const nlohmann::json& message, std::int64_t now_ms);
[[nodiscard]] std::string render_outbox(const nlohmann::json& stat);
[[nodiscard]] std::string render_verification(const nlohmann::json& result);
[[nodiscard]] std::string render_repair(const nlohmann::json& repair, const std::string& directory);
/// The publish request that would hand this message over again.
[[nodiscard]] nlohmann::ordered_json export_request(const nlohmann::json& message);

}  // namespace holdfast::cli
