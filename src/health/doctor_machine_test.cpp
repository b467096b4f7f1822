// Goal:   a disk, a unit, a watchdog that will fail the device one day is named, with advice.
// Method: facts by hand, one thing wrong at a time.
#include "health/doctor_machine.h"

#include <gtest/gtest.h>

#include "health/doctor_fixture.h"

namespace holdfast::health {

namespace {

constexpr auto kOk = CheckResult::ok;
constexpr auto kWarning = CheckResult::warning;
constexpr auto kFailed = CheckResult::failed;
constexpr auto kNone = CheckResult::not_applicable;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

DiskFacts disk() { return {"/outbox", "", true, "ext4", false, 100 * kMiB, kMiB, 64 * kMiB}; }

TEST(JudgeDisk, RoomForAllOfTheOutbox) {
  expect_finding(judge_disk(disk()), kOk, "/outbox on ext4, 100 MiB free, 1.0 MiB of 64 MiB used");
  DiskFacts facts = disk();
  facts.exists = false;
  expect_finding(judge_disk(facts), kOk, "(will be made)");
  facts.free_bytes = 10 * kMiB;
  expect_finding(judge_disk(facts), kWarning, "10 MiB free, outbox.max_size wants 63 MiB more",
                 "lower outbox.max_size");
  facts.free_bytes = 0;
  expect_finding(judge_disk(facts), kFailed, "full", "free space");
  facts.used_bytes = facts.max_bytes;
  expect_finding(judge_disk(facts), kOk, "0 B free");
}

TEST(JudgeDisk, WhereItCannotBeOrShouldNotBe) {
  DiskFacts facts = disk();
  for (const char* name : {"tmpfs", "overlay", "nfs", "vfat"}) {
    facts.file_system = name;
    expect_finding(judge_disk(facts), kWarning, name, "outbox.directory");
  }
  facts.problem = "cannot write to it: Permission denied";
  expect_finding(judge_disk(facts), kFailed, "Permission denied", "chmod 700");
  facts.read_only = true;
  expect_finding(judge_disk(facts), kFailed, "read-only", "dmesg");
}

TEST(JudgeSync, MedianAndWorst) {
  const Finding good = judge_sync({"/o", "", {3, 1, 2}});
  expect_finding(good, kOk, "median 2.0 ms, worst 3.0 ms of 3 synced writes");
  EXPECT_EQ(good.figures.at(0).name, "median_ms");
  expect_finding(judge_sync({"/o", "", {200, 150, 180}}), kWarning, "median 180 ms", "SD card");
  expect_finding(judge_sync({"/o", "", {1, 1, 1500}}), kWarning, "worst 1.5 s", "receipt");
  expect_finding(judge_sync({"/o", "No space left on device", {}}), kFailed, "No space", "disk");
}

UnitFacts unit(std::string_view shown) {
  UnitFacts facts;
  facts.systemd = true;
  facts.unit = "holdfastd.service";
  read_unit(shown, facts);
  return facts;
}

TEST(JudgeUnit, ReadsWhatSystemctlShows) {
  const std::string good =
      "Restart=always\nWatchdogUSec=1min\nNRestarts=2\nLoadState=loaded\nActiveState=active\n"
      "UnitFileState=enabled\n";
  expect_finding(judge_unit(unit(good)), kOk,
                 "active, enabled, Restart=always, WatchdogSec=1min, 2 restarts");
  expect_finding(judge_unit(unit("LoadState=not-found\n")), kWarning, "there is no unit", "--unit");
  expect_finding(judge_unit(unit("LoadState=masked")), kWarning, "masked", "unmask");
  expect_finding(judge_unit(unit("LoadState=loaded\nActiveState=failed\n")), kFailed, "has failed",
                 "journalctl");
  expect_finding(judge_unit(unit("LoadState=loaded\nUnitFileState=disabled\n")), kWarning,
                 "not enabled", "systemctl enable");
  expect_finding(
      judge_unit(unit("LoadState=loaded\nUnitFileState=enabled\nActiveState=inactive\n")), kWarning,
      "does not run", "systemctl start");
  expect_finding(judge_unit(unit("LoadState=loaded\nUnitFileState=enabled\nRestart=no\n")),
                 kWarning, "not restarted", "Restart=always");
  expect_finding(judge_unit(unit("LoadState=loaded\nRestart=always\nWatchdogUSec=0\n")), kWarning,
                 "not watched", "WatchdogSec");
  expect_finding(judge_unit(unit("")), kWarning, "there is no unit", "install");
}

TEST(JudgeUnit, WithoutSystemdOrItsAnswer) {
  UnitFacts facts;
  expect_finding(judge_unit(facts), kNone, "does not run");
  facts.systemd = true;
  facts.problem = "systemctl: not found";
  expect_finding(judge_unit(facts), kWarning, "not found", "root");
}

TEST(JudgeWatchdog, OneThatNobodyUsesHelpsNobody) {
  const auto judge = [](std::vector<WatchdogFacts::Device> devices, bool container = false) {
    return judge_watchdog({std::move(devices), container, {}, false});
  };
  expect_finding(judge({}), kWarning, "no watchdog", "RuntimeWatchdogSec");
  expect_finding(judge({}, true), kNone, "the host's");
  expect_finding(judge({{"watchdog0", "i6300esb", "active", "30"}}), kOk,
                 "watchdog0 (i6300esb) active, 30 s");
  expect_finding(judge({{"watchdog0", "i6300esb", "inactive", "30"}}), kWarning, "nobody uses it",
                 "RuntimeWatchdogSec");
  expect_finding(judge({{"watchdog", "", "", ""}}), kOk, "watchdog");
}

TEST(JudgeWatchdog, TheOneThatTheAgentIsToHoldMustBeThere) {
  const std::string wanted = "/dev/watchdog0";
  expect_finding(judge_watchdog({{}, false, wanted, false}), kWarning, "is not there", "driver");
  expect_finding(judge_watchdog({{{"watchdog0", "i6300esb", "active", "60"}}, false, wanted, true}),
                 kOk, "active, 60 s");
  expect_finding(
      judge_watchdog({{{"watchdog0", "i6300esb", "inactive", "60"}}, false, wanted, true}),
      kWarning, "nobody uses it", "start the agent");
}

TEST(JudgeManager, TwoUndoEachOthersWork) {
  expect_finding(judge_manager({{"NetworkManager"}, false}), kOk, "NetworkManager");
  expect_finding(judge_manager({{"NetworkManager", "dhcpcd"}, false}), kWarning,
                 "NetworkManager and dhcpcd run together", "one of them");
  expect_finding(judge_manager({{}, false}), kOk, "none found");
  expect_finding(judge_manager({{}, true}), kNone, "container");
}

}  // namespace

}  // namespace holdfast::health
