// What the first process of a virtual machine does, whatever it is for.
//
// Purpose:  file systems, console, kernel modules, words on the console, the end of the machine.
// Threads:  one.
// Errors:   fail() says on the console what went wrong, and resets the machine.
#pragma once

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

namespace guest {

inline void say(const std::string& text) {
  const std::string line = "init: " + text + "\n";
  // Nobody could be told that the console is gone.
  [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, line.data(), line.size());
}

/// `how`: RB_AUTOBOOT or RB_POWER_OFF of reboot(2).
[[noreturn]] inline void end(int how) {
  ::tcdrain(STDOUT_FILENO);
  ::reboot(how);
  for (;;) ::pause();
}

[[noreturn]] inline void fail(const std::string& what) {
  const int error = errno;
  say("FAILED " + what + ": " + std::strerror(error));
  end(RB_AUTOBOOT);
}

inline void mount_or_fail(const char* source, const char* point, const char* type,
                          unsigned long flags) {
  ::mkdir(point, 0755);
  if (::mount(source, point, type, flags, "") != 0) fail(std::string("mount ") + point);
}

inline void open_console() {
  const int console = ::open("/dev/console", O_RDWR);
  for (int fd = STDIN_FILENO; console >= 0 && fd <= STDERR_FILENO; ++fd) ::dup2(console, fd);
  if (console > STDERR_FILENO) ::close(console);
}

inline void load_modules() {
  std::ifstream list("/modules.list");  // each with its parameters
  for (std::string line; std::getline(list, line);) {
    const std::string path = line.substr(0, line.find(' '));
    const std::string parameters = line.substr(std::min(path.size() + 1, line.size()));
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0 || ::syscall(SYS_finit_module, file, parameters.c_str(), 0) != 0) {
      fail("module " + line);
    }
    ::close(file);
  }
}

/// Everything above, in its order. Only the first process may do so.
inline void begin(const char* name) {
  if (::getpid() != 1) {
    std::fprintf(stderr, "%s: only the kernel of a virtual machine starts this\n", name);
    ::_exit(2);
  }
  mount_or_fail("dev", "/dev", "devtmpfs", 0);
  open_console();
  mount_or_fail("proc", "/proc", "proc", 0);
  mount_or_fail("sysfs", "/sys", "sysfs", 0);
  load_modules();
}

}  // namespace guest
