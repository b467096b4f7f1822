// The registry of the local IoT Core: things, certificates, policies, and who is attached to what.
//
// Operations have the names, members and error types of the AWS API; lists come whole, in one page.
// The front door asks here whether a principal may do something. One thread; nothing throws.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "env/random.h"
#include "lab/iot/event_configurations.h"
#include "lab/iot/issuer.h"
#include "lab/iot/policy.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

class Fields;

enum class CertificateStatus : std::uint8_t { active, inactive, revoked, pending_activation };
/// As the API writes it: "PENDING_ACTIVATION".
[[nodiscard]] std::string_view to_string(CertificateStatus status) noexcept;

struct Certificate {
  std::string pem;
  CertificateStatus status = CertificateStatus::inactive;
  WallTime created;
  WallTime modified;
  CertificateFacts facts;  ///< Read from `pem`.
  std::string ca;          ///< The id of the registered CA certificate that signed it; empty: none.
  bool sni_only = false;   ///< Registered in several accounts: it comes in with SNI only.
};

/// A CA certificate of a customer, who signs certificates of devices.
struct Authority {
  std::string pem;
  bool active = false;
  bool auto_registration = false;
  bool sni_only = false;  ///< As all certificates that are registered with it.
  /// "registrationConfig": templateBody and roleArn, or templateName; null: none.
  Json registration;
  WallTime created;
  WallTime modified;
  CertificateFacts facts;
};

struct ThingType {
  std::string id;
  std::string description;
  std::vector<std::string> searchable;
  WallTime created;
  std::optional<WallTime> deprecated;
};

struct ThingGroup {
  std::string id;
  std::string parent;  ///< Empty: none.
  std::string description;
  std::map<std::string, std::string> attributes;
  std::int64_t version = 1;
  WallTime created;
  std::set<std::string, std::less<>> things;  ///< In it, without those of its child groups.
  std::set<std::string> policies;
};

struct Thing {
  std::string id;
  std::string type;  ///< Empty: none.
  std::map<std::string, std::string> attributes;
  std::int64_t version = 1;
};

/// What services need to know about things.
class ThingBook {
 public:
  ThingBook() = default;
  ThingBook(const ThingBook&) = delete;
  ThingBook& operator=(const ThingBook&) = delete;
  virtual ~ThingBook() = default;
  [[nodiscard]] virtual bool has_thing(std::string_view name) const = 0;
};

/// What the registry tells other services of its Region, and asks them.
class RegistryPeers {
 public:
  RegistryPeers() = default;
  RegistryPeers(const RegistryPeers&) = delete;
  RegistryPeers& operator=(const RegistryPeers&) = delete;
  virtual ~RegistryPeers() = default;
  virtual void groups_changed(WallTime now, std::string_view thing, Answers& out) = 0;
  /// Whether there is a provisioning template of the type JITP with this name.
  [[nodiscard]] virtual bool has_template(std::string_view name) const = 0;
};

/// What only the front door knows about a connection.
struct ConnectionFacts {
  std::string source_ip;
  std::string domain_name;
  std::vector<std::string> connect_attributes;  ///< PolicyFacts::connect_attributes.
};

struct RegistryOptions {
  std::string region = "eu-central-1";
  /// From the deactivation of a certificate to the end of its connections. AWS says "within a few
  /// minutes"; the figure is not documented.
  std::chrono::milliseconds disconnect_delay{0};
};

class Registry final : public Service, public ThingBook {
 public:
  static constexpr std::string_view kAccount = "123456789012";
  static constexpr std::size_t kPoliciesPerPrincipal = 10;
  static constexpr std::size_t kVersionsPerPolicy = 5;
  static constexpr std::size_t kNameLength = 128;
  static constexpr std::size_t kAttributesPerThing = 50;
  static constexpr std::size_t kAttributesWithoutType = 3;
  static constexpr std::size_t kSearchableAttributes = 3;
  static constexpr std::size_t kDescriptionLength = 2028;
  /// From the deprecation of a thing type to when it can be deleted.
  static constexpr std::chrono::minutes kTypeRest{5};
  static constexpr std::size_t kGroupDepth = 7;
  static constexpr std::size_t kChildGroups = 100;
  static constexpr std::size_t kGroupsPerThing = 10;
  static constexpr std::size_t kPoliciesPerGroup = 2;
  static constexpr std::size_t kAuthoritiesPerSubject = 10;

  /// All must outlive the registry.
  Registry(RegistryOptions options, const CertificateReader& reader, CertificateIssuer& issuer,
           env::Random& random);
  void on_switches(const Switches& switches) override {
    options_.disconnect_delay = std::chrono::milliseconds(switches.certificate_disconnect_ms);
  }
  /// nullptr, as at first: nobody is told, and there are no templates. They outlive the registry.
  void set_peers(RegistryPeers* peers) { peers_ = peers; }
  /// Whether $aws/events/thing/… are published; nullptr, as at first: they are not. It outlives the
  /// registry.
  void set_events(const EventConfigurations* events) { events_ = events; }

  // ---- for other services ----

  /// The things in a group and in the groups below it; nullopt: no such group.
  [[nodiscard]] std::optional<std::vector<std::string>> things_in(std::string_view group) const;
  /// nullptr: not registered.
  [[nodiscard]] const Authority* authority(std::string_view id) const;
  /// The id of the active CA certificate that signed `pem`; empty: none.
  [[nodiscard]] std::string authority_of(std::string_view pem) const;

  // ---- for the front door ----

  /// nullptr: not registered.
  [[nodiscard]] const Certificate* certificate(std::string_view id) const;
  [[nodiscard]] const Thing* thing(std::string_view name) const;
  [[nodiscard]] bool has_thing(std::string_view name) const override { return thing(name); }
  /// The thing that a principal speaks for under this client id: the one that it is attached to
  /// exclusively, else the one of that name, if attached. Empty: none.
  [[nodiscard]] std::string thing_of(std::string_view principal, std::string_view client_id) const;
  /// The thing of an exclusive attachment, which lifecycle events name; empty: none.
  [[nodiscard]] std::string exclusive_thing_of(std::string_view principal) const;

  /// Gives a connection the documents that its authorizer returned. They, and no others, count for
  /// it until leave(). REQUIRES: each parsed.
  void admit(std::uint64_t connection, std::vector<PolicyDocument> documents);
  void leave(std::uint64_t connection);
  /// Whether the policies of a connection allow `action` ("iot:Publish") on `resource`
  /// ("topic/a/b", "topicfilter/a/+", "client/c"). A certificate that is not ACTIVE allows nothing.
  [[nodiscard]] Verdict allows(const Requester& who, std::string_view action,
                               std::string_view resource, const ConnectionFacts& facts) const;

  /// "arn:aws:iot:REGION:ACCOUNT:" and `resource`, such as "cert/ID".
  [[nodiscard]] std::string arn(std::string_view resource) const;

  // ---- Service ----

  [[nodiscard]] std::string_view name() const override { return "registry"; }
  /// Devices have no topics here.
  [[nodiscard]] Claim claims(std::string_view /*topic*/) const override { return Claim::none; }
  void on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                  Answers& out) override;
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] WallTime wake() const override;
  void on_time(WallTime now, Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  struct PolicyVersion {
    std::string text;
    WallTime created;
    PolicyDocument document;  ///< Parsed from `text`.
  };
  struct Policy {
    std::int64_t default_version = 1;
    std::int64_t last_version = 1;  ///< Numbers are never used twice.
    std::map<std::int64_t, PolicyVersion> versions;
  };
  /// All that is saved.
  struct Books {
    std::map<std::string, Thing, std::less<>> things;
    std::map<std::string, ThingType, std::less<>> types;
    std::map<std::string, ThingGroup, std::less<>> groups;
    std::map<std::string, Certificate, std::less<>> certificates;
    std::map<std::string, Authority, std::less<>> authorities;
    std::string registration_code;  ///< Empty: nobody asked yet.
    std::map<std::string, Policy, std::less<>> policies;
    /// Principal (certificate id) to names of policies.
    std::map<std::string, std::set<std::string>, std::less<>> policies_of;
    /// Principal to things; true: exclusive, then it is the only one.
    std::map<std::string, std::map<std::string, bool>, std::less<>> things_of;
  };
  [[nodiscard]] Json save_types() const;
  [[nodiscard]] Json save_groups() const;
  [[nodiscard]] Json save_authorities() const;
  static void load_types(Fields from, Books& books);
  static void load_things(Fields from, Books& books);
  static void load_groups(Fields from, Books& books);
  void load_certificates(Fields from, Books& books) const;
  void load_authorities(Fields from, Books& books) const;
  static void load_policies(Fields from, Books& books);
  static void load_attachments(Fields policies_of, Fields things_of, Books& books);

  struct Call;  ///< One call of an operation; registry_call.h.

  /// The group and those above it, from the root.
  [[nodiscard]] std::vector<std::string> lineage(std::string_view group) const;
  /// The groups that a thing is in, without those above them.
  [[nodiscard]] std::vector<std::string> groups_of(std::string_view thing) const;
  /// Adds the policies of `names`.
  void add_policies(const std::set<std::string>& names, std::vector<NamedPolicy>& out) const;

  RegistryOptions options_;
  const CertificateReader& reader_;
  CertificateIssuer& issuer_;
  env::Random& random_;
  RegistryPeers* peers_ = nullptr;
  const EventConfigurations* events_ = nullptr;
  Books books_;
  std::map<std::uint64_t, std::vector<PolicyDocument>> admitted_;
  std::map<std::string, WallTime> to_disconnect_;  ///< Principals, when.
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
