#include "health/doctor.h"

#include <algorithm>
#include <cstdio>

namespace holdfast::health {

namespace {

constexpr std::array<CheckInfo, kChecks> kInfo{{
    {"configuration", "the configuration file can be read and means something", {}},
    {"files",
     "the files that it names are there, readable, and not too readable",
     {Check::configuration}},
    {"credentials",
     "CA, certificate and key are whole, and the key fits the certificate",
     {Check::files}},
    {"chain", "the device's certificate is signed by who it says", {Check::credentials}},
    {"dates", "certificates are valid today, and for how long", {Check::credentials}},
    {"clock", "this device's clock can be true", {}},
    {"time_sync", "something keeps the clock right", {}},
    {"dns", "the endpoint's name leads to addresses", {Check::configuration}},
    {"route", "the kernel has a way to them", {Check::dns}},
    {"tcp", "each of them answers on the port", {Check::route}},
    {"keys", "the credential provider gives us temporary keys", {Check::credentials}},
    {"proxy", "the HTTP proxy opens the way", {Check::tcp, Check::keys}},
    {"tls", "the server proves who it is, and takes our certificate", {Check::proxy}},
    {"alpn", "the server agrees to the protocol's name", {Check::tls}},
    {"websocket", "the server lets us upgrade", {Check::tls}},
    {"agent", "the agent of this machine is connected", {Check::configuration}},
    {"mqtt", "the broker lets us in", {Check::websocket}},
    {"subscribe", "the broker lets us subscribe", {Check::mqtt}},
    {"publish", "the broker lets us publish", {Check::mqtt}},
    {"retain", "the broker keeps a retained message for us", {Check::mqtt}},
    {"quotas", "the pace and the limits fit the broker's", {Check::configuration}},
    {"disk",
     "the outbox has a place, room and a file system that keeps it",
     {Check::configuration}},
    {"sync", "how long the disk takes to keep a message", {Check::disk}},
    {"unit", "the service manager starts the agent, watches and restarts it", {}},
    {"watchdog", "hardware restarts a machine that hangs", {}},
    {"network_manager", "who manages the network", {}},
}};

void add_with_needs(Check check, std::vector<Check>& list) {
  if (std::find(list.begin(), list.end(), check) != list.end()) return;
  for (const std::optional<Check>& need : info_of(check).needs) {
    if (need) add_with_needs(*need, list);
  }
  list.push_back(check);
}

std::string with_unit(double value, const char* unit) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), value < 10 ? "%.1f %s" : "%.0f %s", value, unit);
  return text.data();
}

}  // namespace

const CheckInfo& info_of(Check check) noexcept { return kInfo.at(static_cast<std::size_t>(check)); }

std::optional<Check> check_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kInfo.size(); ++i) {
    if (kInfo.at(i).name == name) return static_cast<Check>(i);
  }
  return std::nullopt;
}

std::vector<Check> with_needs(const std::vector<Check>& wanted) {
  std::vector<Check> list;
  for (const Check check : wanted) add_with_needs(check, list);
  std::sort(list.begin(), list.end());
  return list;
}

std::string_view to_string(CheckResult result) noexcept {
  constexpr std::array<std::string_view, 5> kNames{"ok", "warning", "failed", "skipped",
                                                   "not_applicable"};
  return kNames.at(static_cast<std::size_t>(result));
}

Finding fine(std::string found) { return {CheckResult::ok, std::move(found), ""}; }
Finding warn(std::string found, std::string advice) {
  return {CheckResult::warning, std::move(found), std::move(advice)};
}
Finding fail(std::string found, std::string advice) {
  return {CheckResult::failed, std::move(found), std::move(advice)};
}
Finding not_applicable(std::string found) {
  return {CheckResult::not_applicable, std::move(found), ""};
}
Finding skipped(Check because) {
  return {CheckResult::skipped, "needs " + std::string(info_of(because).name), ""};
}

std::string in_ms(double ms) { return ms < 1000 ? with_unit(ms, "ms") : with_unit(ms / 1000, "s"); }

std::string in_bytes(std::uint64_t bytes) {
  constexpr std::array<const char*, 4> kUnits{"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return with_unit(value, kUnits.at(unit));
}

std::string in_words(const std::vector<std::string>& list) {
  std::string text;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) text += i + 1 == list.size() ? " and " : ", ";
    text += list[i];
  }
  return text;
}

std::string counted(std::uint64_t number, const std::string& noun, const std::string& plural) {
  return std::to_string(number) + ' ' + (number == 1 ? noun : plural);
}

}  // namespace holdfast::health
