#include "runtime/provision_thread.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "posix/system.h"
#include "runtime/provisioner.h"

namespace holdfast::runtime {

namespace {

/// After what a run could not even begin with: another has the folder, or the disk is in trouble.
constexpr Milliseconds kBeginAgain = std::chrono::seconds(10);
/// After a run that has left something: files of a claim that do not go.
constexpr Milliseconds kEndAgain = std::chrono::minutes(10);
/// Whether a successor is due: clocks are set, and files replaced.
constexpr Milliseconds kLookAgain = std::chrono::hours(1);

const char* meaning(ProvisioningStep step) {
  switch (step) {
    case ProvisioningStep::key:
      return "makes a private key";
    case ProvisioningStep::claim:
      return "connects";
    case ProvisioningStep::certificate:
      return "asks for a certificate";
    case ProvisioningStep::registration:
      return "registers it";
    case ProvisioningStep::verification:
      return "connects with it";
    case ProvisioningStep::installation:
      return "puts it into its slot";
    case ProvisioningStep::none:
    case ProvisioningStep::done:
      break;
  }
  return "nothing is left to do";
}

}  // namespace

std::string describe(const ProvisioningState& state) {
  std::string line(to_string(state.step));
  line += ": ";
  line += state.reason.empty() ? meaning(state.step) : state.reason;
  if (state.blocked) line += "; it is tried again within the hour";
  return line;
}

/// What the thread works with; it may outlive the device.
struct ProvisionThread::Shared {
  std::mutex hooks_mutex;
  std::optional<Hooks> hooks;  ///< None: nobody listens any more.

  std::mutex mutex;  // guards the rest
  std::condition_variable changed;
  Config config;
  bool running = false;
  bool again = false;  ///< The configuration is another one.
  bool stopping = false;
  Provisioner* provisioner = nullptr;  ///< Of the run under way.
  std::string said;                    ///< The thread's own: the last line.

  /// None: the device stops.
  std::optional<Config> next_config();
  /// Returns how long to rest after it.
  Milliseconds carry_out(const Config& with, bool renewal);
  /// ... unless the configuration changes or the device stops.
  void rest(Milliseconds time);

  template <class Call>
  void tell(Call call) {
    const std::lock_guard lock(hooks_mutex);
    if (hooks) call(*hooks);
  }

  void say(LogLevel level, const std::string& line) {
    if (line == said) return;
    said = line;
    tell([&](Hooks& to) { to.log({level, LogArea::provisioning, line}); });
  }
};

ProvisionThread::ProvisionThread(Hooks hooks) : shared_(std::make_shared<Shared>()) {
  shared_->hooks = std::move(hooks);
}

ProvisionThread::~ProvisionThread() { static_cast<void>(stop(Duration(0))); }

void ProvisionThread::start(const Config& config) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->stopping) return;
  shared_->config = config;
  shared_->again = true;
  if (shared_->provisioner != nullptr) shared_->provisioner->stop();
  shared_->changed.notify_all();
  const bool wanted = has_provisioning_work(config) || renews_by_itself(config);
  if (shared_->running || !wanted) return;
  shared_->running = true;
  std::thread([shared = shared_] {
    ::pthread_setname_np(::pthread_self(), "hf-provision");
    for (;;) {
      run(shared);
      const std::lock_guard ended(shared->mutex);
      if (shared->again && !shared->stopping) continue;  // in the very last moment
      shared->running = false;
      shared->changed.notify_all();
      return;
    }
  }).detach();
}

std::optional<Config> ProvisionThread::Shared::next_config() {
  const std::lock_guard lock(mutex);
  if (stopping) return std::nullopt;
  again = false;
  return config;
}

Milliseconds ProvisionThread::Shared::carry_out(const Config& with, bool renewal) {
  const auto show = [&](const ProvisioningState& state) {
    // A step that is tried again is told of by what keeps it, once.
    const bool repeated = state.reason.empty() && state.tries != 0;
    const LogLevel level = state.reason.empty() ? LogLevel::info : LogLevel::warning;
    if (!repeated) say(level, (renewal ? "successor: " : "") + describe(state));
    tell([&](Hooks& to) { to.changed(state); });
  };
  const auto warn = [&](const std::string& line) { say(LogLevel::warning, line); };
  ProvisionWish wish;
  wish.config = with;
  wish.renewal = renewal;
  auto opened = Provisioner::open(std::move(wish), {show, warn});
  if (!opened) {
    say(LogLevel::warning, opened.error().message);
    return renewal ? kLookAgain : kBeginAgain;
  }
  std::unique_lock lock(mutex);
  provisioner = opened->get();
  if (stopping || again) provisioner->stop();
  lock.unlock();
  const ProvisionEnd end = (*opened)->run();
  lock.lock();
  provisioner = nullptr;
  const bool rests = !renewal && end != ProvisionEnd::stopped && has_provisioning_work(with);
  return rests ? kEndAgain : Milliseconds(0);
}

void ProvisionThread::Shared::rest(Milliseconds time) {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, time, [this] { return stopping || again; });
}

void ProvisionThread::run(const std::shared_ptr<Shared>& shared) {
  const auto clock = posix::make_clock();
  bool told = false;
  while (const auto config = shared->next_config()) {
    if (has_provisioning_work(*config)) {
      told = false;
      shared->rest(shared->carry_out(*config, false));
      continue;
    }
    if (!std::exchange(told, true)) {
      const std::string thing = provisioned_thing(*config);
      shared->tell([&](Hooks& to) { to.done(thing); });
    }
    const auto left = until_renewal(*config, clock->wall());
    if (!left) return;
    shared->rest(*left > Milliseconds(0) ? std::min(*left, kLookAgain)
                                         : shared->carry_out(*config, true));
  }
}

bool ProvisionThread::stop(Duration patience) {
  std::unique_lock lock(shared_->mutex);
  shared_->stopping = true;
  if (shared_->provisioner != nullptr) shared_->provisioner->stop();
  shared_->changed.notify_all();
  const bool ended =
      shared_->changed.wait_for(lock, patience, [this] { return !shared_->running; });
  lock.unlock();
  const std::lock_guard hooks(shared_->hooks_mutex);
  shared_->hooks.reset();
  return ended;
}

}  // namespace holdfast::runtime
