// Goal:   each form says all that a line holds, and is one line whatever that is.
// Method: pure functions; JSON is read back by a JSON parser; bytes of all values are fed in.
#include "runtime/log_text.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "base/utf8.h"

namespace holdfast::runtime {
namespace {

const WallTime kTime{1795391999123};

LogLine sample() {
  return {LogLevel::warning,
          LogArea::connection,
          "offline: tcp_refused",
          Verdict::tcp_refused,
          {{"endpoint", "host:8883"}, {"attempt", 3}}};
}

TEST(LogText, IsReadable) {
  EXPECT_EQ(utc_stamp(kTime), "2026-11-22T23:59:59.123Z");
  EXPECT_EQ(utc_stamp(WallTime{-1}), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(text_line(sample(), kTime, false),
            "2026-11-22T23:59:59.123Z warning connection: offline: tcp_refused");
  EXPECT_EQ(text_line({LogLevel::info, LogArea::local_api, "x"}, kTime, false),
            "2026-11-22T23:59:59.123Z info    local-api: x");
}

TEST(LogText, HasTheSeverityThatJournaldReadsOfAStream) {
  const auto stream = [](LogLevel level) {
    return text_line({level, LogArea::agent, "x"}, kTime, true);
  };
  EXPECT_EQ(stream(LogLevel::error), "<3>agent: x");
  EXPECT_EQ(stream(LogLevel::warning), "<4>agent: x");
  EXPECT_EQ(stream(LogLevel::info), "<6>agent: x");
  EXPECT_EQ(stream(LogLevel::debug), "<7>agent: x");
}

TEST(LogText, JsonHasAllOfIt) {
  const std::string line = json_line(sample(), kTime, limits::kLogText);
  EXPECT_EQ(line, R"({"time":"2026-11-22T23:59:59.123Z","level":"warning","area":"connection",)"
                  R"("verdict":"tcp_refused","message":"offline: tcp_refused",)"
                  R"("fields":{"endpoint":"host:8883","attempt":3}})");
  const auto bare = nlohmann::json::parse(
      json_line({LogLevel::info, LogArea::agent, "\"quoted\" \\"}, kTime, limits::kLogText));
  EXPECT_EQ(bare.at("message"), "\"quoted\" \\");
  EXPECT_FALSE(bare.contains("verdict"));
  EXPECT_FALSE(bare.contains("fields"));
}

TEST(LogText, JournaldGetsAllOfItInFields) {
  EXPECT_EQ(journal_datagram(sample()),
            "MESSAGE=connection: offline: tcp_refused\n"
            "PRIORITY=4\n"
            "SYSLOG_IDENTIFIER=holdfastd\n"
            "HOLDFAST_AREA=connection\n"
            "HOLDFAST_VERDICT=tcp_refused\n"
            "HOLDFAST_ENDPOINT=host:8883\n"
            "HOLDFAST_ATTEMPT=3\n");
}

TEST(LogText, KeepsALineOneLine) {
  EXPECT_EQ(one_line("a\nb\tc\x1b[0md\x7f", 100), "a b c [0md ");
  EXPECT_EQ(one_line("größer", 100), "größer");
  EXPECT_EQ(one_line("\xC2\x9B"
                     "31mred",
                     100),
            " 31mred")
      << "C1 controls";
  EXPECT_EQ(one_line(std::string_view("a\0b", 3), 100), "a b");
  EXPECT_EQ(one_line("a\xFFz\xC3", 100), "a\xEF\xBF\xBDz\xEF\xBF\xBD");
  EXPECT_EQ(one_line("abcdef", 3), "abc…");
  EXPECT_EQ(one_line("aäb", 2), "a…") << "no half characters";
}

TEST(LogText, AnyBytesGiveOneValidLineInEachForm) {
  std::string all;
  for (int first = 0; first < 256; ++first) {
    for (const int second : {0x00, 0x0A, 0x41, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF}) {
      all += static_cast<char>(first);
      all += static_cast<char>(second);
    }
  }
  LogLine line{LogLevel::info, LogArea::flow, all, {}, {{"topic", all}}};
  const std::string json = json_line(line, kTime, limits::kLogText);
  EXPECT_TRUE(nlohmann::json::accept(json));
  const std::string text = text_line(line, kTime, false);
  for (const std::string& one : {json, text}) {
    EXPECT_TRUE(valid_utf8(one));
    EXPECT_EQ(one.find('\n'), std::string::npos);
  }
  const std::string fields = journal_datagram(line);
  EXPECT_TRUE(valid_utf8(fields));
  EXPECT_EQ(std::count(fields.begin(), fields.end(), '\n'), 5);
}

TEST(LogText, IsBounded) {
  const LogLine line{LogLevel::info, LogArea::flow, std::string(10 * limits::kLogText, 'x')};
  EXPECT_LE(text_line(line, kTime, false).size(), limits::kLogText + 64);
  EXPECT_LE(json_line(line, kTime, 1000).size(), 1000U + 128);
}

}  // namespace
}  // namespace holdfast::runtime
