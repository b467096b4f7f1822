// Goal:   what is no watchdog is refused by name, and left alone. The real thing is tested in a
// virtual
//         machine, lab/watchdog_test.py: opening one here would start it.
#include "posix/watchdog_device.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace holdfast::posix {
namespace {

std::string refusal(const std::filesystem::path& device) {
  const auto dog = WatchdogDevice::open(device, Seconds(60), Seconds(0));
  return dog.ok() ? "taken" : dog.error().message;
}

TEST(WatchdogDevice, WhatIsNotThereIsNamed) {
  EXPECT_EQ(refusal("/dev/holdfast-no-such-watchdog"),
            "watchdog /dev/holdfast-no-such-watchdog: No such file or directory; is its driver "
            "loaded?");
}

TEST(WatchdogDevice, WhatIsNoWatchdogIsRefusedAndNotWrittenTo) {
  std::string folder = (std::filesystem::temp_directory_path() / "hf-watchdog-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const auto file = std::filesystem::path(folder) / "file";
  std::ofstream(file).close();
  EXPECT_EQ(refusal(file), "watchdog " + file.string() + " is no character device");
  EXPECT_EQ(std::filesystem::file_size(file), 0U);
  std::filesystem::remove_all(folder);
  EXPECT_EQ(refusal("/dev/null"), "watchdog /dev/null is no watchdog");
}

}  // namespace
}  // namespace holdfast::posix
