// Goal:   nothing committed is lost, forged, renumbered or miscounted, wherever the power is cut.
// Method: random work on the simulated disk; at a random operation the power goes (or the process
//         is killed, or an operation fails); reopen, compare with a model, go on. One seed is one
//         run: HOLDFAST_SEED=n HOLDFAST_RUNS=1 repeats it.

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <sstream>

#include "outbox/test_world.h"

namespace holdfast::outbox::test {
namespace {

struct Plan {
  bool io_faults = false;    // single EIOs, EROFS for a while
  bool little_disk = false;  // ENOSPC
  bool ignore_directory_sync = false;
  bool ignore_first_sync = false;
  bool rules = false;  // lanes with limits of their own, conflation, and so compaction
};

/// What the model knows of one message.
struct Known {
  StoredMessage message;
  bool committed = false;        // accepted: promised, or found by an opening
  bool promised = false;         // commit() said so
  bool settled = false;          // at least in RAM
  bool settled_durably = false;  // a commit succeeded after it was settled
  bool lost = false;             // commit() said so
};

class Run {
 public:
  Run(std::uint64_t seed, const Plan& plan)
      : random_(seed), disk_(random_), plan_(plan), pack_(random_.below(2) == 0) {
    disk_.faults.ignore_directory_sync = plan.ignore_directory_sync;
    disk_.faults.ignore_first_sync = plan.ignore_first_sync;
    options_ = small_options();
    if (pack_) options_.max_bytes = 5 * std::uint64_t{kSegmentFloor};
    if (plan.rules) set_rules();
  }

  /// Works and is cut `rounds` times. Returns the first violation, or nothing.
  std::string run(unsigned rounds) {
    for (unsigned i = 0; i < rounds && wrong_.empty(); ++i) {
      plan_faults();
      work();
      count_carried();
      power_cycle();
    }
    if (wrong_.empty()) drain();
    return wrong_;
  }

  unsigned cuts = 0;
  std::uint64_t salvaged = 0;
  std::uint64_t reopened = 0;
  std::uint64_t given_up = 0;
  std::uint64_t carried = 0;

 private:
  // One lane that gives up old messages, one that gives up new ones or replaces those of a key.
  void set_rules() {
    LaneRules& old = options_.lanes[1].rules;
    old.when_full = WhenFull::drop_oldest;
    if (random_.below(2) == 0) old.max_messages = 5 + random_.below(200);
    if (random_.below(2) == 0) old.max_bytes = 4000 + random_.below(100'000);
    LaneRules& other = options_.lanes[2].rules;
    other.when_full = random_.below(2) == 0 ? WhenFull::drop_newest : WhenFull::drop_oldest;
    if (random_.below(2) == 0) other.max_messages = 10 + random_.below(100);
    other.conflate = random_.below(2) == 0;
  }

  void count_carried() {
    for (const auto& [name, bytes] : disk_.durable()) {
      const auto header = decode_segment_header(bytes);
      carried += header && header->kind == SegmentKind::carried ? 1U : 0U;
    }
  }

  // The cut came after the store had given it up by rule, and before it could say so.
  bool given_up_unseen(MessageId id) {
    const Fate fate = outbox_->fate(id);
    const bool by_rule =
        fate.dropped == DropReason::evicted || fate.dropped == DropReason::superseded;
    if (!plan_.rules || fate.kind != FateKind::dropped || !by_rule) return false;
    Known& known = known_[id];
    known.committed = known.settled = known.settled_durably = true;
    known.lost = false;
    return true;
  }

  // What the store gives up by itself is settled like the rest.
  void take_news() {
    for (const auto& [id, reason] : outbox_->take_news().dropped) {
      if (reason == DropReason::corrupt && !plan_.io_faults) fail("corrupt without damage");
      if (reason != DropReason::corrupt && !plan_.rules) fail("given up without a rule");
      known_[id].settled = known_[id].committed = true;
      ++given_up;
    }
  }

  void fail(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }

  void plan_faults() {
    auto& f = disk_.faults;
    // Short distances hit opening itself, so that recoveries are cut again and again.
    const std::uint64_t reach = random_.below(3) == 0 ? 12 : 150;
    f.cut_at = disk_.operations() + random_.below(reach);
    f.kill = random_.below(3) == 0;
    f.io_error_at = sim::PowerCutDisk::kNever;
    f.read_only = false;
    if (plan_.io_faults && random_.below(2) == 0) {
      f.io_error_at = disk_.operations() + random_.below(reach);
    }
    if (plan_.io_faults) f.read_only = random_.below(12) == 0;
    if (plan_.little_disk) {
      f.capacity = (2 + random_.below(4)) * kSegmentFloor + random_.below(3) * 1000;
    }
    faulty_ = plan_.io_faults || plan_.little_disk;
  }

  void power_cycle() {
    outbox_.reset();
    disk_.restart();
    ++cuts;
    in_flight_.clear();
    uncommitted_.clear();
    if (random_.below(2) == 0) {
      clock_.reboot();
    } else {
      clock_.pass(std::chrono::seconds(1));
    }
  }

  void work() {
    if (!open()) return;
    const std::uint64_t steps = 10 + random_.below(120);
    for (std::uint64_t i = 0; i < steps && !disk_.is_down() && wrong_.empty(); ++i) step();
  }

  bool open() {
    RecoveryReport report;
    auto opened = Store::open_store(disk_, clock_, random_, options_, report);
    if (!opened) {
      if (!disk_.is_down() && !faulty_) fail("open refused: " + opened.error().message);
      return false;
    }
    outbox_ = std::move(opened).value();
    if (disk_.is_down()) return false;
    check_recovered(report);
    return wrong_.empty() && !disk_.is_down();
  }

  void check_recovered(const RecoveryReport& report) {
    const Ledger ledger = outbox_->ledger();
    if (!ledger.balanced()) fail("ledger not balanced after opening");
    if (report.corrupt > 0 && !plan_.io_faults) fail("corrupt without damage");
    if (report.pending != ledger.pending) fail("report and ledger differ");
    std::map<MessageId, bool> seen;
    for (LaneIndex lane = 0; lane < 3; ++lane) {
      MessageId last = 0;
      for (;;) {
        const auto got = outbox_->fetch(lane, 7, 10'000);
        const std::uint64_t before = given_up;
        take_news();
        const bool dropped = given_up != before;
        for (const MessagePtr& m : got.messages) {
          check_message(lane, *m, last);
          last = m->id;
          seen[m->id] = true;
          in_flight_.push_back(m->id);
        }
        if (!got.more) break;
        if (got.messages.empty() && !dropped) {
          fail("fetch makes no progress");
          break;
        }
      }
      if (outbox_->unfetched(lane) != 0) fail("unfetched after fetching all");
    }
    if (seen.size() != outbox_->ledger().pending && !plan_.io_faults) {
      fail("pending is not what was found");
    }
    // A message that was only found, not promised, may go again if the disk failed to sync it.
    for (const auto& [id, known] : known_) {
      const bool owed = plan_.io_faults ? known.promised : known.committed;
      if (known.settled || seen.contains(id) || given_up_unseen(id) || known.lost) continue;
      if (owed) {
        fail("lost committed message " + std::to_string(id));
      }
    }
    if (outbox_->health() != StorageHealth::ok) return;  // nothing new was made durable
    std::uint64_t committed = 0;
    for (auto& [id, known] : known_) {
      // A settlement that no commit covered may have survived or not; from here on it is decided.
      known.settled_durably = known.settled && !seen.contains(id);
      known.settled = known.settled_durably;
      if (seen.contains(id) && !known.committed) {
        known.committed = true;  // survived although nobody promised it: accepted from now on
        known.lost = false;
        ++salvaged;
      }
      committed += known.committed ? 1U : 0U;
    }
    if (ledger.accepted < committed) {
      fail("accepted " + std::to_string(ledger.accepted) + " of " + std::to_string(committed));
    }
    if (ledger.accepted > committed && !plan_.io_faults) fail("accepted more than there were");
    if (!plan_.io_faults) check_idempotent(ledger, seen);
  }

  // Opening what an opening left gives the same again.
  void check_idempotent(const Ledger& first, const std::map<MessageId, bool>& seen) {
    if (random_.below(4) != 0 || disk_.is_down()) return;
    SeededRandom other(random_.next());
    sim::PowerCutDisk copy(other);
    for (auto& [name, bytes] : disk_.durable()) copy.plant(name, bytes);
    RecoveryReport report;
    auto again = Outbox::open(copy, clock_, other, options_, report);
    if (!again) return fail("the second opening is refused");
    const Ledger second = (*again)->ledger();
    if (first.accepted != second.accepted || first.delivered != second.delivered ||
        first.pending != second.pending || first.dropped != second.dropped || report.torn != 0) {
      std::ostringstream out;
      out << "the second opening finds another ledger: accepted " << first.accepted << "/"
          << second.accepted << " delivered " << first.delivered << "/" << second.delivered
          << " pending " << first.pending << "/" << second.pending << " dropped "
          << first.dropped_total() << "/" << second.dropped_total() << " torn " << report.torn;
      fail(out.str());
    }
    for (LaneIndex lane = 0; lane < 3; ++lane) {
      for (const MessagePtr& m : (*again)->fetch(lane, 100'000, 100'000'000).messages) {
        // One that the first opening gave up is still there until a commit.
        const bool known = seen.contains(m->id) || known_[m->id].settled;
        if (!known) fail("the second opening finds another message");
      }
    }
    ++reopened;
  }

  void check_message(LaneIndex lane, const StoredMessage& m, MessageId last) {
    const auto known = known_.find(m.id);
    if (known == known_.end()) return fail("forged: id never given");
    if (!same_message(m, known->second.message)) return fail("forged: content differs");
    if (m.lane != lane || known->second.message.lane != lane) fail("wrong lane");
    if (m.id <= last) fail("out of order");
    if (known->second.settled_durably) fail("came back after its settlement was durable");
    if (std::find(in_flight_.begin(), in_flight_.end(), m.id) != in_flight_.end() &&
        !known->second.settled) {
      fail("fetched twice");
    }
  }

  void step() {
    act();
    if (outbox_ && !disk_.is_down()) take_news();
  }

  void act() {
    switch (random_.below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return put();
      case 4:
      case 5:
        return commit();
      case 6:
        return fetch();
      case 7:
      case 8:
        return settle();
      default:
        clock_.pass(std::chrono::milliseconds(500 + random_.below(8000)));
        outbox_->tick();
        if (random_.below(40) == 0) reopen_in_order();
    }
  }

  void put() {
    const auto lane = static_cast<LaneIndex>(random_.below(3));
    const std::size_t size = random_.below(20) == 0 ? random_.below(6000) : random_.below(300);
    const std::uint64_t topics = plan_.rules ? 30 : 1000;
    StoredMessage m = make_message(lane, "t/" + std::to_string(random_.below(topics)), size,
                                   static_cast<std::uint8_t>(random_.below(256)));
    if (random_.below(4) == 0) m.user_properties.emplace_back("k", std::to_string(size));
    if (random_.below(8) == 0) m.content_type = "text/plain";
    m.retain = random_.below(5) == 0;
    const PutResult result = outbox_->put(m);
    if (result.rejected != RejectReason::none) return;
    if (result.id <= last_id_) fail("id reused");
    last_id_ = result.id;
    known_[result.id].message = std::move(m);
    uncommitted_.push_back(result.id);
  }

  void commit() {
    std::vector<MessageId> lost;
    const Status status = outbox_->commit(lost);
    for (const MessageId id : lost) known_[id].lost = true;
    if (!status && !disk_.is_down() && !faulty_) fail("commit failed: " + status.error().message);
    if (!status) {
      // What was put and is not lost was saved into a fresh segment before the failure.
      if (disk_.is_down()) return;
    }
    for (const MessageId id : uncommitted_) {
      Known& known = known_[id];
      if (!known.lost) known.committed = known.promised = true;
    }
    uncommitted_.clear();
    if (!status) return;
    for (auto& [id, known] : known_) known.settled_durably = known.settled;
    if (!outbox_->ledger().balanced()) fail("ledger not balanced after commit");
  }

  void fetch() {
    const auto lane = static_cast<LaneIndex>(random_.below(3));
    const auto got = outbox_->fetch(lane, 1 + random_.below(20), 20'000);
    MessageId last = 0;
    for (const MessagePtr& m : got.messages) {
      check_message(lane, *m, last);
      last = m->id;
      known_[m->id].committed = true;  // a put or a tick may have committed it already
      in_flight_.push_back(m->id);
    }
  }

  void settle() {
    const std::uint64_t n = std::min<std::uint64_t>(in_flight_.size(), random_.below(25));
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::size_t at = random_.below(3) == 0 ? random_.below(in_flight_.size()) : 0;
      const MessageId id = in_flight_[at];
      in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(at));
      if (random_.below(5) == 0) {
        outbox_->settle_dropped(id, DropReason::refused);
      } else {
        outbox_->settle_delivered(id);
      }
      known_[id].settled = true;
    }
  }

  void reopen_in_order() {
    commit();
    if (disk_.is_down() || outbox_ == nullptr) return;
    const Status closed = outbox_->close();
    if (!closed && !disk_.is_down() && !faulty_) fail("close failed");
    outbox_.reset();
    // No cut: what was closed in order must be there, without the disk's help.
    const auto cut = disk_.faults.cut_at;
    const auto kill = disk_.faults.kill;
    if (disk_.is_down()) return;
    disk_.faults.kill = true;
    disk_.restart();
    disk_.faults.cut_at = cut;
    disk_.faults.kill = kill;
    in_flight_.clear();
    uncommitted_.clear();
    open();
  }

  void drain() {
    disk_.faults = {};
    disk_.restart();
    in_flight_.clear();
    if (!open()) return fail("cannot open at the end");
    while (!in_flight_.empty() && wrong_.empty()) settle();
    commit();
    const Ledger ledger = outbox_->ledger();
    if (ledger.pending != 0) fail("messages left after draining");
  }

  SeededRandom random_;
  HandClock clock_;
  sim::PowerCutDisk disk_;
  Plan plan_;
  bool pack_;
  bool faulty_ = false;
  Options options_;
  std::unique_ptr<Store> outbox_;
  std::map<MessageId, Known> known_;
  std::vector<MessageId> uncommitted_;
  std::vector<MessageId> in_flight_;
  MessageId last_id_ = 0;
  std::string wrong_;
};

constexpr unsigned kCutsPerRun = 12;

struct Total {
  std::uint64_t runs = 0;
  std::uint64_t cuts = 0;
  std::uint64_t salvaged = 0;
  std::uint64_t reopened = 0;
  std::uint64_t given_up = 0;
  std::uint64_t carried = 0;
  std::uint64_t failed = 0;
  std::uint64_t first_bad_seed = 0;
  std::string first;
};

Total run_many(const Plan& plan, std::uint64_t runs, bool stop_at_first) {
  Total total;
  const std::uint64_t seed = env_number("HOLDFAST_SEED", 1);
  for (std::uint64_t i = 0; i < runs && !(stop_at_first && total.failed > 0); ++i) {
    Run run(seed + i, plan);
    const std::string wrong = run.run(kCutsPerRun);
    ++total.runs;
    total.cuts += run.cuts;
    total.salvaged += run.salvaged;
    total.reopened += run.reopened;
    total.given_up += run.given_up;
    total.carried += run.carried;
    if (wrong.empty()) continue;
    if (total.failed++ == 0) {
      total.first_bad_seed = seed + i;
      total.first = wrong;
    }
  }
  std::cout << "  seeds " << seed << ".." << seed + total.runs - 1 << ": " << total.cuts
            << " cuts, " << total.salvaged << " messages found unpromised, " << total.reopened
            << " opened twice, " << total.given_up << " given up by rule, " << total.carried
            << " times after compaction, " << total.failed << " runs bad " << total.first
            << std::endl;
  return total;
}

void expect_clean(const Plan& plan, std::uint64_t runs) {
  const Total total = run_many(plan, env_number("HOLDFAST_RUNS", runs), false);
  EXPECT_EQ(total.failed, 0U) << "HOLDFAST_SEED=" << total.first_bad_seed
                              << " HOLDFAST_RUNS=1: " << total.first;
  EXPECT_GE(total.cuts, total.runs * kCutsPerRun * 9 / 10);
  if (plan.rules && total.runs >= 50) {
    EXPECT_GT(total.given_up, 0U);
    EXPECT_GT(total.carried, 0U);
  }
}

void expect_noticed(const Plan& plan) { EXPECT_GT(run_many(plan, 3000, true).failed, 0U); }

TEST(PowerCut, LosesNothingCommitted) { expect_clean({}, 150); }

TEST(PowerCut, LosesNothingWhenOperationsFail) {
  Plan plan;
  plan.io_faults = true;
  expect_clean(plan, 120);
}

TEST(PowerCut, LosesNothingWhenLanesHaveRules) {
  Plan plan;
  plan.rules = true;
  expect_clean(plan, 120);
}

TEST(PowerCut, LosesNothingWhenLanesHaveRulesOnALittleDisk) {
  Plan plan;
  plan.rules = true;
  plan.little_disk = true;
  expect_clean(plan, 60);
}

TEST(PowerCut, LosesNothingOnALittleDisk) {
  Plan plan;
  plan.little_disk = true;
  expect_clean(plan, 80);
}

// The checks above prove something only if they notice the mistakes they are there for.

TEST(PowerCutMutant, MissingDirectorySyncIsNoticed) {
  Plan plan;
  plan.ignore_directory_sync = true;
  expect_noticed(plan);
}

TEST(PowerCutMutant, MissingSyncOnOpenIsNoticed) {
  Plan plan;
  plan.ignore_first_sync = true;
  expect_noticed(plan);
}

}  // namespace
}  // namespace holdfast::outbox::test
