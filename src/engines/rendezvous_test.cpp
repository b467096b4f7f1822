// Goal:   the private socket is met by this process only, whatever its directory is called, and
//         leaves nothing behind.
// Method: real sockets; the directory is chosen by the environment, a stranger is a forked child.
#include "engines/rendezvous.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace holdfast::engines {
namespace {

posix::UniqueFd dial(const std::string& path) {
  posix::UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (connect(fd.get(), generic, sizeof(address)) != 0) fd.reset();
  return fd;
}

/// A directory of its own as RUNTIME_DIRECTORY, with a name too long for any socket address.
class RendezvousTest : public ::testing::Test {
 protected:
  RendezvousTest() {
    std::string name = (std::filesystem::temp_directory_path() / "rendezvous-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    directory_ = root_ / std::string(200, 'd');
    std::filesystem::create_directory(directory_);
    if (const char* value = std::getenv("RUNTIME_DIRECTORY")) before_ = value;
    setenv("RUNTIME_DIRECTORY", directory_.c_str(), 1);
  }
  ~RendezvousTest() override {
    if (before_.empty()) {
      unsetenv("RUNTIME_DIRECTORY");
    } else {
      setenv("RUNTIME_DIRECTORY", before_.c_str(), 1);
    }
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  [[nodiscard]] bool nothing_left() const { return std::filesystem::is_empty(directory_); }

  std::filesystem::path root_;
  std::filesystem::path directory_;
  std::string before_;
};

TEST_F(RendezvousTest, MeetsUnderALongPathAndRemovesItAtOnce) {
  Result<Rendezvous> meeting = Rendezvous::open();
  ASSERT_TRUE(meeting.ok()) << meeting.error().message;
  EXPECT_FALSE(nothing_left());
  const std::filesystem::path made = std::filesystem::directory_iterator(directory_)->path();
  EXPECT_EQ(std::filesystem::status(made).permissions(), std::filesystem::perms::owner_all);
  const posix::UniqueFd library = dial(meeting->path());
  ASSERT_TRUE(library);
  Result<posix::UniqueFd> ours = meeting->accept();
  ASSERT_TRUE(ours.ok()) << ours.error().message;
  EXPECT_TRUE(nothing_left());
  ASSERT_EQ(send(library.get(), "x", 1, MSG_NOSIGNAL), 1);
  char byte = 0;
  EXPECT_EQ(recv(ours->get(), &byte, 1, MSG_DONTWAIT), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_F(RendezvousTest, AStrangerIsNotTakenForTheLibrary) {
  Result<Rendezvous> meeting = Rendezvous::open();
  ASSERT_TRUE(meeting.ok()) << meeting.error().message;
  int ready[2] = {-1, -1};
  ASSERT_EQ(pipe(ready), 0);
  const posix::UniqueFd output(ready[0]);
  posix::UniqueFd input(ready[1]);
  const pid_t child = fork();
  if (child == 0) {
    const posix::UniqueFd stranger = dial(meeting->path());
    const char told = stranger ? 'y' : 'n';
    (void)!write(input.get(), &told, 1);
    pause();
    _exit(0);
  }
  ASSERT_GT(child, 0);
  char told = 0;
  ASSERT_EQ(read(output.get(), &told, 1), 1);
  EXPECT_EQ(told, 'y') << "the stranger could not knock, so nothing was tested";
  const posix::UniqueFd library = dial(meeting->path());
  Result<posix::UniqueFd> ours = meeting->accept();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(ours.ok()) << ours.error().message;
  ASSERT_EQ(send(library.get(), "x", 1, MSG_NOSIGNAL), 1);
  char byte = 0;
  EXPECT_EQ(recv(ours->get(), &byte, 1, MSG_DONTWAIT), 1);
}

TEST_F(RendezvousTest, NothingIsLeftWhenNobodyComes) {
  {
    Result<Rendezvous> meeting = Rendezvous::open();
    ASSERT_TRUE(meeting.ok());
    EXPECT_FALSE(meeting->accept().ok());
  }
  EXPECT_TRUE(nothing_left());
}

TEST_F(RendezvousTest, WhoDialsLateDoesNotMeetTheNextAttempt) {
  std::string first;
  {
    Result<Rendezvous> meeting = Rendezvous::open();
    ASSERT_TRUE(meeting.ok());
    first = meeting->path();
  }
  Result<Rendezvous> next = Rendezvous::open();
  ASSERT_TRUE(next.ok());
  // The same descriptor leads into the new directory.
  ASSERT_EQ(first.substr(0, first.rfind('/')), next->path().substr(0, next->path().rfind('/')));
  EXPECT_FALSE(dial(first));
  EXPECT_TRUE(dial(next->path()));
}

TEST_F(RendezvousTest, AnUnusableDirectoryIsPassedOver) {
  setenv("RUNTIME_DIRECTORY", (root_ / "missing").c_str(), 1);
  Result<Rendezvous> meeting = Rendezvous::open();
  ASSERT_TRUE(meeting.ok()) << meeting.error().message;
  EXPECT_TRUE(dial(meeting->path()));
}

}  // namespace
}  // namespace holdfast::engines
