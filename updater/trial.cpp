// See trial.h.
#include "trial.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "posix/child.h"
#include "posix/system.h"

namespace holdfast::updater {
namespace {

constexpr int kLookMs = 200;
constexpr Duration kStopPatience = std::chrono::seconds(30);
constexpr int kAfterFailureMs = 1000;

}  // namespace

TrialEnd try_successor(const Successor& successor, const std::string& config, int stop_fd,
                       const posix::ServiceManager& manager) {
  const auto clock = posix::make_clock();
  posix::ChildPlan plan;
  plan.command = {successor.program.string(), "--config", config};
  plan.variables = {{kTrialVariable, "1"}};
  const auto child = posix::start_child(plan);
  BootTime deadline = clock->now() + successor.within;
  bool stopped = false;
  std::optional<int> code;
  while (child && !code) {
    pollfd stop{stopped ? -1 : stop_fd, POLLIN, 0};
    if (::poll(&stop, 1, kLookMs) > 0) {
      stopped = true;
      ::kill(*child, SIGTERM);
      deadline = std::min(deadline, clock->now() + kStopPatience);
    }
    if (clock->now() >= deadline) ::kill(-*child, SIGKILL);
    code = posix::reap(*child);
    posix::Notice alive;
    alive.alive = true;
    static_cast<void>(manager.tell(alive));
  }
  while (child && !posix::kill_left_behind(*child)) ::usleep(kLookMs);
  if (stopped) return TrialEnd::stopped;
  if (code == 0) return TrialEnd::decided;
  ::poll(nullptr, 0, kAfterFailureMs);
  return TrialEnd::failed;
}

bool is_another_program(const std::filesystem::path& program) {
  struct stat ours {};
  struct stat other {};
  if (::stat("/proc/self/exe", &ours) != 0 || ::stat(program.c_str(), &other) != 0) return false;
  return ours.st_dev != other.st_dev || ours.st_ino != other.st_ino;
}

}  // namespace holdfast::updater
