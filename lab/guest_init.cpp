// The first and only process of the virtual machine of tools/torture power --method qemu.
//
// Use:      the kernel starts it as /init, with the arguments of hf_outbox_writer behind the
//           directory: FIRST SEED SEGMENT MAX [--drain]. Loads /modules/*, in the order of
//           /modules.list, mounts the ext4 of /dev/vda, and runs the writer on it. The writer's
//           lines go to the second serial port.
// Says:     on the console, one line each, "init: " before it:
//           cache TEXT      what the kernel takes the disk's cache for
//           mounting, mounted, and the kernel's own lines about ext4 between them
//           ended STATUS    the writer, by itself; then unmounted, and the machine resets
//           FAILED TEXT     it goes no further; the machine resets
// Threads:  one.
#include <fcntl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "guest.h"

namespace {

using guest::fail;
using guest::say;

constexpr const char* kDisk = "/dev/vda";
constexpr const char* kPoint = "/disk";
constexpr int kDiskTries = 2000;
constexpr useconds_t kDiskPause = 5000;
constexpr int kReadAllOfTheLog = 3;  // SYSLOG_ACTION_READ_ALL of syslog(2)

/// What the kernel said about ext4 since it started.
void tell_of_ext4() {
  std::vector<char> log(1 << 18);
  const int size = ::klogctl(kReadAllOfTheLog, log.data(), static_cast<int>(log.size()));
  std::string_view text(log.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.find("EXT4-fs") != line.npos) say("kernel " + std::string(line));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
}

void mount_disk() {
  for (int i = 0; ::access(kDisk, F_OK) != 0; ++i) {
    if (i == kDiskTries) fail(kDisk);
    ::usleep(kDiskPause);
  }
  std::ifstream cache("/sys/block/vda/queue/write_cache");
  std::string text;
  std::getline(cache, text);
  say("cache " + text);
  say("mounting");
  ::mkdir(kPoint, 0755);
  const bool mounted = ::mount(kDisk, kPoint, "ext4", MS_NOATIME, "") == 0;
  const int error = errno;
  tell_of_ext4();
  errno = error;
  if (!mounted) fail("mount of the disk");
  say("mounted");
  ::tcdrain(STDOUT_FILENO);  // on a slow host it would come behind the writer's first lines
}

/// The port as it comes: no byte is changed. The writer waits until a line has left the machine.
int open_port() {
  const int port = ::open("/dev/ttyS1", O_RDWR | O_NOCTTY);
  termios settings{};
  if (port < 0 || ::tcgetattr(port, &settings) != 0) fail("the second serial port");
  ::cfmakeraw(&settings);
  ::cfsetspeed(&settings, B115200);
  if (::tcsetattr(port, TCSANOW, &settings) != 0) fail("the second serial port");
  return port;
}

void run_writer(int argc, char** argv) {
  const int port = open_port();
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    ::dup2(port, STDOUT_FILENO);
    std::string directory = std::string(kPoint) + "/outbox";
    std::string name = "hf_outbox_writer";
    std::vector<char*> words{name.data(), directory.data()};
    words.insert(words.end(), argv + 1, argv + argc);
    words.push_back(nullptr);
    ::execv("/hf_outbox_writer", words.data());
    fail("the writer");
  }
  int status = 0;
  while (::waitpid(child, &status, 0) != child) {
    if (errno != EINTR) fail("waitpid");
  }
  say("ended " + (WIFEXITED(status) ? std::to_string(WEXITSTATUS(status))
                                    : "signal " + std::to_string(WTERMSIG(status))));
}

}  // namespace

int main(int argc, char** argv) {
  guest::begin("hf_guest_init");
  mount_disk();
  run_writer(argc, argv);
  if (::umount(kPoint) != 0) fail("umount");
  say("unmounted");
  guest::end(RB_AUTOBOOT);
}
