// The service manager's end of sd_notify(3): an abstract datagram socket for a program that we run.
//
// Threads:  one at a time.
// Access:   everybody can send to an abstract name, so only root, our own user and the program's
//           process group are heard.
// Sources:  sd_notify(3), unix(7): autobind, SO_PASSCRED.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "holdfast/result.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

class NotifySocket {
 public:
  [[nodiscard]] static Result<NotifySocket> open();

  /// For $NOTIFY_SOCKET.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// The assignments, such as "WATCHDOG=1", of all that has come from those who are heard.
  [[nodiscard]] std::vector<std::string> receive(pid_t group) const;

 private:
  UniqueFd fd_;
  std::string name_;
};

}  // namespace holdfast::posix
