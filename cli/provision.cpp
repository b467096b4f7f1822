// See provision.h.
#include "provision.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "commands.h"
#include "outbox.h"
#include "runtime/config_file.h"
#include "runtime/identity_install.h"
#include "runtime/identity_json.h"
#include "runtime/provision_thread.h"
#include "runtime/provisioner.h"

namespace holdfast::cli {
namespace {

using nlohmann::ordered_json;
using runtime::ProvisionEnd;
using runtime::Provisioner;

/// What a service says may steer no terminal.
std::string line_of(const ProvisioningState& state) { return printable(runtime::describe(state)); }

void print(const ordered_json& object) {
  std::printf("%s\n", object.dump(-1, ' ', true, ordered_json::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

/// Prints each change once; for people a step is one line, and each reason another.
class Progress {
 public:
  explicit Progress(bool json) : json_(json) {}

  void operator()(const ProvisioningState& state) {
    if (json_) return print(runtime::provisioning_json(state));
    if (state.step == ProvisioningStep::done || state.step == ProvisioningStep::none) return;
    const std::string line = line_of(state);
    if (line == last_) return;
    last_ = line;
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }

 private:
  bool json_;
  std::string last_;
};

ordered_json result_json(const Provisioner& provisioner, const char* result) {
  ordered_json out = runtime::provisioning_json(provisioner.state());
  out["result"] = result;
  out["given_up"] = provisioner.given_up();
  const auto configuration = ordered_json::parse(provisioner.configuration(), nullptr, false);
  if (configuration.is_object()) out["device_configuration"] = configuration;
  return out;
}

ExitCode told(const ProvisionOptions& options, const Provisioner& provisioner, const char* result,
              ExitCode code, const std::string& words) {
  if (options.json) {
    print(result_json(provisioner, result));
    return code;
  }
  if (code != kOk) return fail(code, words);
  std::printf("%s\n", words.c_str());
  return kOk;
}

ExitCode report(const ProvisionOptions& options, const Provisioner& provisioner, ProvisionEnd end) {
  const ProvisioningState& state = provisioner.state();
  const std::string thing =
      state.thing_name.empty() ? "" : " of thing " + printable(state.thing_name);
  switch (end) {
    case ProvisionEnd::done:
      if (!state.reason.empty()) fail(kOk, printable(state.reason));  // files that stay
      for (const std::string& id : provisioner.given_up()) {
        if (!options.json) {
          std::printf("certificate %s was never registered; the service deletes it\n",
                      printable(id).c_str());
        }
      }
      return told(options, provisioner, "done", kOk,
                  "done: certificate " + printable(state.certificate_id) + thing +
                      (options.renew ? " is the next one; the agent tries it" : " is in use"));
    case ProvisionEnd::nothing_to_do:
      return told(options, provisioner, "nothing_to_do", kOk,
                  "nothing to do: there is a certificate already; --renew gets its successor");
    case ProvisionEnd::blocked:
      return told(options, provisioner, "blocked", kFailed, line_of(state));
    case ProvisionEnd::timed_out:
    case ProvisionEnd::stopped:
      break;
  }
  return told(options, provisioner, "timed_out", kTimedOut,
              "not done in time, " + line_of(state) + "; what was reached is kept, call it again");
}

}  // namespace

ExitCode run_provision(const ProvisionOptions& options) {
  runtime::ConfigReport read = runtime::read_config(options.config, runtime::process_environment());
  if (options.claim) {
    Config::Provisioning& wanted = read.config.provisioning;
    wanted.claim_file = std::filesystem::absolute(*options.claim);
    wanted.claim_certificate.clear();
    wanted.claim_key.clear();
    // What was missing in the file may be there now.
    if (runtime::check_settings(read.config)) read.problems.clear();
  }
  for (const Error& problem : read.problems) fail(kUsage, problem.message);
  if (!read.problems.empty()) return kUsage;
  if (!read.config.provisioning.wanted()) {
    return fail(kUsage, options.config.string() + ": provisioning.template is missing");
  }
  if (options.renew && options.days_left) {
    const auto now = runtime::look_at_identity(read.config.identity.directory, wall_now());
    if (!now) return fail(kFailed, now.error().message);
    if (now->days_left && *now->days_left > *options.days_left) {
      std::printf("nothing to do: %d days are left of the certificate\n", *now->days_left);
      return kOk;
    }
  }
  runtime::use_provisioned_name(read.config);
  runtime::ProvisionWish wish{std::move(read.config), options.renew, options.anew, !options.wait,
                              options.timeout};
  Progress progress(options.json);
  auto provisioner =
      Provisioner::open(std::move(wish), {[&](const ProvisioningState& state) { progress(state); },
                                          [](const std::string& line) { fail(kOk, line); }});
  if (!provisioner) return fail(kFailed, provisioner.error().message);
  return report(options, **provisioner, (*provisioner)->run());
}

}  // namespace holdfast::cli
