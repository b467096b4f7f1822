// Goal:   a record comes back as it was written; whatever else stands in its file is refused.
// Method: round trips; every truncation; every byte changed.
#include "identity/record.h"

#include <gtest/gtest.h>

namespace holdfast::identity {
namespace {

Record sample() {
  return {RotationResult::rolled_back, "0123abcd", "ffee", WallTime{1'764'250'000'123},
          "tls_client_refused: unknown ca"};
}

TEST(Record, ComesBackAsItWas) {
  for (const Record& record :
       {sample(), Record{RotationResult::kept, "1", "2", WallTime{-5}, ""}}) {
    const auto back = parse_record(to_text(record));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, record);
  }
}

TEST(Record, AReasonOfSeveralLinesOrOfEndlessLengthStaysOneLineThatCanBeRead) {
  Record record = sample();
  record.reason = "first\nid forged\x1b[2J" + std::string(5000, 'x');
  const std::string text = to_text(record);
  EXPECT_LE(text.size(), kRecordMax);
  const auto back = parse_record(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->id, "0123abcd");
  EXPECT_EQ(back->reason.substr(0, 20), "first id forged [2Jx");
}

TEST(Record, EveryTruncationIsRefusedAndNoChangedByteDoesHarm) {
  const std::string text = to_text(sample());
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(parse_record(text.substr(0, size))) << size;
  }
  EXPECT_FALSE(parse_record(text + "more\n"));
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = '\0';
    const auto parsed = parse_record(changed);
    EXPECT_TRUE(!parsed || parsed->reason.size() < text.size()) << at;
  }
}

}  // namespace
}  // namespace holdfast::identity
