// holdfast identity: list, install, rollback. See identity.h.
#include "identity.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/time.h"
#include "commands.h"
#include "outbox.h"
#include "runtime/identity_install.h"
#include "runtime/identity_json.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

/// Names of certificates come from elsewhere: nothing in them may steer a terminal.
std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

json part(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : json::object();
}

std::string days_text(const json& identity) {
  const auto found = identity.find("days_left");
  if (found == identity.end() || !found->is_number_integer()) return "";
  const auto days = found->get<std::int64_t>();
  if (days < 0) return " (expired)";
  return " (" + std::to_string(days) + (days == 1 ? " day left)" : " days left)");
}

std::string last_text(const json& identity) {
  const json last = part(identity, "last");
  const std::string result = text_of(last, "result");
  if (result.empty() || result == "none") return "";
  std::string text = (result == "rolled_back" ? "rolled back" : result) + " at " +
                     text_of(last, "at") + ", SHA-256 " +
                     text_of(last, "fingerprint").substr(0, 16) + "…";
  const std::string reason = text_of(last, "reason");
  return reason.empty() ? text : text + ": " + reason;
}

std::string phase_text(const json& identity) {
  const std::string phase = text_of(identity, "phase");
  const std::string reason = text_of(identity, "phase_reason");
  if (phase == "none") return "";
  return phase + (reason.empty() ? "" : ": " + reason);
}

std::string provisioning_text(const json& identity) {
  const json state = part(identity, "provisioning");
  const std::string reason = text_of(state, "reason");
  return text_of(state, "step") + (reason.empty() ? "" : ": " + reason);
}

/// The identity as the agent has it. kOk also without slots.
ExitCode ask_agent(const std::filesystem::path& socket, json& identity) {
  json answer;
  if (const ExitCode code = ask(socket, "status", answer, json::object()); code != kOk) return code;
  identity = part(part(answer, "status"), "identity");
  return kOk;
}

/// Where to write: as told, or as the agent says.
ExitCode find_directory(const std::filesystem::path& socket, const IdentityOptions& options,
                        std::filesystem::path& directory) {
  directory = options.directory;
  if (!directory.empty()) return kOk;
  json identity;
  if (const ExitCode code = ask_agent(socket, identity); code != kOk) return code;
  const auto found = identity.find("directory");
  if (found != identity.end() && found->is_string()) directory = found->get<std::string>();
  if (!directory.empty()) return kOk;
  return fail(kFailed,
              "the agent has no credential slots; set identity.directory, or give "
              "--directory");
}

ExitCode exit_of(const Error& error) {
  const bool usage = error.code == Errc::invalid_argument || error.code == Errc::corrupt ||
                     error.code == Errc::too_large;
  return fail(usage ? kUsage : kFailed, error.message);
}

/// Until the agent says how the trial of this certificate has ended.
ExitCode wait_for(const std::filesystem::path& socket, const std::string& fingerprint,
                  std::uint64_t before, Milliseconds timeout) {
  constexpr Milliseconds kStep{250};
  for (Milliseconds waited{0}; waited < timeout; waited += kStep) {
    std::this_thread::sleep_for(kStep);
    json identity;
    if (const ExitCode code = ask_agent(socket, identity); code != kOk) return code;
    const json last = part(identity, "last");
    const std::uint64_t done = count_of(identity, "kept") + count_of(identity, "rolled_back");
    if (done > before && text_of(last, "fingerprint") == fingerprint) {
      const std::string words = last_text(identity);
      if (text_of(last, "result") != "kept") return fail(kFailed, words);
      const json active = part(part(identity, "slots"), "active");
      if (text_of(active, "fingerprint") != fingerprint) continue;  // its file is still moved
      std::printf("%s\n", words.c_str());
      return kOk;
    }
    if (text_of(identity, "phase") == "refused") return fail(kFailed, phase_text(identity));
  }
  return fail(kTimedOut, "no outcome yet; the trial goes on, see holdfast identity");
}

ExitCode installed(const std::filesystem::path& socket, const IdentityOptions& options,
                   const std::string& fingerprint, std::uint64_t before, const std::string& words) {
  if (options.wait) return wait_for(socket, fingerprint, before, options.timeout);
  std::printf("%s\n", words.c_str());
  return kOk;
}

/// How many trials have ended so far; 0 where nobody waits for the outcome.
ExitCode count_outcomes(const std::filesystem::path& socket, const IdentityOptions& options,
                        std::uint64_t& count) {
  count = 0;
  if (!options.wait) return kOk;
  json identity;
  if (const ExitCode code = ask_agent(socket, identity); code != kOk) return code;
  count = count_of(identity, "kept") + count_of(identity, "rolled_back");
  return kOk;
}

}  // namespace

std::string render_identity_short(const json& identity) {
  std::string out;
  const json mine = part(part(identity, "slots"), text_of(identity, "in_use").c_str());
  if (const std::string ends = text_of(mine, "not_after"); !ends.empty()) {
    const std::string subject = text_of(mine, "subject");
    put_field(
        out, "identity",
        (subject.empty() ? "a certificate" : subject) + ", expires " + ends + days_text(identity));
  } else {
    put_field(out, "identity", text_of(mine, "reason"));
  }
  put_field(out, "next", phase_text(identity));
  put_field(out, "provisioning", provisioning_text(identity));
  put_field(out, "last", last_text(identity));
  return out;
}

std::string render_identity(const json& identity) {
  std::string out;
  const std::string in_use = text_of(identity, "in_use");
  for (const char* name : {"active", "next", "previous"}) {
    const json slot = part(part(identity, "slots"), name);
    const std::string condition = text_of(slot, "condition");
    const bool used = condition == "complete" && in_use == name;
    put_field(out, name, condition + (used ? ", in use" : ""));
    put_field(out, "  refused", text_of(slot, "reason"));
    put_field(out, "  subject", text_of(slot, "subject"));
    put_field(out, "  SHA-256", text_of(slot, "fingerprint"));
    put_field(out, "  key", text_of(slot, "key_type"));
    if (slot.contains("not_after")) {
      put_field(out, "  valid",
                text_of(slot, "not_before") + " to " + text_of(slot, "not_after") +
                    (used ? days_text(identity) : ""));
    }
  }
  put_field(out, "rotation", phase_text(identity));
  put_field(out, "provisioning", provisioning_text(identity));
  put_field(out, "last", last_text(identity));
  return out;
}

ExitCode run_identity_list(const std::filesystem::path& socket, const IdentityOptions& options) {
  json identity;
  if (options.directory.empty()) {
    if (const ExitCode code = ask_agent(socket, identity); code != kOk) return code;
  } else {
    const auto state = runtime::look_at_identity(options.directory, wall_now());
    if (!state) return exit_of(state.error());
    identity = runtime::identity_json(*state);
  }
  const std::string text = options.json
                               ? identity.dump(-1, ' ', true, json::error_handler_t::replace) + "\n"
                               : render_identity(identity);
  return std::fputs(text.c_str(), stdout) < 0 ? kFailed : kOk;
}

ExitCode run_identity_install(const std::filesystem::path& socket, const IdentityOptions& options) {
  std::filesystem::path directory;
  if (const ExitCode code = find_directory(socket, options, directory); code != kOk) return code;
  std::uint64_t before = 0;
  if (const ExitCode code = count_outcomes(socket, options, before); code != kOk) return code;
  const auto state =
      runtime::install_identity(directory, options.certificate, options.key, wall_now());
  if (!state) return exit_of(state.error());
  return installed(socket, options, state->fingerprint, before,
                   printable(state->subject) + " is the next one; the agent tries it");
}

ExitCode run_identity_rollback(const std::filesystem::path& socket,
                               const IdentityOptions& options) {
  std::filesystem::path directory;
  if (const ExitCode code = find_directory(socket, options, directory); code != kOk) return code;
  std::uint64_t before = 0;
  if (const ExitCode code = count_outcomes(socket, options, before); code != kOk) return code;
  const auto done = runtime::roll_back_identity(directory, wall_now());
  if (!done) return exit_of(done.error());
  if (*done == runtime::Rollback::withdrawn) {
    std::printf("the next certificate is taken away; the active one stays\n");
    return kOk;
  }
  const auto slots = runtime::look_at_identity(directory, wall_now());
  if (!slots) return exit_of(slots.error());
  const SlotState& next = slots->slots[static_cast<std::size_t>(IdentitySlot::next)];
  return installed(socket, options, next.fingerprint, before,
                   printable(next.subject) +
                       ", the previous one, is the next one; the agent "
                       "tries it");
}

}  // namespace holdfast::cli
