// See network_plan.h.
#include "health/network_plan.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>
#include <utility>

namespace holdfast::health {
namespace {

using Section = std::map<std::string, std::string, std::less<>>;
using Keyfile = std::map<std::string, Section, std::less<>>;

// What NetworkManager takes where a profile says -1.
constexpr std::int64_t kEthernetMetric = 100;
constexpr std::int64_t kWifiMetric = 600;
constexpr std::int64_t kCellularMetric = 700;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t from = std::min(text.find_first_not_of(kBlank), text.size());
  text.remove_prefix(from);
  while (!text.empty() && kBlank.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

/// [section], key=value, # comment: as GLib reads it.
Keyfile parse(std::string_view text) {
  Keyfile all;
  Section* section = nullptr;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = &all[std::string(line.substr(1, line.size() - 2))];
      continue;
    }
    const std::size_t sign = line.find('=');
    if (section == nullptr || sign == std::string_view::npos) continue;
    (*section)[std::string(trimmed(line.substr(0, sign)))] = trimmed(line.substr(sign + 1));
  }
  return all;
}

std::string_view value_of(const Keyfile& file, std::string_view section, std::string_view key) {
  const auto found = file.find(section);
  if (found == file.end()) return {};
  const auto value = found->second.find(key);
  return value == found->second.end() ? std::string_view() : std::string_view(value->second);
}

std::int64_t number_of(std::string_view text, std::int64_t otherwise) {
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc{} && end == text.data() + text.size() ? number : otherwise;
}

bool is_true(std::string_view text, bool otherwise) {
  if (text.empty()) return otherwise;
  return text == "true" || text == "1" || text == "yes";
}

UplinkKind kind_of(std::string_view type) {
  if (type == "ethernet" || type == "802-3-ethernet") return UplinkKind::ethernet;
  if (type == "wifi" || type == "802-11-wireless") return UplinkKind::wifi;
  if (type == "gsm" || type == "cdma") return UplinkKind::cellular;
  return UplinkKind::other;
}

std::int64_t default_metric(UplinkKind kind) {
  if (kind == UplinkKind::ethernet) return kEthernetMetric;
  return kind == UplinkKind::wifi ? kWifiMetric : kCellularMetric;
}

/// The route metric of one family, and whether it has a default route at all.
std::pair<std::int64_t, bool> route_of(const Keyfile& file, const char* section, UplinkKind kind) {
  const std::string_view method = value_of(file, section, "method");
  const bool any = method != "disabled" && method != "ignore" && method != "link-local" &&
                   method != "shared" && !is_true(value_of(file, section, "never-default"), false);
  const std::int64_t metric = number_of(value_of(file, section, "route-metric"), -1);
  return {metric < 0 ? default_metric(kind) : metric, any};
}

std::int64_t metric_of(const Profile& profile) {
  return profile.ipv4 ? profile.metric4 : profile.metric6;
}

bool same_device(const Profile& a, const Profile& b) {
  return a.kind == b.kind &&
         (a.interface.empty() || b.interface.empty() || a.interface == b.interface);
}

void judge_file(const ProfileFile& file, Plan& plan) {
  if (!file.problem.empty()) {
    plan.findings.push_back(
        {file.name, warn("cannot be read: " + file.problem, "run this as root")});
    return;
  }
  auto profile = read_profile(file.name, file.text);
  if (!profile) return;
  if (file.too_open && profile->is_uplink()) {
    plan.findings.push_back({profile->id, fail("NetworkManager passes over " + file.name +
                                                   ": it must belong to root, and to nobody else",
                                               "chown root: and chmod 600 the file")});
    return;
  }
  if (profile->is_uplink()) plan.uplinks.push_back(*std::move(profile));
}

void judge_alone(const Profile& one, Plan& plan) {
  const auto say = [&](Finding finding) { plan.findings.push_back({one.id, std::move(finding)}); };
  if (!one.autoconnect) {
    say(fail("is never used by itself", "set connection.autoconnect=true, or remove the profile"));
  }
  if (one.autoconnect && one.retries != 0) {
    const std::string times = one.retries < 0 ? "4 times" : std::to_string(one.retries) + " times";
    say(warn("is tried " + times + ", then left alone for minutes",
             "set connection.autoconnect-retries=0: a device cannot be visited"));
  }
  if (one.kind == UplinkKind::cellular && !one.metered) {
    say(warn("does not say whether it costs money",
             "set connection.metered=1 (yes) or 2 (no), so that lanes with metered = \"hold\" do "
             "not depend on a guess"));
  }
}

/// In the order of preference: `first` is taken before `second`.
void judge_pair(const Profile& first, const Profile& second, Plan& plan) {
  const auto say = [&](Finding finding) {
    plan.findings.push_back({second.id, std::move(finding)});
  };
  const std::string both = first.id + " and " + second.id;
  if (same_device(first, second)) {
    // They are alternatives for one device: priorities decide.
    if (first.priority == second.priority) {
      say(warn(both + " fit the same device with the same autoconnect-priority",
               "give them different ones: else the one that was used last is taken"));
    }
    return;
  }
  if (metric_of(first) == metric_of(second)) {
    say(fail(both + " have the same route metric, " + std::to_string(metric_of(first)),
             "give them different ones: else nobody can tell which way traffic goes"));
  } else if (first.kind == UplinkKind::cellular && second.kind != UplinkKind::cellular) {
    say(warn("traffic prefers " + first.id + ", which is cellular, to " + second.id,
             "give " + first.id + " the highest ipv4.route-metric"));
  }
  const bool both_kinds = first.ipv4 && second.ipv4 && first.ipv6 && second.ipv6;
  if (both_kinds && first.metric6 > second.metric6) {
    say(warn("IPv6 prefers " + second.id + ", IPv4 prefers " + first.id,
             "give ipv6.route-metric the order of ipv4.route-metric"));
  }
}

void judge_whole(const PlanFacts& facts, Plan& plan) {
  if (plan.uplinks.empty()) {
    plan.findings.push_back(
        {"", fail("no profile leads out", "make some: holdfast network plan --write FOLDER")});
    return;
  }
  if (plan.uplinks.size() == 1) {
    plan.findings.push_back({"", warn("there is nothing to fall back to",
                                      "add a profile of another kind: holdfast network plan "
                                      "--write FOLDER")});
    return;
  }
  if (facts.passes_over_dead_links == false) {
    plan.findings.push_back(
        {"", warn("the kernel goes on with routes of links that are dead, until NetworkManager "
                  "takes them away some seconds later",
                  "set net.ipv4.conf.all.ignore_routes_with_linkdown=1, and the same for each "
                  "interface, in /etc/sysctl.d")});
  }
}

std::string example(std::string_view id, std::string_view type, int priority, int metric,
                    const std::string& own, const char* metered) {
  const std::string route = "method=auto\nroute-metric=" + std::to_string(metric) + "\n";
  return "[connection]\nid=" + std::string(id) + "\ntype=" + std::string(type) +
         "\nautoconnect-priority=" + std::to_string(priority) +
         "\nautoconnect-retries=0\nmetered=" + metered + "\n\n" + own + "[ipv4]\n" + route +
         "\n[ipv6]\n" + route;
}

}  // namespace

std::string_view to_string(UplinkKind kind) noexcept {
  constexpr std::array<std::string_view, 4> kNames{"ethernet", "wifi", "cellular", "other"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool Plan::failed() const {
  return std::any_of(findings.begin(), findings.end(), [](const PlanFinding& one) {
    return one.finding.result == CheckResult::failed;
  });
}

std::optional<Profile> read_profile(const std::string& file, std::string_view text) {
  const Keyfile keys = parse(text);
  const std::string_view type = value_of(keys, "connection", "type");
  if (type.empty()) return std::nullopt;
  Profile profile;
  profile.file = file;
  profile.id = value_of(keys, "connection", "id");
  if (profile.id.empty()) profile.id = file;
  profile.kind = kind_of(type);
  profile.interface = value_of(keys, "connection", "interface-name");
  profile.autoconnect = is_true(value_of(keys, "connection", "autoconnect"), true);
  profile.priority = number_of(value_of(keys, "connection", "autoconnect-priority"), 0);
  profile.retries = number_of(value_of(keys, "connection", "autoconnect-retries"), -1);
  const std::int64_t metered = number_of(value_of(keys, "connection", "metered"), 0);
  if (metered == 1 || metered == 2) profile.metered = metered == 1;
  std::tie(profile.metric4, profile.ipv4) = route_of(keys, "ipv4", profile.kind);
  std::tie(profile.metric6, profile.ipv6) = route_of(keys, "ipv6", profile.kind);
  return profile;
}

Plan judge_plan(const PlanFacts& facts) {
  Plan plan;
  for (const ProfileFile& file : facts.files) judge_file(file, plan);
  std::stable_sort(plan.uplinks.begin(), plan.uplinks.end(), [](const auto& a, const auto& b) {
    return metric_of(a) != metric_of(b) ? metric_of(a) < metric_of(b) : a.priority > b.priority;
  });
  for (const Profile& one : plan.uplinks) judge_alone(one, plan);
  for (std::size_t i = 1; i < plan.uplinks.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) judge_pair(plan.uplinks[j], plan.uplinks[i], plan);
  }
  judge_whole(facts, plan);
  return plan;
}

std::array<ExampleFile, 3> example_profiles(const std::string& ssid, const std::string& apn) {
  const std::string wifi = "[wifi]\nmode=infrastructure\nssid=" + ssid +
                           "\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=change-me-please\n\n";
  const std::string cellular = "[gsm]\napn=" + apn + "\n\n";
  return {{{"uplink-1-ethernet.nmconnection",
            example("uplink-1-ethernet", "ethernet", 30, 100, "", "2")},
           {"uplink-2-wifi.nmconnection", example("uplink-2-wifi", "wifi", 20, 600, wifi, "2")},
           {"uplink-3-cellular.nmconnection",
            example("uplink-3-cellular", "gsm", 10, 700, cellular, "1")}}};
}

}  // namespace holdfast::health
