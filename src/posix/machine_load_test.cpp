// Goal:   what the kernel shows of pressure, heat and worn flash is understood.
// Method: folders of the test's own, laid out as the kernel's; and this machine as it is.
#include "posix/machine_load.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace holdfast::posix {
namespace {

namespace fs = std::filesystem;

class MachineLoadTest : public testing::Test {
 protected:
  MachineLoadTest() {
    std::string name = (fs::temp_directory_path() / "hf-load-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~MachineLoadTest() override { fs::remove_all(root_); }

  void put(const std::string& name, const std::string& text) const {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text << '\n';
  }

  fs::path root_;
};

TEST_F(MachineLoadTest, WhatIsNotThereIsLeftOut) {
  const MachineLoad load = look_at_load(root_ / "none", root_);
  EXPECT_FALSE(load.memory || load.io || load.temperature || load.disk || load.flash);
}

TEST_F(MachineLoadTest, EachIsFoundAndTheWorstIsNamed) {
  put("proc/pressure/memory", "some avg10=12.50 avg60=1.00 avg300=0.10 total=1\nfull avg10=9.00");
  put("proc/pressure/io", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0");
  put("sys/class/thermal/thermal_zone0/temp", "41500");
  put("sys/class/thermal/thermal_zone0/type", "gpu");
  put("sys/class/thermal/thermal_zone1/temp", "83250");
  put("sys/class/thermal/thermal_zone1/type", "cpu-thermal");
  put("sys/class/thermal/cooling_device0/temp", "999999");
  put("sys/block/mmcblk0/device/life_time", "0x01 0x02");
  put("sys/block/mmcblk1/device/life_time", "0x00 0x0b");
  put("sys/block/sda/size", "1");
  const MachineLoad load = look_at_load(root_, root_);
  EXPECT_EQ(load.memory, 12.5);
  EXPECT_EQ(load.io, 0.0);
  EXPECT_EQ(load.temperature, 83.25);
  EXPECT_EQ(load.zone, "cpu-thermal");
  EXPECT_EQ(load.flash, 110.0);
  EXPECT_EQ(load.flash_name, "mmcblk1");
  ASSERT_TRUE(load.disk);
  EXPECT_GT(*load.disk, 0);
  EXPECT_LE(*load.disk, 100);
}

TEST_F(MachineLoadTest, ThisMachine) {
  const MachineLoad load = look_at_load(root_);
  EXPECT_TRUE(load.disk);
  EXPECT_EQ(load.memory.has_value(), load.io.has_value()) << "a kernel has both, or none";
}

}  // namespace
}  // namespace holdfast::posix
