#include "runtime/identity_json.h"

#include <nlohmann/json.hpp>

#include "base/calendar.h"

namespace holdfast::runtime {

namespace {

using nlohmann::ordered_json;

std::string time_text(std::int64_t seconds) { return iso_time(WallTime{seconds * 1000}); }

ordered_json slot_json(const SlotState& slot) {
  ordered_json out{{"condition", to_string(slot.condition)}};
  if (!slot.reason.empty()) out["reason"] = slot.reason;
  if (slot.not_after == 0) return out;
  out["subject"] = slot.subject;
  out["fingerprint"] = slot.fingerprint;
  out["key_type"] = slot.key_type;
  out["not_before"] = time_text(slot.not_before);
  out["not_after"] = time_text(slot.not_after);
  return out;
}

}  // namespace

ordered_json provisioning_json(const ProvisioningState& state) {
  return {{"step", to_string(state.step)},
          {"blocked", state.blocked},
          {"reason", state.reason},
          {"tries", state.tries},
          {"certificate_id", state.certificate_id},
          {"thing_name", state.thing_name}};
}

ordered_json identity_json(const IdentityState& state) {
  ordered_json slots = ordered_json::object();
  for (std::size_t i = 0; i < kIdentitySlots; ++i) {
    slots[std::string(to_string(static_cast<IdentitySlot>(i)))] = slot_json(state.slots[i]);
  }
  ordered_json out{{"directory", state.directory.string()},
                   {"in_use", to_string(state.in_use)},
                   {"phase", to_string(state.phase)},
                   {"phase_reason", state.phase_reason}};
  out["days_left"] = state.days_left ? ordered_json(*state.days_left) : ordered_json(nullptr);
  out["clock_suspect"] = state.clock_suspect;
  ordered_json last{{"result", to_string(state.last)}};
  if (state.last != RotationResult::none) {
    last["at"] = time_text(state.last_at);
    last["fingerprint"] = state.last_fingerprint;
    if (!state.last_reason.empty()) last["reason"] = state.last_reason;
  }
  out["last"] = std::move(last);
  out["kept"] = state.kept;
  out["rolled_back"] = state.rolled_back;
  if (state.provisioning.step != ProvisioningStep::none) {
    out["provisioning"] = provisioning_json(state.provisioning);
  }
  out["slots"] = std::move(slots);
  return out;
}

}  // namespace holdfast::runtime
