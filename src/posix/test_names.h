// Names that tests may break: name servers and a resolv.conf of their own, in a network and mount
// namespace where nobody else sees them. Test code only.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "posix/test_network.h"

namespace holdfast::posix {

/// As in_own_network(), with the loopback interface up and an /etc that holds only what name
/// look-ups need. False without the right to have that.
inline bool in_own_names(const std::function<void()>& work) {
  bool there = false;
  const bool network = in_own_network([&] {
    there = ::unshare(CLONE_NEWNS) == 0 &&
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    if (!there) return;
    std::ifstream file("/etc/passwd");
    const std::string users{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    there = ::mount("none", "/etc", "tmpfs", 0, nullptr) == 0;
    if (!there) return;
    std::ofstream("/etc/passwd") << users;
    std::ofstream("/etc/nsswitch.conf") << "hosts: dns\n";
    set_loopback(true);
    work();
  });
  return network && there;
}

/// As a network manager does it, or as an editor does.
enum class Rewrite : std::uint8_t { by_rename, in_place };

/// A resolver gives a server two seconds.
inline void use_name_server(const std::string& address, Rewrite way = Rewrite::by_rename) {
  const std::filesystem::path file = "/etc/resolv.conf";
  const std::filesystem::path fresh = way == Rewrite::by_rename ? "/etc/resolv.conf.new" : file;
  std::ofstream(fresh) << "nameserver " << address << "\noptions timeout:1 attempts:2\n";
  if (way == Rewrite::by_rename) std::filesystem::rename(fresh, file);
}

/// A name server on port 53 of a loopback address; knows one answer for every name.
class TestNameServer {
 public:
  enum class Says : std::uint8_t { addresses, nothing, no_such_name, failure };

  explicit TestNameServer(const char* address)
      : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), end_(::eventfd(0, EFD_CLOEXEC)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(53);
    ::inet_pton(AF_INET, address, &where.sin_addr);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&where), sizeof(where)), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~TestNameServer() {
    ::eventfd_write(end_.get(), 1);
    thread_.join();
  }
  TestNameServer(const TestNameServer&) = delete;
  TestNameServer& operator=(const TestNameServer&) = delete;

  void say(Says what, std::vector<std::string> ipv4 = {}) {
    const std::lock_guard lock(mutex_);
    says_ = what;
    ipv4_ = std::move(ipv4);
  }
  [[nodiscard]] int asked() const { return asked_.load(); }

 private:
  static constexpr std::size_t kHeader = 12;  // RFC 1035 section 4.1.1

  void serve() {
    std::array<pollfd, 2> both{{{socket_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
    while (::poll(both.data(), both.size(), -1) >= 0 && both[1].revents == 0) {
      std::array<char, 512> bytes{};
      sockaddr_in from{};
      socklen_t size = sizeof(from);
      auto* peer = reinterpret_cast<sockaddr*>(&from);
      const ssize_t got = ::recvfrom(socket_.get(), bytes.data(), bytes.size(), 0, peer, &size);
      if (got < static_cast<ssize_t>(kHeader)) continue;
      ++asked_;
      const std::string answer = reply(std::string(bytes.data(), static_cast<std::size_t>(got)));
      if (!answer.empty()) ::sendto(socket_.get(), answer.data(), answer.size(), 0, peer, size);
    }
  }

  std::string reply(const std::string& query) {
    const std::lock_guard lock(mutex_);
    if (says_ == Says::nothing) return {};
    std::size_t end = kHeader;  // of the question: labels, a zero, type and class
    while (end < query.size() && query[end] != 0)
      end += 1U + static_cast<unsigned char>(query[end]);
    end += 5;
    if (end > query.size()) return {};
    const bool wants_ipv4 = query[end - 3] == 1;
    std::string answer = query.substr(0, end);
    answer[2] = '\x81';
    answer[3] = says_ == Says::failure ? '\x82' : says_ == Says::no_such_name ? '\x83' : '\x80';
    for (std::size_t i = 6; i < kHeader; ++i) answer[i] = 0;
    if (says_ != Says::addresses || !wants_ipv4) return answer;
    answer[7] = static_cast<char>(ipv4_.size());
    for (const std::string& text : ipv4_) {
      in_addr address{};
      ::inet_pton(AF_INET, text.c_str(), &address);
      answer += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4", 12);  // the name, A, IN, 60 s
      answer.append(reinterpret_cast<const char*>(&address), sizeof(address));
    }
    return answer;
  }

  UniqueFd socket_;
  UniqueFd end_;
  std::mutex mutex_;
  Says says_ = Says::nothing;
  std::vector<std::string> ipv4_;
  std::atomic<int> asked_{0};
  std::thread thread_;
};

}  // namespace holdfast::posix
