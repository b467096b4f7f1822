// Goal: parked topics are passed over and nothing of them is lost: not by a release, an eviction,
// an expiry, compaction or a new opening. The books balance all the while.
// Method: a store on a simulated disk; a random walk against a plain model, besides single cases.
#include <algorithm>
#include <map>
#include <set>

#include "outbox/store_fixture.h"

namespace holdfast::outbox {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using test::make_message;

class ParkedTopics : public test::StoreFixture {
 protected:
  ParkedTopics() : StoreFixture(11) {}

  MessageId put(const std::string& topic, LaneIndex lane = 1, std::size_t size = 200,
                std::optional<std::uint32_t> expiry = {}) {
    StoredMessage message = make_message(lane, topic, size);
    message.expiry_seconds = expiry;
    return box_->put(message).id;
  }
  std::vector<MessageId> fetch(LaneIndex lane = 1, std::size_t most = 1000) {
    std::vector<MessageId> ids;
    for (const MessagePtr& m : box_->fetch(lane, most, 1 << 20).messages) ids.push_back(m->id);
    return ids;
  }
};

using Ids = std::vector<MessageId>;

TEST_F(ParkedTopics, AreFetchedOnlyWhenReleasedAndOldestFirst) {
  open();
  const MessageId a = put("x");
  const MessageId b = put("y");
  const MessageId c = put("x");
  commit();
  box_->park({"x"});
  EXPECT_EQ(fetch(), Ids{b});
  EXPECT_EQ(box_->parked(), 2U);
  EXPECT_EQ(box_->unfetched(1), 0U) << "nobody should ask for more";
  const MessageId d = put("x");
  commit();
  EXPECT_TRUE(fetch().empty());
  EXPECT_EQ(box_->parked(), 3U);
  box_->park({});
  EXPECT_EQ(box_->unfetched(1), 3U);
  EXPECT_EQ(fetch(), (Ids{a, c, d}));
  EXPECT_EQ(box_->parked(), 0U);
}

TEST_F(ParkedTopics, GiveOneForATrialAndTakeItBack) {
  open();
  const MessageId a = put("x", 2);
  const MessageId b = put("x", 1);
  commit();
  EXPECT_EQ(fetch(1), Ids{b}) << "before it was parked";
  box_->park({"x"});
  EXPECT_TRUE(fetch(2).empty());
  const MessagePtr tried = box_->fetch_parked("x", {});
  ASSERT_TRUE(tried);
  EXPECT_EQ(tried->id, a);
  EXPECT_EQ(tried->lane, 2U);
  EXPECT_EQ(box_->parked(), 0U);
  box_->give_back(b);
  const MessagePtr next = box_->fetch_parked("x", {});
  ASSERT_TRUE(next);
  EXPECT_EQ(next->id, b);
  box_->give_back(a);
  box_->give_back(b);
  EXPECT_EQ(box_->parked(), 2U);
  EXPECT_TRUE(fetch(1).empty() && fetch(2).empty());
  box_->park({});
  EXPECT_EQ(fetch(1), Ids{b});
  EXPECT_EQ(fetch(2), Ids{a});
}

TEST_F(ParkedTopics, AreGivenUpWhenPatienceEnds) {
  open();
  put("x");
  put("y");
  commit();
  clock_.pass(minutes(10));
  const MessageId young = put("x");
  commit();
  box_->park({"x"});
  EXPECT_EQ(fetch().size(), 1U);
  const MessagePtr tried = box_->fetch_parked("x", minutes(10));
  ASSERT_TRUE(tried);
  EXPECT_EQ(tried->id, young);
  EXPECT_EQ(count(DropReason::refused), 1U);
  EXPECT_EQ(box_->take_news().dropped.size(), 1U);
  EXPECT_TRUE(box_->ledger().balanced());
  EXPECT_EQ(box_->parked(), 0U);
}

TEST_F(ParkedTopics, ExpireWhileTheyArePassedOver) {
  open();
  put("x", 1, 200, 60);
  put("x");
  commit();
  box_->park({"x"});
  EXPECT_TRUE(fetch().empty());
  EXPECT_EQ(box_->parked(), 2U);
  clock_.pass(minutes(15));
  box_->tick();
  EXPECT_EQ(count(DropReason::expired), 1U);
  EXPECT_EQ(box_->parked(), 1U);
  commit();
  EXPECT_GT(box_->next_due(), clock_.boot + seconds(60)) << "no wake-ups for what is parked";
}

TEST_F(ParkedTopics, AreTheOldestWhenTheirLaneMakesRoom) {
  options_.lanes[1].rules.max_messages = 3;
  options_.lanes[1].rules.when_full = WhenFull::drop_oldest;
  open();
  const MessageId a = put("x");
  put("x");
  put("y");
  commit();
  box_->park({"x"});
  EXPECT_EQ(fetch().size(), 1U);
  EXPECT_NE(put("y"), 0U);
  commit();
  EXPECT_EQ(box_->fate(a).kind, FateKind::dropped) << "not the one that is on its way";
  EXPECT_EQ(box_->parked(), 1U);
  EXPECT_EQ(box_->take_news().dropped.size(), 1U);
  EXPECT_EQ(fetch().size(), 1U);
}

// The model: what waits, by lane, and what is held. After each step the store must agree with it.
class Walk : public ParkedTopics {
 protected:
  void step() {
    const auto lane = static_cast<LaneIndex>(random_.below(3));
    switch (random_.below(9)) {
      case 0:
      case 1:
      case 2:
        return add(lane);
      case 3:
        return take(lane, 1 + random_.below(20));
      case 4:
        return end_one();
      case 5:
        return change_topics();
      case 6:
        return try_one();
      case 7:
        return give_back_parked();
      default:
        if (random_.below(20) == 0) reopen();
    }
  }

  void add(LaneIndex lane) {
    const std::string topic(1, static_cast<char>('a' + random_.below(4)));
    const MessageId id = put(topic, lane, random_.below(2000));
    if (id == 0) return;
    commit();
    waiting_[id] = {lane, topic, false};
  }
  void take(LaneIndex lane, std::size_t most) {
    const auto fetched = box_->fetch(lane, most, 1 << 20);
    Ids wanted;
    for (const auto& [id, w] : waiting_) {
      if (w.lane == lane && !w.held && !parked_.contains(w.topic) && wanted.size() < most) {
        wanted.push_back(id);
      }
    }
    Ids found;
    for (const MessagePtr& m : fetched.messages) found.push_back(m->id);
    ASSERT_EQ(found, wanted);
    for (const MessageId id : found) waiting_[id].held = true;
  }
  void end_one() {
    for (auto& [id, w] : waiting_) {
      if (!w.held || random_.below(3) != 0) continue;
      box_->settle_delivered(id);
      waiting_.erase(id);
      return;
    }
  }
  void change_topics() {
    parked_.clear();
    for (const char* topic : {"a", "b", "c"}) {
      if (random_.below(3) == 0) parked_.insert(topic);
    }
    box_->park({parked_.begin(), parked_.end()});
    give_back_parked();
  }
  void try_one() {
    if (parked_.empty()) return;
    const std::string topic = *parked_.begin();
    MessageId wanted = 0;
    for (LaneIndex lane = 0; lane < 3 && wanted == 0; ++lane) {
      for (const auto& [id, w] : waiting_) {
        if (w.lane != lane || w.held || w.topic != topic) continue;
        wanted = id;
        break;
      }
    }
    const MessagePtr found = box_->fetch_parked(topic, {});
    ASSERT_EQ(found ? found->id : 0, wanted);
    if (found) waiting_[found->id].held = true;
  }
  void give_back_parked() {
    for (auto& [id, w] : waiting_) {
      if (!w.held || !parked_.contains(w.topic)) continue;
      box_->give_back(id);
      w.held = false;
    }
  }
  void reopen() {
    commit();
    open();
    parked_.clear();
    for (auto& [id, w] : waiting_) w.held = false;
  }
  void agree() {
    ASSERT_TRUE(box_->ledger().balanced());
    for (LaneIndex lane = 0; lane < 3; ++lane) {
      std::uint64_t may_come = 0;
      for (const auto& [id, w] : waiting_) {
        may_come += w.lane == lane && !w.held && !parked_.contains(w.topic) ? 1U : 0U;
      }
      // What was not looked at yet may turn out to be parked.
      ASSERT_GE(box_->unfetched(lane), may_come);
      if (random_.below(20) != 0) continue;
      ASSERT_NO_FATAL_FAILURE(take(lane, 1000));
      ASSERT_EQ(box_->unfetched(lane), 0U) << "all that is left is parked";
    }
  }

  struct Waiting {
    LaneIndex lane = 0;
    std::string topic;
    bool held = false;
  };
  std::map<MessageId, Waiting> waiting_;
  std::set<std::string> parked_;
};

TEST_F(Walk, AgreesWithAPlainModel) {
  open();
  for (int i = 0; i < 6000; ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    ASSERT_NO_FATAL_FAILURE(step());
    ASSERT_NO_FATAL_FAILURE(agree());
  }
}

}  // namespace
}  // namespace holdfast::outbox
