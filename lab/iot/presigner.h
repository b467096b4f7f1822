// Links to files that end: what replaces the presigned-URL placeholders of job documents.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace holdfast::lab::iot {

class Presigner {
 public:
  Presigner() = default;
  Presigner(const Presigner&) = delete;
  Presigner& operator=(const Presigner&) = delete;
  virtual ~Presigner() = default;

  /// A link that reads the file at `url` ("https://s3.REGION.amazonaws.com/BUCKET/KEY") for
  /// `seconds` from `now`.
  [[nodiscard]] virtual std::string presign(WallTime now, std::string_view url,
                                            std::int64_t seconds) = 0;
};

}  // namespace holdfast::lab::iot
