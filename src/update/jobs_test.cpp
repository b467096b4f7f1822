// Goal:   each execution is worked on once; its end is told until the service has it, whatever is
//         lost; what the service has given up is noticed in each way in which that can be seen.
// Method: a service that keeps the executions of one thing by the rules of AWS IoT Jobs, and a
//         connection that may lose questions and answers.
#include "update/jobs.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/model_jobs.h"
#include "sim/seeded_random.h"

namespace holdfast::update {
namespace {

using Kind = JobQuestion::Kind;
using std::chrono::seconds;
using Service = sim::ModelJobs;

struct JobsTest : testing::Test {
  sim::SeededRandom random{7};
  Service service;
  Jobs jobs{random};
  BootTime now{};
  std::vector<Kind> asked;

  /// All that can be said without waiting.
  void talk() {
    while (const auto question = jobs.step(now)) {
      asked.push_back(question->kind);
      jobs.answered(now, service.ask(*question));
    }
  }
  void wait() {
    ASSERT_NE(jobs.next_step(), kNever);
    now = std::max(now, jobs.next_step());
  }
  void add(const std::string& job, std::int64_t number = 1) {
    service.executions.push_back({job, number});
  }
  /// Connects and takes what is offered.
  void begin(const std::string& job) {
    add(job);
    jobs.connected(now);
    talk();
    const auto offer = jobs.offered();
    ASSERT_TRUE(offer);
    EXPECT_EQ(offer->job, job);
    jobs.take(offer->job, offer->number);
  }
};

// Field lesson 46.
TEST_F(JobsTest, TheNextJobIsAskedForAfterEachConnect) {
  jobs.connected(now);
  talk();
  EXPECT_EQ(asked, std::vector{Kind::start_next});
  EXPECT_FALSE(jobs.offered());
  jobs.disconnected();
  add("one");
  EXPECT_FALSE(jobs.step(now));
  jobs.connected(now);
  talk();
  EXPECT_EQ(asked.size(), 2U);
  ASSERT_TRUE(jobs.offered());
  EXPECT_EQ(service.head()->status, "IN_PROGRESS");
}

// Field lesson 46.
TEST_F(JobsTest, AnAnnouncedJobIsAskedForAndALostAnnouncementCostsAnHour) {
  jobs.connected(now);
  talk();
  add("one");
  jobs.announced(Service::shown(*service.head()));
  talk();
  ASSERT_TRUE(jobs.offered());
  jobs.take("one", 1);
  jobs.tell(JobStatus::succeeded, {}, 0);
  talk();
  EXPECT_TRUE(jobs.over());
  talk();
  add("two");
  const BootTime before = now;
  wait();
  EXPECT_LE(now, before + kAskEvery);
  talk();
  ASSERT_TRUE(jobs.offered());
  EXPECT_EQ(jobs.offered()->job, "two");
}

TEST_F(JobsTest, ASecondJobWaitsUntilTheFirstIsOver) {
  begin("one");
  add("two");
  jobs.announced(Service::shown(*service.head()));
  talk();
  EXPECT_FALSE(jobs.offered());
  jobs.tell(JobStatus::failed, {{"reason", "why"}}, 0);
  talk();
  EXPECT_TRUE(jobs.over());
  EXPECT_EQ(service.find("one", 1)->status, "FAILED");
  EXPECT_EQ(service.find("one", 1)->details, (Details{{"reason", "why"}}));
  ASSERT_TRUE(jobs.offered());
  EXPECT_EQ(jobs.offered()->job, "two");
}

// Field lesson 45.
TEST_F(JobsTest, AnEndIsToldAfterTheConnectionIsBackAndAfterLostAnswers) {
  begin("one");
  jobs.disconnected();
  jobs.tell(JobStatus::succeeded, {}, 0);
  EXPECT_FALSE(jobs.step(now));
  jobs.connected(now);
  // The question arrives, its answer does not.
  auto question = jobs.step(now);
  ASSERT_TRUE(question);
  EXPECT_EQ(question->kind, Kind::update);
  static_cast<void>(service.ask(*question));
  EXPECT_FALSE(jobs.step(now));
  const BootTime before = now;
  wait();
  EXPECT_GE(now, before + kAnswerFirst);
  talk();  // refused as already ended, as it should be
  EXPECT_TRUE(jobs.over());
  EXPECT_FALSE(jobs.given_up());
}

// Field lesson 47.
TEST_F(JobsTest, SilenceIsAskedInLaterAndLaterButNeverGivenUp) {
  jobs.connected(now);
  BootTime before = now;
  Duration last{};
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(jobs.step(now));
    wait();
    const Duration silence = now - before;
    before = now;
    EXPECT_LE(silence, kAnswerCap + kAnswerCap / 4);
    if (i < 5) {
      EXPECT_GE(silence, last);
    }
    last = silence;
  }
  EXPECT_GE(last, kAnswerCap);
}

TEST_F(JobsTest, ThrottledAndInternalErrorsAreTriedAgain) {
  begin("one");
  service.say = {"RequestThrottled", "InternalError"};
  jobs.tell(JobStatus::succeeded, {}, 0);
  for (int i = 0; i < 3; ++i) {
    talk();
    wait();
  }
  EXPECT_TRUE(jobs.over());
  EXPECT_EQ(service.find("one", 1)->status, "SUCCEEDED");
}

TEST_F(JobsTest, AnotherVersionIsTakenOver) {
  begin("one");
  service.find("one", 1)->version = 9;  // somebody else has updated it
  jobs.tell(JobStatus::succeeded, {}, 0);
  talk();
  EXPECT_TRUE(jobs.over());
  EXPECT_EQ(service.find("one", 1)->version, 10);
}

// Field lesson 45.
TEST_F(JobsTest, DetailsThatTheServiceDoesNotTakeAreLeftOut) {
  begin("one");
  service.say = {"InvalidRequest"};
  jobs.tell(JobStatus::failed, {{"reason", "why"}}, 0);
  talk();
  EXPECT_TRUE(jobs.over());
  EXPECT_EQ(service.find("one", 1)->status, "FAILED");
  EXPECT_TRUE(service.find("one", 1)->details.empty());
}

// Whoever tells says the same again and again: what was refused must not be asked for each time.
TEST_F(JobsTest, DetailsThatWereRefusedAreNotToldAgain) {
  begin("one");
  service.say = {"InvalidRequest", "InvalidRequest"};
  asked.clear();
  for (int i = 0; i < 20; ++i) {
    jobs.tell(JobStatus::in_progress, {{"step", "1"}}, 7);
    now += kProgressEvery;
    talk();
  }
  EXPECT_LE(asked.size(), 3U);
  EXPECT_TRUE(jobs.given_up()) << "without details it was refused, too";
}

// AWS's own documentation has an example with the version 0.
TEST_F(JobsTest, TheVersionZeroIsAVersion) {
  add("one");
  service.find("one", 1)->status = "IN_PROGRESS";
  service.find("one", 1)->version = 0;
  jobs.take("one", 1);
  jobs.tell(JobStatus::succeeded, {}, 0);
  jobs.connected(now);
  for (int i = 0; i < 6; ++i) {
    if (const auto question = jobs.step(now)) jobs.answered(now, service.ask(*question));
  }
  EXPECT_TRUE(jobs.over());
}

TEST_F(JobsTest, ProgressIsToldNowAndThenAndOnlyTheLastWord) {
  begin("one");
  now += seconds(60);
  jobs.tell(JobStatus::in_progress, {{"step", "1"}}, 7);
  talk();
  EXPECT_EQ(service.find("one", 1)->details, (Details{{"step", "1"}}));
  jobs.tell(JobStatus::in_progress, {{"step", "2"}}, 7);
  jobs.tell(JobStatus::in_progress, {{"step", "3"}}, 7);
  talk();
  EXPECT_EQ(service.find("one", 1)->details, (Details{{"step", "1"}}));
  wait();
  talk();
  EXPECT_EQ(service.find("one", 1)->details, (Details{{"step", "3"}}));
  EXPECT_EQ(service.find("one", 1)->version, 4);  // started, and told twice
  EXPECT_EQ(service.find("one", 1)->status, "IN_PROGRESS");
  // An end does not wait.
  jobs.tell(JobStatus::succeeded, {}, 0);
  talk();
  EXPECT_TRUE(jobs.over());
}

TEST_F(JobsTest, ACancelledJobIsNoticedByItsAnnouncement) {
  for (const bool deleted : {false, true}) {
    const std::string job = deleted ? "deleted" : "cancelled";
    begin(job);
    if (deleted) {
      service.executions.clear();
    } else {
      service.find(job, 1)->status = "CANCELED";
    }
    jobs.announced(std::nullopt);
    talk();
    const auto why = jobs.given_up();
    ASSERT_TRUE(why);
    EXPECT_NE(why->find(deleted ? "ResourceNotFound" : "TerminalStateReached"), std::string::npos);
    EXPECT_FALSE(jobs.offered());
    jobs.tell(JobStatus::failed, {}, 0);  // nobody wants to know
    talk();
    EXPECT_FALSE(jobs.over());
    jobs.drop();
    talk();
  }
}

TEST_F(JobsTest, ACancelledJobIsNoticedAtTheNextConnectWithoutAnyAnnouncement) {
  begin("one");
  jobs.disconnected();
  service.find("one", 1)->status = "TIMED_OUT";
  add("two");
  jobs.connected(now);
  talk();
  EXPECT_TRUE(jobs.given_up());
  EXPECT_FALSE(jobs.offered()) << "the first one is not over here";
  jobs.drop();
  talk();
  ASSERT_TRUE(jobs.offered());
  EXPECT_EQ(jobs.offered()->job, "two");
}

TEST_F(JobsTest, AnEndThatNobodyWantsToKnowIsOver) {
  begin("one");
  service.find("one", 1)->status = "CANCELED";
  jobs.tell(JobStatus::succeeded, {}, 0);
  talk();
  EXPECT_TRUE(jobs.over());
  EXPECT_FALSE(jobs.given_up());
}

// A proof of an update waits for an answer to a question that was asked after it had begun.
TEST_F(JobsTest, ALookIsAskedAgainAlsoWhileAnotherIsUnderWay) {
  begin("one");
  EXPECT_EQ(jobs.heard(), BootTime{});
  now += seconds(5);
  jobs.look(false);
  const auto first = jobs.step(now);
  ASSERT_TRUE(first);
  const BootTime when = now;
  now += seconds(1);
  jobs.look(true);
  jobs.answered(now, service.ask(*first));
  EXPECT_EQ(jobs.heard(), when);
  EXPECT_FALSE(jobs.document()) << "it was not asked for";
  const auto second = jobs.step(now);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->document);
  jobs.answered(now, service.ask(*second));
  EXPECT_EQ(jobs.heard(), now);
  EXPECT_EQ(jobs.document(), "{}");
  EXPECT_FALSE(jobs.step(now));
}

TEST_F(JobsTest, ADocumentThatIsWantedIsAskedForAfterTheNextConnect) {
  begin("one");
  jobs.look(true);
  ASSERT_TRUE(jobs.step(now));
  jobs.disconnected();
  jobs.connected(now);
  talk();
  EXPECT_EQ(jobs.document(), "{}");
}

TEST_F(JobsTest, AnotherHeadIsNoReasonToGiveUp) {
  begin("one");
  add("two");
  service.find("two", 1)->status = "IN_PROGRESS";
  jobs.announced(Service::shown(*service.find("two", 1)));
  talk();
  EXPECT_FALSE(jobs.given_up());
  jobs.tell(JobStatus::succeeded, {}, 0);
  talk();
  EXPECT_TRUE(jobs.over());
}

TEST_F(JobsTest, AfterARestartTheEndIsToldWithoutKnowingTheVersion) {
  add("one");
  service.find("one", 1)->status = "IN_PROGRESS";
  service.find("one", 1)->version = 17;
  jobs.take("one", 1);
  jobs.tell(JobStatus::failed, {}, 0);
  jobs.connected(now);
  talk();
  EXPECT_TRUE(jobs.over());
  EXPECT_EQ(service.find("one", 1)->status, "FAILED");
}

TEST_F(JobsTest, AnotherExecutionOfTheSameJobIsAnotherOne) {
  begin("one");
  jobs.disconnected();
  service.find("one", 1)->status = "TIMED_OUT";
  add("one", 2);
  jobs.connected(now);
  talk();
  EXPECT_TRUE(jobs.given_up());
  jobs.drop();
  ASSERT_TRUE(jobs.offered());
  EXPECT_EQ(jobs.offered()->number, 2);
}

TEST_F(JobsTest, AnswersToEarlierQuestionsAreIgnored) {
  jobs.connected(now);
  const auto question = jobs.step(now);
  ASSERT_TRUE(question);
  add("one");
  JobAnswer stray = service.ask(*question);
  jobs.disconnected();
  jobs.connected(now);
  jobs.answered(now, stray);
  EXPECT_FALSE(jobs.offered());
  talk();
  EXPECT_TRUE(jobs.offered());
}

/// Whatever is lost or refused for a while, every job is worked on once and ends as it was told.
TEST_F(JobsTest, ManyJobsOverABadConnection) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    sim::SeededRandom dice(seed);
    Service there;
    Jobs here(dice);
    BootTime when{};
    std::set<std::string> worked;
    for (int i = 0; i < 5; ++i) there.executions.push_back({"job" + std::to_string(i)});
    bool working = false;
    for (int turn = 0; turn < 4000 && (there.head() != nullptr || working); ++turn) {
      if (dice.below(20) == 0) here.disconnected();
      if (dice.below(5) == 0) here.connected(when);
      if (dice.below(10) == 0) here.announced(std::nullopt);
      if (dice.below(30) == 0)
        there.say.push_back(dice.below(2) == 0 ? "InternalError" : "RequestThrottled");
      when += seconds(1 + static_cast<std::int64_t>(dice.below(30)));
      if (const auto question = here.step(when); question && dice.below(4) != 0) {
        const JobAnswer answer = there.ask(*question);
        if (dice.below(4) != 0) here.answered(when, answer);
      }
      if (const auto offer = here.offered()) {
        EXPECT_TRUE(worked.insert(offer->job).second) << seed << ' ' << offer->job;
        here.take(offer->job, offer->number);
        working = true;
      }
      EXPECT_FALSE(here.given_up()) << seed;
      if (working && dice.below(8) == 0) here.tell(JobStatus::in_progress, {{"n", "1"}}, 1);
      if (working && dice.below(4) == 0) {
        here.tell(JobStatus::succeeded, {{"by", std::to_string(worked.size())}}, 0);
      }
      if (here.over()) working = false;
    }
    EXPECT_EQ(worked.size(), 5U) << seed;
    for (const auto& one : there.executions) EXPECT_EQ(one.status, "SUCCEEDED") << seed;
  }
}

}  // namespace
}  // namespace holdfast::update
