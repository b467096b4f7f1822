// Who may do what: IAM's policies for those who signed, the registry's for all others.
#pragma once

#include "lab/iot/access.h"
#include "lab/iot/iam.h"

namespace holdfast::lab::iot {

class IamAccess final : public Access {
 public:
  /// Both outlive it.
  IamAccess(Access& others, const Iam& iam) : others_(others), iam_(iam) {}

  [[nodiscard]] bool allows(const Requester& who, std::string_view action,
                            std::string_view resource, const AccessFacts& facts) const override {
    return who.access_key.empty() ? others_.allows(who, action, resource, facts)
                                  : iam_.allows(who.access_key, action, resource, facts);
  }
  [[nodiscard]] std::variant<Grant, std::string> authorize(WallTime now, std::uint64_t connection,
                                                           std::string_view username,
                                                           std::string_view password) override {
    return others_.authorize(now, connection, username, password);
  }
  void forget(std::uint64_t connection) override { others_.forget(connection); }
  [[nodiscard]] std::string exclusive_thing(std::string_view principal) const override {
    return others_.exclusive_thing(principal);
  }

 private:
  Access& others_;
  const Iam& iam_;
};

}  // namespace holdfast::lab::iot
