// Goal:   host-telemetry reads what the machine really says, keeps its pace and refuses bad
// commands. Method: a made /proc and /sys with known numbers; explicit times; a journal read back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "journal.h"
#include "pace.h"
#include "readings.h"

namespace telemetry {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::Not;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "telemetry-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  void put(const std::string& file, const std::string& text) const {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

MATCHER_P3(IsReading, name, value, unit, "") {
  return arg.name == name && arg.value == value && arg.unit == unit;
}
MATCHER_P(Named, prefix, "") { return arg.name.starts_with(prefix); }

TEST(Readings, AreWhatProcAndSysSay) {
  const Folder root;
  root.put("proc/loadavg", "0.25 1.50 2.75 1/200 4242\n");
  root.put("proc/meminfo", "MemTotal: 1024 kB\nMemFree: 9 kB\nMemAvailable: 512 kB\n");
  root.put("proc/net/dev",
           "Inter-| Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
           "  eth0: 1000 10 1 0 0 0 0 0 2000 20 2 0 0 0 0 0\n");
  root.put("proc/diskstats", "   8 0 sda 5 0 100 0 6 0 200 0 0 0 0\n   8 1 sda1 5 0 9 0 6 0 9 0\n");
  fs::create_directories(root.path() / "sys/block/sda");
  root.put("sys/class/thermal/thermal_zone0/temp", "41500\n");
  root.put("sys/class/thermal/thermal_zone0/type", "cpu thermal\n");
  root.put("sys/class/hwmon/hwmon0/name", "k10temp\n");
  root.put("sys/class/hwmon/hwmon0/temp1_input", "52000\n");

  const auto readings = take_readings(root.path());
  EXPECT_THAT(readings, Contains(IsReading("load/5min", 1.5, "1")));
  EXPECT_THAT(readings, Contains(IsReading("memory/available", 512.0 * 1024, "By")));
  EXPECT_THAT(readings, Contains(IsReading("network/eth0/received", 1000.0, "By")));
  EXPECT_THAT(readings, Contains(IsReading("network/eth0/send_errors", 2.0, "1")));
  EXPECT_THAT(readings, Contains(IsReading("disk/sda/written", 200.0 * 512, "By")));
  EXPECT_THAT(readings, Contains(IsReading("temperature/thermal_zone0-cpu_thermal", 41.5, "Cel")));
  EXPECT_THAT(readings, Contains(IsReading("temperature/hwmon0-k10temp-temp1", 52.0, "Cel")));
  EXPECT_THAT(readings, Not(Contains(Named("network/lo"))));
  EXPECT_THAT(readings, Not(Contains(Named("disk/sda1"))));
}

TEST(Readings, WhatIsNotThereIsLeftOut) {
  const Folder root;
  EXPECT_TRUE(take_readings(root.path()).empty());
}

TEST(Readings, ThisMachineHasSome) {
  const auto readings = take_readings();
  EXPECT_THAT(readings, Contains(Named("load/1min")));
  EXPECT_THAT(readings, Contains(Named("memory/available")));
  EXPECT_LE(readings.size(), kReadingsMax);
}

TEST(TopicLevel, HasNothingThatMqttWouldTakeForStructure) {
  EXPECT_EQ(topic_level("a/b+c#d e\n"), "a_b_c_d_e_");
  EXPECT_EQ(topic_level(""), "_");
}

TEST(Command, GivesTheRate) {
  EXPECT_DOUBLE_EQ(*parse_command("0.5", 20), 40);
  EXPECT_DOUBLE_EQ(*parse_command(R"({"rate":20})", 7), 20);
  EXPECT_DOUBLE_EQ(*parse_command(R"({"rate":0})", 7), 0);
}

TEST(Command, BadOnesAreRefused) {
  for (const char* bad : {"", "fast", "0", "-1", "\"1\"", "[1]", "{}", R"({"rate":-1})", "1e-300",
                          R"({"rate":1e9})", R"({"rate":"x"})", R"({"rate":1,"x":2})", "\xff"}) {
    EXPECT_FALSE(parse_command(bad, 20)) << bad;
  }
}

TEST(PaceTest, SpreadsReadingsEvenly) {
  const Pace::Time start{seconds(100)};
  Pace pace(10, start);
  int taken = 0;
  for (Pace::Time now = start; now < start + seconds(10); now += milliseconds(1)) {
    if (pace.take(now)) ++taken;
  }
  EXPECT_EQ(taken, 100);
  EXPECT_FALSE(pace.take(start + milliseconds(9950)));
  EXPECT_EQ(pace.wait(start + milliseconds(9950), seconds(9)), milliseconds(50));
}

TEST(PaceTest, DoesNotMakeUpForALongSleep) {
  const Pace::Time start{seconds(100)};
  Pace pace(10, start);
  EXPECT_TRUE(pace.take(start));
  EXPECT_TRUE(pace.take(start + seconds(60)));
  EXPECT_FALSE(pace.take(start + seconds(60)));
}

TEST(PaceTest, ZeroIsAPause) {
  const Pace::Time start{seconds(100)};
  Pace pace(0, start);
  EXPECT_FALSE(pace.take(start + seconds(5)));
  EXPECT_EQ(pace.wait(start, seconds(9)), seconds(9));
  pace.set_rate(1, start + seconds(6));
  EXPECT_TRUE(pace.take(start + seconds(6)));
}

TEST(JournalTest, OneLineForEachReceipt) {
  const Folder folder;
  Journal journal;
  ASSERT_TRUE(journal.open(folder.path() / "journal"));
  using holdfast::ReceiptKind;
  journal.note("r 1 t", {.kind = ReceiptKind::accepted, .id = 7});
  journal.note("r 1 t", {.kind = ReceiptKind::delivered, .id = 7});
  journal.note("r 2 t",
               {.kind = ReceiptKind::dropped, .id = 8, .dropped = holdfast::DropReason::expired});
  journal.note("r 3 t",
               {.kind = ReceiptKind::rejected, .rejected = holdfast::RejectReason::queue_full});
  std::ifstream in(folder.path() / "journal");
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(),
            "A r 1 t 7\nD r 1 t 7\nX r 2 t 8 dropped:expired\nX r 3 t 0 rejected:queue_full\n");
}

TEST(JournalTest, AnUnusableFileIsAnErrorWithItsName) {
  Journal journal;
  const auto opened = journal.open("/nowhere/journal");
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, ::testing::HasSubstr("/nowhere/journal"));
}

}  // namespace
}  // namespace telemetry
