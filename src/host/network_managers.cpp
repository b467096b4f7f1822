// See network_managers.h.
#include "host/network_managers.h"

#include <utility>
#include <vector>

namespace holdfast::host {

NetworkManagers::NetworkManagers(posix::EventLoop& loop, const Config::Network& rules, Hooks hooks)
    : rules_(rules),
      hooks_(std::move(hooks)),
      bus_(loop, {[this] { up(); }, [this](const std::string& why) { down(why); }}),
      manager_(loop, bus_, [this](const NetworkState& state) { manager_changed(state); }),
      modems_(loop, bus_, {[this](std::vector<ModemState> modems, const std::string& problem) {
                modems_changed(std::move(modems), problem);
              }}) {
  bus_.begin();
}

void NetworkManagers::up() {
  if (rules_.manager != Use::off) manager_.begin();
  if (rules_.modems != Use::off) modems_.begin();
}

void NetworkManagers::down(const std::string& why) {
  if (rules_.manager != Use::off) manager_.lost(why);
  if (rules_.modems != Use::off) modems_.lost(why);
}

void NetworkManagers::manager_changed(const NetworkState& state) {
  const bool was_there = state_.managed;
  std::vector<ModemState> modems = std::move(state_.modems);
  state_ = state;
  state_.modems = std::move(modems);
  if (state_.managed) {
    if (!was_there) {
      const bool said = std::exchange(said_absent_, false);
      say(said ? LogLevel::warning : LogLevel::info, "NetworkManager tells about the network");
    }
  } else if (!said_absent_ && (was_there || rules_.manager == Use::on)) {
    said_absent_ = true;
    say(LogLevel::warning, state_.problem + "; the kernel alone tells about the network");
  }
  // Where nobody asked for it, its absence is no problem.
  if (rules_.manager == Use::automatic && !said_absent_) state_.problem.clear();
  hooks_.changed(state_);
}

void NetworkManagers::modems_changed(std::vector<ModemState> modems, const std::string& problem) {
  const bool was_there = std::exchange(modems_there_, problem.empty());
  if (!modems_there_ && (was_there || rules_.modems == Use::on)) {
    say(LogLevel::warning, problem + "; nothing is known of modems");
  }
  state_.modems = std::move(modems);
  hooks_.changed(state_);
}

void NetworkManagers::reboot(std::function<void(const Status&)> done) {
  if (!bus_.connected()) return done(Error{Errc::closed, "the system bus is not there"});
  bus_.call({"org.freedesktop.login1",
             "/org/freedesktop/login1",
             "org.freedesktop.login1.Manager",
             "Reboot",
             {false}},
            [done = std::move(done)](const Result<BusValue>& answer) {
              done(answer ? Status() : Status(Error(answer.error())));
            });
}

void NetworkManagers::say(LogLevel level, std::string text) {
  if (hooks_.log) hooks_.log({level, LogArea::connection, std::move(text), {}, {}});
}

}  // namespace holdfast::host
