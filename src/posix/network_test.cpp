// The kernel's own words, in a network namespace of the test's own. Needs root.
#include "posix/network.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "posix/event_loop.h"
#include "posix/test_network.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {
namespace {

/// The command ip of this machine; the child process has the calling thread's network.
bool ip(const std::string& words) {
  return std::system(("PATH=$PATH:/usr/sbin:/sbin ip " + words + " >/dev/null 2>&1").c_str()) == 0;
}

/// A datagram socket that is connected to 127.0.0.1 or, on another network, to `peer`.
UniqueFd connected(const char* peer) {
  UniqueFd made(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  ::inet_pton(AF_INET, peer, &address.sin_addr);
  EXPECT_EQ(::connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return made;
}

/// What is told within a second of `change`.
std::optional<bool> told_after(const std::function<void()>& change) {
  EventLoop loop;
  std::optional<bool> told;
  NetworkWatch watch(loop, [&](bool gained) {
    told = gained;
    loop.stop();
  });
  EXPECT_EQ(watch.problem(), "");
  Timer patience(loop);
  patience.arm_after(std::chrono::seconds(1), [&] { loop.stop(); });
  loop.post(change);
  loop.run();
  return told;
}

TEST(NetworkWatch, AnAddressThatComesIsAGain) {
  if (!in_own_network([] { EXPECT_EQ(told_after([] { set_loopback(true); }), true); })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

TEST(NetworkWatch, AnInterfaceThatGoesIsNone) {
  if (!in_own_network([] {
        set_loopback(true);
        EXPECT_EQ(told_after([] { set_loopback(false); }), false);
      })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

TEST(NetworkWatch, ACarrierThatIsBackIsAGain) {
  if (!in_own_network([] {
        ASSERT_TRUE(ip("link add va type veth peer name vb"));
        ASSERT_TRUE(ip("link set va up"));
        ASSERT_TRUE(ip("link set vb up"));
        EventLoop loop;
        std::vector<bool> told;
        NetworkWatch watch(loop, [&](bool gained) {
          told.push_back(gained);
          if (told.size() == 1) {
            EXPECT_TRUE(ip("link set vb up"));
          } else if (gained) {
            loop.stop();
          }
        });
        Timer patience(loop);
        patience.arm_after(std::chrono::seconds(10), [&] { loop.stop(); });
        loop.post([] { EXPECT_TRUE(ip("link set vb down")); });
        loop.run();
        ASSERT_GE(told.size(), 2U);
        EXPECT_TRUE(told.back());
      })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

/// Two uplinks with a default route each, `va` first.
void make_two_uplinks() {
  for (const std::string name : {"va", "vb"}) {
    const std::string n = name == "va" ? "1" : "2";
    ASSERT_TRUE(ip("link add " + name + " type veth peer name p" + name));
    ASSERT_TRUE(ip("link set p" + name + " up"));
    ASSERT_TRUE(ip("addr add 10.0." + n + ".2/24 dev " + name));
    ASSERT_TRUE(ip("link set " + name + " up"));
    ASSERT_TRUE(ip("route add default via 10.0." + n + ".1 metric " + n + "00"));
  }
}

// The other route was there all the time: no news of its own tells that it is the way now.
TEST(NetworkWatch, ALostRouteIsAGainWhereAnotherTakesItsPlace) {
  if (!in_own_network([] {
        make_two_uplinks();
        EXPECT_EQ(told_after([] { ASSERT_TRUE(ip("route del default metric 100")); }), true);
        EXPECT_EQ(told_after([] { ASSERT_TRUE(ip("route del default metric 200")); }), false);
      })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

TEST(NetworkWatch, ALostCarrierIsAGainWhereAnotherInterfaceTakesItsPlace) {
  if (!in_own_network([] {
        make_two_uplinks();
        // The kernel goes on with a route through a dead link, unless it is told otherwise.
        EXPECT_EQ(told_after([] { ASSERT_TRUE(ip("link set pva down")); }), false);
        ASSERT_TRUE(ip("link set pva up"));
        ASSERT_EQ(std::system("for f in all va; do "
                              "echo 1 >/proc/sys/net/ipv4/conf/$f/ignore_routes_with_linkdown; "
                              "done"),
                  0);
        EXPECT_EQ(told_after([] { ASSERT_TRUE(ip("link set pva down")); }), true);
      })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

TEST(NetworkWatch, NothingIsToldWhileNothingChanges) {
  if (!in_own_network([] { EXPECT_EQ(told_after([] {}), std::nullopt); })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

TEST(WayOf, TellsWhatIsGone) {
  if (!in_own_network([] {
        set_loopback(true);
        const UniqueFd socket = connected("127.0.0.1");
        EXPECT_EQ(way_of(socket.get()), Way::stands);
        set_loopback(false);
        EXPECT_EQ(way_of(socket.get()), Way::link_down);
        ASSERT_TRUE(ip("address flush dev lo"));
        EXPECT_EQ(way_of(socket.get()), Way::no_address);
      })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

TEST(WayOf, TellsThatNoRouteIsLeft) {
  if (!in_own_network([] {
        ASSERT_TRUE(ip("link add va type veth peer name vb"));
        ASSERT_TRUE(ip("address add 192.0.2.1/32 dev va"));
        ASSERT_TRUE(ip("link set va up"));
        ASSERT_TRUE(ip("link set vb up"));
        ASSERT_TRUE(ip("route add 203.0.113.0/24 dev va"));
        const UniqueFd socket = connected("203.0.113.9");
        EXPECT_EQ(way_of(socket.get()), Way::stands);
        ASSERT_TRUE(ip("route del 203.0.113.0/24"));
        EXPECT_EQ(way_of(socket.get()), Way::no_route);
      })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

// Field lesson 11.
TEST(WayOf, TellsThatTheRouteHasMoved) {
  if (!in_own_network([] {
        for (const char* words :
             {"link add va type veth peer name vb", "link add wa type veth peer name wb",
              "address add 192.0.2.1/32 dev va", "address add 198.51.100.1/32 dev wa",
              "link set va up", "link set vb up", "link set wa up", "link set wb up",
              "route add default dev va metric 10", "route add default dev wa metric 20"}) {
          ASSERT_TRUE(ip(words)) << words;
        }
        const UniqueFd socket = connected("203.0.113.9");
        EXPECT_EQ(way_of(socket.get()), Way::stands);
        ASSERT_TRUE(ip("route add default dev wa metric 5"));
        EXPECT_EQ(way_of(socket.get()), Way::elsewhere);
        ASSERT_TRUE(ip("rule add from 192.0.2.1 lookup 100"));
        ASSERT_TRUE(ip("route add default dev va table 100"));
        EXPECT_EQ(way_of(socket.get()), Way::elsewhere) << "it may live on: asking its peer tells";
        ASSERT_TRUE(ip("route del default dev wa metric 5"));
        EXPECT_EQ(way_of(socket.get()), Way::stands);
      })) {
    GTEST_SKIP() << "no right to a network namespace";
  }
}

TEST(WayOf, SaysNothingAboutWhatIsNoConnection) {
  const UniqueFd unconnected(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(way_of(unconnected.get()), Way::stands);
  EXPECT_EQ(way_of(-1), Way::stands);
}

}  // namespace
}  // namespace holdfast::posix
