// See system_bus.h: for a build without libsystemd's headers.
#include "host/system_bus.h"

namespace holdfast::host {

struct SystemBus::Impl {
  Hooks hooks;
};

bool SystemBus::built() noexcept { return false; }

SystemBus::SystemBus(posix::EventLoop&, Hooks hooks)
    : impl_(std::make_unique<Impl>(Impl{std::move(hooks)})) {}
SystemBus::~SystemBus() = default;

void SystemBus::begin() { impl_->hooks.down("this build has no D-Bus (libsystemd-dev)"); }
bool SystemBus::connected() const { return false; }
void SystemBus::call(const BusCall&, Answer) {}
void SystemBus::listen(const std::string&, Heard) {}
void SystemBus::follow(const std::string&, std::function<void(bool)>) {}

}  // namespace holdfast::host
