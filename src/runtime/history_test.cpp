// Goal:   what happened weeks ago is still there, in bounded room, whatever cut the writing.
// Method: lines in a directory of the test's own, whole and damaged.
#include "runtime/history.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() {
    std::string name = (fs::temp_directory_path() / "hf-history-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~HistoryTest() override { fs::remove_all(folder_); }

  nlohmann::ordered_json read(std::size_t limit = 100) {
    auto entries = read_history(folder_, limit);
    EXPECT_TRUE(entries) << entries.error().message;
    return entries ? *entries : nlohmann::ordered_json();
  }

  static health::Outage outage(bool over, std::uint64_t attempts) {
    health::Outage made;
    made.over = over;
    made.attempts = attempts;
    made.lasted = std::chrono::seconds(3);
    made.first = Verdict::tcp_refused;
    made.detail = "it \"said\" \xff";
    made.verdicts.at(static_cast<std::size_t>(Verdict::tcp_refused)) = attempts;
    return made;
  }

  fs::path folder_;
};

TEST_F(HistoryTest, WithoutAnyItIsEmpty) { EXPECT_EQ(read().dump(), "[]"); }

TEST_F(HistoryTest, EntriesComeBackAsTheyWereWithoutTheBeginningsOfThoseThatAreOver) {
  ASSERT_TRUE(append_history(folder_, start_line(WallTime{1000}, true, "")));
  ASSERT_TRUE(append_history(folder_, outage_line(outage(false, 1))));
  ASSERT_TRUE(append_history(folder_, outage_line(outage(true, 7))));
  ASSERT_TRUE(append_history(folder_, outage_line(outage(false, 2))));
  ASSERT_TRUE(append_history(folder_, start_line(WallTime{2000}, false, "")));
  EXPECT_EQ(read().dump(), R"([{"event":"started","at_ms":1000,"unclean":true},)"
                           R"({"event":"outage","over":true,"began_ms":0,"lasted_ms":3000,)"
                           R"("verdict":"tcp_refused","detail":"it \"said\" )"
                           "\xef\xbf\xbd"
                           R"(","verdicts":{"tcp_refused":7},)"
                           R"("attempts":7,"accepted":0,"dropped":0,"waiting":0},)"
                           R"({"event":"outage","over":false,"began_ms":0,"lasted_ms":3000,)"
                           R"("verdict":"tcp_refused","detail":"it \"said\" )"
                           "\xef\xbf\xbd"
                           R"(","verdicts":{"tcp_refused":2},)"
                           R"("attempts":2,"accepted":0,"dropped":0,"waiting":0},)"
                           R"({"event":"started","at_ms":2000,"unclean":false}])");
  EXPECT_EQ(read(1).dump(), R"([{"event":"started","at_ms":2000,"unclean":false}])");
}

TEST_F(HistoryTest, ALineThatAPowerCutTookIsSkippedAndSpoilsNoOther) {
  ASSERT_TRUE(append_history(folder_, start_line(WallTime{1}, false, "")));
  std::ofstream(folder_ / "history", std::ios::app) << "{\"event\":\"star";
  ASSERT_TRUE(append_history(folder_, start_line(WallTime{2}, true, "")));
  std::ofstream(folder_ / "history", std::ios::app) << std::string(100, '\0');
  EXPECT_EQ(read().dump(), R"([{"event":"started","at_ms":1,"unclean":false},)"
                           R"({"event":"started","at_ms":2,"unclean":true}])");
}

TEST_F(HistoryTest, ItsRoomIsBoundedAndTheNewestStay) {
  constexpr int kLines = 5000;
  for (int i = 0; i < kLines; ++i) {
    ASSERT_TRUE(append_history(folder_, start_line(WallTime{i}, false, "")));
  }
  std::uintmax_t bytes = 0;
  for (const auto& file : fs::directory_iterator(folder_)) bytes += file.file_size();
  EXPECT_LE(bytes, 2 * kHistoryFileMax + 200);
  EXPECT_GE(bytes, kHistoryFileMax);
  const auto entries = read(kLines);
  EXPECT_GE(entries.size(), 1000U);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i]["at_ms"], kLines - static_cast<int>(entries.size() - i));
  }
}

TEST_F(HistoryTest, ADirectoryThatCannotBeWrittenIsSaid) {
  const Status status = append_history(folder_ / "absent", "{}");
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("cannot open " + (folder_ / "absent" / "history").string()),
            std::string::npos);
}

}  // namespace
}  // namespace holdfast::runtime
