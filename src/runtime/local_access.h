// What a program may do through the local API: the sections [client.NAME].
//
// Purpose:  one device, several programs that do not trust each other: none publishes in another's
//           name, fills another's lane, reads what is not for it, or takes the whole rate.
// Threads:  make() from any; the rest the loop thread.
// Sources:  SO_PEERCRED, SO_PEERGROUPS (unix(7)).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "flow/pacer.h"
#include "holdfast/config.h"
#include "holdfast/result.h"
#include "runtime/local_protocol.h"
#include "runtime/local_socket.h"

namespace holdfast::runtime {

/// What one section allows; its programs share it, and with it their rate.
class Grant {
 public:
  Grant(std::string name, const ClientRules& rules)
      : name_(std::move(name)), rules_(rules), pacer_(rules.messages_per_second) {}

  /// Errors: permission, with what is missing; full (the rate: nothing was taken, try again).
  [[nodiscard]] Status allows(const LocalRequest& request, BootTime now);

 private:
  [[nodiscard]] Status may_publish(const Message& message, BootTime now);
  [[nodiscard]] Status may_subscribe(std::string_view filter) const;
  [[nodiscard]] Status may_beat(const std::string& name) const;
  [[nodiscard]] Status may_control() const;
  [[nodiscard]] Error denied(const std::string& what) const;

  std::string name_;
  ClientRules rules_;
  flow::Pacer pacer_;
};

class LocalAccess {
 public:
  using Rules = std::map<std::string, ClientRules, std::less<>>;

  /// Without sections everybody who may connect may do everything. Errors: not_found (a user or
  /// group that this machine does not know), which names the key.
  [[nodiscard]] static Result<LocalAccess> make(const Rules& rules);

  /// None: everything is allowed. A section for the peer's user goes before those for its groups;
  /// of several the first by name. Errors: permission (no section is for it).
  [[nodiscard]] Result<std::shared_ptr<Grant>> grant_of(const Peer& peer) const;

 private:
  struct Section {
    std::string name;
    bool of_user = false;
    id_t id = 0;
    std::shared_ptr<Grant> grant;
  };
  std::vector<Section> sections_;
};

}  // namespace holdfast::runtime
