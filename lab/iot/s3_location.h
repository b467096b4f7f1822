// The object in S3 that a link names.
#pragma once

#include <optional>
#include <string_view>

#include "lab/iot/streams.h"

namespace holdfast::lab::iot {

/// Of "s3://BUCKET/KEY", "https://BUCKET.s3.REGION.amazonaws.com/KEY" and, with any other host,
/// "https://HOST/BUCKET/KEY"; "?versionId=" is its version. nullopt: it names none.
[[nodiscard]] std::optional<FileLocation> s3_location(std::string_view url);

}  // namespace holdfast::lab::iot
