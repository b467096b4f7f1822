// The endpoint where a connection last lasted, across restarts: the file `endpoint` in the outbox's
// directory.
//
// Purpose:  a device that starts while its first Region is lost begins where it was.
// Format:   text: "holdfast-endpoint 1", then a line with the name. What is no such file, or names
//           no endpoint of the configuration, is as good as none.
// Threads:  loop thread (constructed before the loop runs). The file is written by the storage
//           thread (side_writes.h).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "holdfast/device.h"
#include "holdfast/result.h"
#include "runtime/side_writes.h"

namespace holdfast::runtime {

class EndpointFile {
 public:
  static constexpr const char* kName = "endpoint";

  /// `storage` must outlive this.
  EndpointFile(Storage& storage, const std::filesystem::path& directory, LogHandler log);

  /// What an earlier run has written; empty: nothing. Reads the file; what is wrong with it is
  /// logged.
  [[nodiscard]] std::string read() const;
  void write(const std::string& name);

 private:
  std::filesystem::path path_;
  LogHandler log_;
  SideWrites writes_;
};

[[nodiscard]] std::string endpoint_file_text(std::string_view name);
/// Errors: corrupt, with what is wrong.
[[nodiscard]] Result<std::string> parse_endpoint_file(std::string_view text);

}  // namespace holdfast::runtime
