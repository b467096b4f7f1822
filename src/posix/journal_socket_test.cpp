// Goal:   an entry arrives as it was sent, and nobody waits for a journald that is slow or absent.
// Method: a datagram socket stands in for journald; the agent's test asks a real one.
#include "posix/journal_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

namespace holdfast::posix {
namespace {

class JournalSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "journal_" + std::to_string(::getpid());
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  void listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    server_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(server_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
  }

  std::string path_;
  UniqueFd server_;
};

TEST_F(JournalSocketTest, SendsOneDatagramAnEntry) {
  listen();
  const JournalSocket journal(path_);
  EXPECT_TRUE(journal.present());
  const std::string entry = "MESSAGE=" + std::string(40'000, 'x') + "\nPRIORITY=6\n";
  EXPECT_EQ(journal.send(entry), JournalSocket::Sent::taken);
  std::string got(100'000, '\0');
  got.resize(static_cast<std::size_t>(::recv(server_.get(), got.data(), got.size(), 0)));
  EXPECT_EQ(got, entry);
}

TEST_F(JournalSocketTest, KnowsThatNobodyIsThereAndThatSomebodyHasCome) {
  const JournalSocket journal(path_);
  EXPECT_FALSE(journal.present());
  EXPECT_EQ(journal.send("MESSAGE=x\n"), JournalSocket::Sent::absent);
  listen();
  EXPECT_TRUE(journal.present());
  EXPECT_EQ(journal.send("MESSAGE=x\n"), JournalSocket::Sent::taken);
  server_.reset();  // the file stays, as after a crash
  EXPECT_FALSE(journal.present());
  EXPECT_EQ(journal.send("MESSAGE=x\n"), JournalSocket::Sent::absent);
}

TEST_F(JournalSocketTest, DoesNotWaitForOneThatDoesNotRead) {
  listen();
  const JournalSocket journal(path_);
  JournalSocket::Sent sent = JournalSocket::Sent::taken;
  for (int i = 0; i < 100'000 && sent == JournalSocket::Sent::taken; ++i) {
    sent = journal.send("MESSAGE=" + std::string(1000, 'x') + "\n");
  }
  EXPECT_EQ(sent, JournalSocket::Sent::busy);
}

}  // namespace
}  // namespace holdfast::posix
