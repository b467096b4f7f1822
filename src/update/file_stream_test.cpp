// Goal:   a file comes whole and in order, whatever of its blocks is lost, doubled or shuffled, and
//         however often it begins anew; never faster than it may; and what cannot come, ends.
// Method: a service that answers by the rules of MQTT-based file delivery, on virtual time.
#include "update/file_stream.h"

#include <gtest/gtest.h>

#include "sim/seeded_random.h"

namespace holdfast::update {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr std::uint64_t kBlock = limits::kStreamBlock;

struct FileStreamTest : testing::Test {
  sim::SeededRandom random{3};
  BootTime now{};
  std::string file = content(10 * kBlock * limits::kStreamBlocksAtOnce + 77);
  std::string got;  // what is on disk
  std::int64_t version = 5;
  std::uint64_t lost = 0;  // of 100 blocks
  std::uint64_t doubled = 0;
  bool shuffled = false;
  unsigned gets = 0;

  std::string content(std::size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.next() & 0xFFU);
    return bytes;
  }

  void answer(FileStream& stream, const StreamQuestion& question) {
    if (question.kind == StreamQuestion::Kind::describe) {
      return stream.described(now, question.token, {version, {{1, 9}, {2, file.size()}}});
    }
    ++gets;
    if (question.version != version) return stream.refused(question.token, "VersionMismatch");
    std::vector<std::uint64_t> wanted;
    for (std::uint64_t i = 0; i < 32; ++i) {
      if ((question.blocks >> i & 1U) != 0) wanted.push_back(question.offset + i);
    }
    EXPECT_FALSE(wanted.empty());
    EXPECT_LE(wanted.size() * kBlock, limits::kStreamAskMax);
    for (std::size_t i = wanted.size(); shuffled && i > 1; --i) {
      std::swap(wanted[i - 1], wanted[random.below(i)]);
    }
    for (const std::uint64_t index : wanted) {
      const std::string bytes = file.substr(index * kBlock, kBlock);
      EXPECT_FALSE(bytes.empty());
      if (random.below(100) < lost) continue;
      const bool twice = random.below(100) < doubled;
      for (int i = 0; i < (twice ? 2 : 1); ++i) {
        now += milliseconds(3);
        stream.block(now, question.token, question.file, index, bytes);
        take(stream);
      }
    }
  }
  void take(FileStream& stream) {
    while (const auto piece = stream.ready()) {
      ASSERT_EQ(piece->first, got.size());
      got += piece->second;
    }
  }
  /// Until it ends, or has asked so often.
  void run(FileStream& stream, unsigned questions = 100'000) {
    for (unsigned i = 0; i < questions && !stream.whole() && !stream.ended(); ++i) {
      ASSERT_NE(stream.next_step(), kNever);
      now = std::max(now, stream.next_step());
      if (const auto question = stream.step(now)) answer(stream, *question);
      take(stream);
    }
  }
  FileStream open(std::uint64_t rate = 0) {
    FileStream stream(2, file.size(), got.size(), rate, random);
    stream.connected(now);
    return stream;
  }
};

TEST_F(FileStreamTest, AFileComesWithOneQuestionForEachWindow) {
  FileStream stream = open();
  run(stream);
  EXPECT_TRUE(stream.whole());
  EXPECT_EQ(got, file);
  EXPECT_EQ(gets, 11U);
  EXPECT_EQ(stream.next_step(), kNever);
  EXPECT_LT(now - BootTime{}, seconds(1)) << "nothing was waited for";
}

TEST_F(FileStreamTest, WhatIsLostDoubledAndShuffledComesAllTheSame) {
  lost = 40;
  doubled = 30;
  shuffled = true;
  FileStream stream = open();
  run(stream);
  EXPECT_FALSE(stream.ended()) << stream.ended()->words;
  EXPECT_EQ(got, file);
}

TEST_F(FileStreamTest, AnotherProcessGoesOnWhereTheLastOneWas) {
  lost = 20;
  for (int i = 0; i < 200 && got.size() < file.size(); ++i) {
    FileStream stream = open();
    run(stream, 3);
    // A cut leaves any number of bytes; what is no whole block comes once more.
    got.resize(got.size() == file.size() ? got.size() : got.size() / kBlock * kBlock);
  }
  EXPECT_EQ(got, file);
  got.resize(kBlock + 5);
  FileStream stream(2, file.size(), got.size(), 0, random);
  got.resize(kBlock);
  stream.connected(now);
  run(stream);
  EXPECT_EQ(got, file);
}

TEST_F(FileStreamTest, ItIsNoFasterThanItMayBe) {
  FileStream stream = open(100'000);
  run(stream);
  EXPECT_EQ(got, file);
  const double took = std::chrono::duration<double>(now - BootTime{}).count();
  // The last window is not waited for.
  EXPECT_GT(took, static_cast<double>(file.size() - 9 * kBlock) / 100'000);
  EXPECT_LT(took, static_cast<double>(file.size()) / 100'000 + 2);
}

TEST_F(FileStreamTest, AnotherVersionIsDescribedAnew) {
  FileStream stream = open();
  run(stream, 4);
  version = 6;
  run(stream);
  EXPECT_EQ(got, file);
}

TEST_F(FileStreamTest, BlocksThatAreNotAskedForAreLeftAlone) {
  FileStream stream = open();
  run(stream, 1);  // described
  const auto question = stream.step(stream.next_step());
  ASSERT_TRUE(question);
  const std::string whole(kBlock, 'x');
  EXPECT_FALSE(stream.block(now, "other", 2, 0, whole));
  EXPECT_FALSE(stream.block(now, question->token, 1, 0, whole)) << "another file";
  EXPECT_FALSE(stream.block(now, question->token, 2, limits::kStreamBlocksAtOnce, whole));
  EXPECT_FALSE(stream.block(now, question->token, 2, ~std::uint64_t{0}, whole));
  EXPECT_FALSE(stream.block(now, question->token, 2, 0, whole + "x"));
  EXPECT_FALSE(stream.block(now, question->token, 2, 0, ""));
  EXPECT_TRUE(stream.block(now, question->token, 2, 0, whole));
  EXPECT_FALSE(stream.block(now, question->token, 2, 0, whole)) << "for the second time";
  EXPECT_FALSE(stream.ready());
}

TEST_F(FileStreamTest, WhatCannotComeEnds) {
  const auto ends = [&](std::uint32_t id, std::uint64_t size, const char* code) {
    FileStream stream(id, size, 0, 0, random);
    stream.connected(now);
    const auto question = stream.step(now);
    if (*code != '\0') {
      stream.refused(question->token, code);
    } else {
      answer(stream, *question);
    }
    EXPECT_TRUE(stream.ended());
    EXPECT_EQ(stream.next_step(), kNever);
    return stream.ended() ? *stream.ended() : FileStream::End{};
  };
  EXPECT_TRUE(ends(3, 5, "").for_good);
  EXPECT_EQ(ends(1, 5, "").words, "the stream's file has 9 bytes instead of 5");
  EXPECT_TRUE(ends(1, 9, "ResourceNotFound").for_good);
  EXPECT_EQ(ends(1, 9, "Unauthorized").words, "the service refuses the stream: Unauthorized");
}

TEST_F(FileStreamTest, ASilentServiceIsAskedLaterAndLaterAndThenGivenUp) {
  FileStream stream = open();
  stream.refused("", "InternalError");
  unsigned questions = 0;
  while (!stream.ended()) {
    now = std::max(now, stream.next_step());
    if (stream.step(now)) ++questions;
  }
  EXPECT_FALSE(stream.ended()->for_good);
  EXPECT_EQ(questions, kBlockSilences);
  EXPECT_GT(now - BootTime{}, std::chrono::minutes(3));
}

TEST_F(FileStreamTest, WithoutAConnectionNothingIsAskedAndNothingEnds) {
  FileStream stream = open();
  run(stream, 3);
  stream.disconnected();
  EXPECT_EQ(stream.next_step(), kNever);
  EXPECT_FALSE(stream.step(now + std::chrono::hours(20)));
  now += std::chrono::hours(20);
  stream.connected(now);
  EXPECT_EQ(stream.next_step(), now);
  run(stream);
  EXPECT_EQ(got, file);
}

}  // namespace
}  // namespace holdfast::update
