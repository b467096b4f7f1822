// Goal:   what is wrong with the updater's configuration is named with its line and key.
#include "settings.h"

#include <gtest/gtest.h>

namespace holdfast::updater {
namespace {

std::string problems_of(std::string_view text) {
  std::string all;
  for (const Error& one : parse_settings(text, "/etc/u.toml").problems) all += one.message + "\n";
  return all;
}

TEST(SettingsTest, EverythingHasAPlace) {
  const auto report = parse_settings(R"([agent]
socket = "agent.sock"
[update]
thing = "pump-17"
allow_commands = ["df"]
window = "23:00-04:30"
jitter = "10m"
max_size = "64MiB"
bytes_per_second = 0
allow_unsigned = true
[application.pump]
directory = "/opt/pump"
units = ["pump.service"]
stable = "1m"
)",
                                     "/etc/holdfast/updater.toml");
  ASSERT_TRUE(report.problems.empty()) << report.problems.front().message;
  const Settings& s = report.settings;
  EXPECT_EQ(s.socket, "/etc/holdfast/agent.sock");
  EXPECT_EQ(s.thing, "pump-17");
  EXPECT_EQ(s.allow_commands, std::vector<std::string>{"df"});
  EXPECT_EQ(s.jitter, Seconds(600));
  EXPECT_EQ(s.max_size, 64U << 20U);
  EXPECT_TRUE(s.allow_unsigned);
  ASSERT_EQ(s.applications.count("pump"), 1U);
  EXPECT_EQ(s.applications.at("pump").directory, "/opt/pump");
  EXPECT_EQ(s.applications.at("pump").stable, Seconds(60));
}

TEST(SettingsTest, NothingIsAllowedByDefault) {
  const Settings s;
  EXPECT_TRUE(s.allow_commands.empty());
  EXPECT_TRUE(s.allow_users.empty());
  EXPECT_TRUE(s.allow_packages.empty());
  EXPECT_TRUE(s.allow_units.empty());
  EXPECT_TRUE(s.download_directories.empty());
  EXPECT_FALSE(s.allow_unsigned);
  EXPECT_FALSE(s.allow_http);
}

TEST(SettingsTest, EachProblemIsNamed) {
  const struct {
    const char* text;
    const char* words;
  } cases[] = {
      {"[update]\nkeyz = 1",
       "/etc/u.toml:2: update.keyz: is not a known key; there are agent.socket"},
      {"[updates]\n", "/etc/u.toml:1: updates: is not known"},
      {"update = 1", "update: is not known"},
      {"[update]\njitter = 5", "update.jitter: give a duration"},
      {"[update]\njitter = \"5\"", "update.jitter:"},
      {"[update]\nprove_within = \"1s\"", "update.prove_within:"},
      {"[update]\nallow_commands = \"df\"", "update.allow_commands: give"},
      {"[update]\nallow_unsigned = \"true\"", "update.allow_unsigned: give true or false"},
      {"[update]\nwindow = \"2-4\"", "update.window: is \"2-4\"; give hours of the day"},
      {"[update]\nreboot = []", "update.reboot:"},
      {"[application.x]\n", "application.x.directory: is missing"},
      {"[application.x]\ninstall = [\"a\"]",
       "give it, package, file, or the programs version, install and take_back"},
      {"[application.x]\ndirectory = \"/x\"\nreboots = true", "does not go with reboots"},
      {"[application.x]\npackage = \"Pump\"", "application.x.package: is no name of a Debian"},
      {"[application.x]\npackage = \"-o\"", "application.x.package: is no name of a Debian"},
      {"[application.x]\npackage = \"pump\"\ndirectory = \"/x\"", "give one of directory, package"},
      {"[application.x]\npackage = \"pump\"\ncommit = [\"a\"]", "give one of directory, package"},
      {"[application.x]\nvalidate = [\"a\"]\ndirectory = \"/x\"", "validate: goes with file"},
      {"[application.x]\ndirectory = \"/x\"\nupdater = \"/bin/u\"", "x.updater: give a path below"},
      {"[application.x]\ndirectory = \"/x\"\nupdater = \"../u\"", "x.updater: give a path below"},
      {"[application.x]\npackage = \"pump\"\nupdater = \"u\"", "x.updater: give a path below"},
      {"[application.x]\nfile = \"/a\"\ndirectory = \"/x\"", "give one of directory, package"},
      {"[application.\"a/b\"]\ndirectory = \"/x\"", "application.a/b: give a name of letters"},
      {"[application]\nx = 1", "application.x: write it as a section"},
      {"[update\n", "/etc/u.toml:1: not TOML"},
      {"[update]\na = 1\na = 2", "not TOML"},
  };
  for (const auto& one : cases) {
    EXPECT_NE(problems_of(one.text).find(one.words), std::string::npos) << one.text << "\n"
                                                                        << problems_of(one.text);
  }
}

TEST(SettingsTest, AWindowMayGoOverMidnight) {
  const auto night = parse_window("23:00-04:30");
  ASSERT_TRUE(night);
  EXPECT_TRUE(night->has(23 * 60));
  EXPECT_TRUE(night->has(0));
  EXPECT_FALSE(night->has(4 * 60 + 30));
  const auto noon = parse_window("11:00-13:00");
  ASSERT_TRUE(noon);
  EXPECT_TRUE(noon->has(12 * 60));
  EXPECT_FALSE(noon->has(13 * 60));
  for (const char* wrong : {"", "24:00-01:00", "11:00-11:00", "1:00-02:00", "11:60-12:00",
                            "11:00 12:00", "aa:bb-cc:dd"}) {
    EXPECT_FALSE(parse_window(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace holdfast::updater
