// The first process of the virtual machine of lab/watchdog_test.py: a device with a watchdog.
//
// Use:      the kernel starts it as /init, with what is to happen to the agent, once it runs:
//           outage SECONDS  nothing, while there is no broker; then SIGTERM
//           thread NAME     that thread of it stands still (ptrace(2)), and nothing else
//           process         all of it does (SIGSTOP)
//           kill            it is killed, and nobody starts it again
//           kernel          the kernel panics, leaves a record of it, and hangs
//           Once the watchdog has reset the machine: only that the agent says so.
// Says:     on the console, one line each, "init: " before it: what happens when. The agent's log
// is
//           between them.
// Threads:  one.
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "guest.h"

namespace {

using guest::fail;
using guest::say;

constexpr const char* kSocket = "/run/agent.sock";
constexpr int kStartTries = 600;
constexpr useconds_t kPause = 100'000;
constexpr unsigned kDisarmed = 15;  // seconds, longer than the limit of the tests's watchdog
constexpr unsigned kLong = 120;     // seconds: longer than any watchdog of the tests waits
constexpr int kCardReset = 0x20;    // WDIOF_CARDRESET

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void raise_loopback() {
  const int any = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq about{};
  std::string("lo").copy(about.ifr_name, sizeof about.ifr_name - 1);
  about.ifr_flags = IFF_UP;
  if (any < 0 || ::ioctl(any, SIOCSIFFLAGS, &about) != 0) fail("the loopback interface");
  ::close(any);
}

pid_t start_agent() {
  const pid_t agent = ::fork();
  if (agent < 0) fail("fork");
  if (agent == 0) {
    ::execl("/holdfastd", "holdfastd", "--config", "/device.toml", nullptr);
    fail("the agent");
  }
  for (int i = 0; ::access(kSocket, F_OK) != 0; ++i) {
    if (i == kStartTries) fail("the agent's socket");
    ::usleep(kPause);
  }
  return agent;
}

void stop_thread(pid_t process, std::string_view name) {
  const std::filesystem::path tasks = "/proc/" + std::to_string(process) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    if (first_line(task.path() / "comm") != name) continue;
    const pid_t thread = std::atoi(task.path().filename().c_str());
    if (::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) != 0 ||
        ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) != 0) {
      fail("ptrace");
    }
    return;
  }
  errno = ESRCH;
  fail("the thread " + std::string(name));
}

/// The outbox of this machine is in RAM: what the run before would have left on a disk.
void leave_record() {
  ::mkdir("/run/outbox", 0700);
  std::ofstream("/run/outbox/boot") << "holdfast boots 1\nboot 1\nrun open\nreason unknown none\n";
}

void crash_kernel() {
  std::ofstream("/proc/sys/kernel/panic") << "0\n";
  std::ofstream("/proc/sysrq-trigger") << "c\n";
}

void sleep_for(unsigned seconds) {
  while (seconds > 0) seconds = ::sleep(seconds);
}

void end_in_order(pid_t agent) {
  ::kill(agent, SIGTERM);
  int status = 0;
  while (::waitpid(agent, &status, 0) != agent) {
    if (errno != EINTR) fail("waitpid");
  }
  say("the agent has ended: " + std::to_string(WEXITSTATUS(status)));
}

void live(pid_t agent, std::string_view what, const char* more) {
  say("the agent runs");
  if (what == "outage") {
    sleep_for(static_cast<unsigned>(std::atoi(more)));
    say("the outage is over");
    end_in_order(agent);
    sleep_for(kDisarmed);
    return say("the watchdog has been stopped");
  }
  if (what == "thread") stop_thread(agent, more);
  if (what == "process") ::kill(agent, SIGSTOP);
  if (what == "kill") ::kill(agent, SIGKILL);
  say(std::string("done: ") + std::string(what));
  if (what == "kernel") crash_kernel();
  sleep_for(kLong);
}

}  // namespace

int main(int argc, char** argv) {
  guest::begin("hf_watchdog_guest");
  guest::mount_or_fail("tmpfs", "/run", "tmpfs", 0);
  raise_loopback();
  const std::string status = first_line("/sys/class/watchdog/watchdog0/bootstatus");
  const bool was_reset = (std::atoi(status.c_str()) & kCardReset) != 0;
  say(was_reset ? "the watchdog has reset the machine" : "a first start");
  guest::mount_or_fail("pstore", "/sys/fs/pstore", "pstore", 0);
  if (was_reset) leave_record();
  const pid_t agent = start_agent();
  if (was_reset) {
    end_in_order(agent);
  } else if (argc >= 2) {
    live(agent, argv[1], argc > 2 ? argv[2] : "");
  }
  say("power off");
  guest::end(RB_POWER_OFF);
}
