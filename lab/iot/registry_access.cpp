#include "lab/iot/registry_access.h"

namespace holdfast::lab::iot {

bool RegistryAccess::allows(const Requester& who, std::string_view action,
                            std::string_view resource, const AccessFacts& facts) const {
  ConnectionFacts asked{facts.address, facts.domain, {}};
  if (action == "iot:Connect") {
    if (facts.persistent_connect) asked.connect_attributes.emplace_back("PersistentConnect");
    if (facts.last_will) asked.connect_attributes.emplace_back("LastWill");
  }
  return registry_.allows(who, action, resource, asked).allowed();
}

std::variant<Grant, std::string> RegistryAccess::authorize(WallTime now, std::uint64_t connection,
                                                           std::string_view username,
                                                           std::string_view password) {
  if (authorizer_ == nullptr) return std::string("CUSTOM_AUTHORIZER_NOT_FOUND");
  auto answer = authorizer_->judge(now, username, password);
  if (auto* refused = std::get_if<std::string>(&answer)) return std::move(*refused);
  auto& granted = std::get<CustomAuthorizer::Answer>(answer);
  registry_.admit(connection, std::move(granted.documents));
  return std::move(granted.grant);
}

}  // namespace holdfast::lab::iot
