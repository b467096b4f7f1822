#include "runtime/identity_install.h"

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "base/calendar.h"
#include "identity/store.h"
#include "posix/system.h"
#include "runtime/identity.h"
#include "runtime/identity_slots.h"
#include "transport/identity_check.h"
#include "transport/tls_errors.h"

namespace holdfast::runtime {

namespace {

namespace fs = std::filesystem;
using identity::Store;
using Slot = IdentitySlot;

/// A line before the PEM blocks, different each time.
std::string installed_line(WallTime now) {
  const std::uint64_t number = posix::make_random()->next();
  return "Installed " + iso_time(now) + " " + std::to_string(number) + "\n";
}

Config config_for(const fs::path& directory) {
  Config config;
  config.identity.directory = directory;
  return config;
}

WallTime best(WallTime now) { return identity::KnownTime{now, transport::build_time()}.best(); }

}  // namespace

Result<std::unique_ptr<env::Disk>> open_slots(const fs::path& directory) {
  auto disk = posix::open_existing_disk(directory);
  if (!disk) {
    Error error = std::move(disk).error();
    error.message += "; give the agent's identity.directory";
    return error;
  }
  if (Status ours = posix::require_owner(directory); !ours) return std::move(ours).error();
  constexpr Duration kStep = std::chrono::milliseconds(50);
  for (Duration waited{}; true; waited += kStep) {
    Status locked = (*disk)->lock();
    if (locked) return disk;
    if (locked.error().code != Errc::in_use || waited >= kInstallPatience) {
      return std::move(locked).error();
    }
    std::this_thread::sleep_for(kStep);
  }
}

Result<SlotState> install_identity(const fs::path& directory, const fs::path& certificate,
                                   const fs::path& key, WallTime now) {
  auto content = bundle(certificate, key, installed_line(now));
  if (!content) return std::move(content).error();
  auto state = transport::inspect_identity({*content, certificate, &*content, key});
  if (!state) return state;
  const WallTime ends{state->not_after * 1000};
  if (ends <= best(now)) {
    return Error{Errc::invalid_argument,
                 "certificate " + certificate.string() + ": it expired at " + iso_time(ends) +
                     " by this device's clock; give one that is valid",
                 0};
  }
  auto disk = open_slots(directory);
  if (!disk) return std::move(disk).error();
  const identity::Slots slots = SlotReader(config_for(directory)).read();
  if (slots[Slot::active].state.fingerprint == state->fingerprint) {
    return Error{Errc::invalid_argument,
                 "certificate " + certificate.string() + ": it is the active one already", 0};
  }
  if (Status installed = Store(**disk).install(*content); !installed) {
    return std::move(installed).error();
  }
  return state;
}

Result<Rollback> roll_back_identity(const fs::path& directory, WallTime now) {
  auto disk = open_slots(directory);
  if (!disk) return std::move(disk).error();
  Store store(**disk);
  Status gone = store.withdraw();
  if (gone) return Rollback::withdrawn;
  if (gone.error().code != Errc::not_found) return std::move(gone).error();
  const identity::Slots slots = SlotReader(config_for(directory)).read();
  const identity::View& previous = slots[Slot::previous];
  if (!previous.usable()) {
    const bool missing = previous.state.condition == SlotCondition::missing;
    return Error{
        Errc::not_found,
        "there is no way back: " +
            (missing ? directory.string() + " has no previous credential" : previous.state.reason),
        0};
  }
  const auto content = store.read(Slot::previous);
  if (!content) return content.error();
  const std::size_t begin = content->text().find("-----BEGIN");
  const Secret again(installed_line(now) + content->text().substr(begin));
  if (Status installed = store.install(again); !installed) return std::move(installed).error();
  return Rollback::ordered;
}

Result<IdentityState> look_at_identity(const fs::path& directory, WallTime now) {
  auto disk = posix::open_existing_disk(directory);
  if (!disk) return std::move(disk).error();
  SlotReader reader(config_for(directory));
  const identity::Slots slots = reader.read();
  IdentityState state;
  state.directory = directory;
  for (std::size_t i = 0; i < kIdentitySlots; ++i) state.slots[i] = slots.views[i].state;
  const auto record = Store(**disk).read_record();
  if (!record) return record.error();
  if (*record) {
    state.last = (*record)->result;
    state.last_reason = (*record)->reason;
    state.last_fingerprint = (*record)->fingerprint;
    state.last_at = (*record)->at.ms / 1000;
  }
  state.days_left = certificate_days_left(state, now);
  return state;
}

}  // namespace holdfast::runtime
