// The services of a Region, made in their order and known to each other.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/random.h"
#include "lab/iot/admission.h"
#include "lab/iot/authorizer.h"
#include "lab/iot/commands.h"
#include "lab/iot/defender.h"
#include "lab/iot/downloads.h"
#include "lab/iot/event_configurations.h"
#include "lab/iot/iam.h"
#include "lab/iot/iam_access.h"
#include "lab/iot/issuer.h"
#include "lab/iot/jobs.h"
#include "lab/iot/lifecycle.h"
#include "lab/iot/provisioning.h"
#include "lab/iot/region.h"
#include "lab/iot/registry.h"
#include "lab/iot/registry_access.h"
#include "lab/iot/role_aliases.h"
#include "lab/iot/s3_location.h"
#include "lab/iot/shadow.h"
#include "lab/iot/streams.h"
#include "lab/stream_files.h"

namespace holdfast::lab {

/// What jobs ask of the registry, and of the files that stand for S3.
class JobsOfRegistry : public iot::JobsWorld {
 public:
  JobsOfRegistry(const iot::Registry& registry, const iot::FileSource& files)
      : registry_(registry), files_(files) {}
  [[nodiscard]] bool has_thing(std::string_view name) const override {
    return registry_.has_thing(name);
  }
  [[nodiscard]] std::optional<std::vector<std::string>> things_in(
      std::string_view group) const override {
    return registry_.things_in(group);
  }
  [[nodiscard]] std::optional<std::string> read_document(std::string_view url) const override {
    const auto file = iot::s3_location(url);
    const auto facts = file ? files_.look(*file) : std::nullopt;
    if (!facts || facts->size > iot::kDocumentBytes) return std::nullopt;
    auto text = files_.read(*file, 0, static_cast<std::size_t>(facts->size));
    return text ? std::optional(std::move(text).value()) : std::nullopt;
  }

 private:
  const iot::Registry& registry_;
  const iot::FileSource& files_;
};

/// Whom the registry tells of groups and asks for templates.
class PeersOfRegistry : public iot::RegistryPeers {
 public:
  PeersOfRegistry(iot::Jobs& jobs, const iot::Provisioning& provisioning)
      : jobs_(jobs), provisioning_(provisioning) {}
  void groups_changed(WallTime now, std::string_view thing, iot::Answers& out) override {
    jobs_.on_groups_changed(now, thing, out);
  }
  [[nodiscard]] bool has_template(std::string_view name) const override {
    return provisioning_.has_just_in_time(name);
  }

 private:
  iot::Jobs& jobs_;
  const iot::Provisioning& provisioning_;
};

struct RegionServices {
  struct World {
    std::string region;  ///< "eu-central-1"
    env::Random& random;
    const iot::CertificateReader& reader;
    iot::CertificateIssuer& issuer;
    const iot::Crypto& crypto;
    std::string secret;           ///< Signs links; any, kept to itself.
    std::filesystem::path files;  ///< What stands for S3: BUCKET/KEY below it.
  };
  explicit RegionServices(const World& world)
      : registry({world.region, {}}, world.reader, world.issuer, world.random),
        shadows({}, registry),
        stream_files(world.files),
        jobs_world(registry, stream_files),
        downloads({}, world.secret, world.crypto),
        jobs(jobs_settings(world.region), jobs_world, &downloads, world.random),
        commands(commands_settings(world.region), has_thing(), world.random),
        streams(streams_settings(world.region), has_thing(), stream_files, world.random),
        provisioning(provisioning_settings(world.region), registry, world.issuer, nullptr,
                     world.random),
        authorizers(world.region, std::string(iot::Registry::kAccount), world.crypto),
        role_aliases(world.region, std::string(iot::Registry::kAccount)),
        iam(world.region, std::string(iot::Registry::kAccount), world.random),
        registry_access(registry, &authorizers),
        access(registry_access, iam),
        peers(jobs, provisioning),
        admission(world.reader, registry, provisioning) {
    registry.set_peers(&peers);
    registry.set_events(&events);
    jobs.set_events(&events);
  }

  /// The Region asks them from now on.
  void join(iot::Region& region) {
    region.add(events);
    region.add(registry);
    region.add(shadows);
    region.add(defender);
    region.add(jobs);
    region.add(commands);
    region.add(streams);
    region.add(provisioning);
    region.add(authorizers);
    region.add(role_aliases);
    region.add(iam);
    region.add(lifecycle);
    region.set_lifecycle(lifecycle);
  }

  iot::EventConfigurations events;
  iot::Registry registry;
  iot::Shadows shadows;
  iot::Defender defender;
  iot::Lifecycle lifecycle;
  StreamFiles stream_files;
  JobsOfRegistry jobs_world;
  iot::Downloads downloads;
  iot::Jobs jobs;
  iot::Commands commands;
  iot::Streams streams;
  iot::Provisioning provisioning;
  iot::Authorizers authorizers;
  iot::RoleAliases role_aliases;
  iot::Iam iam;
  iot::RegistryAccess registry_access;
  iot::IamAccess access;  ///< The one to ask.
  PeersOfRegistry peers;
  iot::Admission admission;

 private:
  [[nodiscard]] std::function<bool(std::string_view)> has_thing() {
    return [this](std::string_view name) { return registry.has_thing(name); };
  }
  static iot::JobsSettings jobs_settings(const std::string& region) {
    iot::JobsSettings settings;
    settings.region = region;
    return settings;
  }
  static iot::ProvisioningSettings provisioning_settings(const std::string& region) {
    iot::ProvisioningSettings settings;
    settings.region = region;
    return settings;
  }
  static iot::CommandsSettings commands_settings(const std::string& region) {
    iot::CommandsSettings settings;
    settings.region = region;
    return settings;
  }
  static iot::StreamsSettings streams_settings(const std::string& region) {
    iot::StreamsSettings settings;
    settings.region = region;
    return settings;
  }
};

}  // namespace holdfast::lab
