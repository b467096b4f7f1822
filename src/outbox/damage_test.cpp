// Goal:   damage costs exactly what it hit, is counted, and never keeps the store from opening.
// Method: a store with a few segments, some messages settled; one kind of damage at a time; then
//         open, fetch everything and compare byte for byte.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "outbox/test_world.h"

namespace holdfast::outbox::test {
namespace {

constexpr auto kCorrupt = static_cast<std::size_t>(DropReason::corrupt);

class Damage : public testing::Test {
 protected:
  Damage() : random_(env_number("HOLDFAST_SEED", 1)) {
    sim::PowerCutDisk disk(random_);
    RecoveryReport report;
    auto box = Outbox::open(disk, clock_, random_, small_options(), report).value();
    std::vector<MessageId> lost;
    for (int i = 0; i < 260; ++i) {
      StoredMessage m = make_message(static_cast<LaneIndex>(i % 3), "t/" + std::to_string(i),
                                     random_.below(300), static_cast<std::uint8_t>(i | 1));
      const MessageId id = box->put(m).id;
      waiting_.emplace(id, std::move(m));
      if (i % 5 == 0) {
        EXPECT_TRUE(box->commit(lost).ok());
      }
    }
    EXPECT_TRUE(box->commit(lost).ok());
    for (const MessagePtr& m : box->fetch(0, 60, 1'000'000).messages) {
      box->settle_delivered(m->id);
      settled_.insert(waiting_.extract(m->id));
    }
    EXPECT_TRUE(box->close().ok());
    EXPECT_TRUE(lost.empty());
    box.reset();
    image_ = disk.durable();
    EXPECT_GE(image_.size(), 4U);
  }

  struct Found {
    RecoveryReport report;
    Ledger ledger;
    std::uint64_t missing = 0;
    std::uint64_t wrong = 0;
  };

  /// Opens the image on a fresh disk and takes everything out of it.
  Found take_all(sim::PowerCutDisk& disk) {
    Found found;
    auto opened = open_at_last(disk, clock_, random_, found.report);
    EXPECT_TRUE(opened.ok()) << "refused to open";
    if (!opened) return found;
    auto& box = **opened;
    std::map<MessageId, bool> seen;
    do {
      for (LaneIndex lane = 0; lane < 3; ++lane) fetch_lane(box, lane, seen, found);
    } while (wait_for_reads(box, clock_));
    for (const auto& [id, message] : waiting_) found.missing += seen.contains(id) ? 0U : 1U;
    found.ledger = box.ledger();
    EXPECT_TRUE(found.ledger.balanced());
    EXPECT_EQ(found.ledger.pending, seen.size());
    // And it still works.
    std::vector<MessageId> lost;
    EXPECT_EQ(box.put(make_message(0, "after", 10)).rejected, RejectReason::none);
    EXPECT_TRUE(box.commit(lost).ok());
    return found;
  }

  void fetch_lane(Outbox& box, LaneIndex lane, std::map<MessageId, bool>& seen, Found& found) {
    bool more = true;
    while (more) {
      const auto got = box.fetch(lane, 50, 1'000'000);
      for (const MessagePtr& m : got.messages) {
        seen[m->id] = true;
        const auto& known = waiting_.contains(m->id) ? waiting_ : settled_;
        const auto it = known.find(m->id);
        if (it == known.end() || !same_message(it->second, *m)) ++found.wrong;
      }
      more = got.more;
      if (got.messages.empty() && box.take_news().dropped.empty()) break;
    }
    EXPECT_EQ(box.unfetched(lane), 0U);
  }

  void load(sim::PowerCutDisk& disk) {
    for (const auto& [name, bytes] : image_) disk.plant(name, bytes);
  }

  [[nodiscard]] std::string newest_segment() const {
    const auto sequence = [](const auto& file) {
      const auto header = decode_segment_header(file.second);
      return header ? header->sequence : 0;
    };
    return std::max_element(image_.begin(), image_.end(),
                            [&](const auto& a, const auto& b) { return sequence(a) < sequence(b); })
        ->first;
  }

  static std::vector<std::byte> zeroed(std::vector<std::byte> bytes, std::size_t from_block,
                                       std::size_t to_block) {
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from_block * kBlock),
              bytes.begin() + static_cast<std::ptrdiff_t>(to_block * kBlock), std::byte{0});
    return bytes;
  }

  HandClock clock_;
  SeededRandom random_;
  std::map<MessageId, StoredMessage> waiting_;
  std::map<MessageId, StoredMessage> settled_;  // may come back when its end is damaged
  std::map<std::string, std::vector<std::byte>> image_;
};

TEST_F(Damage, NoneLosesNothing) {
  sim::PowerCutDisk disk(random_);
  load(disk);
  const Found found = take_all(disk);
  EXPECT_TRUE(found.report.clean);
  EXPECT_EQ(found.missing, 0U);
  EXPECT_EQ(found.report.pending, waiting_.size());
}

TEST_F(Damage, OneFlippedBitCostsAtMostOneMessageAndIsCounted) {
  const std::uint64_t trials = env_number("HOLDFAST_RUNS", 400);
  std::uint64_t lost = 0;
  for (std::uint64_t i = 0; i < trials; ++i) {
    sim::PowerCutDisk disk(random_);
    load(disk);
    auto file = image_.begin();
    std::advance(file, static_cast<std::ptrdiff_t>(random_.below(image_.size())));
    const std::uint64_t at = random_.below(file->second.size());
    disk.flip(file->first, at, static_cast<unsigned>(random_.below(8)));
    const Found found = take_all(disk);
    EXPECT_LE(found.missing, 1U) << file->first << " at " << at;
    EXPECT_EQ(found.ledger.dropped[kCorrupt], found.missing) << file->first << " at " << at;
    EXPECT_EQ(found.wrong, 0U);
    lost += found.missing;
  }
  EXPECT_GT(lost, 0U) << "no flip ever hit a message: the test proves nothing";
}

TEST_F(Damage, BothCheckpointsOfTheNewestSegment) {
  for (const auto& [name, bytes] : image_) {
    sim::PowerCutDisk disk(random_);
    auto damaged = bytes;
    std::fill_n(damaged.begin() + kDataStart, 3 * kRecordHeaderSize, std::byte{0xAA});
    const SegmentHeader header = *decode_segment_header(bytes);
    const SegmentKey key = make_key(header.store, header.sequence, header.salt);
    for (std::uint32_t at = kDataStart; at + 32 < damaged.size(); at += 8) {
      const auto record = decode_record_header(std::span(damaged).subspan(at));
      if (record.tag == key.tag && record.type == RecordType::checkpoint) {
        damaged[at] ^= std::byte{1};
      }
    }
    load(disk);
    disk.plant(name, damaged);
    const Found found = take_all(disk);
    EXPECT_EQ(found.missing, 0U) << name;
    EXPECT_EQ(found.wrong, 0U);
  }
}

// Every message that a block of zeros costs is counted, with one exception: behind those at the
// very end of the log nothing tells of them, and zeros are what a cut leaves there.
TEST_F(Damage, ZeroedBlocks) {
  const std::string newest = newest_segment();
  for (const auto& [name, bytes] : image_) {
    const auto records = records_of(bytes);
    const bool is_newest = name == newest;
    for (std::size_t block = 0; block < bytes.size() / kBlock; ++block) {
      sim::PowerCutDisk disk(random_);
      load(disk);
      disk.plant(name, zeroed(bytes, block, block + 1));
      const Found found = take_all(disk);
      EXPECT_EQ(found.wrong, 0U);
      EXPECT_LE(found.missing, 60U) << name << " block " << block;
      const auto hit = [&](const PlacedRecord& r) {
        return r.from < (block + 1) * kBlock && r.to > block * kBlock;
      };
      const auto traceless = std::count_if(records.begin(), records.end(), [&](const auto& r) {
        return is_newest && r.type == RecordType::put && waiting_.contains(r.id) && hit(r) &&
               !leaves_trace(records, r, hit);
      });
      EXPECT_LE(found.missing, found.ledger.dropped[kCorrupt] + found.report.torn +
                                   static_cast<std::uint64_t>(traceless))
          << name << " block " << block;
      if (block < 2) {
        EXPECT_EQ(found.missing, 0U) << "one header copy is enough";
      }
    }
  }
}

// The exception of ZeroedBlocks is no more than this: zeros at the end of the log, whether a cut or
// damage left them, take the messages that were there, and only those.
TEST_F(Damage, ZerosAtTheEndOfTheLogLookLikeACut) {
  const std::string name = newest_segment();
  const auto& bytes = image_.at(name);
  const auto records = records_of(bytes);
  const std::size_t last = (records.back().to - 1) / kBlock;
  std::uint64_t there = 0;
  for (const PlacedRecord& r : records) {
    const bool waits = r.type == RecordType::put && waiting_.contains(r.id);
    there += waits && r.to > last * kBlock ? 1U : 0U;
  }
  for (const std::size_t end : {last + 1, bytes.size() / kBlock}) {
    sim::PowerCutDisk disk(random_);
    load(disk);
    disk.plant(name, zeroed(bytes, last, end));
    const Found found = take_all(disk);
    EXPECT_EQ(found.missing, there);
    EXPECT_EQ(found.ledger.dropped[kCorrupt], 0U);
    EXPECT_EQ(found.wrong, 0U);
    EXPECT_FALSE(found.report.clean);
  }
}

TEST_F(Damage, TruncatedAndMissingFiles) {
  for (const auto& [name, bytes] : image_) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{kDataStart},
                                   bytes.size() / 2, bytes.size() - 1}) {
      sim::PowerCutDisk disk(random_);
      load(disk);
      disk.plant(name, {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
      EXPECT_EQ(take_all(disk).wrong, 0U) << name << " cut to " << size;
    }
    sim::PowerCutDisk disk(random_);
    for (const auto& [other, content] : image_) {
      if (other != name) disk.plant(other, content);
    }
    EXPECT_EQ(take_all(disk).wrong, 0U) << name << " missing";
  }
}

// Found by `outbox verify`: the report counted the messages of a missing file twice.
TEST_F(Damage, MissingFileIsReportedOnce) {
  std::uint64_t reported = 0;
  for (const auto& [name, bytes] : image_) {
    sim::PowerCutDisk disk(random_);
    for (const auto& [other, content] : image_) {
      if (other != name) disk.plant(other, content);
    }
    RecoveryReport report;
    auto box = Outbox::open(disk, clock_, random_, small_options(), report).value();
    EXPECT_EQ(report.corrupt, box->ledger().dropped[kCorrupt]) << name;
    reported += report.corrupt;
  }
  EXPECT_GT(reported, 0U);
}

TEST_F(Damage, UnreadableSectorCostsItsRecordsOnly) {
  for (std::uint64_t sector = 0; sector < kSegmentFloor / 512; sector += 3) {
    sim::PowerCutDisk disk(random_);
    load(disk);
    disk.break_sector(image_.begin()->first, sector);
    const Found found = take_all(disk);
    EXPECT_EQ(found.wrong, 0U);
    EXPECT_LE(found.missing, 10U);
    EXPECT_EQ(found.ledger.dropped[kCorrupt], found.missing);
  }
}

// Found by fault_sim: slots that could not be read were taken for free ones, and a new store was
// written over the old.
TEST_F(Damage, ADiskThatReadsNothingIsNoNewStore) {
  sim::PowerCutDisk disk(random_);
  load(disk);
  disk.before = [](sim::PowerCutDisk::Call call) -> std::optional<Error> {
    if (call != sim::PowerCutDisk::Call::read) return std::nullopt;
    return Error{Errc::io, "input/output error", 5};
  };
  RecoveryReport report;
  const auto refused = Outbox::open(disk, clock_, random_, small_options(), report);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Errc::io);
  EXPECT_NE(refused.error().message.find("slot-0000.seg"), std::string::npos);
  disk.before = nullptr;
  disk.kill();
  const Found found = take_all(disk);
  EXPECT_EQ(found.missing, 0U);
  EXPECT_EQ(found.wrong, 0U);
}

TEST_F(Damage, ForeignFilesAreLeftAlone) {
  sim::PowerCutDisk other(random_);
  RecoveryReport report;
  auto box = Outbox::open(other, clock_, random_, small_options(), report).value();
  box.reset();
  const auto foreign = other.durable().begin()->second;
  sim::PowerCutDisk disk(random_);
  load(disk);
  disk.plant("slot-0030.seg", foreign);
  disk.plant("slot-0040.seg", std::vector<std::byte>(77, std::byte{3}));
  disk.plant("notes.txt", std::vector<std::byte>(5, std::byte{'x'}));
  const Found found = take_all(disk);
  EXPECT_EQ(found.missing, 0U);
  EXPECT_EQ(disk.content("slot-0030.seg"), foreign);
  EXPECT_EQ(disk.content("notes.txt").size(), 5U);
}

TEST_F(Damage, NothingButGarbageIsANewStore) {
  sim::PowerCutDisk disk(random_);
  for (int i = 0; i < 3; ++i) {
    std::vector<std::byte> bytes(kSegmentFloor);
    for (auto& b : bytes) b = static_cast<std::byte>(random_.next());
    disk.plant("slot-000" + std::to_string(i) + ".seg", bytes);
  }
  EXPECT_TRUE(take_all(disk).report.created);
}

}  // namespace
}  // namespace holdfast::outbox::test
