// What a Region answers over HTTPS: files behind presigned links, the data plane, the credential
// provider; and who may upgrade to WebSocket.
//
// Threads: the loop's thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "env/clock.h"
#include "lab/iot/access.h"
#include "lab/iot/credentials.h"
#include "lab/iot/data_plane.h"
#include "lab/iot/downloads.h"
#include "lab/iot/region.h"
#include "lab/iot/sigv4.h"
#include "lab/net/control.h"
#include "lab/net/http.h"
#include "lab/net/trace.h"
#include "lab/region_services.h"

namespace holdfast::lab {

class RegionHttp {
 public:
  /// All outlive it.
  struct World {
    const env::Clock& clock;
    iot::Region& region;
    RegionServices& services;
    const iot::Crypto& crypto;
    net::Trace& trace;
    std::string name;             ///< Of the Region: "eu-central-1".
    std::filesystem::path files;  ///< What stands for S3.
  };
  explicit RegionHttp(World world);

  [[nodiscard]] net::HttpAnswer answer(const net::HttpQuestion& question);
  /// An upgrade to WebSocket: a signature must be right. Without one a custom authorizer will say.
  [[nodiscard]] std::optional<net::HttpAnswer> refuse_upgrade(
      const net::HttpQuestion& question) const;
  /// Adds what the upgrade says of who comes.
  void recognize(const net::HttpQuestion& upgrade, iot::Arrival& arrival) const;
  /// Presigned links lead to this port from now on.
  void set_port(std::uint16_t port);
  /// Adds "download.fault": {"path": "BUCKET/KEY", "expired", "cut_at", "corrupt_at", "stall_at"},
  /// and "credentials.fault": {"status", "body", "cut_at", "delay_ms"}, of all answers of the
  /// credential provider from then on; {}: none.
  void add_operations(net::Control& control);

 private:
  [[nodiscard]] net::HttpAnswer download(iot::HttpQuestion question);
  /// The time of keys and their signatures.
  [[nodiscard]] WallTime keys_time() const;
  [[nodiscard]] net::HttpAnswer credentials(const iot::HttpQuestion& question);
  /// Who signed for `service`, or why it does not count; that is in the trace then.
  [[nodiscard]] std::optional<iot::AccessKey> verify(const net::HttpQuestion& question,
                                                     std::string service) const;

  World world_;
  iot::DataPlane data_plane_;
  iot::CredentialProvider credentials_;
  /// Of the credential provider's answers.
  struct {
    std::optional<int> status;
    std::optional<std::string> body;
    std::optional<std::uint64_t> cut_at;
    Duration delay{};
  } credentials_fault_;
};

}  // namespace holdfast::lab
