#include "posix/watchdog_device.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include "posix/os_error.h"
#include "posix/system.h"

namespace holdfast::posix {

namespace {

constexpr std::size_t kFlagMax = 16;

/// What sysfs says of the device; empty: nothing.
std::string attribute(const std::filesystem::path& device, std::string_view name) {
  std::error_code failure;
  std::string number = std::filesystem::canonical(device, failure).filename().string();
  if (number == "watchdog") number += '0';  // the old name of the first one
  const Result<std::string> text =
      read_file(std::filesystem::path("/sys/class/watchdog") / number / name, kFlagMax);
  return text.ok() ? *text : std::string{};
}

Error refused(const std::filesystem::path& device) {
  const int code = errno;
  Error error = make_os_error(code, "watchdog " + device.string());
  if (code == EBUSY) {
    error.message +=
        "; another program holds it: systemd, with RuntimeWatchdogSec= in system.conf, or a "
        "watchdog daemon. Leave it to one of them, or take it from them";
  } else if (code == EACCES || code == EPERM) {
    error.message +=
        "; give this user the right to write to it (a udev rule, or the unit's "
        "DeviceAllow=)";
  } else if (code == ENOENT) {
    error.message += "; is its driver loaded?";
  }
  return error;
}

}  // namespace

Result<WatchdogDevice> WatchdogDevice::open(const std::filesystem::path& device, Seconds timeout,
                                            Seconds pretimeout) {
  WatchdogDevice dog;
  struct stat about {};
  // Opening anything else could wait for ever, or do harm.
  if (::stat(device.c_str(), &about) == 0 && !S_ISCHR(about.st_mode)) {
    return Error{Errc::invalid_argument, "watchdog " + device.string() + " is no character device",
                 0};
  }
  dog.fd_.reset(::open(device.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!dog.fd_) return refused(device);
  const int fd = dog.fd_.get();
  watchdog_info info{};
  if (::ioctl(fd, WDIOC_GETSUPPORT, &info) != 0) {
    return Error{Errc::invalid_argument, "watchdog " + device.string() + " is no watchdog", 0};
  }
  info.identity[sizeof info.identity - 1] = 0;
  dog.identity_ = reinterpret_cast<const char*>(info.identity);
  int seconds = static_cast<int>(timeout.count());
  if (::ioctl(fd, WDIOC_SETTIMEOUT, &seconds) != 0 &&
      ::ioctl(fd, WDIOC_GETTIMEOUT, &seconds) != 0) {
    static_cast<void>(dog.disarm());
    return refused(device);
  }
  dog.timeout_ = Seconds(seconds);
  int before = static_cast<int>(pretimeout.count());
  if (before > 0 && ::ioctl(fd, WDIOC_SETPRETIMEOUT, &before) == 0) {
    dog.pretimeout_ = Seconds(before);
  }
  dog.stoppable_ =
      (info.options & WDIOF_MAGICCLOSE) != 0 && !attribute(device, "nowayout").starts_with('1');
  int status = 0;
  dog.has_reset_ =
      ::ioctl(fd, WDIOC_GETBOOTSTATUS, &status) == 0 && (status & WDIOF_CARDRESET) != 0;
  dog.feed();
  return dog;
}

void WatchdogDevice::feed() const noexcept {
  if (!fd_) return;
  int unused = 0;
  // What refuses this cannot be helped, and resets the machine as it should.
  static_cast<void>(::ioctl(fd_.get(), WDIOC_KEEPALIVE, &unused));
}

bool WatchdogDevice::disarm() noexcept {
  if (!fd_) return true;
  constexpr char kMagic = 'V';
  const bool written = ::write(fd_.get(), &kMagic, 1) == 1;
  fd_.reset();
  return written && stoppable_;
}

}  // namespace holdfast::posix
