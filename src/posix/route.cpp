#include "posix/route.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <sstream>

#include "posix/os_error.h"
#include "posix/system.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

namespace {

constexpr std::size_t kAnswerMax = 8192;
constexpr std::size_t kResolvConfMax = 65536;

/// An IPv4 or IPv6 address as the kernel has it.
struct Raw {
  std::array<std::byte, sizeof(in6_addr)> bytes{};
  std::size_t size = 0;
  int family = AF_UNSPEC;
};

Raw raw_of(const std::string& numeric) {
  const std::string bare = numeric.substr(0, numeric.find('%'));
  Raw raw;
  for (const int family : {AF_INET, AF_INET6}) {
    if (::inet_pton(family, bare.c_str(), raw.bytes.data()) != 1) continue;
    raw.family = family;
    raw.size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
    break;
  }
  return raw;
}

std::string text_of(int family, std::span<const std::byte> bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (bytes.size() < (family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr))) return {};
  return ::inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr ? "" : text.data();
}

struct Question {
  nlmsghdr head{};
  rtmsg route{};
  std::array<std::byte, 64> attributes{};
  std::size_t used = 0;  ///< Of the attributes; not sent.

  void add(unsigned short type, std::span<const std::byte> value) {
    rtattr about{};
    about.rta_type = type;
    about.rta_len = static_cast<unsigned short>(RTA_LENGTH(value.size()));
    std::byte* at = attributes.data() + used;
    std::memcpy(at, &about, sizeof about);
    std::memcpy(at + RTA_LENGTH(0), value.data(), value.size());
    used += RTA_ALIGN(about.rta_len);
    head.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof route) + used);
  }
};
static_assert(offsetof(Question, route) == NLMSG_HDRLEN);

bool has_carrier(const std::string& interface) {
  const UniqueFd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  interface.copy(static_cast<char*>(request.ifr_name), IFNAMSIZ - 1);
  if (!any || ::ioctl(any.get(), SIOCGIFFLAGS, &request) != 0) return true;
  constexpr unsigned kUsable = IFF_UP | IFF_RUNNING;
  return (static_cast<unsigned>(request.ifr_flags) & kUsable) == kUsable;
}

void read_answer(std::span<const std::byte> answer, int family, Route& route) {
  nlmsghdr head{};
  if (answer.size() < sizeof head) return;
  std::memcpy(&head, answer.data(), sizeof head);
  if (head.nlmsg_type == NLMSG_ERROR && answer.size() >= NLMSG_HDRLEN + sizeof(int)) {
    int error = 0;
    std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    route.problem = os_words(-error);
    return;
  }
  std::span<const std::byte> rest =
      answer.first(std::min<std::size_t>(head.nlmsg_len, answer.size()));
  rest = rest.subspan(std::min<std::size_t>(NLMSG_LENGTH(sizeof(rtmsg)), rest.size()));
  while (rest.size() >= sizeof(rtattr)) {
    rtattr about{};
    std::memcpy(&about, rest.data(), sizeof about);
    if (about.rta_len < sizeof about || about.rta_len > rest.size()) return;
    const auto value = rest.first(about.rta_len).subspan(RTA_LENGTH(0));
    if (about.rta_type == RTA_GATEWAY) route.gateway = text_of(family, value);
    if (about.rta_type == RTA_PREFSRC) route.source = text_of(family, value);
    if (about.rta_type == RTA_OIF && value.size() >= sizeof(int)) {
      unsigned index = 0;
      std::memcpy(&index, value.data(), sizeof index);
      std::array<char, IF_NAMESIZE> name{};
      if (::if_indextoname(index, name.data()) != nullptr) route.interface = name.data();
    }
    rest = rest.subspan(std::min<std::size_t>(RTA_ALIGN(about.rta_len), rest.size()));
  }
}

}  // namespace

Route route_to(const env::Address& address) {
  Route route;
  const Raw raw = raw_of(address.numeric);
  const UniqueFd kernel(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!kernel) {
    route.interface = "unknown (" + os_words(errno) + ")";
    return route;
  }
  Question question;
  question.head.nlmsg_type = RTM_GETROUTE;
  question.head.nlmsg_flags = NLM_F_REQUEST;
  question.route.rtm_family = static_cast<unsigned char>(raw.family);
  question.route.rtm_dst_len = static_cast<unsigned char>(raw.size * 8);
  question.add(RTA_DST, std::span(raw.bytes).first(raw.size));
  if (const std::size_t zone = address.numeric.find('%'); zone != std::string::npos) {
    const unsigned index = ::if_nametoindex(address.numeric.c_str() + zone + 1);
    question.add(RTA_OIF, std::as_bytes(std::span(&index, 1)));
  }
  std::array<std::byte, kAnswerMax> answer{};
  ssize_t got = ::send(kernel.get(), &question, question.head.nlmsg_len, 0);
  if (got > 0) got = ::recv(kernel.get(), answer.data(), answer.size(), 0);
  if (got < 0) {
    route.problem = os_words(errno);
    return route;
  }
  read_answer(std::span(answer).first(static_cast<std::size_t>(got)), raw.family, route);
  if (!route.interface.empty()) route.carrier = has_carrier(route.interface);
  return route;
}

std::string name_servers() {
  std::string list;
  const Result<std::string> text = read_file("/etc/resolv.conf", kResolvConfMax);
  std::istringstream lines(text ? *text : std::string());
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string word;
    std::string server;
    if (words >> word && word == "nameserver" && words >> server) {
      list += (list.empty() ? "" : ", ") + server;
    }
  }
  return list;
}

}  // namespace holdfast::posix
