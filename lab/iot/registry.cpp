#include "lab/iot/registry.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lab/iot/registry_call.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::array<std::pair<CertificateStatus, std::string_view>, 4> kStatuses = {
    {{CertificateStatus::active, "ACTIVE"},
     {CertificateStatus::inactive, "INACTIVE"},
     {CertificateStatus::revoked, "REVOKED"},
     {CertificateStatus::pending_activation, "PENDING_ACTIVATION"}}};

}  // namespace

std::string_view to_string(CertificateStatus status) noexcept {
  return kStatuses[static_cast<std::size_t>(status)].second;
}

std::optional<CertificateStatus> status_named(std::string_view name) noexcept {
  for (const auto& [status, text] : kStatuses) {
    if (text == name) return status;
  }
  return std::nullopt;
}

Registry::Registry(RegistryOptions options, const CertificateReader& reader,
                   CertificateIssuer& issuer, env::Random& random)
    : options_(std::move(options)), reader_(reader), issuer_(issuer), random_(random) {}

const Certificate* Registry::certificate(std::string_view id) const {
  const auto found = books_.certificates.find(id);
  return found == books_.certificates.end() ? nullptr : &found->second;
}

const Authority* Registry::authority(std::string_view id) const {
  const auto found = books_.authorities.find(id);
  return found == books_.authorities.end() ? nullptr : &found->second;
}

std::string Registry::authority_of(std::string_view pem) const {
  for (const auto& [id, authority] : books_.authorities) {
    if (authority.active && reader_.is_signed_by(pem, authority.pem)) return id;
  }
  return {};
}

const Thing* Registry::thing(std::string_view name) const {
  const auto found = books_.things.find(name);
  return found == books_.things.end() ? nullptr : &found->second;
}

std::string Registry::exclusive_thing_of(std::string_view principal) const {
  const auto found = books_.things_of.find(principal);
  if (found == books_.things_of.end() || !found->second.begin()->second) return {};
  return found->second.begin()->first;
}

std::string Registry::thing_of(std::string_view principal, std::string_view client_id) const {
  std::string exclusive = exclusive_thing_of(principal);
  if (!exclusive.empty()) return exclusive;
  const auto found = books_.things_of.find(principal);
  const std::string name(client_id);
  return found != books_.things_of.end() && found->second.contains(name) ? name : std::string{};
}

void Registry::admit(std::uint64_t connection, std::vector<PolicyDocument> documents) {
  admitted_[connection] = std::move(documents);
}

void Registry::leave(std::uint64_t connection) { admitted_.erase(connection); }

Verdict Registry::allows(const Requester& who, std::string_view action, std::string_view resource,
                         const ConnectionFacts& facts) const {
  PolicyFacts known;
  known.client_id = who.client_id;
  known.source_ip = facts.source_ip;
  known.domain_name = facts.domain_name;
  known.connect_attributes = facts.connect_attributes;
  std::vector<NamedPolicy> policies;
  if (const auto admitted = admitted_.find(who.connection); admitted != admitted_.end()) {
    for (const PolicyDocument& document : admitted->second) {
      policies.push_back({"of the authorizer", &document});
    }
    return evaluate(policies, action, arn(resource), known);
  }
  const Certificate* own = certificate(who.principal);
  if (own == nullptr || own->status != CertificateStatus::active) return {};
  known.certificate_id = own->facts.id;
  known.certificate_fields = own->facts.fields;
  const std::string name = thing_of(who.principal, who.client_id);
  if (const Thing* its = thing(name)) known.thing = PolicyThing{name, its->type, its->attributes};
  const auto attached = books_.policies_of.find(who.principal);
  if (attached != books_.policies_of.end()) add_policies(attached->second, policies);
  // A thing brings the policies of its groups and of those above them.
  for (const std::string& group : groups_of(name)) {
    for (const std::string& one : lineage(group)) {
      add_policies(books_.groups.find(one)->second.policies, policies);
    }
  }
  return evaluate(policies, action, arn(resource), known);
}

void Registry::add_policies(const std::set<std::string>& names,
                            std::vector<NamedPolicy>& out) const {
  for (const std::string& name : names) {
    const auto found = books_.policies.find(name);
    out.push_back(
        {found->first, &found->second.versions.at(found->second.default_version).document});
  }
}

std::string Registry::arn(std::string_view resource) const {
  return "arn:aws:iot:" + options_.region + ':' + std::string(kAccount) + ':' +
         std::string(resource);
}

void Registry::on_request(WallTime /*now*/, const Requester& /*from*/,
                          const mqtt::Publish& /*message*/, Answers& /*out*/) {}

bool Registry::has_operation(std::string_view operation) const {
  return Call::named(operation) != nullptr;
}

ApiResult Registry::call(WallTime now, std::string_view operation, const Json& input,
                         Answers& out) {
  const Call::Function function = Call::named(operation);
  if (function == nullptr) {
    return ApiError{"UnknownOperationException", 404, "no operation " + std::string(operation)};
  }
  Call call(*this, now, input, out);
  return (call.*function)();
}

WallTime Registry::wake() const {
  WallTime first{kNoTime};
  for (const auto& [principal, when] : to_disconnect_) first = std::min(first, when);
  return first;
}

void Registry::on_time(WallTime now, Answers& out) {
  for (auto it = to_disconnect_.begin(); it != to_disconnect_.end();) {
    if (it->second > now) {
      ++it;
      continue;
    }
    const Certificate* known = certificate(it->first);
    if (known == nullptr || known->status != CertificateStatus::active) {
      out.disconnect_principal(it->first);
    }
    it = to_disconnect_.erase(it);
  }
}

}  // namespace holdfast::lab::iot
