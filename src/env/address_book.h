// What became of the addresses of a name, remembered between attempts.
//
// Purpose:  an attempt begins with an address that may work, and a device whose name service fails
//           still finds its broker.
// Threads:  loop thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "env/resolver.h"

namespace holdfast::env {

/// What an address belongs to: a name and a port.
struct Place {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

class AddressBook {
 public:
  virtual ~AddressBook() = default;
  /// Addresses at which a broker let us in, not too long ago, the latest first. Empty: none known.
  [[nodiscard]] virtual std::vector<Address> last_good(const Place& place) const = 0;
  /// When it failed, if that is lately and nothing has worked there since.
  [[nodiscard]] virtual std::optional<BootTime> failed_at(const Place& place,
                                                          const Address& address) const = 0;
  /// A broker let us in there. `resolved`: the name service has just given this address; only that
  /// makes it good for another while.
  virtual void worked(const Place& place, const Address& address, bool resolved) = 0;
  /// It did not answer, said no, or was not who it should be.
  virtual void failed(const Place& place, const Address& address) = 0;
};

}  // namespace holdfast::env
