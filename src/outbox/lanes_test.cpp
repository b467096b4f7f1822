// Goal:   a lane's own limits, what happens at them, conflation, compaction, and what is known of a
//         message by its id.
// Method: the store on a simulated disk and a hand-turned clock; each rule at its edge, and again
//         after reopening.

#include <gtest/gtest.h>

#include <functional>

#include "outbox/crc32c.h"
#include "outbox/store_fixture.h"

namespace holdfast::outbox::test {
namespace {

using std::chrono::seconds;

class LanesTest : public StoreFixture {
 protected:
  LanesTest() : StoreFixture(7) {}

  LaneRules& rules(LaneIndex lane) { return options_.lanes[lane].rules; }

  PutResult put(LaneIndex lane, std::string topic = "t", std::size_t size = 100) {
    return box_->put(make_message(lane, std::move(topic), size));
  }

  MessageId stored(LaneIndex lane, std::string topic = "t", std::size_t size = 100) {
    const PutResult result = put(lane, std::move(topic), size);
    EXPECT_EQ(result.rejected, RejectReason::none) << to_string(result.rejected);
    commit();
    return result.id;
  }

  std::vector<MessageId> fetch(LaneIndex lane) {
    std::vector<MessageId> ids;
    for (const auto& m : box_->fetch(lane, 100'000, 100'000'000).messages) ids.push_back(m->id);
    return ids;
  }

  std::vector<std::pair<MessageId, DropReason>> dropped() { return box_->take_news().dropped; }
};

using Ids = std::vector<MessageId>;
using Drops = std::vector<std::pair<MessageId, DropReason>>;

TEST_F(LanesTest, OtherRulesHoldAtOnceAndConflationStays) {
  rules(1).max_messages = 3;
  rules(2).conflate = true;
  open();
  for (int i = 0; i < 3; ++i) stored(1);
  EXPECT_EQ(put(1).rejected, RejectReason::lane_full);
  std::vector<LaneRules> next(3);
  next[1].max_messages = 4;
  box_->set_rules(next);
  const MessageId last = stored(1);
  EXPECT_EQ(put(1).rejected, RejectReason::lane_full);
  next[1] = {0, 2, seconds(0), WhenFull::drop_oldest, false};
  box_->set_rules(next);
  const MessageId newest = stored(1);
  EXPECT_EQ(fetch(1), (Ids{last, newest})) << "what is too much goes with the next message";
  EXPECT_EQ(count(DropReason::evicted), 3U);
  next[1] = {0, 0, seconds(60), WhenFull::reject, false};
  next[2].max_age = seconds(60);
  box_->set_rules(next);
  stored(2);
  clock_.pass(seconds(61));
  box_->tick();
  EXPECT_EQ(count(DropReason::expired), 1U);
  StoredMessage keyed = make_message(2, "t", 10);
  keyed.key = "k";
  ASSERT_EQ(box_->put(keyed).rejected, RejectReason::none);
  ASSERT_EQ(box_->put(keyed).rejected, RejectReason::none);
  commit();
  EXPECT_EQ(count(DropReason::superseded), 1U) << "the lane still conflates";
}

// Field lesson 29.
TEST_F(LanesTest, RejectRefusesAtTheLimitAndOnlyInThisLane) {
  rules(1).max_messages = 3;
  open();
  for (int i = 0; i < 3; ++i) stored(1);
  EXPECT_EQ(put(1).rejected, RejectReason::lane_full);
  EXPECT_EQ(put(0).rejected, RejectReason::none);
  commit();
  open();
  EXPECT_EQ(put(1).rejected, RejectReason::lane_full)
      << "the limit counts what an earlier run left";
  box_->settle_delivered(fetch(1).front());
  EXPECT_EQ(put(1).rejected, RejectReason::none);
  EXPECT_EQ(box_->ledger().rejected[static_cast<std::size_t>(RejectReason::lane_full)], 1U);
}

TEST_F(LanesTest, UncommittedMessagesCountToo) {
  rules(1).max_messages = 2;
  open();
  EXPECT_EQ(put(1).rejected, RejectReason::none);
  EXPECT_EQ(put(1).rejected, RejectReason::none);
  EXPECT_EQ(put(1).rejected, RejectReason::lane_full);
}

TEST_F(LanesTest, DropOldestKeepsTheNewest) {
  rules(1).max_messages = 3;
  rules(1).when_full = WhenFull::drop_oldest;
  open();
  Ids ids;
  for (int i = 0; i < 5; ++i) ids.push_back(stored(1));
  EXPECT_EQ(dropped(), (Drops{{ids[0], DropReason::evicted}, {ids[1], DropReason::evicted}}));
  EXPECT_EQ(box_->fate(ids[0]).kind, FateKind::dropped);
  EXPECT_EQ(box_->fate(ids[0]).dropped, DropReason::evicted);
  EXPECT_EQ(fetch(1), (Ids{ids[2], ids[3], ids[4]}));
  EXPECT_EQ(count(DropReason::evicted), 2U);
  commit();
  open();
  EXPECT_EQ(fetch(1).size(), 3U) << "eviction is on disk";
  EXPECT_EQ(count(DropReason::evicted), 2U);
}

TEST_F(LanesTest, DropOldestByBytes) {
  rules(1).max_bytes = 2000;
  rules(1).when_full = WhenFull::drop_oldest;
  open();
  Ids ids;
  for (int i = 0; i < 10; ++i) ids.push_back(stored(1, "t", 400));
  const Ids left = fetch(1);
  EXPECT_EQ(left, Ids(ids.end() - 4, ids.end())) << "four records of 464 bytes fit in 2000";
  EXPECT_EQ(put(1, "t", 4000).rejected, RejectReason::lane_full) << "larger than the lane";
}

TEST_F(LanesTest, DropOldestEvictsWhatOneBatchHasBrought) {
  rules(1).max_messages = 3;
  rules(1).when_full = WhenFull::drop_oldest;
  open();
  Ids ids;
  for (int i = 0; i < 10; ++i) ids.push_back(put(1).id);
  commit();
  EXPECT_EQ(fetch(1), Ids(ids.end() - 3, ids.end()));
  EXPECT_EQ(box_->ledger().accepted, 10U);
  EXPECT_EQ(count(DropReason::evicted), 7U);
}

TEST_F(LanesTest, WhatFlowHoldsIsForFlowToGiveUp) {
  rules(1).max_messages = 3;
  rules(1).when_full = WhenFull::drop_oldest;
  open();
  const Ids ids{stored(1), stored(1), stored(1)};
  EXPECT_EQ(fetch(1), ids);
  const MessageId fourth = stored(1);
  News news = box_->take_news();
  EXPECT_TRUE(news.dropped.empty());
  EXPECT_EQ(news.over, (std::vector<std::uint64_t>{0, 1, 0}));
  box_->settle_dropped(ids[0], DropReason::evicted);
  news = box_->take_news();
  EXPECT_EQ(news.over, (std::vector<std::uint64_t>{0, 0, 0}));
  EXPECT_EQ(fetch(1), Ids{fourth});
}

TEST_F(LanesTest, EvictGivesUpTheOldestThatWereNotFetched) {
  open();
  const Ids ids{stored(1), stored(1), stored(1)};
  EXPECT_EQ(box_->fetch(1, 1, 1000).messages.size(), 1U);
  box_->evict(1, 1);
  EXPECT_EQ(dropped(), (Drops{{ids[1], DropReason::evicted}}));
  EXPECT_EQ(fetch(1), Ids{ids[2]});
}

TEST_F(LanesTest, DropNewestIsAcceptedCountedAndKnown) {
  rules(1).max_messages = 2;
  rules(1).when_full = WhenFull::drop_newest;
  open();
  const Ids kept{stored(1), stored(1)};
  const MessageId third = stored(1);
  EXPECT_GT(third, kept[1]);
  EXPECT_EQ(dropped(), (Drops{{third, DropReason::evicted}}));
  EXPECT_EQ(box_->ledger().accepted, 3U);
  const MessageId other = stored(0);
  open();
  EXPECT_EQ(box_->ledger().accepted, 4U);
  EXPECT_EQ(count(DropReason::evicted), 1U);
  EXPECT_EQ(count(DropReason::corrupt), 0U) << "an id without a record is no damage";
  EXPECT_EQ(box_->fate(third).kind, FateKind::dropped);
  EXPECT_EQ(fetch(1), kept);
  EXPECT_EQ(fetch(0), Ids{other});
}

TEST_F(LanesTest, MaxAgeExpiresWithoutAnExpiryOfTheMessage) {
  rules(1).max_age = seconds(60);
  open();
  const MessageId old = stored(1);
  clock_.pass(seconds(40));
  const MessageId young = stored(1);
  const auto got = box_->fetch(1, 1, 1000).messages;
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0]->id, old);
  EXPECT_EQ(got[0]->give_up, clock_.now() + seconds(20));
  EXPECT_EQ(got[0]->expires, kNever) << "the broker is told nothing";
  open();
  clock_.pass(seconds(30));
  EXPECT_EQ(fetch(1), Ids{young});
  EXPECT_EQ(dropped(), (Drops{{old, DropReason::expired}}));
}

// ---- conflation ---------------------------------------------------------------------------------

TEST_F(LanesTest, OfOneKeyOnlyTheNewestWaits) {
  rules(1).conflate = true;
  open();
  const MessageId a1 = stored(1, "a");
  const MessageId b1 = stored(1, "b");
  const MessageId a2 = stored(1, "a");
  EXPECT_EQ(dropped(), (Drops{{a1, DropReason::superseded}}));
  EXPECT_EQ(box_->fate(a1).dropped, DropReason::superseded);
  StoredMessage keyed = make_message(1, "another/topic", 10);
  keyed.key = "b";
  const MessageId b2 = box_->put(keyed).id;
  commit();
  EXPECT_EQ(dropped(), (Drops{{b1, DropReason::superseded}})) << "the key counts, not the topic";
  EXPECT_EQ(fetch(1), (Ids{a2, b2}));
  stored(2, "a");
  EXPECT_TRUE(dropped().empty()) << "another lane";
}

TEST_F(LanesTest, ConflationWithinOneBatch) {
  rules(1).conflate = true;
  open();
  const MessageId first = put(1, "a").id;
  const MessageId second = put(1, "a").id;
  commit();
  EXPECT_EQ(dropped(), (Drops{{first, DropReason::superseded}}));
  EXPECT_EQ(fetch(1), Ids{second});
}

TEST_F(LanesTest, ConflationReachesWhatAnEarlierRunLeft) {
  rules(1).conflate = true;
  open();
  const MessageId old = stored(1, "a");
  const MessageId other = stored(1, "b");
  open();
  const MessageId fresh = stored(1, "a");
  EXPECT_EQ(box_->next_due(), BootTime{}) << "the keys of what waits are still to be read";
  for (int i = 0; i < 5; ++i) box_->tick();
  EXPECT_GT(box_->next_due(), clock_.now());
  EXPECT_EQ(dropped(), (Drops{{old, DropReason::superseded}}));
  EXPECT_EQ(fetch(1), (Ids{other, fresh}));
}

// Found by crash_sim: read after the opening, the old one went before the new one was durable.
TEST_F(LanesTest, TheOldMessageOfAKeyWaitsUntilTheNewOneIsDurable) {
  rules(1).conflate = true;
  open();
  const MessageId old = stored(1, "a");
  open();
  const MessageId fresh = put(1, "a").id;
  for (int i = 0; i < 5; ++i) box_->tick();
  EXPECT_TRUE(dropped().empty());
  EXPECT_EQ(box_->fate(old).kind, FateKind::pending);
  commit();
  EXPECT_EQ(dropped(), (Drops{{old, DropReason::superseded}}));
  EXPECT_EQ(fetch(1), Ids{fresh});
}

TEST_F(LanesTest, AFetchedMessageIsReportedWhenReplaced) {
  rules(1).conflate = true;
  open();
  const MessageId first = stored(1, "a");
  EXPECT_EQ(fetch(1), Ids{first});
  stored(1, "a");
  const News news = box_->take_news();
  EXPECT_TRUE(news.dropped.empty());
  EXPECT_EQ(news.superseded, Ids{first});
}

// Found by reading: its age began anew when it moved to disk.
TEST_F(LanesTest, AMessageThatWaitedInRamIsAsOldAsItsAcceptance) {
  open();
  StoredMessage m = make_message(1, "t", 20);
  m.alias = kVolatileBit | 77;
  m.expiry_seconds = 60;
  m.expires = clock_.now() + seconds(25);  // so it has waited 35 s
  const std::int64_t wall = clock_.wall_ms;
  ASSERT_NE(box_->put(m).id, 0U);
  commit();
  const auto got = box_->fetch(1, 1, 1000).messages;
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0]->expires, m.expires);
  EXPECT_EQ(got[0]->accepted_wall_ms, wall - 35'000);
  open();
  clock_.pass(seconds(26));
  EXPECT_TRUE(fetch(1).empty());
  EXPECT_EQ(count(DropReason::expired), 1U);
}

// Found by fault_sim: it refused messages and said that all is well.
TEST_F(LanesTest, AStoreThatCannotMakeItsNextSlotSaysSo) {
  open();
  for (const auto& [code, health] : {std::pair{Errc::io, StorageHealth::degraded},
                                     std::pair{Errc::read_only, StorageHealth::read_only}}) {
    disk_.before = [code = code](sim::PowerCutDisk::Call call) -> std::optional<Error> {
      if (call != sim::PowerCutDisk::Call::create) return std::nullopt;
      return Error{code, "cannot create", 0};
    };
    PutResult last;
    for (int i = 0; i < 1000 && last.rejected == RejectReason::none; ++i) {
      last = put(1);
      commit();
    }
    EXPECT_EQ(last.rejected, RejectReason::storage_failed);
    EXPECT_EQ(box_->health(), health);
    EXPECT_LE(box_->next_due(), clock_.now() + seconds(1));
    disk_.before = nullptr;
    clock_.pass(seconds(1));
    box_->tick();
    EXPECT_EQ(box_->health(), StorageHealth::ok) << "by itself";
    EXPECT_EQ(put(1).rejected, RejectReason::none);
    commit();
  }
}

TEST_F(LanesTest, KeyAndAliasSurviveReopening) {
  open();
  StoredMessage m = make_message(1, "t", 20);
  m.key = "k";
  m.alias = kVolatileBit | 77;
  ASSERT_NE(box_->put(m).id, 0U);
  commit();
  open();
  const auto got = box_->fetch(1, 1, 1000).messages;
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0]->key, "k");
  EXPECT_EQ(got[0]->alias, kVolatileBit | 77);
  EXPECT_EQ(got[0]->known_id(), kVolatileBit | 77);
}

// ---- room ---------------------------------------------------------------------------------------

/// Fills the outbox with lanes 0 and 2 in turn until it refuses; gives the ids of lane 0.
Ids fill(const std::function<PutResult(LaneIndex)>& put, const std::function<void()>& commit) {
  Ids urgent;
  for (int i = 0;; ++i) {
    const bool is_urgent = i % 20 == 0;
    const PutResult result = put(is_urgent ? 0 : 2);
    if (result.rejected != RejectReason::none) break;
    if (is_urgent) urgent.push_back(result.id);
    if (i % 10 == 9) commit();
  }
  commit();
  return urgent;
}

TEST_F(LanesTest, AFullOutboxMakesRoomFromLanesThatGiveUpOldMessages) {
  rules(2).when_full = WhenFull::drop_oldest;
  open();
  Ids bulk;
  std::uint64_t accepted = 0;
  for (int i = 0; i < 3000; ++i) {
    const PutResult result = put(2, "t", 500);
    ASSERT_EQ(result.rejected, RejectReason::none) << i;
    ++accepted;
    if (i % 10 == 9) commit();
  }
  commit();
  EXPECT_EQ(box_->ledger().accepted, accepted);
  EXPECT_GT(count(DropReason::evicted), 0U);
  const Ids left = fetch(2);
  EXPECT_EQ(left.back(), make_id(1, accepted)) << "the newest are kept";
  EXPECT_EQ(left.size(), accepted - count(DropReason::evicted));
}

TEST_F(LanesTest, CompactionGivesTheRoomOfDeadRecordsBackInOrder) {
  open();
  const auto put_small = [&](LaneIndex lane) { return put(lane, "t", 300); };
  const Ids urgent = fill(put_small, [&] { commit(); });
  ASSERT_GT(urgent.size(), 10U);
  EXPECT_EQ(put(2, "t", 300).rejected, RejectReason::outbox_full);
  // Nearly everything is delivered, but each segment still holds some urgent messages.
  for (const MessageId id : fetch(2)) box_->settle_delivered(id);
  commit();
  std::uint64_t more = 0;
  while (put(2, "t", 300).rejected == RejectReason::none) {
    if (++more % 10 == 0) commit();
  }
  commit();
  EXPECT_GT(more, urgent.size() * 10) << "most of the outbox can be used again";
  EXPECT_EQ(fetch(0), urgent) << "in the old order, though they were copied";
  open();
  EXPECT_EQ(fetch(0), urgent);
  EXPECT_EQ(fetch(2).size(), more);
  EXPECT_EQ(box_->ledger().dropped_total(), 0U);
}

// Found by reading: any sector that could not be read stopped compaction, and the fetching of that
// segment for half a minute, also when nothing waits there.
TEST_F(LanesTest, CompactionPassesSectorsThatNobodyNeeds) {
  open();
  const Ids urgent = fill([&](LaneIndex lane) { return put(lane, "t", 300); }, [&] { commit(); });
  for (const MessageId id : fetch(2)) box_->settle_delivered(id);
  commit();
  std::uint32_t broken = 0;
  for (const SegmentView& segment : box_->view().segments) {
    const auto records = records_of(disk_.content(slot_name(segment.slot)));
    const auto unneeded = std::find_if(records.begin(), records.end(), [&](const auto& r) {
      if (r.type != RecordType::put) return false;
      const std::uint32_t sector = r.from / kSector * kSector;
      return std::none_of(records.begin(), records.end(), [&](const auto& other) {
        const bool needed = other.type != RecordType::put || segment.active ||
                            std::find(urgent.begin(), urgent.end(), other.id) != urgent.end();
        return needed && other.from < sector + kSector && other.to > sector;
      });
    });
    if (unneeded == records.end()) continue;
    disk_.break_sector(slot_name(segment.slot), unneeded->from / kSector);
    ++broken;
  }
  ASSERT_GT(broken, 2U);
  EXPECT_EQ(put(2, "t", 300).rejected, RejectReason::none);
  commit();
  EXPECT_EQ(box_->health(), StorageHealth::ok);
  EXPECT_EQ(fetch(0), urgent);
  EXPECT_EQ(box_->ledger().dropped_total(), 0U);
}

TEST_F(LanesTest, CompactionTakesAlongWhatFlowHolds) {
  open();
  const auto put_small = [&](LaneIndex lane) { return put(lane, "t", 300); };
  const Ids urgent = fill(put_small, [&] { commit(); });
  const auto held = box_->fetch(0, urgent.size() / 2, 100'000'000).messages;
  for (const MessageId id : fetch(2)) box_->settle_delivered(id);
  commit();
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(put(2, "t", 300).rejected, RejectReason::none);
    if (i % 10 == 9) commit();
  }
  for (const auto& message : held) box_->settle_delivered(message->id);
  commit();
  EXPECT_EQ(fetch(0), Ids(urgent.begin() + static_cast<std::ptrdiff_t>(held.size()), urgent.end()))
      << "nothing twice, nothing left out";
  open();
  EXPECT_EQ(fetch(0).size(), urgent.size() - held.size());
}

// ---- fate ---------------------------------------------------------------------------------------

TEST_F(LanesTest, FateOfEachMessage) {
  open();
  const MessageId delivered = stored(1);
  const MessageId refused = stored(1);
  const MessageId pending = stored(1);
  fetch(1);
  box_->settle_delivered(delivered);
  box_->settle_dropped(refused, DropReason::refused);
  commit();
  for (int run = 0; run < 3; ++run) {
    EXPECT_EQ(box_->fate(delivered).kind, FateKind::delivered);
    EXPECT_EQ(box_->fate(refused).kind, FateKind::dropped);
    EXPECT_EQ(box_->fate(refused).dropped, DropReason::refused);
    EXPECT_EQ(box_->fate(pending).kind, FateKind::pending);
    EXPECT_EQ(box_->fate(pending + 1).kind, FateKind::unknown) << "never given";
    EXPECT_EQ(box_->fate(0).kind, FateKind::unknown);
    EXPECT_EQ(box_->fate(kVolatileBit | 1).kind, FateKind::unknown);
    EXPECT_EQ(box_->fate(make_id(1000, 1)).kind, FateKind::unknown);
    open();
  }
}

TEST_F(LanesTest, FateOfAMessageThatWasNotAcceptedIsUnknown) {
  open();
  const MessageId cut = put(1).id;
  EXPECT_EQ(box_->fate(cut).kind, FateKind::unknown) << "not committed yet";
  open();
  EXPECT_EQ(box_->fate(cut).kind, FateKind::unknown);
  stored(1);
  EXPECT_EQ(box_->fate(cut).kind, FateKind::unknown);
}

TEST_F(LanesTest, FateSaysWhenItHasForgotten) {
  open();
  const MessageId first = stored(1);
  box_->settle_dropped(first, DropReason::refused);
  for (int i = 0; i < 400; ++i) {
    const MessageId id = stored(1);
    if (i % 2 == 0) box_->settle_dropped(id, DropReason::refused);
  }
  EXPECT_EQ(box_->fate(first).kind, FateKind::forgotten);
}

// ---- other stores and versions ------------------------------------------------------------------

TEST_F(LanesTest, SegmentsOfAnotherVersionAreSetAsideAndTheRestGoesOn) {
  open();
  const MessageId id = stored(1);
  auto old = disk_.content("slot-0000.seg");
  SegmentHeader header = *decode_segment_header(old);
  std::vector<std::byte> alien(old.size());
  encode(header, alien);
  alien[8] = std::byte{9};  // its version
  const std::uint32_t crc = crc32c(0, std::span(alien).first(kSegmentHeaderSize - 4));
  for (unsigned i = 0; i < 4; ++i) {
    alien[kSegmentHeaderSize - 4 + i] = static_cast<std::byte>(crc >> (8 * i));
  }
  disk_.plant("slot-0005.seg", alien);
  box_.reset();
  disk_.restart();
  RecoveryReport report;
  auto opened = Store::open_store(disk_, clock_, random_, options_, report);
  ASSERT_TRUE(opened.ok());
  box_ = std::move(opened).value();
  EXPECT_EQ(report.set_aside, 1U);
  EXPECT_EQ(fetch(1), Ids{id});
  while (put(2, "t", 900).rejected == RejectReason::none) commit();
  EXPECT_EQ(disk_.content("slot-0005.seg"), alien) << "left as it was";
}

}  // namespace
}  // namespace holdfast::outbox::test
