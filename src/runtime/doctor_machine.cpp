#include "runtime/doctor_machine.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "posix/machine.h"
#include "transport/certificate_look.h"
#include "transport/tls_errors.h"

namespace holdfast::runtime {

namespace {

namespace fs = std::filesystem;

health::CertificateFacts facts_of(const transport::CertificateLook& look) {
  return {look.subject, look.issuer, look.not_before, look.not_after};
}

health::CredentialFacts::Chain chain_of(transport::ChainEnd end) {
  switch (end) {
    case transport::ChainEnd::verified:
      return health::CredentialFacts::Chain::verified;
    case transport::ChainEnd::broken:
      return health::CredentialFacts::Chain::broken;
    case transport::ChainEnd::unknown_issuer:
      break;
  }
  return health::CredentialFacts::Chain::unknown_issuer;
}

/// The directory, or the nearest folder above it that is there.
fs::path existing(fs::path directory) {
  std::error_code failure;
  while (!fs::exists(directory, failure) && directory.has_relative_path()) {
    directory = directory.parent_path();
  }
  return directory;
}

}  // namespace

std::vector<health::FileFacts> file_facts(const fs::path& config_file, const Config& config) {
  struct Named {
    const char* key;
    fs::path file;
    bool secret;
  };
  const TlsConfig& tls = config.tls;
  const bool slot =
      !config.identity.directory.empty() && tls.key_file.parent_path() == config.identity.directory;
  const std::array<Named, 11> named{{
      {"the configuration", config_file, false},
      {"tls.ca_file", tls.ca_file, false},
      {"tls.cert_file", slot ? fs::path() : tls.cert_file, false},
      {slot ? "the slot active" : "tls.key_file", tls.key_file, true},
      {"tls.pin_file", tls.pin_file, true},
      {"tls.pkcs11_module", tls.pkcs11_module, false},
      {"connection.password_file", config.password_file, true},
      {"proxy.password_file", config.proxy.password_file, true},
      {"sigv4.credentials_file", config.sigv4.credentials_file, true},
      {"outbox.key_file", config.outbox.key_file, true},
      {"outbox.previous_key_file", config.outbox.previous_key_file, true},
  }};
  std::vector<health::FileFacts> facts;
  for (const Named& one : named) {
    const bool unused = !tls.enabled && std::string_view(one.key).starts_with("tls.");
    if (one.file.empty() || unused) continue;
    const posix::FileLook look = posix::look_at_file(one.file);
    facts.push_back({one.key, one.file.string(), look.problem, look.mode, one.secret});
  }
  return facts;
}

health::CredentialFacts credential_facts(const Config& config) {
  health::CredentialFacts facts;
  facts.tls = config.tls.enabled;
  if (!facts.tls) return facts;
  const auto look = transport::look_at_credentials(config.tls);
  if (!look) {
    facts.problem = look.error().message;
    return facts;
  }
  facts.key = config.tls.key_uri.empty() ? look->key : look->key + ", in a token";
  for (const auto& one : look->own) facts.own.push_back(facts_of(one));
  for (const auto& one : look->ca) facts.ca.push_back(facts_of(one));
  facts.chain = chain_of(look->chain);
  facts.chain_problem = look->chain_problem;
  facts.out_of_order = look->out_of_order;
  return facts;
}

health::ClockFacts clock_facts(const env::Clock& clock, const Config* config) {
  health::ClockFacts facts;
  facts.now = clock.wall();
  facts.built = transport::build_time();
  // systemd-timesyncd touches its file as long as it knows the time.
  std::vector<fs::path> places{"/var/lib/systemd/timesync"};
  if (config != nullptr) places.push_back(config->outbox.directory);
  for (const fs::path& place : places) {
    const auto written = posix::latest_written(place);
    if (!written || (facts.latest && written->at <= *facts.latest)) continue;
    facts.latest = written->at;
    facts.latest_from = written->file.string();
  }
  return facts;
}

health::TimeSyncFacts time_sync_facts(const env::Clock& clock) {
  constexpr std::array<std::string_view, 6> kServices{"systemd-timesyncd", "chronyd", "ntpd",
                                                      "openntpd",          "ptp4l",   "phc2sys"};
  return {clock.wall_synchronized(), posix::running(kServices)};
}

health::DiskFacts disk_facts(const Config& config) {
  const posix::DirectoryLook look = posix::look_at_directory(config.outbox.directory);
  return {config.outbox.directory.string(),
          look.problem,
          look.exists,
          look.file_system,
          look.read_only,
          look.free_bytes,
          look.used_bytes,
          config.outbox.max_bytes};
}

health::SyncFacts sync_facts(const Config& config) {
  health::SyncFacts facts;
  facts.directory = existing(config.outbox.directory).string();
  auto taken = posix::time_synced_writes(facts.directory, kSyncedWrites);
  if (taken) {
    facts.ms = std::move(taken).value();
  } else {
    facts.problem = taken.error().message;
  }
  return facts;
}

health::UnitFacts unit_facts(const std::string& unit) {
  health::UnitFacts facts;
  facts.unit = unit;
  std::error_code failure;
  facts.systemd = fs::exists("/run/systemd/system", failure);  // sd_booted(3)
  if (!facts.systemd) return facts;
  const auto said = posix::output_of(
      {"systemctl", "show", unit,
       "--property=LoadState,UnitFileState,ActiveState,Restart,WatchdogUSec,NRestarts"},
      kAskTime);
  if (said) {
    health::read_unit(*said, facts);
  } else {
    facts.problem = said.error().message;
  }
  return facts;
}

health::WatchdogFacts watchdog_facts(const fs::path& wanted) {
  health::WatchdogFacts facts;
  std::error_code failure;
  facts.wanted = wanted.string();
  facts.there = fs::exists(wanted, failure);
  facts.container = posix::in_container();
  for (const posix::WatchdogLook& look : posix::look_for_watchdogs()) {
    facts.devices.push_back({look.name, look.identity, look.state, look.timeout});
  }
  return facts;
}

health::ManagerFacts manager_facts() {
  constexpr std::array<std::string_view, 5> kManagers{"NetworkManager", "systemd-networkd",
                                                      "connmand", "dhcpcd", "netifd"};
  health::ManagerFacts facts{posix::running(kManagers), posix::in_container()};
  std::error_code failure;
  if (facts.managers.empty() && fs::exists("/etc/network/interfaces", failure)) {
    facts.managers.emplace_back("ifupdown");
  }
  return facts;
}

bool outbox_in_use(const Config& config) {
  return posix::is_locked(config.outbox.directory / "LOCK");
}

}  // namespace holdfast::runtime
