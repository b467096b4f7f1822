// A network that tests may break: a namespace with nothing but a loopback interface. Test code
// only.
#pragma once

#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <thread>

#include "posix/unique_fd.h"

namespace holdfast::posix {

/// Runs `work` on a thread with a network of its own, in which even the loopback interface is down.
/// False without the right to have one.
inline bool in_own_network(const std::function<void()>& work) {
  bool there = false;
  std::thread([&] {
    there = ::unshare(CLONE_NEWNET) == 0;
    if (there) work();
  }).join();
  return there;
}

inline void set_loopback(bool up) {
  const UniqueFd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  ASSERT_EQ(::ioctl(any.get(), SIOCGIFFLAGS, &request), 0);
  const unsigned flags = static_cast<unsigned short>(request.ifr_flags);
  request.ifr_flags =
      static_cast<short>(up ? flags | IFF_UP : flags & ~static_cast<unsigned>(IFF_UP));
  ASSERT_EQ(::ioctl(any.get(), SIOCSIFFLAGS, &request), 0);
}

}  // namespace holdfast::posix
