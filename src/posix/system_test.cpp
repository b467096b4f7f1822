// Goal:   clock, random and resolver keep env's promises; the resolver never blocks its caller.
// Method: the real system; names that need no network ("localhost", numeric) or can never resolve
//         (".invalid", RFC 6761). Look-ups that must not answer are abandoned, never awaited.
#include "posix/system.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <set>

#include "base/limits.h"

namespace holdfast::posix {
namespace {

using std::chrono::milliseconds;
using Answer = Result<std::vector<env::Address>>;

TEST(SystemClock, RunsForwardAndKnowsTheBoot) {
  const auto clock = make_clock();
  const BootTime first = clock->now();
  EXPECT_GE(clock->now(), first);
  EXPECT_GT(first, BootTime{});
  EXPECT_EQ(clock->boot_id(), make_clock()->boot_id());
  EXPECT_NE(clock->boot_id(), env::BootId{});
  // After 2020, before 2100: the machine that builds and tests has a clock.
  EXPECT_GT(clock->wall().ms, std::int64_t{1577836800} * 1000);
  EXPECT_LT(clock->wall().ms, std::int64_t{4102444800} * 1000);
}

TEST(SystemRandom, DrawsDifferentNumbersInEverySource) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 10; ++i) {
    const auto random = make_random();
    for (int j = 0; j < 10; ++j) seen.insert(random->next());
  }
  EXPECT_EQ(seen.size(), 100U);  // An equal pair has a chance of 2^-51.
}

class ResolverTest : public ::testing::Test {
 protected:
  Answer resolve(const std::string& host, Duration timeout = std::chrono::seconds(20)) {
    std::optional<Answer> answer;
    resolver_->resolve(host, timeout, [&](Answer result) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer = std::move(result);
      loop_.stop();
    });
    EXPECT_FALSE(answer.has_value()) << "answered from inside the call";
    run();
    return answer ? std::move(*answer) : Answer(Error{Errc::internal, "no answer", 0});
  }

  void run() {
    Timer guard(loop_);
    guard.arm_after(std::chrono::seconds(30), [this] {
      ADD_FAILURE() << "no answer came";
      loop_.stop();
    });
    loop_.run();
  }

  EventLoop loop_;
  std::unique_ptr<env::Resolver> resolver_ = make_resolver(loop_);
};

TEST_F(ResolverTest, AnswersNumericAddressesWithoutAskingAnybody) {
  const Answer v4 = resolve("192.0.2.7");
  ASSERT_TRUE(v4.ok());
  ASSERT_EQ(v4->size(), 1U);
  EXPECT_EQ(v4->front().numeric, "192.0.2.7");
  EXPECT_FALSE(v4->front().v6);
  const Answer v6 = resolve("2001:db8::7");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->front().numeric, "2001:db8::7");
  EXPECT_TRUE(v6->front().v6);
}

TEST_F(ResolverTest, KnowsLocalhost) {
  const Answer answer = resolve("localhost");
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  for (const env::Address& address : answer.value()) {
    EXPECT_EQ(address.numeric, address.v6 ? "::1" : "127.0.0.1");
  }
}

// Without name servers the answer is "try later" (io or timeout) instead of "no such name".
TEST_F(ResolverTest, ANameThatCannotExistIsAnErrorThatNamesIt) {
  const Answer answer = resolve("holdfast-test.invalid");
  ASSERT_FALSE(answer.ok());
  EXPECT_TRUE(answer.error().code == Errc::not_found || answer.error().code == Errc::io ||
              answer.error().code == Errc::timeout)
      << to_string(answer.error().code);
  EXPECT_NE(answer.error().message.find("holdfast-test.invalid"), std::string::npos);
}

TEST_F(ResolverTest, NamesThatAreNoneAreNotFound) {
  EXPECT_EQ(resolve("").error().code, Errc::not_found);
  EXPECT_EQ(resolve(std::string("a\0b", 3)).error().code, Errc::not_found);
}

TEST_F(ResolverTest, CancelledOrReplacedNothingIsTold) {
  bool called = false;
  const auto never = [&](const Answer&) { called = true; };
  resolver_->resolve("192.0.2.1", std::chrono::seconds(5), never);
  resolver_->cancel();
  resolver_->resolve("localhost", std::chrono::seconds(5), never);
  const Answer answer = resolve("192.0.2.2");  // Replaces the one under way.
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->front().numeric, "192.0.2.2");
  EXPECT_FALSE(called);
}

TEST_F(ResolverTest, ACallbackMayDestroyTheResolverOrAskAgain) {
  int answers = 0;
  resolver_->resolve("192.0.2.1", std::chrono::seconds(5), [&](const Answer&) {
    ++answers;
    resolver_->resolve("192.0.2.2", std::chrono::seconds(5), [&](const Answer&) {
      ++answers;
      resolver_.reset();
      loop_.stop();
    });
  });
  run();
  EXPECT_EQ(answers, 2);
}

TEST_F(ResolverTest, TheDeadlineHoldsWhateverTheNameServersDo) {
  // Due before any thread can answer, or answered first: either way exactly one answer.
  const Answer answer = resolve("holdfast-test.invalid", Duration(0));
  ASSERT_FALSE(answer.ok());
}

// Abandoned look-ups end at their own time; at most kLookupsAtOnce of them run, and after that a
// new one is refused at once instead of waiting.
TEST_F(ResolverTest, AbandonedLookUpsAreBoundedAndNeverAwaited) {
  std::size_t refused = 0;
  for (std::size_t i = 0; i < 20 * limits::kLookupsAtOnce; ++i) {
    auto resolver = make_resolver(loop_);
    resolver->resolve("n" + std::to_string(i) + ".invalid", std::chrono::seconds(5),
                      [&](const Answer&) { ADD_FAILURE() << "abandoned, yet called"; });
    resolver.reset();
    if (const Answer answer = resolve("m.invalid", Duration(0)); !answer.ok()) {
      refused += answer.error().code == Errc::full ? 1U : 0U;
    }
  }
  // How many are refused depends on how fast the name server says no; what counts is that all
  // answers came and that those refused say so.
  EXPECT_LE(refused, 20 * limits::kLookupsAtOnce);
}

class ReadFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "holdfast-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path directory_;
};

TEST_F(ReadFileTest, ReadsWholeFilesUpToTheLimit) {
  const auto file = directory_ / "f";
  const std::string content(10'000, 'x');
  std::ofstream(file) << content;
  EXPECT_EQ(read_file(file, 10'000).value(), content);
  const auto cut = read_file(file, 9'999);
  ASSERT_FALSE(cut.ok());
  EXPECT_EQ(cut.error().code, Errc::too_large);
  EXPECT_NE(cut.error().message.find(file.string()), std::string::npos);
  EXPECT_EQ(read_file("/proc/sys/kernel/random/boot_id", 64)->size(), 37U);
}

TEST_F(ReadFileTest, NamesWhatCannotBeRead) {
  EXPECT_EQ(read_file(directory_ / "absent", 10).error().code, Errc::not_found);
  EXPECT_EQ(read_file(directory_, 10).error().code, Errc::invalid_argument);
  const auto fifo = directory_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(read_file(fifo, 10).error().code, Errc::invalid_argument);  // And does not hang.
}

TEST_F(ReadFileTest, AFileIsReplacedWholeAndItsPermissionsAreTheNewOnes) {
  const auto file = directory_ / "state";
  std::ofstream(file) << "old";
  std::ofstream(file.string() + ".new") << "left by an attempt that was cut";
  ASSERT_TRUE(replace_file(file, "new content").ok());
  EXPECT_EQ(read_file(file, 100).value(), "new content");
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
  EXPECT_FALSE(std::filesystem::exists(file.string() + ".new"));
  const auto nowhere = replace_file(directory_ / "absent" / "state", "x");
  EXPECT_EQ(nowhere.error().code, Errc::not_found);
}

}  // namespace
}  // namespace holdfast::posix
