// See modem_manager.h.
#include "host/modem_manager.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace holdfast::host {
namespace {

constexpr const char* kName = "org.freedesktop.ModemManager1";
constexpr const char* kObject = "/org/freedesktop/ModemManager1";
constexpr const char* kModem = "org.freedesktop.ModemManager1.Modem";
constexpr const char* kModem3gpp = "org.freedesktop.ModemManager1.Modem.Modem3gpp";
constexpr const char* kSimple = "org.freedesktop.ModemManager1.Modem.Simple";

/// MMModemState, from -1 on.
constexpr std::array<std::string_view, 13> kStates{
    "failed",  "unknown",   "initializing", "locked",        "disabled",   "disabling", "enabling",
    "enabled", "searching", "registered",   "disconnecting", "connecting", "connected"};
/// MMModem3gppRegistrationState.
constexpr std::array<std::string_view, 12> kRegistrations{"idle",
                                                          "home",
                                                          "searching",
                                                          "denied",
                                                          "unknown",
                                                          "roaming",
                                                          "home-sms-only",
                                                          "roaming-sms-only",
                                                          "emergency",
                                                          "home-csfb-not-preferred",
                                                          "roaming-csfb-not-preferred",
                                                          "attached-rlos"};
/// MMModemAccessTechnology, a bit each.
constexpr std::array<std::string_view, 18> kTechnologies{
    "pots",  "gsm",   "gsm-compact", "gprs",  "edge",  "umts", "hsdpa", "hsupa",     "hspa",
    "hspa+", "1xrtt", "evdo0",       "evdoa", "evdob", "lte",  "5gnr",  "lte-cat-m", "lte-nb-iot"};

template <std::size_t N>
std::string word_of(const std::array<std::string_view, N>& words, std::int64_t index) {
  const bool known = index >= 0 && index < static_cast<std::int64_t>(N);
  return known ? std::string(words[static_cast<std::size_t>(index)]) : std::string("unknown");
}

std::string technologies_of(std::uint64_t bits) {
  std::string all;
  for (std::size_t i = 0; i < kTechnologies.size(); ++i) {
    if ((bits >> i & 1U) == 0) continue;
    all += (all.empty() ? "" : "/") + std::string(kTechnologies[i]);
  }
  return all;
}

}  // namespace

ModemState modem_of(const BusValue& interfaces) {
  const BusValue& modem = interfaces[kModem];
  const BusValue& network = interfaces[kModem3gpp];
  ModemState state;
  state.name = modem["Manufacturer"].text();
  if (const std::string model = modem["Model"].text(); !model.empty()) {
    state.name += (state.name.empty() ? "" : " ") + model;
  }
  state.port = modem["PrimaryPort"].text();
  state.state = word_of(kStates, modem["State"].whole() + 1);
  state.technology = technologies_of(modem["AccessTechnologies"].number());
  const BusValue& signal = modem["SignalQuality"];
  state.signal = static_cast<std::uint32_t>(std::min<std::uint64_t>(signal.at(0).number(), 100));
  state.signal_recent = signal.at(1).truth();
  if (!network.dict.empty()) {
    state.registration =
        word_of(kRegistrations, static_cast<std::int64_t>(network["RegistrationState"].number()));
    state.operator_name = network["OperatorName"].text();
    state.operator_code = network["OperatorCode"].text();
  }
  return state;
}

ModemManager::ModemManager(posix::EventLoop& loop, SystemBus& bus, Hooks hooks)
    : bus_(bus), hooks_(std::move(hooks)), settling_(loop) {
  HF_CHECK(hooks_.changed != nullptr);
}

void ModemManager::begin() {
  const auto heard = [this](const std::string&, const BusValue&) { look_soon(); };
  const std::string from = std::string("type='signal',sender='") + kName + "',";
  bus_.listen(from + "interface='org.freedesktop.DBus.ObjectManager'", heard);
  bus_.listen(from +
                  "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
                  "path_namespace='" +
                  std::string(kObject) + "/Modem'",
              heard);
  bus_.follow(kName, [this](bool there) {
    there_ = there;
    if (there) return look();
    lost("ModemManager does not run");
  });
}

void ModemManager::lost(const std::string& why) {
  there_ = false;
  settling_.cancel();
  know_nothing(why);
}

void ModemManager::know_nothing(const std::string& why) {
  first_.clear();
  tell({}, why);
}

void ModemManager::unanswered(const Error& error) {
  if (!there_) return;  // with its end all its calls end, after that was said
  know_nothing("ModemManager does not answer: " + error.message);
  settling_.arm_after(kBusAskAgain, [this] { look(); });  // it may be stuck for a while only
}

void ModemManager::look_soon() {
  settling_.arm_after(kModemSettles, [this] {
    if (there_) look();
  });
}

void ModemManager::look() {
  bus_.call({kName, kObject, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"},
            [this](const Result<BusValue>& answer) {
              if (!answer) return unanswered(answer.error());
              first_.clear();
              std::vector<ModemState> modems;
              for (const auto& [path, interfaces] : answer->at(0).dict) {
                if (!interfaces.has(kModem)) continue;
                if (first_.empty()) first_ = path;
                modems.push_back(modem_of(interfaces));
              }
              tell(std::move(modems), "");
            });
}

void ModemManager::tell(std::vector<ModemState> modems, const std::string& problem) {
  if (std::exchange(ever_told_, true) && modems == told_ && problem == told_problem_) return;
  told_ = modems;
  told_problem_ = problem;
  hooks_.changed(std::move(modems), problem);
}

void ModemManager::order(BusCall call, std::function<void(const Status&)> done) {
  if (first_.empty()) return done(Error{Errc::not_found, "ModemManager knows no modem"});
  call.service = kName;
  call.path = first_;
  bus_.call(call, [done = std::move(done)](const Result<BusValue>& answer) {
    done(answer ? Status() : Status(Error(answer.error())));
  });
}

void ModemManager::drop_bearers(std::function<void(const Status&)> done) {
  order({"", "", kSimple, "Disconnect", {BusPath{"/"}}}, std::move(done));
}

void ModemManager::reset(std::function<void(const Status&)> done) {
  order({"", "", kModem, "Reset"}, std::move(done));
}

}  // namespace holdfast::host
