#include "runtime/guard_keeper.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "runtime/machine_json.h"

namespace holdfast::runtime {

namespace {

health::GuardValues values_of(const posix::MachineLoad& load) {
  health::GuardValues values;
  const auto put = [&](GuardKind kind, std::optional<double> value, const std::string& detail) {
    if (value) values.at(static_cast<std::size_t>(kind)) = health::GuardValue{*value, detail};
  };
  put(GuardKind::memory, load.memory, "");
  put(GuardKind::io, load.io, "");
  put(GuardKind::temperature, load.temperature, load.zone);
  put(GuardKind::disk, load.disk, "");
  put(GuardKind::flash, load.flash, load.flash_name);
  return values;
}

std::string words_of(const GuardState& state) {
  constexpr std::array<std::string_view, kGuardKinds> kWhat{
      "% of the time something waits for memory", "% of the time something waits for the disk",
      " °C", "% of the outbox's file system is used", "% of the flash's life is used"};
  std::string text = std::string(to_string(state.kind)) + ": " +
                     std::to_string(std::lround(state.value)) +
                     std::string(kWhat.at(static_cast<std::size_t>(state.kind)));
  if (!state.detail.empty()) text += " (" + state.detail + ")";
  return text;
}

}  // namespace

GuardKeeper::GuardKeeper(posix::EventLoop& loop, std::shared_ptr<const env::Clock> clock,
                         const Config& config, Publish publish, LogHandler log)
    : loop_(loop),
      clock_(std::move(clock)),
      rules_(config.guards),
      directory_(config.outbox.directory),
      first_lane_(config.lanes.front()),
      client_id_(config.client_id),
      publish_(std::move(publish)),
      log_(std::move(log)),
      guards_(config.guards) {}

void GuardKeeper::begin() {
  if (rules_.every == Seconds(0)) return;
  try {
    watch_.emplace(
        rules_.every, [directory = directory_] { return posix::look_at_load(directory); },
        [this](const posix::MachineLoad& load) {
          loop_.post([weak = std::weak_ptr(self_), load] {
            if (const auto self = weak.lock()) (*self)->looked(load);
          });
        });
  } catch (const std::system_error& error) {
    log_({LogLevel::warning, LogArea::health,
          std::string("the machine's limits are not watched: ") + error.what()});
  }
}

void GuardKeeper::looked(const posix::MachineLoad& load) {
  for (const GuardState& changed : guards_.look(clock_->now(), values_of(load))) tell(changed);
  const std::lock_guard lock(mutex_);
  states_ = guards_.states();
}

void GuardKeeper::tell(const GuardState& state) {
  log_({state.alarm ? LogLevel::warning : LogLevel::info,
        LogArea::health,
        words_of(state) + (state.alarm ? "" : "; that is over"),
        {},
        {{"guard", std::string(to_string(state.kind))}}});
  if (rules_.topic.empty()) return;
  nlohmann::ordered_json text{
      {"event", "guard"}, {"client_id", client_id_}, {"at_ms", clock_->wall().ms}};
  text.update(guard_json(state));
  Message message;
  message.topic = rules_.topic;
  message.lane = first_lane_;
  message.content_type = "application/json";
  for (const char c : text.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) {
    message.payload.push_back(static_cast<std::byte>(c));
  }
  publish_(std::move(message));
}

std::vector<GuardState> GuardKeeper::states() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

}  // namespace holdfast::runtime
