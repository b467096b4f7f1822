// Goal:   a program runs in its own group with its own variables, its end has a code, and nothing
// that
//         it leaves behind stays, whatever that did to get away.
// Method: real processes of /bin/sh. The test program has no other threads, as the header asks.
#include "posix/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>

#include "posix/notify_socket.h"
#include "posix/service_manager.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);  // only ever waited out by a failing test

template <class Condition>
bool wait_for(Condition holds) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

struct Shell {
  pid_t pid = 0;
  UniqueFd output;

  explicit Shell(const std::string& script,
                 std::vector<std::pair<std::string, std::string>> variables = {}) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    output = UniqueFd(ends[0]);
    const UniqueFd its(ends[1]);
    const auto child =
        start_child({{"sh", "-c", script}, std::move(variables), its.get(), its.get()});
    EXPECT_TRUE(child.ok());
    if (child) pid = *child;
  }
  int code() const {
    std::optional<int> ended;
    EXPECT_TRUE(wait_for([&] { return (ended = reap(pid)).has_value(); }));
    return ended.value_or(-1);
  }
  /// Up to the end of the line, or of the output.
  std::string line() const {
    std::string text;
    for (char c = 0; ::read(output.get(), &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }
};

TEST(Child, HasItsCodeOrTheSignalThatEndedIt) {
  EXPECT_EQ(Shell("exit 7").code(), 7);
  EXPECT_EQ(Shell("kill -KILL $$").code(), 128 + SIGKILL);
}

TEST(Child, OneThatCannotRunSaysWhy) {
  const auto missing = start_child({{"/no/such/program"}});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_NE(missing.error().message.find("/no/such/program"), std::string::npos);
  EXPECT_EQ(start_child({{"/dev/null"}}).error().code, Errc::permission);
}

TEST(Child, HasItsVariablesAndAGroupOfItsOwn) {
  const Shell shell("echo $A-$MINE-$$-$(ps -o pgid= -p $$ | tr -d ' ')",
                    {{"A", "new"}, {"MINE", "$PID"}});
  const std::string pid = std::to_string(shell.pid);
  EXPECT_EQ(shell.line(), "new-" + pid + "-" + pid + "-" + pid);
  EXPECT_EQ(shell.code(), 0);
}

TEST(Child, NothingOfItStaysBehind) {
  adopt_orphans();
  // One in the group, and one in a session of its own, whose parent has left it.
  const Shell shell("sleep 600 & (setsid sh -c 'echo here; sleep 600; sleep 600' &) & exit 3");
  EXPECT_EQ(shell.line(), "here");
  EXPECT_EQ(shell.code(), 3);
  EXPECT_TRUE(wait_for([&] { return kill_left_behind(shell.pid); }));
  EXPECT_EQ(shell.line(), "") << "nobody has its output open any more";
}

TEST(Child, ItsSignsOfLifeAreHeard) {
  const auto socket = NotifySocket::open();
  ASSERT_TRUE(socket.ok());
  EXPECT_TRUE(socket->name().starts_with("@"));
  EXPECT_TRUE(socket->receive(0).empty());
  Notice notice;
  notice.alive = true;
  notice.status = "well";
  EXPECT_TRUE(ServiceManager(socket->name()).tell(notice));
  EXPECT_EQ(socket->receive(0), (std::vector<std::string>{"STATUS=well", "WATCHDOG=1"}));
}

}  // namespace
}  // namespace holdfast::posix
