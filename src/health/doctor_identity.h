// Who the device is and what time it believes it is: configuration, files, certificates, clock.
//
// Threads:  plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "health/doctor.h"

namespace holdfast::health {

struct ConfigurationFacts {
  std::string file;
  std::vector<std::string> problems;  ///< "FILE:LINE: KEY: what is wrong; what to do".
  bool unreadable = false;            ///< The file itself is the problem.
  std::string profile = {};
  std::string endpoint = {};  ///< "host:port".
};
[[nodiscard]] Finding judge_configuration(const ConfigurationFacts& facts);

/// One file that the configuration names.
struct FileFacts {
  std::string key;  ///< "tls.key_file".
  std::string path;
  std::string problem;  ///< Why it cannot be read, in words; empty: it can.
  unsigned mode = 0;    ///< Permission bits.
  bool secret = false;  ///< Nobody but its owner and group should read it.
};
[[nodiscard]] Finding judge_files(const std::vector<FileFacts>& files);

/// A certificate, as far as a person wants to know it.
struct CertificateFacts {
  std::string subject;
  std::string issuer;
  WallTime not_before{};
  WallTime not_after{};
};

/// What CA file, certificate file and key say.
struct CredentialFacts {
  bool tls = true;                    ///< tls.enabled.
  std::string problem;                ///< What is wrong with them, and the file; or empty.
  std::string key;                    ///< "EC 256 bits", "in a token"; empty: none.
  std::vector<CertificateFacts> own;  ///< The device's first, then its chain in the file.
  std::vector<CertificateFacts> ca;   ///< Of tls.ca_file; none: the system's store.
  /// Whether the signatures from the device's certificate upwards hold.
  enum class Chain : std::uint8_t {
    verified,        ///< Up to a certificate of tls.ca_file.
    unknown_issuer,  ///< As far as they go; the last issuer is not in tls.ca_file.
    broken,          ///< `chain_problem` has OpenSSL's words.
  } chain = Chain::unknown_issuer;
  std::string chain_problem;
  bool out_of_order = false;  ///< A certificate in the file did not issue the one before it.
};
[[nodiscard]] Finding judge_credentials(const CredentialFacts& facts);
[[nodiscard]] Finding judge_chain(const CredentialFacts& facts);
[[nodiscard]] Finding judge_dates(const CredentialFacts& facts, WallTime now);

/// Days of validity left below which the device's certificate should be renewed.
inline constexpr std::int64_t kRenewBeforeDays = 30;

struct ClockFacts {
  WallTime now{};
  WallTime built{};                ///< When this program was built.
  std::optional<WallTime> latest;  ///< The latest time that a file of this device's own shows.
  std::string latest_from;         ///< Which file.
};
[[nodiscard]] Finding judge_clock(const ClockFacts& facts);

struct TimeSyncFacts {
  bool synchronized = false;         ///< The kernel's word (adjtimex).
  std::vector<std::string> daemons;  ///< Programs that keep the time, as far as they run.
};
[[nodiscard]] Finding judge_time_sync(const TimeSyncFacts& facts);

}  // namespace holdfast::health
