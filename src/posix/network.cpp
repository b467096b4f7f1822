#include "posix/network.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "posix/os_error.h"

namespace holdfast::posix {

namespace {

constexpr unsigned kGroups =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
constexpr std::size_t kNewsMax = 16384;  // The kernel's messages are below 8 KiB.

using Address = sockaddr_storage;

template <class T>
sockaddr* generic(T& address) {
  return reinterpret_cast<sockaddr*>(&address);
}

template <class T>
T copy_of(std::span<const std::byte> bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// An IPv4 address that came in an IPv6 socket, as itself.
Address plain(const Address& address) {
  if (address.ss_family != AF_INET6) return address;
  sockaddr_in6 six{};
  std::memcpy(&six, &address, sizeof six);
  if (!IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) return address;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = six.sin6_port;
  std::memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], sizeof four.sin_addr);
  Address out{};
  std::memcpy(&out, &four, sizeof four);
  return out;
}

bool same_host(const Address& a, const sockaddr* b) {
  if (b == nullptr || a.ss_family != b->sa_family) return false;
  if (a.ss_family == AF_INET) {
    return std::memcmp(&reinterpret_cast<const sockaddr_in&>(a).sin_addr,
                       &reinterpret_cast<const sockaddr_in*>(b)->sin_addr, sizeof(in_addr)) == 0;
  }
  return a.ss_family == AF_INET6 &&
         std::memcmp(&reinterpret_cast<const sockaddr_in6&>(a).sin6_addr,
                     &reinterpret_cast<const sockaddr_in6*>(b)->sin6_addr, sizeof(in6_addr)) == 0;
}

Way way_from(const Address& local) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return Way::stands;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, &::freeifaddrs);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (!same_host(local, one->ifa_addr)) continue;
    constexpr unsigned kUsable = IFF_UP | IFF_RUNNING;
    return (one->ifa_flags & kUsable) == kUsable ? Way::stands : Way::link_down;
  }
  return Way::no_address;
}

/// Asks the kernel for the route of a datagram that is never sent.
Way route_between(Address local, Address peer) {
  const UniqueFd probe(::socket(local.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe) return Way::stands;
  const socklen_t size = local.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  // The port stands at the same place in both families.
  reinterpret_cast<sockaddr_in&>(local).sin_port = 0;
  if (::bind(probe.get(), generic(local), size) != 0) {
    return errno == EADDRNOTAVAIL ? Way::no_address : Way::stands;
  }
  if (::connect(probe.get(), generic(peer), size) == 0) return Way::stands;
  return errno == ENETUNREACH || errno == EHOSTUNREACH ? Way::no_route : Way::stands;
}

/// Whether a datagram to `peer` that is free to choose would choose this local address.
bool is_chosen(const Address& local, Address peer) {
  const UniqueFd probe(::socket(peer.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe) return true;
  Address chosen{};
  socklen_t size = peer.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (::connect(probe.get(), generic(peer), size) != 0) return true;
  size = sizeof chosen;
  if (::getsockname(probe.get(), generic(chosen), &size) != 0) return true;
  return same_host(local, generic(chosen));
}

/// Whether what is sent to the internet, here an address of documentation, leaves by an interface
/// with a carrier. Nothing is sent.
bool leads_out(int family) {
  Address peer{};
  peer.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    auto& four = reinterpret_cast<sockaddr_in&>(peer);
    four.sin_port = htons(9);
    ::inet_pton(AF_INET, "192.0.2.1", &four.sin_addr);
  } else {
    auto& six = reinterpret_cast<sockaddr_in6&>(peer);
    six.sin6_port = htons(9);
    ::inet_pton(AF_INET6, "2001:db8::1", &six.sin6_addr);
  }
  const UniqueFd probe(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (!probe || ::connect(probe.get(), generic(peer), size) != 0) return false;
  Address local{};
  size = sizeof local;
  if (::getsockname(probe.get(), generic(local), &size) != 0) return false;
  return way_from(local) == Way::stands;
}

}  // namespace

NetworkWatch::NetworkWatch(EventLoop& loop, Changed changed)
    : changed_(std::move(changed)), settling_(loop) {
  HF_CHECK(changed_ != nullptr);
  if (!open()) {
    problem_ = "changes of the network are not seen: " + os_words(errno);
    return;
  }
  watch_ = std::make_unique<FdWatch>(loop, socket_.get());
  listen();
}

NetworkWatch::~NetworkWatch() = default;

bool NetworkWatch::open() {
  socket_ = UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket_) return false;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = kGroups;
  return ::bind(socket_.get(), generic(address), sizeof address) == 0;
}

void NetworkWatch::listen() {
  watch_->want(true, false, [this](bool, bool) { heard(); });
}

void NetworkWatch::heard() {
  alignas(nlmsghdr) std::array<std::byte, kNewsMax> buffer{};
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      gained_ = true;  // Some were lost; one of them may have been the good one.
      continue;
    }
    if (got <= 0) break;
    note(std::span(buffer).first(static_cast<std::size_t>(got)));
  }
  listen();
  if (std::exchange(shower_, true)) return;
  settling_.arm_after(kNetworkSettles, [this] {
    shower_ = false;
    // What is lost may leave the field to another way that was there all the time.
    if (std::exchange(lost_, false) && (leads_out(AF_INET) || leads_out(AF_INET6))) gained_ = true;
    changed_(std::exchange(gained_, false));
  });
}

void NetworkWatch::note(std::span<const std::byte> news) {
  while (news.size() >= sizeof(nlmsghdr)) {
    const auto head = copy_of<nlmsghdr>(news);
    if (head.nlmsg_len < sizeof(nlmsghdr) || head.nlmsg_len > news.size()) return;
    const auto body = news.first(head.nlmsg_len).subspan(NLMSG_HDRLEN);
    if (head.nlmsg_type == RTM_NEWLINK && body.size() >= sizeof(ifinfomsg)) {
      const auto link = copy_of<ifinfomsg>(body);
      const bool carrier = (link.ifi_flags & IFF_RUNNING) != 0;
      const auto [known, first] = carriers_.emplace(link.ifi_index, carrier);
      if (!first && carrier && !known->second) gained_ = true;
      if (!carrier && (first || known->second)) lost_ = true;
      known->second = carrier;
    } else if (head.nlmsg_type == RTM_DELLINK && body.size() >= sizeof(ifinfomsg)) {
      carriers_.erase(copy_of<ifinfomsg>(body).ifi_index);
    } else if (head.nlmsg_type == RTM_NEWADDR) {
      gained_ = true;
    } else if (head.nlmsg_type == RTM_NEWROUTE && body.size() >= sizeof(rtmsg)) {
      if (copy_of<rtmsg>(body).rtm_dst_len == 0) gained_ = true;
    } else if (head.nlmsg_type == RTM_DELROUTE && body.size() >= sizeof(rtmsg)) {
      if (copy_of<rtmsg>(body).rtm_dst_len == 0) lost_ = true;
    }
    news = news.subspan(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), news.size()));
  }
}

std::string_view words_of(Way way) noexcept {
  switch (way) {
    case Way::link_down:
      return "the network link is down";
    case Way::no_address:
      return "this machine no longer has the connection's address";
    case Way::no_route:
      return "no route leads to the peer any more";
    case Way::elsewhere:
      return "the route to the peer has moved to another interface";
    case Way::stands:
      break;
  }
  return "the way stands";
}

Way way_of(int socket) {
  Address local{};
  Address peer{};
  socklen_t size = sizeof local;
  if (::getsockname(socket, generic(local), &size) != 0) return Way::stands;
  size = sizeof peer;
  if (::getpeername(socket, generic(peer), &size) != 0) return Way::stands;
  local = plain(local);
  peer = plain(peer);
  if (local.ss_family != AF_INET && local.ss_family != AF_INET6) return Way::stands;
  if (const Way way = way_from(local); way != Way::stands) return way;
  if (const Way way = route_between(local, peer); way != Way::stands) return way;
  return is_chosen(local, peer) ? Way::stands : Way::elsewhere;
}

}  // namespace holdfast::posix
