#include "runtime/provision_thread.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "runtime/provisioner.h"

namespace holdfast::runtime {

namespace {

/// After what a run could not even begin with: another has the folder, or the disk is in trouble.
constexpr std::chrono::seconds kBeginAgain{10};
/// After a run that has left something: files of a claim that do not go.
constexpr std::chrono::seconds kEndAgain{600};

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
  if (shared_->running || !has_provisioning_work(config)) return;
  shared_->running = true;
  std::thread([shared = shared_] {
    ::pthread_setname_np(::pthread_self(), "hf-provision");
    run(shared);
    const std::lock_guard ended(shared->mutex);
    shared->running = false;
    shared->changed.notify_all();
  }).detach();
}

void ProvisionThread::run(const std::shared_ptr<Shared>& shared) {
  for (;;) {
    Config config;
    {
      const std::lock_guard lock(shared->mutex);
      if (shared->stopping) return;
      shared->again = false;
      config = shared->config;
    }
    if (!has_provisioning_work(config)) {
      const std::string thing = provisioned_thing(config);
      return shared->tell([&](Hooks& to) { to.done(thing); });
    }
    const auto changed = [&](const ProvisioningState& state) {
      // A step that is tried again is told of by what keeps it, once.
      const bool again = state.reason.empty() && state.tries != 0;
      if (!again) {
        shared->say(state.reason.empty() ? LogLevel::info : LogLevel::warning, describe(state));
      }
      shared->tell([&](Hooks& to) { to.changed(state); });
    };
    ProvisionWish wish;
    wish.config = std::move(config);
    const auto warn = [&](const std::string& line) { shared->say(LogLevel::warning, line); };
    auto opened = Provisioner::open(std::move(wish), {changed, warn});
    std::chrono::seconds rest{0};
    std::unique_lock lock(shared->mutex);
    if (opened) {
      shared->provisioner = opened->get();
      if (shared->stopping || shared->again) shared->provisioner->stop();
      lock.unlock();
      const ProvisionEnd end = (*opened)->run();
      lock.lock();
      shared->provisioner = nullptr;
      if (end != ProvisionEnd::stopped && has_provisioning_work(shared->config)) rest = kEndAgain;
    } else {
      lock.unlock();
      shared->say(LogLevel::warning, opened.error().message);
      lock.lock();
      rest = kBeginAgain;
    }
    shared->changed.wait_for(lock, rest, [&] { return shared->stopping || shared->again; });
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
