// What the front door asks, answered by the registry and, where there are any, custom authorizers.
#pragma once

#include "lab/iot/access.h"
#include "lab/iot/registry.h"

namespace holdfast::lab::iot {

/// Judges the parameters of a custom authorizer. The documents are those of the grant.
class CustomAuthorizer {
 public:
  CustomAuthorizer() = default;
  CustomAuthorizer(const CustomAuthorizer&) = delete;
  CustomAuthorizer& operator=(const CustomAuthorizer&) = delete;
  virtual ~CustomAuthorizer() = default;

  struct Answer {
    Grant grant;
    std::vector<PolicyDocument> documents;
  };
  /// See Access::authorize().
  [[nodiscard]] virtual std::variant<Answer, std::string> judge(WallTime now,
                                                                std::string_view username,
                                                                std::string_view password) = 0;
};

class RegistryAccess : public Access {
 public:
  /// Both outlive it. Without an authorizer every custom authentication fails.
  RegistryAccess(Registry& registry, CustomAuthorizer* authorizer)
      : registry_(registry), authorizer_(authorizer) {}

  [[nodiscard]] bool allows(const Requester& who, std::string_view action,
                            std::string_view resource, const AccessFacts& facts) const override;
  [[nodiscard]] std::variant<Grant, std::string> authorize(WallTime now, std::uint64_t connection,
                                                           std::string_view username,
                                                           std::string_view password) override;
  void forget(std::uint64_t connection) override { registry_.leave(connection); }
  [[nodiscard]] std::string exclusive_thing(std::string_view principal) const override {
    return registry_.exclusive_thing_of(principal);
  }

 private:
  Registry& registry_;
  CustomAuthorizer* authorizer_;
};

}  // namespace holdfast::lab::iot
