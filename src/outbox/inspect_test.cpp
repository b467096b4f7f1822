// Goal:   an Inspector sees exactly what the store holds, writes nothing, names all damage with
//         what it costs, and never takes a writer at work, or a cut, for damage.
// Method: stores on the simulated disk; each answer is compared with what the store itself says
//         when it is opened afterwards. A writer that works between any two reads of the
//         Inspector stands for a writer beside it.
#include "outbox/inspect.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "outbox/test_world.h"
#include "outbox/verify.h"

namespace holdfast::outbox::test {
namespace {

std::map<MessageId, StoredMessage> list_all(Inspector& inspector, const ListQuery& query = {}) {
  std::map<MessageId, StoredMessage> out;
  ListCursor at;
  while (true) {
    auto listed = inspector.list(at, query);
    EXPECT_TRUE(listed.ok());
    if (!listed) return out;
    Page& page = *listed;
    EXPECT_LE(page.messages.size(), query.max_messages);
    for (ListedMessage& one : page.messages) out.emplace(one.message.id, std::move(one.message));
    if (!page.next) return out;
    at = *page.next;
  }
}

class Inspect : public testing::Test {
 protected:
  Inspect() : random_(env_number("HOLDFAST_SEED", 1)), disk_(random_) {}

  std::unique_ptr<Outbox> open_store() {
    RecoveryReport report;
    auto opened = Outbox::open(disk_, clock_, random_, small_options(), report);
    EXPECT_TRUE(opened.ok());
    return std::move(opened).value();
  }

  /// Puts `count` messages in commits of `group`.
  void put(Outbox& box, int count, int group) {
    std::vector<MessageId> lost;
    for (int i = 0; i < count; ++i) {
      StoredMessage m = make_message(static_cast<LaneIndex>(i % 3), "t/" + std::to_string(i),
                                     random_.below(300), static_cast<std::uint8_t>(i));
      if (i % 7 == 0) m.expiry_seconds = 3600;
      if (i % 4 == 0) m.user_properties.emplace_back("k", "v");
      const MessageId id = box.put(m).id;
      ASSERT_NE(id, 0U);
      waiting_.emplace(id, std::move(m));
      if (i % group == 0) {
        ASSERT_TRUE(box.commit(lost).ok());
      }
    }
    ASSERT_TRUE(box.commit(lost).ok());
    ASSERT_TRUE(lost.empty());
  }

  void deliver(Outbox& box, LaneIndex lane, std::size_t count) {
    for (const MessagePtr& m : box.fetch(lane, count, 1'000'000).messages) {
      box.settle_delivered(m->id);
      waiting_.erase(m->id);
    }
  }

  /// A store of several segments, closed; `image_` is what is on the disk.
  void fill() {
    auto box = open_store();
    put(*box, 260, 5);
    deliver(*box, 0, 60);
    EXPECT_TRUE(box->close().ok());
    box.reset();
    image_ = disk_.durable();
    ASSERT_GE(image_.size(), 4U);
  }

  void load(sim::PowerCutDisk& disk) {
    for (const auto& [name, bytes] : image_) disk.plant(name, bytes);
  }

  static std::unique_ptr<Inspector> look(env::Disk& disk) {
    auto opened = Inspector::open(disk);
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().message);
    return opened.ok() ? std::move(opened).value() : nullptr;
  }

  /// What a real opening gives up as corrupt once everything was fetched.
  std::uint64_t corrupt_after_opening(sim::PowerCutDisk& disk) {
    RecoveryReport report;
    auto box = open_at_last(disk, clock_, random_, report).value();
    do {
      for (LaneIndex lane = 0; lane < 3; ++lane) {
        for (bool more = true; more;) {
          const auto got = box->fetch(lane, 50, 1'000'000);
          more = got.more && !got.messages.empty();
        }
      }
    } while (wait_for_reads(*box, clock_));
    return box->ledger().dropped[static_cast<std::size_t>(DropReason::corrupt)];
  }

  HandClock clock_;
  SeededRandom random_;
  sim::PowerCutDisk disk_;
  std::map<MessageId, StoredMessage> waiting_;
  std::map<std::string, std::vector<std::byte>> image_;
};

TEST_F(Inspect, SeesEveryWaitingMessageByteForByte) {
  fill();
  const auto inspector = look(disk_);
  ASSERT_NE(inspector, nullptr);
  for (const std::size_t page : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    ListQuery query;
    query.max_messages = page;
    const auto seen = list_all(*inspector, query);
    ASSERT_EQ(seen.size(), waiting_.size());
    for (const auto& [id, message] : waiting_) {
      ASSERT_TRUE(seen.contains(id));
      EXPECT_TRUE(same_message(message, seen.at(id)));
    }
  }
}

TEST_F(Inspect, SmallScansAndBytesOnlyMakeMorePages) {
  fill();
  const auto inspector = look(disk_);
  ListQuery query;
  query.max_scan = 100;
  EXPECT_EQ(list_all(*inspector, query).size(), waiting_.size());
  query.max_bytes = 1;
  EXPECT_EQ(list_all(*inspector, query).size(), waiting_.size());
}

TEST_F(Inspect, AMessageIsFoundByItsIdAndALaneByItsNumber) {
  fill();
  const auto inspector = look(disk_);
  for (const auto& [id, message] : waiting_) {
    ListQuery query;
    query.id = id;
    const Page page = inspector->list({}, query).value();
    ASSERT_EQ(page.messages.size(), 1U);
    EXPECT_TRUE(same_message(page.messages[0].message, message));
    EXPECT_EQ(page.messages[0].lane, message.lane);
  }
  ListQuery unknown;
  unknown.id = make_id(9, 9);
  EXPECT_TRUE(list_all(*inspector, unknown).empty());
  std::size_t in_lanes = 0;
  for (StoreLane lane = 0; lane < 3; ++lane) {
    ListQuery query;
    query.lane = lane;
    const auto seen = list_all(*inspector, query);
    EXPECT_EQ(seen.size(), inspector->view().waiting[lane]);
    in_lanes += seen.size();
  }
  EXPECT_EQ(in_lanes, waiting_.size());
}

TEST_F(Inspect, CountsAsTheStoreDoes) {
  fill();
  const auto inspector = look(disk_);
  const StoreView& view = inspector->view();
  EXPECT_EQ(view.pending(), waiting_.size());
  EXPECT_EQ(view.counters.accepted, 260U);
  EXPECT_EQ(view.counters.delivered, 60U);
  EXPECT_EQ(view.segment_bytes, kSegmentFloor);
  EXPECT_EQ(view.slots, image_.size());
  EXPECT_EQ(view.bytes, image_.size() * kSegmentFloor);
  EXPECT_EQ(view.session.lanes, lane_names(small_options()));
  EXPECT_TRUE(inspector->report().clean);
  std::uint64_t waiting = 0;
  for (const SegmentView& segment : view.segments) waiting += segment.waiting;
  EXPECT_EQ(waiting, waiting_.size());
  EXPECT_TRUE(view.segments.back().active);
}

TEST_F(Inspect, WritesNothingNotEvenALock) {
  fill();
  const std::uint64_t operations = disk_.operations();
  {
    const auto inspector = look(disk_);
    EXPECT_TRUE(verify(*inspector).clean());
    EXPECT_FALSE(list_all(*inspector).empty());
  }
  EXPECT_EQ(disk_.operations(), operations);
  EXPECT_EQ(disk_.durable(), image_);
  disk_.restart();
  EXPECT_NE(open_store(), nullptr) << "the lock was taken";
}

TEST_F(Inspect, NoOutboxIsSaidSo) {
  const auto empty = Inspector::open(disk_);
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().code, Errc::not_found);
  disk_.plant("slot-0000.seg", std::vector<std::byte>(kSegmentFloor));
  const auto blank = Inspector::open(disk_);
  ASSERT_FALSE(blank.ok());
  EXPECT_EQ(blank.error().code, Errc::not_found);
}

TEST_F(Inspect, AnotherVersionOfTheFormatIsNamed) {
  fill();
  auto bytes = image_.begin()->second;
  bytes[7] = bytes[kBlock + 7] = std::byte{'2'};
  sim::PowerCutDisk other(random_);
  other.plant("slot-0000.seg", bytes);
  const auto opened = Inspector::open(other);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Errc::unsupported);
}

TEST_F(Inspect, EachFlippedBitCostsWhatVerifySaysItCosts) {
  fill();
  const std::uint64_t trials = env_number("HOLDFAST_RUNS", 200);
  std::uint64_t lost = 0;
  std::uint64_t harmless = 0;
  for (std::uint64_t i = 0; i < trials; ++i) {
    sim::PowerCutDisk disk(random_);
    load(disk);
    auto file = image_.begin();
    std::advance(file, static_cast<std::ptrdiff_t>(random_.below(image_.size())));
    const std::uint64_t at = random_.below(file->second.size());
    disk.flip(file->first, at, static_cast<unsigned>(random_.below(8)));
    const auto inspector = look(disk);
    ASSERT_NE(inspector, nullptr);
    const Verification result = verify(*inspector);
    for (const Finding& finding : result.findings) {
      EXPECT_EQ(slot_name(finding.slot), file->first);
      EXPECT_TRUE(finding.from <= at && at < finding.to)
          << file->first << " at " << at << ": " << to_string(finding.kind);
      EXPECT_TRUE(is_damage(finding.kind));
      harmless += finding.lost == 0 ? 1U : 0U;
    }
    EXPECT_EQ(list_all(*inspector).size(),
              inspector->view().pending() - (result.lost - inspector->report().corrupt));
    const std::uint64_t corrupt = corrupt_after_opening(disk);
    EXPECT_EQ(result.lost, corrupt) << file->first << " at " << at;
    lost += corrupt;
  }
  EXPECT_GT(lost, 0U) << "no flip ever hit a message: the test proves nothing";
  EXPECT_GT(harmless, 0U);
}

TEST_F(Inspect, ZeroedBlocksAreNamed) {
  fill();
  std::uint64_t lost = 0;
  for (const auto& [name, bytes] : image_) {
    for (std::uint32_t block = 0; block < bytes.size() / kBlock; ++block) {
      auto damaged = bytes;
      std::fill_n(damaged.begin() + block * std::ptrdiff_t{kBlock}, kBlock, std::byte{0});
      sim::PowerCutDisk disk(random_);
      load(disk);
      disk.plant(name, damaged);
      const auto inspector = look(disk);
      ASSERT_NE(inspector, nullptr);
      const Verification result = verify(*inspector);
      for (const Finding& finding : result.findings) {
        EXPECT_EQ(slot_name(finding.slot), name);
        EXPECT_LT(finding.from, (block + 1) * kBlock);
        EXPECT_GT(finding.to, block * kBlock);
      }
      const std::uint64_t corrupt = corrupt_after_opening(disk);
      EXPECT_EQ(result.lost, corrupt) << name << " block " << block;
      if (corrupt > 0) {
        EXPECT_GT(result.damages, 0U) << name << " block " << block;
      }
      lost += corrupt;
    }
  }
  EXPECT_GT(lost, 0U);
}

TEST_F(Inspect, MissingFilesAreNamedWithTheirMessages) {
  fill();
  std::uint64_t lost = 0;
  const auto whole = look(disk_);
  const std::uint64_t newest = whole->view().segments.back().slot;
  for (const auto& [name, bytes] : image_) {
    if (*slot_number(name) == newest) continue;  // its loss rolls the store back; a test below
    sim::PowerCutDisk disk(random_);
    for (const auto& [other, content] : image_) {
      if (other != name) disk.plant(other, content);
    }
    const auto inspector = look(disk);
    ASSERT_NE(inspector, nullptr);
    const Verification result = verify(*inspector);
    EXPECT_EQ(result.lost, corrupt_after_opening(disk)) << name;
    lost += result.lost;
    if (result.lost > 0) {
      ASSERT_EQ(result.findings.size(), 1U);
      EXPECT_EQ(result.findings[0].kind, FindingKind::missing);
      EXPECT_EQ(result.findings[0].lost, result.lost);
      EXPECT_EQ(slot_name(result.findings[0].slot), name);
    }
  }
  EXPECT_GT(lost, 0U);
}

TEST_F(Inspect, FilesOfOthersCutFilesAndUnfinishedOnesAreTold) {
  fill();
  sim::PowerCutDisk other(random_);
  RecoveryReport report;
  auto box = Outbox::open(other, clock_, random_, small_options(), report).value();
  box.reset();
  disk_.plant("slot-0030.seg", other.durable().begin()->second);
  disk_.plant("slot-0031.seg", std::vector<std::byte>(77, std::byte{3}));
  disk_.plant("notes.txt", std::vector<std::byte>(5, std::byte{'x'}));
  const auto inspector = look(disk_);
  std::map<std::uint32_t, FileState> states;
  for (const FileView& file : inspector->files()) states[file.slot] = file.state;
  EXPECT_EQ(states.at(30), FileState::foreign);
  EXPECT_EQ(states.at(31), FileState::unfinished);
  EXPECT_FALSE(states.contains(32));
  const Verification result = verify(*inspector);
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0].kind, FindingKind::foreign);
  EXPECT_EQ(result.lost, 0U);

  sim::PowerCutDisk cut(random_);
  load(cut);
  const auto& [name, bytes] = *image_.begin();
  cut.plant(name, {bytes.begin(), bytes.begin() + 5 * std::ptrdiff_t{kBlock}});
  const auto shorter = look(cut);
  const Verification of_cut = verify(*shorter);
  EXPECT_TRUE(std::any_of(of_cut.findings.begin(), of_cut.findings.end(),
                          [](const Finding& f) { return f.kind == FindingKind::wrong_size; }));
  EXPECT_EQ(of_cut.lost, corrupt_after_opening(cut));
  EXPECT_GT(of_cut.lost, 0U);
}

TEST_F(Inspect, UnreadableSectorsAreNamed) {
  fill();
  std::uint64_t lost = 0;
  for (std::uint64_t sector = 16; sector < kSegmentFloor / 512; sector += 3) {
    sim::PowerCutDisk disk(random_);
    load(disk);
    disk.break_sector(image_.begin()->first, sector);
    const auto inspector = look(disk);
    ASSERT_NE(inspector, nullptr);
    const Verification result = verify(*inspector);
    EXPECT_LE(result.unreadable_sectors, 1U) << "one is broken";
    EXPECT_TRUE(result.lost == 0 || result.unreadable_sectors == 1) << sector;
    EXPECT_EQ(result.lost, corrupt_after_opening(disk)) << sector;
    lost += result.lost;
  }
  EXPECT_GT(lost, 0U);
}

// A cut tears the last commit. That is no damage, and nothing accepted is missing.
TEST_F(Inspect, CutsAreNotTakenForDamage) {
  std::uint64_t torn = 0;
  const std::uint64_t trials = env_number("HOLDFAST_RUNS", 60);
  for (std::uint64_t i = 0; i < trials; ++i) {
    sim::PowerCutDisk disk(random_);
    RecoveryReport report;
    std::uint64_t accepted = 0;
    for (int life = 0; life < 3; ++life) {
      disk.faults.cut_at = disk.operations() + 3 + random_.below(60);
      auto opened = Outbox::open(disk, clock_, random_, small_options(), report);
      std::vector<MessageId> lost;
      while (opened && !disk.is_down()) {
        auto& box = **opened;
        for (std::uint64_t n = random_.below(12); n > 0; --n) {
          static_cast<void>(box.put(
              make_message(static_cast<LaneIndex>(random_.below(3)), "t", random_.below(2000))));
        }
        if (box.commit(lost).ok()) accepted = box.ledger().accepted;
        for (LaneIndex lane = 0; lane < 3; ++lane) {
          for (const MessagePtr& m : box.fetch(lane, random_.below(20), 100'000).messages) {
            box.settle_delivered(m->id);
          }
        }
      }
      if (opened) opened.value().reset();
      disk.restart();
      if (accepted == 0) continue;
      const auto inspector = look(disk);
      ASSERT_NE(inspector, nullptr);
      const Verification result = verify(*inspector);
      EXPECT_EQ(result.lost, 0U) << "trial " << i;
      EXPECT_EQ(result.damages, 0U)
          << "trial " << i << " " << to_string(result.findings.front().kind) << " slot "
          << result.findings.front().slot << " " << result.findings.front().from << " to "
          << result.findings.front().to;
      EXPECT_GE(inspector->view().counters.accepted, accepted);
      torn += result.torn;
    }
  }
  EXPECT_GT(torn, 0U) << "nothing was ever torn: the test proves nothing";
}

/// Lets a writer work between any two reads.
class BusyDisk final : public env::Disk {
 public:
  BusyDisk(sim::PowerCutDisk& disk, std::function<void()> work)
      : disk_(disk), work_(std::move(work)) {}

  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override {
    work_();
    auto file = disk_.open(name, mode);
    if (!file) return file;
    return std::unique_ptr<env::File>(std::make_unique<BusyFile>(std::move(file).value(), work_));
  }
  Result<std::vector<std::string>> list() override { return disk_.list(); }
  Status remove(std::string_view name) override { return disk_.remove(name); }
  Status rename(std::string_view from, std::string_view to) override {
    return disk_.rename(from, to);
  }
  Status sync_directory() override { return disk_.sync_directory(); }
  Status lock() override { return disk_.lock(); }
  Result<std::uint64_t> free_bytes() override { return disk_.free_bytes(); }

 private:
  /// Reads in pieces, so that the writer comes also in the middle of a chunk.
  class BusyFile final : public env::File {
   public:
    BusyFile(std::unique_ptr<env::File> file, const std::function<void()>& work)
        : file_(std::move(file)), work_(work) {}
    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
      std::size_t done = 0;
      while (done < out.size()) {
        work_();
        auto got = file_->read_at(
            offset + done, out.subspan(done, std::min<std::size_t>(kBlock, out.size() - done)));
        if (!got) return got;
        if (*got == 0) break;
        done += *got;
      }
      return done;
    }
    Status write_at(std::uint64_t, std::span<const std::byte>) override { return {}; }
    Status sync() override { return {}; }
    Result<std::uint64_t> size() override { return file_->size(); }

   private:
    std::unique_ptr<env::File> file_;
    const std::function<void()>& work_;
  };

  sim::PowerCutDisk& disk_;
  std::function<void()> work_;
};

TEST_F(Inspect, AWriterAtWorkIsNeverTakenForDamage) {
  auto box = open_store();
  std::set<MessageId> waiting;
  std::set<MessageId> settled;
  std::vector<MessagePtr> fetched;
  std::uint64_t steps = 0;
  int odds = 8;  // how rarely the writer works
  const auto work = [&] {
    if (random_.below(static_cast<std::uint64_t>(odds)) != 0) return;
    ++steps;
    std::vector<MessageId> lost;
    std::vector<MessageId> put;
    for (std::uint64_t n = random_.below(10); n > 0; --n) {
      const auto answer = box->put(
          make_message(static_cast<LaneIndex>(random_.below(3)), "t", random_.below(3000)));
      if (answer.id != 0) put.push_back(answer.id);
    }
    ASSERT_TRUE(box->commit(lost).ok());
    waiting.insert(put.begin(), put.end());
    for (LaneIndex lane = 0; lane < 3; ++lane) {
      // A few old ones stay in many segments, so that those are carried together.
      if (lane == 2 && waiting.size() < 60) continue;
      for (const MessagePtr& m : box->fetch(lane, random_.below(8), 100'000).messages) {
        box->settle_delivered(m->id);
        waiting.erase(m->id);
        settled.insert(m->id);
      }
    }
  };
  for (int i = 0; i < 30; ++i) work();
  std::uint64_t looks = 0;
  std::uint64_t carried = 0;
  std::uint64_t messages = 0;
  const std::uint64_t trials = env_number("HOLDFAST_RUNS", 40);
  for (std::uint64_t i = 0; i < trials; ++i) {
    odds = 15 + static_cast<int>(random_.below(150));
    std::vector<MessageId> lost;
    ASSERT_TRUE(box->commit(lost).ok());  // settlements so far are on the disk
    const std::set<MessageId> before(waiting.begin(), waiting.end());  // work() changes them
    const std::set<MessageId> gone(settled.begin(), settled.end());
    BusyDisk busy(disk_, work);
    auto opened = Inspector::open(busy);
    if (!opened) {
      EXPECT_EQ(opened.error().code, Errc::in_use) << opened.error().message;
      continue;
    }
    ++looks;
    Inspector& inspector = **opened;
    const Verification result = verify(inspector);
    EXPECT_TRUE(result.clean()) << "look " << i << " " << to_string(result.findings.front().kind);
    EXPECT_EQ(inspector.report().corrupt, 0U);
    EXPECT_FALSE(inspector.report().rebuilt);
    const auto seen = list_all(inspector);
    for (const MessageId id : before) {
      if (waiting.contains(id)) {
        EXPECT_TRUE(seen.contains(id)) << "waiting all the time";
      }
    }
    for (const auto& [id, message] : seen) EXPECT_FALSE(gone.contains(id)) << "settled before";
    messages += seen.size();
    for (const SegmentView& segment : inspector.view().segments) {
      carried += segment.place != segment.sequence ? 1U : 0U;
    }
  }
  EXPECT_GT(carried, 0U) << "no segment was ever carried";
  EXPECT_GT(looks, trials / 2);
  EXPECT_GT(messages, 0U);
  EXPECT_GT(steps, trials);
}

}  // namespace
}  // namespace holdfast::outbox::test
