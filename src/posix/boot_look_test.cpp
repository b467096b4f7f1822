// Goal:   what a machine says of its start is found where Linux and systemd put it.
// Method: folders of the test's own, laid out as those of the kernel and of systemd-pstore; jobs as
//         systemctl prints them.
#include "posix/boot_look.h"

#include <gtest/gtest.h>
#include <linux/watchdog.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace holdfast::posix {
namespace {

namespace fs = std::filesystem;

class BootLookTest : public testing::Test {
 protected:
  BootLookTest() {
    std::string name = (fs::temp_directory_path() / "hf-boot-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~BootLookTest() override { fs::remove_all(root_); }

  void put(const std::string& name, const std::string& text) const {
    const fs::path file = root_ / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  fs::path root_;
};

TEST_F(BootLookTest, WhereThereIsNothingNothingIsSaid) {
  const BootLook look = look_at_boot(root_);
  EXPECT_EQ(look.boot_status, 0U);
  EXPECT_EQ(look.watchdog, "");
  EXPECT_TRUE(look.panics.empty());
  EXPECT_EQ(look.panics_problem, "");
}

TEST_F(BootLookTest, TheWatchdogThatHasBittenIsNamed) {
  put("sys/class/watchdog/watchdog0/bootstatus", "0\n");
  put("sys/class/watchdog/watchdog0/identity", "Software Watchdog\n");
  put("sys/class/watchdog/watchdog1/bootstatus", "32\n");
  put("sys/class/watchdog/watchdog1/identity", "i6300ESB timer\n");
  put("sys/class/watchdog/watchdog2/bootstatus", "nonsense\n");
  const BootLook look = look_at_boot(root_);
  EXPECT_EQ(look.boot_status, unsigned{WDIOF_CARDRESET});
  EXPECT_EQ(look.watchdog, "watchdog1 (i6300ESB timer)");
}

TEST_F(BootLookTest, PanicsAreFoundAndOtherRecordsAreNot) {
  put("sys/fs/pstore/dmesg-ramoops-0",
      "Panic#1 Part1\n<0>[   12.3] Kernel panic - not syncing: Attempted to kill init! "
      "exitcode=0x00000009\n<4>[   12.3] CPU: 0\n");
  put("sys/fs/pstore/dmesg-ramoops-1", "Oops#1 Part1\n<1>[    5.0] BUG: unable to handle\n");
  put("sys/fs/pstore/console-ramoops-0", "[ 1.0] Kernel panic - not syncing: of the console\n");
  put("var/lib/systemd/pstore/1700000000/dmesg.txt", "Panic#2 Part2\n<6>[ 1.0] usb 1-1\n");
  put("var/lib/systemd/pstore/1700000000/001/deep/dmesg.txt", "Panic#3 Part1\n");
  const BootLook look = look_at_boot(root_);
  ASSERT_EQ(look.panics.size(), 2U);
  EXPECT_EQ(look.panics[0].words, "Attempted to kill init! exitcode=0x00000009");
  EXPECT_TRUE(look.panics[0].name.starts_with("pstore/dmesg-ramoops-0 of "));
  EXPECT_EQ(look.panics[1].words, "");
  EXPECT_TRUE(look.panics[1].name.starts_with("1700000000/dmesg.txt of "));
  EXPECT_EQ(look.panics_problem, "");
}

TEST_F(BootLookTest, OfManyPanicsTheNewestAreTaken) {
  for (int i = 0; i < 40; ++i) {
    const std::string name = "sys/fs/pstore/dmesg-efi-" + std::to_string(i);
    put(name, "Panic#1 Part1\n");
    fs::last_write_time(root_ / name, fs::file_time_type::clock::now() - std::chrono::hours(i));
  }
  const BootLook look = look_at_boot(root_);
  ASSERT_EQ(look.panics.size(), kPanicLooks);
  EXPECT_TRUE(look.panics.front().name.starts_with("pstore/dmesg-efi-0 of "));
  EXPECT_TRUE(look.panics.back().name.starts_with("pstore/dmesg-efi-31 of "));
}

TEST_F(BootLookTest, RecordsThatCannotBeReadAreSaid) {
  put("sys/fs/pstore", "a file in place of the folder");
  EXPECT_EQ(look_at_boot(root_).panics_problem,
            (root_ / "sys/fs/pstore").string() + ": Not a directory");
}

TEST(GoingDown, TheJobsOfSystemdTell) {
  EXPECT_EQ(going_down_in(""), "");
  EXPECT_EQ(going_down_in("No jobs running.\n"), "");
  EXPECT_EQ(going_down_in("12 ssh.service start waiting\n13 shutdown.target stop waiting\n"), "");
  EXPECT_EQ(going_down_in("881 holdfastd.service stop  running\n"
                          "800 reboot.target     start waiting\n"
                          "802 shutdown.target   start waiting\n"),
            "systemd: reboot.target");
  EXPECT_EQ(going_down_in("802 shutdown.target start waiting\n"), "systemd: shutdown.target");
  EXPECT_EQ(going_down_in("1 poweroff.target start waiting\n"), "systemd: poweroff.target");
}

}  // namespace
}  // namespace holdfast::posix
