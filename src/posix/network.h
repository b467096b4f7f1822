// What the kernel says about the network: that something changed, and whether a connection's own
// way still stands.
//
// Purpose:  a device whose cable comes back does not wait for its backoff, and one whose way has
//           gone does not wait for a time-out.
// Threads:  loop thread only.
// Source:   rtnetlink(7), getifaddrs(3), netdevice(7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "posix/event_loop.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

/// Changes come in showers: after the first, others are awaited for so long.
inline constexpr Duration kNetworkSettles = std::chrono::milliseconds(200);

/// Calls `changed` after each shower of changes of links, addresses and routes. Where the kernel
/// refuses to tell (a sandbox without AF_NETLINK) it never does; problem() then has the words.
class NetworkWatch {
 public:
  /// `gained`: among the changes is one that may open a way: a carrier that is back, an address, a
  /// default route; or the loss of one where another one takes its place.
  using Changed = std::function<void(bool gained)>;
  NetworkWatch(EventLoop& loop, Changed changed);
  ~NetworkWatch();
  NetworkWatch(const NetworkWatch&) = delete;
  NetworkWatch& operator=(const NetworkWatch&) = delete;

  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  [[nodiscard]] bool open();
  void listen();
  void heard();
  void note(std::span<const std::byte> news);

  Changed changed_;
  std::string problem_;
  UniqueFd socket_;
  std::unique_ptr<FdWatch> watch_;
  Timer settling_;
  std::map<int, bool> carriers_;  ///< By interface.
  bool shower_ = false;
  bool gained_ = false;
  bool lost_ = false;  ///< A carrier, or a default route.
};

enum class Way : std::uint8_t {
  stands,
  link_down,   ///< The interface of the local address is down, or has no carrier.
  no_address,  ///< No interface has the local address any more.
  no_route,    ///< From the local address no route leads to the peer.
  elsewhere,   ///< What is sent may still leave; a new connection would have another local address.
};

/// "the network link is down", …
[[nodiscard]] std::string_view words_of(Way way) noexcept;

/// Whether packets of this connected socket can leave. Says nothing about what is beyond the
/// first interface, and `stands` where it cannot tell.
[[nodiscard]] Way way_of(int socket);

}  // namespace holdfast::posix
