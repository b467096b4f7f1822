// Goal:   of what a service manager passes, exactly the socket that leads to our file is taken, as
//         often as it is asked for, and nothing else of the process is touched.
// Method: real sockets, moved to descriptors that nothing else has.
#include "posix/passed_sockets.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

namespace holdfast::posix {
namespace {

constexpr int kFirst = 200;  // above what the test has open
constexpr long kPid = 4711;

class PassedSocketsTest : public testing::Test {
 protected:
  PassedSocketsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "hf-passed-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~PassedSocketsTest() override {
    for (int fd = kFirst; fd < kFirst + 3; ++fd) ::close(fd);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] static sockaddr_un address_of(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.native().copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
  }

  /// Binds a socket of that type and puts it where the service manager would.
  static void pass(int number, const std::filesystem::path& path, int type, bool listens) {
    const UniqueFd fd(::socket(AF_UNIX, type, 0));
    const sockaddr_un address = address_of(path);
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    if (listens) {
      ASSERT_EQ(::listen(fd.get(), 4), 0);
    }
    ASSERT_EQ(::dup2(fd.get(), kFirst + number), kFirst + number);
  }

  std::filesystem::path folder_;
};

TEST_F(PassedSocketsTest, TheOneThatListensAtThePathIsGivenAsOftenAsItIsAskedFor) {
  pass(0, folder_ / "other", SOCK_STREAM, true);
  pass(1, folder_ / "ours", SOCK_STREAM, true);
  const PassedSockets passed("4711", "2", "first:holdfastd.socket", kPid, kFirst);
  for (int time = 0; time < 2; ++time) {
    const auto given = passed.listening_at(folder_ / "." / "ours");
    ASSERT_TRUE(given.fd);
    EXPECT_EQ(given.name, "holdfastd.socket");
    EXPECT_NE(::fcntl(given.fd.get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(given.fd.get(), F_GETFL) & O_NONBLOCK, 0);
    const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM, 0));
    const sockaddr_un address = address_of(folder_ / "ours");
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    EXPECT_TRUE(UniqueFd(::accept(given.fd.get(), nullptr, nullptr)));
  }
  EXPECT_EQ(passed.others(folder_ / "ours"),
            std::vector<std::string>{"first (" + (folder_ / "other").string() + ")"});
}

TEST_F(PassedSocketsTest, WhatIsNoListeningStreamSocketOrHasLostItsFileIsNotGiven) {
  pass(0, folder_ / "datagrams", SOCK_DGRAM, false);
  pass(1, folder_ / "idle", SOCK_STREAM, false);
  pass(2, folder_ / "lost", SOCK_STREAM, true);
  std::filesystem::remove(folder_ / "lost");
  const PassedSockets passed("4711", "3", "", kPid, kFirst);
  for (const char* name : {"datagrams", "idle", "lost", "none"}) {
    EXPECT_FALSE(passed.listening_at(folder_ / name).fd) << name;
  }
  const auto others = passed.others(folder_ / "lost");
  ASSERT_EQ(others.size(), 3U);
  EXPECT_EQ(others[0], "unknown (no Unix stream socket)");
}

TEST_F(PassedSocketsTest, WhatIsForAnotherProcessOrNoNumberIsLeftAlone) {
  pass(0, folder_ / "ours", SOCK_STREAM, true);
  constexpr std::array<std::array<const char*, 2>, 6> kWrong{
      {{"", "1"}, {"4712", "1"}, {"4711x", "1"}, {"4711", ""}, {"4711", "-1"}, {"4711", "one"}}};
  for (const auto& [pid, count] : kWrong) {
    const PassedSockets passed(pid, count, "", kPid, kFirst);
    EXPECT_FALSE(passed.listening_at(folder_ / "ours").fd) << pid << " " << count;
    EXPECT_TRUE(passed.others({}).empty()) << pid << " " << count;
  }
  EXPECT_EQ(::fcntl(kFirst, F_GETFD), 0) << "closed, or marked";
}

TEST_F(PassedSocketsTest, MoreThanTheLimitAndDescriptorsThatAreNotOpenAreNoHarm) {
  pass(0, folder_ / "ours", SOCK_STREAM, true);
  const PassedSockets passed("4711", "1000000", "a", kPid, kFirst);
  EXPECT_TRUE(passed.listening_at(folder_ / "ours").fd);
  EXPECT_TRUE(passed.others(folder_ / "ours").empty());
}

TEST_F(PassedSocketsTest, TheEnvironmentIsNotForOurChildren) {
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::setenv(name, "0", 1);
  EXPECT_TRUE(PassedSockets::from_environment().others({}).empty());
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    EXPECT_EQ(std::getenv(name), nullptr) << name;
  }
}

}  // namespace
}  // namespace holdfast::posix
