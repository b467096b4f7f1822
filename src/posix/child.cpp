#include "posix/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>

#include "posix/os_error.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

namespace {

constexpr const char* kOwnPid = "$PID";
constexpr std::size_t kPidDigits = 20;

/// Null-terminated, as exec wants it; points into `texts`.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

/// Our variables with those of the plan in their place; where the child's number belongs.
std::vector<std::string> environment_for(const ChildPlan& plan, std::vector<std::size_t>& pids) {
  std::vector<std::string> all;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text(*one);
    const bool replaced =
        std::any_of(plan.variables.begin(), plan.variables.end(),
                    [&](const auto& variable) { return text.starts_with(variable.first + "="); });
    if (!replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : plan.variables) {
    if (value == kOwnPid) pids.push_back(all.size());
    all.push_back(name + "=" + (value == kOwnPid ? std::string(kPidDigits, '\0') : value));
  }
  return all;
}

void restore_signals() {
  sigset_t none;
  ::sigemptyset(&none);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool put_in_place(const ChildPlan& plan, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) return false;  // killed before that
  if (::isatty(STDIN_FILENO) != 0) {
    // Outside of the terminal's foreground a read would stop it.
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0) return false;
  }
  return (plan.output < 0 || ::dup2(plan.output, STDOUT_FILENO) >= 0) &&
         (plan.errors < 0 || ::dup2(plan.errors, STDERR_FILENO) >= 0);
}

/// In the child: ends as the program, or tells `report` why not.
[[noreturn]] void become(const ChildPlan& plan, char* const* command,
                         std::vector<std::string>& variables, const std::vector<std::size_t>& pids,
                         pid_t parent, int report) {
  for (const std::size_t at : pids) {
    std::string& text = variables[at];
    char* const begin = text.data() + text.size() - kPidDigits;
    std::to_chars(begin, begin + kPidDigits, ::getpid());
  }
  int problem = EPERM;
  if (put_in_place(plan, parent)) {
    restore_signals();
    ::execvpe(command[0], command, pointers(variables).data());
    problem = errno;
  }
  static_cast<void>(::write(report, &problem, sizeof problem) == sizeof problem);
  ::_exit(127);
}

}  // namespace

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }

Result<pid_t> start_child(const ChildPlan& plan) {
  std::vector<std::size_t> pids;
  std::vector<std::string> variables = environment_for(plan, pids);
  std::vector<std::string> words = plan.command;
  const std::vector<char*> command = pointers(words);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return make_os_error(errno, "cannot make a pipe");
  const UniqueFd mine(report[0]);
  UniqueFd its(report[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return make_os_error(errno, "cannot make a process");
  if (child == 0) become(plan, command.data(), variables, pids, parent, its.get());
  its.reset();
  int problem = 0;
  ssize_t got = 0;
  while ((got = ::read(mine.get(), &problem, sizeof problem)) < 0 && errno == EINTR) {
  }
  if (got == 0) return child;  // exec has closed it
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  return make_os_error(problem, "cannot run " + plan.command.front());
}

std::optional<int> reap(pid_t child) {
  std::optional<int> code;
  int status = 0;
  for (pid_t one = 0; (one = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (one != child) continue;
    code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return code;
}

bool kill_left_behind(pid_t child) {
  ::kill(-child, SIGKILL);
  // Those that have left the group have come to us.
  std::ifstream children("/proc/thread-self/children");
  for (pid_t one = 0; children >> one;) ::kill(one, SIGKILL);
  static_cast<void>(reap(child));
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

}  // namespace holdfast::posix
