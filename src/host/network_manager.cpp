// See network_manager.h.
#include "host/network_manager.h"

#include <array>
#include <utility>

#include "base/check.h"

namespace holdfast::host {
namespace {

constexpr const char* kName = "org.freedesktop.NetworkManager";
constexpr const char* kObject = "/org/freedesktop/NetworkManager";
constexpr const char* kActive = "org.freedesktop.NetworkManager.Connection.Active";
constexpr const char* kDevice = "org.freedesktop.NetworkManager.Device";

// What of the manager's properties makes a difference to us.
constexpr std::array kWanted{"Connectivity", "PrimaryConnection", "PrimaryConnectionType",
                             "Metered"};

// NMConnectivityState and NMMetered count as our enumerations do.
static_assert(static_cast<int>(Connectivity::none) == 1 &&
              static_cast<int>(Connectivity::portal) == 2 &&
              static_cast<int>(Connectivity::limited) == 3 &&
              static_cast<int>(Connectivity::full) == 4);
static_assert(static_cast<int>(Metered::yes) == 1 && static_cast<int>(Metered::no) == 2 &&
              static_cast<int>(Metered::guess_yes) == 3 &&
              static_cast<int>(Metered::guess_no) == 4);

template <class Enum>
Enum in_range(std::uint64_t value, Enum last) {
  return value <= static_cast<std::uint64_t>(last) ? static_cast<Enum>(value) : Enum::unknown;
}

}  // namespace

NetworkManager::NetworkManager(posix::EventLoop& loop, SystemBus& bus, Changed changed)
    : bus_(bus), changed_(std::move(changed)), ask_again_(loop) {
  HF_CHECK(changed_ != nullptr);
}

void NetworkManager::begin() {
  there_ = reading_ = again_ = false;
  bus_.listen(std::string("type='signal',sender='") + kName + "',path='" + kObject +
                  "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
              [this](const std::string&, const BusValue& arguments) {
                for (const char* const name : kWanted) {
                  if (arguments.at(1).has(name)) return refresh();
                }
              });
  bus_.follow(kName, [this](bool there) { followed(there); });
}

void NetworkManager::lost(const std::string& why) {
  reading_ = again_ = false;
  state_ = {};
  state_.problem = why;
  tell();
}

void NetworkManager::followed(bool there) {
  there_ = there;
  if (there) return refresh();
  ask_again_.cancel();
  lost("NetworkManager does not run");
}

void NetworkManager::unanswered(const Error& error) {
  if (!there_) return;  // with its end all its calls end, after that was said
  lost("NetworkManager does not answer: " + error.message);
  ask_again_.arm_after(kBusAskAgain, [this] { refresh(); });  // it may be stuck for a while only
}

void NetworkManager::refresh() {
  if (std::exchange(reading_, true)) {
    again_ = true;
    return;
  }
  bus_.call(get_all(kName, kObject, kName), [this](const Result<BusValue>& answer) {
    if (answer) return read(answer->at(0));
    unanswered(answer.error());
  });
}

void NetworkManager::read(const BusValue& properties) {
  state_ = {};
  state_.managed = true;
  state_.connectivity = in_range(properties["Connectivity"].number(), Connectivity::full);
  state_.metered = in_range(properties["Metered"].number(), Metered::guess_no);
  state_.type = properties["PrimaryConnectionType"].text();
  const std::string connection = properties["PrimaryConnection"].text();
  if (connection.empty() || connection == "/") return finish();
  bus_.call(get_all(kName, connection, kActive), [this](const Result<BusValue>& answer) {
    if (!answer) return finish();  // it has gone meanwhile; that is news to come
    read_connection(answer->at(0));
  });
}

void NetworkManager::read_connection(const BusValue& properties) {
  state_.connection = properties["Id"].text();
  const std::string device = properties["Devices"].at(0).text();
  if (device.empty()) return finish();
  bus_.call(get_all(kName, device, kDevice), [this](const Result<BusValue>& answer) {
    if (answer) state_.device = answer->at(0)["Interface"].text();
    finish();
  });
}

void NetworkManager::finish() {
  reading_ = false;
  if (std::exchange(again_, false)) return refresh();
  tell();
}

void NetworkManager::tell() {
  if (std::exchange(ever_told_, true) && state_ == told_) return;
  told_ = state_;
  changed_(told_);
}

void NetworkManager::check() {
  if (!told_.managed) return;
  bus_.call({kName, kObject, kName, "CheckConnectivity"}, {});
}

}  // namespace holdfast::host
