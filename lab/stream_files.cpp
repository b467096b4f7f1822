#include "lab/stream_files.h"

#include <fstream>
#include <system_error>

namespace holdfast::lab {

std::optional<std::filesystem::path> StreamFiles::path_of(const iot::FileLocation& file) const {
  const std::filesystem::path below = std::filesystem::path(file.bucket) / file.key;
  if (below.is_absolute()) return std::nullopt;
  for (const auto& part : below) {
    if (part == "..") return std::nullopt;
  }
  return folder_ / below;
}

std::optional<iot::FileSource::Facts> StreamFiles::look(const iot::FileLocation& file) const {
  const auto path = path_of(file);
  std::error_code failure;
  if (!path || !std::filesystem::is_regular_file(*path, failure)) return std::nullopt;
  const std::uint64_t size = std::filesystem::file_size(*path, failure);
  if (failure) return std::nullopt;
  const auto changed = std::filesystem::last_write_time(*path, failure).time_since_epoch().count();
  return Facts{size, std::to_string(size) + "-" + std::to_string(changed)};
}

Result<std::string> StreamFiles::read(const iot::FileLocation& file, std::uint64_t offset,
                                      std::size_t length) const {
  const auto path = path_of(file);
  const Error missing{Errc::not_found, "no file " + file.bucket + "/" + file.key};
  if (!path) return missing;
  std::ifstream in(*path, std::ios::binary);
  if (!in) return missing;
  in.seekg(static_cast<std::streamoff>(offset));
  std::string bytes(length, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(length));
  if (static_cast<std::size_t>(in.gcount()) != length) {
    return Error{Errc::io, path->string() + ": shorter than it was"};
  }
  return bytes;
}

}  // namespace holdfast::lab
