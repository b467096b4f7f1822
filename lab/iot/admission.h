// Which certificates of devices come in. Those that a CA of the customer signed are registered at
// their first connection, where the CA allows it: just-in-time registration, and provisioning.
//
// Asked twice: during the handshake, when a device has shown a certificate but no key yet, and
// after it. Only the second changes anything. Sans-I/O, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lab/iot/issuer.h"
#include "lab/iot/provisioning.h"
#include "lab/iot/registry.h"

namespace holdfast::lab::iot {

class Admission {
 public:
  /// All outlive it.
  Admission(const CertificateReader& reader, Registry& registry, Provisioning& provisioning)
      : reader_(reader), registry_(registry), provisioning_(provisioning) {}

  /// What a device has shown.
  struct Shown {
    std::string id;  ///< CertificateFacts::id of `pem`.
    std::string pem;
    std::string server_name;  ///< SNI; empty: none.
  };

  enum class Verdict : std::uint8_t { fine, unknown, inactive, expired };
  /// Whether the handshake may go on; `fine` for what is to be registered, too.
  [[nodiscard]] Verdict look(WallTime now, const Shown& shown) const;

  /// After the handshake: why the connection is ended all the same; nullopt: the device comes in.
  /// Registers what look() let through without being ACTIVE, and publishes that.
  [[nodiscard]] std::optional<std::string> turn_away(WallTime now, const Shown& shown,
                                                     Answers& out);

 private:
  /// The CA certificate by which a certificate that is not registered, or is PENDING_ACTIVATION, is
  /// registered at its connection; nullptr: none.
  [[nodiscard]] const Authority* sponsor(const Shown& shown) const;

  const CertificateReader& reader_;
  Registry& registry_;
  Provisioning& provisioning_;
};

}  // namespace holdfast::lab::iot
