// Goal:   what a library's thread puts in comes out on the loop thread, all of it, in order, and
//         nothing after close().
// Method: a thread that puts while the loop turns.
#include "engines/mailbox.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <thread>

namespace holdfast::engines {
namespace {

TEST(Mailbox, EverythingComesInOrderOnTheLoop) {
  constexpr env::Token kCount = 20000;
  posix::EventLoop loop;
  const auto guard = boost::asio::make_work_guard(loop.context());
  std::vector<env::Token> seen;
  std::shared_ptr<Mailbox> mailbox;
  const auto here = std::this_thread::get_id();
  mailbox = std::make_shared<Mailbox>(loop, [&] {
    EXPECT_EQ(std::this_thread::get_id(), here);
    for (const SessionEvent& event : mailbox->take()) {
      seen.push_back(std::get<HandedOver>(event).token);
    }
  });
  std::thread library([mailbox] {
    for (env::Token token = 0; token < kCount; ++token) mailbox->put(HandedOver{token});
  });
  while (seen.size() < kCount) loop.context().run_one();
  library.join();
  for (env::Token token = 0; token < kCount; ++token) EXPECT_EQ(seen[token], token);
  mailbox->close();
}

TEST(Mailbox, NothingComesAfterClose) {
  auto loop = std::make_unique<posix::EventLoop>();
  bool told = false;
  const auto mailbox = std::make_shared<Mailbox>(*loop, [&] { told = true; });
  mailbox->put(HandedOver{1});
  mailbox->close();
  loop->context().run();
  EXPECT_FALSE(told);
  EXPECT_TRUE(mailbox->take().empty());
  loop.reset();
  mailbox->put(HandedOver{2});  // the library does not know yet
  EXPECT_TRUE(mailbox->take().empty());
}

}  // namespace
}  // namespace holdfast::engines
