// Goal:   the service manager is told ready, the verdict in words, reloads, the stop and signs of
//         life when they are due, and nothing else; a busy manager is told again.
// Method: a real datagram socket listens; the device and the clock are the test's.
#include "runtime/service_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <string>
#include <vector>

#include "posix/notify_listener_fixture.h"

namespace holdfast::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct TestClock final : env::Clock {
  BootTime time{seconds(1000)};
  [[nodiscard]] BootTime now() const override { return time; }
  [[nodiscard]] WallTime wall() const override { return {}; }
  [[nodiscard]] bool wall_synchronized() const override { return true; }
  [[nodiscard]] env::BootId boot_id() const override { return {}; }
};

/// Shows the state that the test sets; its parts go on unless told otherwise.
struct TestDevice final : Device {
  DeviceState shown;
  Progress progress_made;
  bool engine_hangs = false;
  bool storage_hangs = false;
  bool callback_blocks = false;
  bool application_silent = false;
  std::vector<HeartbeatState> beats;

  PublishAnswer publish(Message, ReceiptHandler, ReceiptScope) override { return {}; }
  void fate(MessageId, FateHandler) override {}
  Result<SubscriptionId> subscribe(std::string, Qos, MessageHandler) override { return 1; }
  Result<SubscriptionId> subscribe_held(std::string, Qos, HeldMessageHandler) override {
    return SubscriptionId{1};
  }
  Result<SubscriptionId> subscribe_unmatched(MessageHandler) override { return SubscriptionId{1}; }
  Status unsubscribe(SubscriptionId) override { return {}; }
  Status request(Message, Milliseconds, ResponseHandler) override { return {}; }
  LogState log_state() const override { return {}; }
  std::vector<FilterState> filters() const override { return {}; }
  IdentityState identity() const override { return {}; }
  void on_connection(ConnectionHandler) override {}
  [[nodiscard]] DeviceState state() const override { return shown; }
  void power_fail(std::string_view, SavedHandler) override {}
  void power_back() override {}
  void reconnect_now() override {}
  Status reload(Config) override { return {}; }
  void stop(Milliseconds) override {}
  Status heartbeat(std::string_view, Milliseconds) override { return {}; }
  Status end_heartbeat(std::string_view) override { return {}; }
  [[nodiscard]] std::vector<HeartbeatState> heartbeats() const override { return beats; }
  Progress progress() override {
    ++progress_made.loop;
    if (!engine_hangs) ++progress_made.engine;
    if (!storage_hangs) ++progress_made.storage;
    if (!callback_blocks) ++progress_made.callbacks;
    if (!application_silent) ++progress_made.applications;
    return progress_made;
  }
};

class ServiceReportTest : public ::testing::Test {
 protected:
  ServiceReport make(Duration watchdog = Duration::zero()) {
    return {posix::ServiceManager(name_, watchdog), clock_,
            [this](const LogLine& line) { log_.push_back(line.text); }};
  }
  void go_offline(Verdict verdict) {
    device_.shown.connection.state = LinkState::waiting;
    device_.shown.connection.verdict = verdict;
  }
  std::vector<std::string> heard() {
    std::vector<std::string> all;
    while (auto next = listener_.next()) all.push_back(*next);
    return all;
  }
  /// Steps whenever the report says that it is time, for `span`; what was heard.
  std::vector<std::string> run(ServiceReport& report, Duration span) {
    std::vector<std::string> told;
    const BootTime end = clock_->time + span;
    while (clock_->time < end) {
      report.step(device_);
      for (std::string& one : heard()) told.push_back(std::move(one));
      const int wait = report.patience_ms();
      EXPECT_NE(wait, 0) << "it would not sleep";
      clock_->time = wait < 0 ? end : std::min(end, clock_->time + milliseconds(wait));
    }
    return told;
  }

  const std::string name_ = posix::socket_path("report");
  posix::NotifyListener listener_{name_};
  std::shared_ptr<TestClock> clock_ = std::make_shared<TestClock>();
  TestDevice device_;
  std::vector<std::string> log_;
};

TEST_F(ServiceReportTest, TheWordsAreTheVerdictAndTheStoragesTrouble) {
  DeviceState state;
  state.connection.endpoint = "broker:8883";
  EXPECT_EQ(status_words(state, {}), "connecting to broker:8883");
  state.connection.state = LinkState::connected;
  state.connection.verdict = Verdict::none;
  EXPECT_EQ(status_words(state, {}), "connected to broker:8883");
  state.connection.state = LinkState::waiting;
  state.connection.verdict = Verdict::dns_failed;
  state.storage = StorageHealth::full;
  const std::string words = status_words(state, {});
  EXPECT_EQ(words, "offline, dns_failed: " + std::string(explain(Verdict::dns_failed)) +
                       " Storage: full.");
}

TEST_F(ServiceReportTest, NoStatusIsCutOff) {
  DeviceState state;
  state.connection.state = LinkState::waiting;
  state.storage = StorageHealth::read_only;
  for (std::size_t i = 0; i < kVerdicts; ++i) {
    state.connection.verdict = static_cast<Verdict>(i);
    EXPECT_LE(status_words(state, {}).size(), posix::kStatusMax);
  }
}

TEST_F(ServiceReportTest, ReadyIsToldOfflineAndEachChangeOnce) {
  go_offline(Verdict::tcp_refused);
  ServiceReport report = make();
  report.opening();
  EXPECT_THAT(heard(), ElementsAre("STATUS=opening the outbox\n"));
  report.ready(device_);
  EXPECT_THAT(heard(), ElementsAre(AllOf(HasSubstr("READY=1\n"), HasSubstr("tcp_refused"))));
  EXPECT_THAT(run(report, seconds(60)), IsEmpty());
  EXPECT_EQ(report.patience_ms(), -1) << "it does not wake up for nothing";
  device_.shown.connection.state = LinkState::connected;
  device_.shown.connection.endpoint = "b:1";
  EXPECT_THAT(run(report, seconds(60)), ElementsAre("STATUS=connected to b:1\n"));
}

TEST_F(ServiceReportTest, AStatusASecondIsToldAndTheLastIsNeverForgotten) {
  ServiceReport report = make();
  report.ready(device_);
  run(report, seconds(5));
  for (int i = 0; i < 100; ++i) {
    go_offline(i % 2 == 0 ? Verdict::dns_failed : Verdict::dns_timeout);
    report.step(device_);
  }
  const auto told = run(report, seconds(5));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_THAT(told.back(), HasSubstr("dns_timeout"));
}

TEST_F(ServiceReportTest, AChangeMakesTheDescriptorReadableUntilTheNextStep) {
  ServiceReport report = make();
  pollfd ready{report.wake_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&ready, 1, 0), 0);
  report.changed()();
  EXPECT_EQ(::poll(&ready, 1, 0), 1);
  report.step(device_);
  EXPECT_EQ(::poll(&ready, 1, 0), 0);
}

TEST_F(ServiceReportTest, AReloadBeginsAndEnds) {
  ServiceReport report = make();
  report.ready(device_);
  heard();
  report.reloading();
  EXPECT_THAT(heard(), ElementsAre(HasSubstr("RELOADING=1\nMONOTONIC_USEC=")));
  report.reloaded(device_);
  EXPECT_THAT(heard(), ElementsAre("READY=1\n"));
}

TEST_F(ServiceReportTest, TheStopAsksForItsTimeFromManagerAndWatchdog) {
  ServiceReport report = make(seconds(4));
  report.ready(device_);
  heard();
  report.stopping(seconds(5));
  EXPECT_THAT(heard(), ElementsAre("STOPPING=1\nSTATUS=stopping\nWATCHDOG_USEC=6000000\n"
                                   "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=6000000\n"));
  EXPECT_EQ(report.patience_ms(), -1);
}

TEST_F(ServiceReportTest, SignsOfLifeComeThroughAnyOutage) {
  go_offline(Verdict::no_route);
  ServiceReport report = make(seconds(10));
  report.ready(device_);
  EXPECT_THAT(heard(), ElementsAre(HasSubstr("WATCHDOG=1\n")));
  const auto told = run(report, seconds(101));
  EXPECT_EQ(told.size(), 20U);
  for (const std::string& one : told) EXPECT_EQ(one, "WATCHDOG=1\n");
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(ServiceReportTest, WhatIsStuckEndsTheSignsAndIsNamedBeforeTheBite) {
  ServiceReport report = make(seconds(10));
  report.ready(device_);
  heard();
  device_.storage_hangs = true;
  device_.callback_blocks = true;
  run(report, milliseconds(10'000));
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_THAT(log_[0], HasSubstr("the storage thread, the callbacks"));
  EXPECT_THAT(log_[0], Not(HasSubstr("loop")));
  EXPECT_THAT(run(report, seconds(60)), IsEmpty());
  device_.storage_hangs = false;
  device_.callback_blocks = false;
  EXPECT_THAT(run(report, seconds(1)), ElementsAre("WATCHDOG=1\n"));
}

TEST_F(ServiceReportTest, AnEngineWhoseThreadStandsStillIsNamedAndHoldsTheSignBack) {
  ServiceReport report = make(seconds(10));
  report.ready(device_);
  heard();
  device_.engine_hangs = true;
  EXPECT_THAT(run(report, seconds(60)), IsEmpty());
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_THAT(log_[0], HasSubstr("stuck: the engine; unless"));
  device_.engine_hangs = false;
  EXPECT_THAT(run(report, seconds(1)), ElementsAre("WATCHDOG=1\n"));
}

TEST_F(ServiceReportTest, AMissedHeartbeatIsInTheWordsAndNamedIfItHoldsTheWatchdog) {
  device_.beats = {{"pump", HeartbeatPhase::missed, seconds(1), seconds(9), 1, true},
                   {"lamp", HeartbeatPhase::missed, seconds(1), seconds(9), 1, false},
                   {"fan", HeartbeatPhase::beating, seconds(1), seconds(0), 1, true}};
  ServiceReport report = make(seconds(10));
  report.ready(device_);
  EXPECT_THAT(heard(), ElementsAre(HasSubstr(" Missed heartbeats: pump, lamp.")));
  device_.application_silent = true;
  EXPECT_THAT(run(report, seconds(60)), IsEmpty());
  ASSERT_EQ(log_.size(), 1U);
  EXPECT_THAT(log_[0], HasSubstr("stuck: the applications: pump; unless"));
}

TEST_F(ServiceReportTest, ABusyManagerIsToldAgain) {
  ServiceReport report = make();
  posix::Notice filler;
  filler.status = "filler";
  const posix::ServiceManager other(name_);
  while (other.tell(filler)) {
  }
  report.ready(device_);
  EXPECT_GT(report.patience_ms(), 0);
  EXPECT_THAT(heard(), ::testing::Each("STATUS=filler\n"));
  clock_->time += milliseconds(report.patience_ms());
  report.step(device_);
  EXPECT_THAT(heard(), ElementsAre(HasSubstr("READY=1\n")));
  EXPECT_EQ(report.patience_ms(), -1);
}

TEST(ServiceReport, WithoutAManagerNothingHappensAndNothingWakesUp) {
  TestDevice device;
  ServiceReport report(posix::ServiceManager("", seconds(10)), std::make_shared<TestClock>(), {});
  report.opening();
  report.ready(device);
  report.reloading();
  report.reloaded(device);
  report.changed()();
  report.step(device);
  EXPECT_EQ(report.patience_ms(), -1);
  EXPECT_EQ(report.wake_fd(), -1);
  report.stopping(seconds(5));
  EXPECT_EQ(device.progress_made.loop, 0U);
}

}  // namespace
}  // namespace holdfast::runtime
