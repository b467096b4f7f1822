#include "engines/real_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "posix/unique_fd.h"

namespace holdfast::engines::test {
namespace {

using Steady = std::chrono::steady_clock;

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

/// Null-terminated, as exec wants it; points into `texts`.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// In the child, where only what a signal handler may do is allowed.
[[noreturn]] void become(char** arguments, char** environment, int output, pid_t parent) {
  // Its end is ours, even when we are killed.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (getppid() != parent || input < 0 || dup2(input, STDIN_FILENO) < 0 ||
      dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
    _exit(127);
  }
  execve(arguments[0], arguments, environment);
  _exit(127);
}

}  // namespace

std::uint16_t free_port() {
  const posix::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  require(bind(fd.get(), generic, size) == 0 && getsockname(fd.get(), generic, &size) == 0,
          "free port");
  return ntohs(address.sin_port);
}

std::string find_program(std::string_view name) {
  std::string path = "/usr/sbin:/usr/local/sbin";
  if (const char* value = std::getenv("PATH")) path += std::string(":") + value;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    std::string candidate = path.substr(at, end - at) + "/" + std::string(name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return {};
}

std::filesystem::path make_directory() {
  std::string name = (std::filesystem::temp_directory_path() / "broker-XXXXXX").string();
  require(mkdtemp(name.data()) != nullptr, "mkdtemp");
  return name;
}

void RealProcess::start(const std::vector<std::string>& arguments,
                        const std::vector<std::string>& variables,
                        const std::filesystem::path& output) {
  kill();
  output_ = output;
  const posix::UniqueFd file(
      open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  require(file.get() >= 0, "the output of a program");
  std::vector<std::string> words = arguments;
  std::vector<std::string> settings = variables;
  // The first of two settings of a variable is the one that counts.
  for (char** each = environ; *each != nullptr; ++each) settings.emplace_back(*each);
  const std::vector<char*> word_pointers = pointers(words);
  const std::vector<char*> setting_pointers = pointers(settings);
  const pid_t parent = getpid();
  pid_ = fork();
  require(pid_ >= 0, "fork");
  if (pid_ == 0) {
    become(const_cast<char**>(word_pointers.data()), const_cast<char**>(setting_pointers.data()),
           file.get(), parent);
  }
}

std::string RealProcess::said() const {
  std::ifstream file(output_);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void RealProcess::wait_for(std::string_view words, Duration limit) const {
  // A file that grows is no event to wait for.
  const auto end = Steady::now() + limit;
  for (;;) {
    const bool over = pid_ <= 0 || waitpid(pid_, nullptr, WNOHANG) != 0;
    if (over) pid_ = -1;
    const std::string text = said();
    if (text.find(words) != std::string::npos) return;
    if (over || Steady::now() > end) {
      const std::size_t shown = std::min<std::size_t>(text.size(), 2000);
      throw std::runtime_error(std::string(over ? "it ended" : "it is late") +
                               "; its last words: " + text.substr(text.size() - shown));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

int RealProcess::wait_for_end(Duration limit) {
  const auto end = Steady::now() + limit;
  while (pid_ > 0 && Steady::now() < end) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return -1;
}

void RealProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RealProcess::terminate(Duration limit) {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
  (void)wait_for_end(limit);
  kill();
}

}  // namespace holdfast::engines::test
