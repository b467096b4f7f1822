// What has been reached on the way to a certificate of one's own: kept across restarts.
//
// Purpose:  whatever is cut, the key and the certificate that the cloud knows are not lost, and no
//           second one is asked for while the first may be in force.
// Format:   lines "name value", then the certificate and the private key as PEM, so that the file
//           is a certificate file and a key file as well. docs/provisioning.md has the fields.
// Secrets:  the key and the ownership token; nothing of them is in an error.
// Errors:   corrupt, with what is wrong.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/time.h"
#include "holdfast/result.h"

namespace holdfast::identity {

inline constexpr std::size_t kPemMax = 16 * 1024;      ///< Of a certificate, and of a key.
inline constexpr std::size_t kTokenMax = 8 * 1024;     ///< Bytes of an ownership token.
inline constexpr std::size_t kThingNameMax = 128;      ///< AWS IoT Core's.
inline constexpr std::size_t kCertificateIdMax = 128;  ///< AWS: 64 hexadecimal digits.
inline constexpr std::size_t kDeviceConfigurationMax = 8 * 1024;
inline constexpr std::size_t kGivenUpMax = 8;  ///< Ids of certificates that were given up.
inline constexpr std::size_t kProvisionJournalMax = 60 * 1024;
static_assert(2 * kPemMax + kTokenMax + kDeviceConfigurationMax + kThingNameMax +
                  (kGivenUpMax + 1) * (kCertificateIdMax + 1) + 1024 <
              kProvisionJournalMax);

enum class ProvisionPhase : std::uint8_t {
  none,         ///< Nothing is known that must be kept.
  key,          ///< The key is made.
  certificate,  ///< Its certificate is here; whether it is registered is not known.
  registered,   ///< The service said so.
  done,         ///< The certificate is in its slot; key, certificate and token are not here.
};

struct ProvisionJournal {
  ProvisionPhase phase = ProvisionPhase::none;
  Secret key;                        ///< PEM.
  std::string certificate;           ///< PEM: ours, then its chain.
  std::string certificate_id;        ///< Also when done.
  Secret token;                      ///< What RegisterThing asks for.
  WallTime received;                 ///< When the certificate came, by this device's clock.
  std::string thing;                 ///< Empty: the answer that named it was lost.
  std::string configuration;         ///< JSON of the template's DeviceConfiguration; or empty.
  std::vector<std::string> given_up; /*!< Certificates that were never registered, newest last.
                                          The service deletes them. */

  /// What its slot gets.
  [[nodiscard]] Secret credential() const { return Secret(certificate + key.text()); }
};

/// One PEM text as it may stand in the file: it begins as PEM does and ends with a newline.
[[nodiscard]] bool is_pem(std::string_view text);
/// Printable ASCII without blanks, not empty, at most so long.
[[nodiscard]] bool is_word(std::string_view text, std::size_t most);
[[nodiscard]] bool is_thing_name(std::string_view text);

/// REQUIRES: fields as parse_provision_journal() would take them.
[[nodiscard]] Secret to_text(const ProvisionJournal& journal);
[[nodiscard]] Result<ProvisionJournal> parse_provision_journal(std::string_view text);

}  // namespace holdfast::identity
