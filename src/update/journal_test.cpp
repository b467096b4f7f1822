// Goal:   what is written is read again; anything else is refused with a reason and crashes
// nothing.
#include "update/journal.h"

#include <gtest/gtest.h>

#include "sim/seeded_random.h"

namespace holdfast::update {
namespace {

JobJournal full() {
  JobJournal journal;
  journal.phase = JobPhase::undoing;
  journal.job = "job-1_A";
  journal.execution = 3;
  journal.step = 4;
  journal.begun = true;
  journal.interruptions = 2;
  journal.boot = "0123456789abcdef0123456789abcdef";
  journal.activated = true;
  journal.status = JobStatus::failed;
  journal.details = {{"reason", "no cloud: within 300 s"}, {"step", "prove"}};
  journal.document = "{\"version\":\"1.0\",\n\"steps\":[]}";
  journal.ended = {{"old", 1, JobStatus::succeeded}, {"older", 7, JobStatus::rejected}};
  journal.failed = {{"app 1.2", 2}};
  return journal;
}

TEST(JobJournalTest, WhatIsWrittenIsReadAgain) {
  for (const JobJournal& journal : {full(), JobJournal{}}) {
    const std::string text = to_text(journal);
    const auto again = parse_job_journal(text);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(to_text(*again), text);
    EXPECT_EQ(again->details, journal.details);
    EXPECT_EQ(again->document, journal.document);
    EXPECT_EQ(again->ended, journal.ended);
    EXPECT_EQ(again->failed, journal.failed);
    EXPECT_EQ(again->phase, journal.phase);
  }
}

TEST(JobJournalTest, TheLargestIsWithinItsLimit) {
  JobJournal journal = full();
  journal.document.assign(limits::kJobDocumentMax, 'x');
  journal.details.clear();
  for (std::size_t i = 0; i < limits::kJobDetails; ++i) {
    journal.details.emplace_back(std::string(limits::kJobDetailNameMax, 'n'),
                                 std::string(limits::kJobDetailMax, 'v'));
  }
  journal.ended.assign(limits::kJobsRemembered,
                       {std::string(limits::kJobIdMax, 'j'), INT64_MAX, JobStatus::succeeded});
  journal.failed.assign(limits::kVersionsRemembered,
                        {std::string(limits::kJobVersionMax, 'v'), UINT32_MAX});
  const auto again = parse_job_journal(to_text(journal));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_text(*again), to_text(journal));
}

TEST(JobJournalTest, EachShorterOneIsRefused) {
  const std::string text = to_text(full());
  for (std::size_t size = 0; size < text.size(); ++size) {
    const auto again = parse_job_journal(std::string_view(text).substr(0, size));
    ASSERT_FALSE(again) << size;
    EXPECT_EQ(again.error().code, Errc::corrupt);
    EXPECT_FALSE(again.error().message.empty());
  }
  EXPECT_FALSE(parse_job_journal(text + "x"));
}

TEST(JobJournalTest, FieldsThatDoNotGoTogetherAreRefused) {
  JobJournal journal = full();
  journal.document.clear();
  EXPECT_FALSE(parse_job_journal(to_text(journal)));
  journal = {};
  journal.activated = true;
  EXPECT_FALSE(parse_job_journal(to_text(journal)));
  journal = full();
  journal.phase = JobPhase::ended;
  EXPECT_FALSE(parse_job_journal(to_text(journal))) << "activated and ended";
  journal.activated = false;
  EXPECT_TRUE(parse_job_journal(to_text(journal)));
  journal.status = JobStatus::in_progress;
  EXPECT_FALSE(parse_job_journal(to_text(journal)));
}

/// Found by job_document_fuzz, -seed=1.
TEST(JobJournalTest, ANumberThatIsWrittenInAnotherWayIsRefused) {
  std::string text = to_text(full());
  const std::size_t at = text.find("\nstep ") + 6;
  ASSERT_GE(at, 6U);
  text.insert(at, "0");
  EXPECT_FALSE(parse_job_journal(text));
}

TEST(JobJournalTest, ChangedBytesAreReadOrRefused) {
  const std::string text = to_text(full());
  sim::SeededRandom random(5);
  unsigned refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string changed = text;
    changed[random.below(changed.size())] = static_cast<char>(random.below(256));
    const auto again = parse_job_journal(changed);
    if (again) {
      EXPECT_EQ(to_text(*again).substr(0, 14), text.substr(0, 14));
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000U);
}

}  // namespace
}  // namespace holdfast::update
