// Files of MQTT streams, from a folder that stands for S3: BUCKET/KEY.
//
// Threads: any; each call opens the file anew.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lab/iot/streams.h"

namespace holdfast::lab {

class StreamFiles : public iot::FileSource {
 public:
  explicit StreamFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  [[nodiscard]] std::optional<Facts> look(const iot::FileLocation& file) const override;
  [[nodiscard]] Result<std::string> read(const iot::FileLocation& file, std::uint64_t offset,
                                         std::size_t length) const override;

 private:
  /// nullopt for what would lead out of the folder.
  [[nodiscard]] std::optional<std::filesystem::path> path_of(const iot::FileLocation& file) const;

  std::filesystem::path folder_;
};

}  // namespace holdfast::lab
