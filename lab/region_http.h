// What a Region answers over HTTPS: files behind presigned links, and the data plane.
//
// Threads: the loop's thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "env/clock.h"
#include "lab/iot/data_plane.h"
#include "lab/iot/downloads.h"
#include "lab/iot/region.h"
#include "lab/net/control.h"
#include "lab/net/http.h"

namespace holdfast::lab {

class RegionHttp {
 public:
  /// `files`: what stands for S3. All outlive it.
  RegionHttp(const env::Clock& clock, iot::Region& region, iot::Access& access,
             iot::Downloads& downloads, std::filesystem::path files);

  [[nodiscard]] net::HttpAnswer answer(const net::HttpQuestion& question);
  /// Presigned links lead to this port from now on.
  void set_port(std::uint16_t port);
  /// Adds "download.fault": {"path": "BUCKET/KEY", "expired", "cut_at", "corrupt_at", "stall_at"}.
  void add_operations(net::Control& control);

 private:
  [[nodiscard]] net::HttpAnswer download(iot::HttpQuestion question);

  const env::Clock& clock_;
  iot::Downloads& downloads_;
  std::filesystem::path files_;
  iot::DataPlane data_plane_;
};

}  // namespace holdfast::lab
