// See network.h.
#include "network.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "outbox.h"

namespace holdfast::cli {
namespace {

using nlohmann::ordered_json;

std::int64_t metric_of(const health::Profile& one) { return one.ipv4 ? one.metric4 : one.metric6; }

std::string uplink_text(const health::Profile& one) {
  std::string text = one.id + ": " + std::string(to_string(one.kind));
  if (!one.interface.empty()) text += " on " + one.interface;
  text +=
      ", metric " + std::to_string(metric_of(one)) + ", priority " + std::to_string(one.priority);
  if (one.metered) text += *one.metered ? ", metered" : ", not metered";
  if (!one.autoconnect) text += ", NOT used by itself";
  return text;
}

}  // namespace

std::string render_plan(const health::Plan& plan) {
  std::string out;
  for (std::size_t i = 0; i < plan.uplinks.size(); ++i) {
    out += std::to_string(i + 1) + ". " + printable(uplink_text(plan.uplinks[i])) + "\n";
  }
  for (const health::PlanFinding& one : plan.findings) {
    const bool failed = one.finding.result == health::CheckResult::failed;
    out += failed ? "FAILED   " : "warning  ";
    if (!one.about.empty()) out += printable(one.about) + ": ";
    out += printable(one.finding.found) + "\n         -> " + printable(one.finding.advice) + "\n";
  }
  if (plan.findings.empty()) out += "Nothing stands in the way of the fall-back.\n";
  return out;
}

ordered_json plan_json(const std::string& directory, const health::Plan& plan) {
  ordered_json uplinks = ordered_json::array();
  for (const health::Profile& one : plan.uplinks) {
    ordered_json made{{"id", one.id},
                      {"file", one.file},
                      {"kind", to_string(one.kind)},
                      {"interface", one.interface},
                      {"autoconnect", one.autoconnect},
                      {"priority", one.priority},
                      {"retries", one.retries}};
    if (one.ipv4) made["ipv4_metric"] = one.metric4;
    if (one.ipv6) made["ipv6_metric"] = one.metric6;
    if (one.metered) made["metered"] = *one.metered;
    uplinks.push_back(std::move(made));
  }
  ordered_json findings = ordered_json::array();
  for (const health::PlanFinding& one : plan.findings) {
    findings.push_back({{"about", one.about},
                        {"result", to_string(one.finding.result)},
                        {"found", one.finding.found},
                        {"advice", one.finding.advice}});
  }
  const char* result = "ok";
  if (!plan.findings.empty()) result = plan.failed() ? "failed" : "warning";
  return {{"version", 1},
          {"directory", directory},
          {"result", result},
          {"uplinks", std::move(uplinks)},
          {"findings", std::move(findings)}};
}

ExitCode run_network_plan(const NetworkPlanOptions& options) {
  if (!options.write.empty()) {
    if (const Status done = runtime::write_examples(options.write, options.ssid, options.apn);
        !done) {
      return fail(kFailed, done.error().message);
    }
    std::printf(
        "Three profiles are in %s. Mend ssid, psk and apn, then copy them to %s, owned by "
        "root, and run: nmcli connection reload\n",
        options.write.c_str(), runtime::kProfileFolder);
    return kOk;
  }
  const std::string directory =
      options.directory.empty() ? runtime::kProfileFolder : options.directory;
  const Result<health::PlanFacts> facts = runtime::plan_facts(directory);
  if (!facts) {
    return fail(kUsage, facts.error().message + "; give the folder of NetworkManager's keyfiles");
  }
  const health::Plan plan = health::judge_plan(*facts);
  const std::string text =
      options.json ? plan_json(directory, plan)
                             .dump(-1, ' ', false, ordered_json::error_handler_t::replace) +
                         "\n"
                   : render_plan(plan);
  if (std::fputs(text.c_str(), stdout) < 0) return kFailed;
  return plan.failed() ? kFailed : kOk;
}

}  // namespace holdfast::cli
