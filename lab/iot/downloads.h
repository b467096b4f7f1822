// Links to files that end, as S3 makes them: made for job documents, and judged when a device
// comes with one; and what is to go wrong with which file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "lab/iot/crypto.h"
#include "lab/iot/http.h"
#include "lab/iot/presigner.h"

namespace holdfast::lab::iot {

/// What goes wrong with a file. Positions count bytes of the whole file.
struct DownloadFault {
  bool expired = false;  ///< Every link has ended already.
  std::optional<std::uint64_t> cut_at;
  std::optional<std::uint64_t> corrupt_at;
  std::optional<std::uint64_t> stall_at;
  friend bool operator==(const DownloadFault&, const DownloadFault&) = default;
};

/// What a request for a file comes to: the file, or an answer that refuses it.
struct Download {
  std::string path;  ///< "BUCKET/KEY", decoded and without "..". Empty: `refusal` is the answer.
  DownloadFault fault;
  HttpAnswer refusal;
};

class Downloads final : public Presigner {
 public:
  static constexpr std::int64_t kLongest = std::int64_t{7} * 24 * 3600;  ///< Seconds.

  /// `base`: where devices reach the files, "https://localhost:8443". `secret` signs. `crypto`
  /// outlives it.
  Downloads(std::string base, std::string secret, const Crypto& crypto);

  /// Links made from now on begin so.
  void set_base(std::string base) { base_ = std::move(base); }
  /// Links keep the path of `url`: BASE/BUCKET/KEY.
  [[nodiscard]] std::string presign(WallTime now, std::string_view url,
                                    std::int64_t seconds) override;
  /// Answers 403 AccessDenied for a link that has ended, and 403 SignatureDoesNotMatch for one that
  /// was never made; 405 for anything but GET and HEAD.
  [[nodiscard]] Download open(WallTime now, const HttpQuestion& question) const;

  /// A fault that does nothing takes the one of this path away.
  void set_fault(const std::string& path, const DownloadFault& fault);

 private:
  [[nodiscard]] std::string signature(std::string_view path, std::int64_t expires) const;

  std::string base_;
  std::string secret_;
  const Crypto& crypto_;
  std::map<std::string, DownloadFault, std::less<>> faults_;
};

}  // namespace holdfast::lab::iot
