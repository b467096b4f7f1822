// Goal:   what the kernel shows of batteries and mains is understood, whatever drivers leave out.
// Method: folders of the test's own, with files as the kernel's drivers write them.
#include "posix/power_supply.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace holdfast::posix {
namespace {

namespace fs = std::filesystem;

class PowerSupplyTest : public testing::Test {
 protected:
  PowerSupplyTest() {
    std::string name = (fs::temp_directory_path() / "hf-supply-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~PowerSupplyTest() override { fs::remove_all(folder_); }

  void supply(const std::string& name, const std::map<std::string, std::string>& files) const {
    fs::create_directories(folder_ / name);
    for (const auto& [file, text] : files) std::ofstream(folder_ / name / file) << text << '\n';
  }
  [[nodiscard]] SupplyLook look() const {
    auto found = look_at_supplies(folder_);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : SupplyLook{};
  }

  fs::path folder_;
};

TEST_F(PowerSupplyTest, WithoutAnyNothingIsKnown) {
  EXPECT_EQ(look().mains, std::nullopt);
  const auto missing = look_at_supplies(folder_ / "none");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("No such file"), std::string::npos);
}

TEST_F(PowerSupplyTest, ALaptopOnBattery) {
  supply("AC", {{"type", "Mains"}, {"online", "0"}});
  supply("BAT0", {{"type", "Battery"},
                  {"present", "1"},
                  {"status", "Discharging"},
                  {"capacity", "42"},
                  {"capacity_level", "Normal"},
                  {"time_to_empty_avg", "3600"}});
  supply("BAT1", {{"type", "Battery"},
                  {"status", "Discharging"},
                  {"capacity", "7"},
                  {"capacity_level", "Critical"}});
  supply("hid-mouse",
         {{"type", "Battery"}, {"scope", "Device"}, {"status", "Discharging"}, {"capacity", "1"}});
  const SupplyLook found = look();
  EXPECT_EQ(found.mains, false);
  EXPECT_TRUE(found.critical);
  EXPECT_EQ(found.charge, 7U);
  EXPECT_EQ(found.runtime, Seconds(3600));
  EXPECT_EQ(found.words, "AC: off; BAT0: Discharging, 42 %; BAT1: Discharging, 7 %");
}

TEST_F(PowerSupplyTest, OneFeederOfSeveralIsEnough) {
  supply("usb-0", {{"type", "USB"}, {"online", "0"}});
  supply("usb-1", {{"type", "USB"}, {"online", "1"}});
  supply("BAT0", {{"type", "Battery"}, {"status", "Charging"}, {"capacity", "90"}});
  EXPECT_EQ(look().mains, true);
}

TEST_F(PowerSupplyTest, ABatteryAloneTellsByWhatItDoes) {
  supply("bq27", {{"type", "Battery"}, {"status", "Discharging"}, {"capacity", "120"}});
  EXPECT_EQ(look().mains, false);
  EXPECT_EQ(look().charge, std::nullopt) << "no percentage";
  supply("bq27", {{"status", "Not charging"}});
  EXPECT_EQ(look().mains, true);
  supply("bq27", {{"status", "Unknown"}});
  EXPECT_EQ(look().mains, std::nullopt);
  supply("bq27", {{"present", "0"}});
  EXPECT_EQ(look().words, "");
}

}  // namespace
}  // namespace holdfast::posix
