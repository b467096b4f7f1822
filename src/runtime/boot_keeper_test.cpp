// Goal:   the reason of a boot is found, kept for the boot, and survives in a file; a damaged or
//         unwritable one costs the reason, never the start.
// Method: real files, "programs" one after the other, and another boot by another id in the record.
#include "runtime/boot_keeper.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;

class BootKeeperTest : public testing::Test {
 protected:
  BootKeeperTest() {
    std::string name = (fs::temp_directory_path() / "hf-boots-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    config_.outbox.directory = folder_ / "outbox";
    fs::create_directory(config_.outbox.directory);
  }
  ~BootKeeperTest() override { fs::remove_all(folder_); }

  BootKeeper program() {
    return BootKeeper([this](const LogLine& line) { log_.push_back(line.text); }, folder_);
  }
  BootState begun(BootKeeper& keeper) {
    Config config = config_;
    keeper.started(config);
    return config.boot;
  }
  [[nodiscard]] fs::path file() const { return config_.outbox.directory / "boot"; }
  /// Time passes, and the machine is another time started.
  void reboot() const {
    std::stringstream text;
    text << std::ifstream(file()).rdbuf();
    std::string record = text.str();
    record.replace(record.find("\nboot ") + 6, 8, "01234567");
    std::ofstream(file()) << record;
  }

  fs::path folder_;
  Config config_;
  std::vector<std::string> log_;
};

TEST_F(BootKeeperTest, ARebootIsSaidOnceAndShownByEachRun) {
  BootKeeper first = program();
  EXPECT_EQ(begun(first).reason, BootReason::unknown);
  reboot();
  log_.clear();
  for (int run = 0; run < 3; ++run) {
    BootKeeper keeper = program();
    const BootState boot = begun(keeper);
    EXPECT_EQ(boot.reason, BootReason::power_loss);
    EXPECT_EQ(boot.first_run, run == 0);
    EXPECT_EQ(boot.id.size(), 32U);
    keeper.stopped();
  }
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_EQ(
      log_[0],
      "this machine was started after: power_loss: the machine went down while the agent ran, "
      "without a word");
  reboot();
  BootKeeper last = program();
  EXPECT_EQ(begun(last).reason, BootReason::command) << "it was stopped in order";
}

TEST_F(BootKeeperTest, ANoteIsTheReasonOfTheNextBootUnlessItIsForgotten) {
  BootKeeper keeper = program();
  begun(keeper);
  keeper.note(BootReason::update, "to 1.4");
  reboot();
  BootKeeper next = program();
  const BootState boot = begun(next);
  EXPECT_EQ(boot.reason, BootReason::update);
  EXPECT_EQ(boot.detail, "to 1.4");
  next.note(BootReason::low_power, "the battery");
  next.forget_note();
  reboot();
  BootKeeper last = program();
  EXPECT_EQ(begun(last).reason, BootReason::power_loss);
}

TEST_F(BootKeeperTest, WhatTheMachineShowsIsLookedAt) {
  BootKeeper first = program();
  begun(first);
  fs::create_directories(folder_ / "sys/class/watchdog/watchdog0");
  std::ofstream(folder_ / "sys/class/watchdog/watchdog0/bootstatus") << "32\n";
  reboot();
  BootKeeper second = program();
  EXPECT_EQ(boot_words(begun(second)), "watchdog: said by watchdog0");
  fs::create_directories(folder_ / "sys/fs/pstore");
  std::ofstream(folder_ / "sys/fs/pstore/dmesg-efi-1")
      << "Panic#1 Part1\n<0>[ 1.0] Kernel panic - not syncing: Fatal exception\n";
  reboot();
  BootKeeper third = program();
  EXPECT_EQ(boot_words(begun(third)), "kernel_panic: Fatal exception");
  reboot();
  BootKeeper fourth = program();
  EXPECT_EQ(begun(fourth).reason, BootReason::watchdog) << "the panic has been told";
}

TEST_F(BootKeeperTest, TheSameRunBegunAnewKeepsWhatItHasFound) {
  BootKeeper first = program();
  begun(first);
  reboot();
  BootKeeper keeper = program();
  const BootState boot = begun(keeper);
  EXPECT_EQ(begun(keeper), boot);
}

TEST_F(BootKeeperTest, ADamagedFileIsSaidAndReplaced) {
  BootKeeper first = program();
  begun(first);
  std::ofstream(file(), std::ios::binary) << std::string("\0torn", 5);
  log_.clear();
  BootKeeper second = program();
  EXPECT_EQ(begun(second).reason, BootReason::unknown);
  ASSERT_FALSE(log_.empty());
  EXPECT_NE(log_[0].find("boot is damaged"), std::string::npos);
  reboot();
  BootKeeper third = program();
  EXPECT_EQ(begun(third).reason, BootReason::power_loss);
}

TEST_F(BootKeeperTest, AFileThatCannotBeReadOrWrittenHoldsNothingUp) {
  fs::create_directory(file());
  std::ofstream(file() / "in-the-way") << "x";
  BootKeeper keeper = program();
  EXPECT_EQ(begun(keeper).reason, BootReason::unknown);
  keeper.stopped();
  ASSERT_EQ(log_.size(), 4U);
  EXPECT_NE(log_[0].find("nothing is known of earlier boots"), std::string::npos);
  EXPECT_NE(log_[2].find("the record of boots was not written"), std::string::npos);
}

TEST_F(BootKeeperTest, AStopBeforeTheStartKeepsNothing) {
  BootKeeper keeper = program();
  keeper.note(BootReason::update, "x");
  keeper.stopped();
  EXPECT_FALSE(fs::exists(file()));
}

TEST(StampBirth, AnMqtt5BirthMessageHasTheReasonAndOthersHaveNot) {
  Config config;
  config.birth.emplace();
  stamp_birth(config);
  EXPECT_TRUE(config.birth->user_properties.empty()) << "nobody has looked";
  config.boot.id = "1";
  config.boot.reason = BootReason::watchdog;
  Config old = config;
  old.mqtt_version = MqttVersion::v311;
  stamp_birth(old);
  EXPECT_TRUE(old.birth->user_properties.empty());
  stamp_birth(config);
  stamp_birth(config);
  ASSERT_EQ(config.birth->user_properties.size(), 1U);
  EXPECT_EQ(config.birth->user_properties[0],
            std::pair(std::string("hf-boot"), std::string("watchdog")));
}

}  // namespace
}  // namespace holdfast::runtime
