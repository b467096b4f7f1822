// Goal:   levels, the last lines, the file and the fall-backs, as an agent meets them.
// Method: real descriptors and sockets; a clock that the test moves.
#include "runtime/logger.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/limits.h"
#include "posix/unique_fd.h"
#include "runtime/log_upload.h"

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;

class TestClock final : public env::Clock {
 public:
  [[nodiscard]] BootTime now() const override { return now_; }
  [[nodiscard]] WallTime wall() const override { return WallTime{1795391999123}; }
  [[nodiscard]] bool wall_synchronized() const override { return true; }
  [[nodiscard]] env::BootId boot_id() const override { return {}; }
  BootTime now_{std::chrono::seconds(1000)};
};

LogLine line(std::string text, LogLevel level = LogLevel::info, LogArea area = LogArea::flow) {
  return {level, area, std::move(text)};
}

class LoggerTest : public ::testing::Test {
 protected:
  LoggerTest() {
    std::string name = (fs::temp_directory_path() / "hf-log-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    out_.reset(ends[0]);
    in_.reset(ends[1]);
    logger_ = Logger::writing(clock_, in_.get(), (folder_ / "journal").string());
  }
  ~LoggerTest() override { fs::remove_all(folder_); }

  /// What has been written since the last call.
  std::string text() {
    std::string all;
    char block[4096];
    for (ssize_t got = 0; (got = ::read(out_.get(), block, sizeof block)) > 0;) {
      all.append(block, static_cast<std::size_t>(got));
    }
    return all;
  }

  [[nodiscard]] std::string file(const std::string& name) const {
    std::ifstream stream(folder_ / name);
    std::stringstream all;
    all << stream.rdbuf();
    return all.str();
  }

  fs::path folder_;
  std::shared_ptr<TestClock> clock_ = std::make_shared<TestClock>();
  posix::UniqueFd out_;
  posix::UniqueFd in_;
  std::shared_ptr<Logger> logger_;
  Config::Log config_;
};

TEST_F(LoggerTest, EachAreaHasItsLevelUntilTheNextConfiguration) {
  config_.level = LogLevel::warning;
  config_.areas[LogArea::outbox] = LogLevel::debug;
  logger_->configure(config_);
  logger_->write(line("no"));
  logger_->write(line("yes", LogLevel::warning));
  logger_->write(line("deep", LogLevel::debug, LogArea::outbox));
  EXPECT_EQ(text(),
            "2026-11-22T23:59:59.123Z warning flow: yes\n"
            "2026-11-22T23:59:59.123Z debug   outbox: deep\n");
  logger_->set_level(LogArea::flow, LogLevel::debug);
  EXPECT_TRUE(logger_->wants(LogLevel::debug, LogArea::flow));
  EXPECT_FALSE(logger_->wants(LogLevel::info, LogArea::agent));
  logger_->set_level({}, LogLevel::error);
  EXPECT_FALSE(logger_->wants(LogLevel::warning, LogArea::outbox));
  logger_->configure(config_);
  EXPECT_TRUE(logger_->wants(LogLevel::debug, LogArea::outbox));
  EXPECT_FALSE(logger_->wants(LogLevel::info, LogArea::flow));
  EXPECT_EQ(logger_->state().levels[static_cast<std::size_t>(LogArea::outbox)], LogLevel::debug);
  EXPECT_EQ(logger_->state().written, 2U);
}

TEST_F(LoggerTest, JsonIsOneObjectALine) {
  config_.format = LogFormat::json;
  logger_->configure(config_);
  logger_->write(line("a\nb \xFF"));
  const auto parsed = nlohmann::json::parse(text());
  EXPECT_EQ(parsed.at("message"), "a b \xEF\xBF\xBD");
  EXPECT_EQ(parsed.at("area"), "flow");
}

TEST_F(LoggerTest, RepeatsAreSaidInTimeOrAtTheEnd) {
  for (int i = 0; i < 4; ++i) logger_->write(line("same"));
  EXPECT_EQ(logger_->state().repeats, 3U);
  logger_->service();
  EXPECT_EQ(text(), "2026-11-22T23:59:59.123Z info    flow: same\n");
  clock_->now_ += std::chrono::minutes(10);
  logger_->service();
  EXPECT_EQ(text(),
            "2026-11-22T23:59:59.123Z info    flow: same (3 times more in the last 10 min)\n");
  for (int i = 0; i < 3; ++i) logger_->write(line("other"));
  static_cast<void>(text());
  logger_->finish();
  EXPECT_EQ(text(),
            "2026-11-22T23:59:59.123Z info    flow: other (2 times more in the last 0 s)\n");
}

TEST_F(LoggerTest, WhatAFullPipeDoesNotTakeIsCountedAndSaidOnceItDoes) {
  config_.lines_per_hour = 1'000'000;
  logger_->configure(config_);
  for (std::size_t i = 0; logger_->state().not_taken < 10; ++i) {
    LogLine one = line(std::string(500, 'x') + std::to_string(i));
    one.asked = true;
    logger_->write(one);
  }
  std::string all = text();
  logger_->service();
  all += text();
  // Where no line of 500 bytes fits, the short one that tells of it may: so it is said in parts.
  unsigned told = 0;
  const std::string mark = " log lines were dropped";
  for (std::size_t at = 0; (at = all.find(mark, at)) != std::string::npos; at += mark.size()) {
    told += static_cast<unsigned>(std::stoul(all.substr(all.rfind(' ', at - 1) + 1)));
  }
  EXPECT_EQ(told, 10U);
  logger_->service();
  EXPECT_EQ(text(), "");
  EXPECT_EQ(logger_->state().not_taken, 10U);
}

TEST_F(LoggerTest, WithoutJournaldItIsStandardErrorAndSaidOnce) {
  config_.format = LogFormat::journal;
  logger_->configure(config_);
  logger_->write(line("one"));
  logger_->write(line("two"));
  EXPECT_EQ(text(),
            "2026-11-22T23:59:59.123Z warning agent: journald is not there; the log goes to "
            "standard error\n"
            "2026-11-22T23:59:59.123Z info    flow: one\n"
            "2026-11-22T23:59:59.123Z info    flow: two\n");
  const posix::UniqueFd journald(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder_ / "journal").c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(journald.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  logger_->write(line("three"));
  EXPECT_EQ(text(), "");
  char got[500];
  const ssize_t size = ::recv(journald.get(), got, sizeof got, MSG_DONTWAIT);
  ASSERT_GT(size, 0);
  EXPECT_EQ(std::string(got, static_cast<std::size_t>(size)),
            "MESSAGE=flow: three\nPRIORITY=6\nSYSLOG_IDENTIFIER=holdfastd\nHOLDFAST_AREA=flow\n");
}

TEST_F(LoggerTest, TheFileHasTheLinesToo) {
  config_.file = folder_ / "agent.log";
  logger_->configure(config_);
  logger_->write(line("into the file"));
  EXPECT_NE(text().find("into the file"), std::string::npos);
  logger_->finish();
  EXPECT_EQ(file("agent.log"), "2026-11-22T23:59:59.123Z info    flow: into the file\n");
}

TEST_F(LoggerTest, AFileThatCannotBeWrittenIsSaidOnceAndNothingWaits) {
  config_.file = folder_ / "away" / "agent.log";
  logger_->configure(config_);
  logger_->write(line("lost", LogLevel::error));
  std::string said;
  while (logger_->state().file_lost == 0) std::this_thread::yield();
  while (said.find("the log file is not written") == std::string::npos) said += text();
  EXPECT_NE(said.find((folder_ / "away" / "agent.log").string()), std::string::npos) << said;
  fs::create_directory(folder_ / "away");
  logger_->write(line("kept", LogLevel::error));
  said.clear();
  while (said.find("the log file is written again") == std::string::npos) said += text();
  EXPECT_NE(file("away/agent.log").find("flow: kept"), std::string::npos);
}

TEST_F(LoggerTest, KeepsTheLastLinesWithinTheirBounds) {
  config_.lines_per_hour = 1'000'000;
  logger_->configure(config_);
  for (std::size_t i = 0; i < 2 * limits::kLogLast; ++i) {
    LogLine one = line("number " + std::to_string(i));
    one.asked = true;
    logger_->write(one);
    static_cast<void>(text());
  }
  EXPECT_EQ(logger_->last(1000).size(), limits::kLogLast);
  const auto two = logger_->last(2);
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(two[1]).at("message"),
            "number " + std::to_string(2 * limits::kLogLast - 1));
  for (int i = 0; i < 100; ++i) {
    LogLine one = line(std::string(10'000, 'y'));
    one.asked = true;
    logger_->write(one);
    static_cast<void>(text());
  }
  std::size_t bytes = 0;
  for (const std::string& one : logger_->last(1000)) bytes += one.size();
  EXPECT_LE(bytes, limits::kLogLastBytes);
}

TEST_F(LoggerTest, AHandlerGetsEveryLineThatIsSevereEnough) {
  std::vector<std::string> seen;
  const auto logger =
      Logger::handing(clock_, [&](const LogLine& one) { seen.push_back(one.text); });
  config_.level = LogLevel::info;
  config_.lines_per_hour = 20;
  logger->configure(config_);
  for (int i = 0; i < 100; ++i) logger->write(line("same"));
  logger->write(line("deep", LogLevel::debug));
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_EQ(logger->last(1000).size(), 100U);
  EXPECT_EQ(logger->state().written, 100U);
}

TEST(LogUpload, KeepsTheNewestThatFit) {
  Config config;
  config.client_id = "pump-17";
  config.limits.payload = 100;
  const std::string one = R"({"message":"0123456789"})";
  const Message message = log_message(config, "logs/pump-17", {one, one, "{\"message\":\"last\"}"});
  const std::string text(reinterpret_cast<const char*>(message.payload.data()),
                         message.payload.size());
  EXPECT_LE(text.size(), 100U);
  const auto parsed = nlohmann::json::parse(text);
  EXPECT_EQ(parsed.at("client_id"), "pump-17");
  ASSERT_EQ(parsed.at("lines").size(), 2U);
  EXPECT_EQ(parsed.at("lines")[1].at("message"), "last");
  EXPECT_EQ(message.lane, "bulk");
  EXPECT_EQ(message.durability, Durability::durable);
  config.limits.payload = 1;
  EXPECT_EQ(log_message(config, "t", {one}).payload.size(),
            std::string(R"({"client_id":"pump-17","lines":[]})").size());
}

}  // namespace
}  // namespace holdfast::runtime
