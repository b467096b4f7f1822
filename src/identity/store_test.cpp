// Goal:   wherever the power goes, or an operation fails, while a credential is installed or kept,
//         the device has a whole active credential, the one that was tried is not lost, and doing
//         it again ends as if nothing had happened.
// Method: each operation of the simulated disk is cut in turn, and each combination of what a cut
//         may leave of names and sectors is looked at; the same with one failing operation.
#include "identity/store.h"

#include <gtest/gtest.h>

#include "sim/power_cut_disk.h"
#include "sim/seeded_random.h"

namespace holdfast::identity {
namespace {

using Slot = IdentitySlot;
using sim::PowerCutDisk;

// Longer than a sector, so that a cut can tear it.
std::string content(char mark) { return std::string(1500, mark) + "\n"; }

const std::string kOld = content('o');
const std::string kOlder = content('p');
const std::string kNew = content('n');
const std::string kEarlier = content('e');

void plant(PowerCutDisk& disk, Slot slot, const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  disk.plant(std::string(file_of(slot)), {bytes.begin(), bytes.end()});
}

std::string read(PowerCutDisk& disk, Slot slot) {
  auto got = Store(disk).read(slot);
  return got ? got->text() : got.error().code == Errc::not_found ? "" : got.error().message;
}

/// A device in the field: an active, a previous, and (for keep) a next one.
void furnish(PowerCutDisk& disk, bool with_next) {
  plant(disk, Slot::active, kOld);
  plant(disk, Slot::previous, kOlder);
  if (with_next) plant(disk, Slot::next, kNew);
}

Status do_keep(PowerCutDisk& disk) {
  const Secret before(kOld);
  return Store(disk).keep(Secret(kNew), &before);
}

/// What must hold at every instant of keep(); empty: it does.
std::string wrong_after_keep_was_cut(PowerCutDisk& disk) {
  const std::string active = read(disk, Slot::active);
  const std::string next = read(disk, Slot::next);
  const std::string previous = read(disk, Slot::previous);
  if (active != kOld && active != kNew) return "active is torn or gone";
  if (active != kNew && next != kNew) return "what was tried is lost";
  if (next != kNew && !next.empty()) return "next is torn";
  if (previous != kOlder && previous != kOld) return "previous is torn or gone";
  if (active == kNew && previous != kOld) return "there is no way back";
  return "";
}

std::string wrong_after_finishing(PowerCutDisk& disk) {
  if (Status tidied = Store(disk).tidy(); !tidied) return "tidy: " + tidied.error().message;
  if (Status kept = do_keep(disk); !kept) return "again: " + kept.error().message;
  if (read(disk, Slot::active) != kNew) return "active is not what was kept";
  if (read(disk, Slot::previous) != kOld) return "previous is not what was active";
  if (!read(disk, Slot::next).empty()) return "next is not empty";
  const auto names = disk.list();
  return names && names->size() == 2 ? "" : "something is left over";
}

/// Carries out `work` on a fresh disk, cut before its `at`-th operation, for each way in which the
/// cut may end. Returns how many ways were looked at; 0: there is no such operation.
template <class Furnish, class Work, class Look>
std::size_t cut_at(std::uint64_t at, const Furnish& furnish_it, const Work& work,
                   const Look& look) {
  sim::SeededRandom random(at + 1);
  std::size_t ways = 0;
  std::size_t undecided = 0;
  for (std::uint64_t way = 0; way == 0 || way < (std::uint64_t{1} << undecided); ++way) {
    PowerCutDisk disk(random);
    furnish_it(disk);
    disk.faults.cut_at = disk.operations() + at;
    static_cast<void>(work(disk));
    if (!disk.is_down()) return 0;
    disk.faults = {};
    undecided = disk.undecided();
    EXPECT_LE(undecided, 16U);
    std::vector<bool> survives;
    for (std::size_t bit = 0; bit < undecided; ++bit) survives.push_back((way >> bit & 1) != 0);
    disk.cut(survives);
    const std::string wrong = look(disk);
    EXPECT_EQ(wrong, "") << "cut at operation " << at << ", way " << way;
    ++ways;
    if (!wrong.empty()) break;
  }
  return ways;
}

TEST(IdentityStore, KeepMovesAllThree) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  furnish(disk, true);
  const Status kept = do_keep(disk);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(wrong_after_keep_was_cut(disk), "");
  EXPECT_EQ(wrong_after_finishing(disk), "");
}

TEST(IdentityStore, ACutAnywhereInKeepStrandsNothing) {
  std::size_t ways = 0;
  std::uint64_t operations = 0;
  for (;; ++operations) {
    const std::size_t now = cut_at(
        operations, [](PowerCutDisk& disk) { furnish(disk, true); }, do_keep,
        [](PowerCutDisk& disk) {
          std::string wrong = wrong_after_keep_was_cut(disk);
          return wrong.empty() ? wrong_after_finishing(disk) : wrong;
        });
    if (now == 0) break;
    ways += now;
  }
  EXPECT_GE(operations, 14U) << "two files replaced, one removed";
  EXPECT_GE(ways, 50U);
  RecordProperty("ways", static_cast<int>(ways));
}

TEST(IdentityStore, ACutAnywhereInInstallLeavesTheNextSlotOldNewOrEmptyButNeverTorn) {
  for (const bool there : {false, true}) {
    std::uint64_t operations = 0;
    for (;; ++operations) {
      const std::size_t ways = cut_at(
          operations,
          [&](PowerCutDisk& disk) {
            furnish(disk, false);
            if (there) plant(disk, Slot::next, kEarlier);
          },
          [](PowerCutDisk& disk) { return Store(disk).install(Secret(kNew)); },
          [&](PowerCutDisk& disk) -> std::string {
            const std::string next = read(disk, Slot::next);
            if (read(disk, Slot::active) != kOld) return "active was touched";
            if (read(disk, Slot::previous) != kOlder) return "previous was touched";
            if (next != kNew && next != (there ? kEarlier : "")) return "next is torn or gone";
            if (!Store(disk).tidy()) return "cannot tidy";
            if (!Store(disk).install(Secret(kNew))) return "cannot install again";
            return read(disk, Slot::next) == kNew ? "" : "not installed";
          });
      if (ways == 0) break;
    }
    EXPECT_GE(operations, 5U);
  }
}

TEST(IdentityStore, AnyFailingOperationIsReportedAndLeavesTheSlotsWhole) {
  for (std::uint64_t at = 0;; ++at) {
    sim::SeededRandom random(at + 1);
    PowerCutDisk disk(random);
    furnish(disk, true);
    const std::uint64_t first = disk.operations();
    disk.faults.io_error_at = first + at;
    const Status kept = do_keep(disk);
    if (disk.operations() <= first + at) break;  // it never came so far
    EXPECT_FALSE(kept) << at;
    EXPECT_EQ(wrong_after_keep_was_cut(disk), "") << at;
    disk.faults = {};
    EXPECT_EQ(wrong_after_finishing(disk), "") << at;
  }
}

TEST(IdentityStore, AFullOrReadOnlyDiskChangesNothing) {
  for (const bool full : {true, false}) {
    sim::SeededRandom random(1);
    PowerCutDisk disk(random);
    furnish(disk, true);
    if (full) disk.faults.capacity = 4600;
    disk.faults.read_only = !full;
    const Status kept = do_keep(disk);
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, full ? Errc::no_space : Errc::read_only);
    EXPECT_EQ(read(disk, Slot::active), kOld);
    EXPECT_EQ(read(disk, Slot::previous), kOlder);
    EXPECT_EQ(read(disk, Slot::next), kNew);
  }
}

TEST(IdentityStore, ANextOneThatCameMeanwhileIsNotTakenAway) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  furnish(disk, false);
  plant(disk, Slot::next, kEarlier);
  ASSERT_TRUE(do_keep(disk));
  EXPECT_EQ(read(disk, Slot::active), kNew);
  EXPECT_EQ(read(disk, Slot::next), kEarlier);
}

TEST(IdentityStore, HugeFilesAreRefusedNotRead) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  plant(disk, Slot::active, std::string(kSlotFileMax + 1, 'x'));
  const auto got = Store(disk).read(Slot::active);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Errc::too_large);
  EXPECT_FALSE(Store(disk).install(Secret(std::string(kSlotFileMax + 1, 'x'))));
  plant(disk, Slot::active, std::string(kSlotFileMax, 'x'));
  EXPECT_TRUE(Store(disk).read(Slot::active));
}

TEST(IdentityStore, TheRecordIsReplacedWholeAndADamagedOneIsNamed) {
  sim::SeededRandom random(1);
  PowerCutDisk disk(random);
  Store store(disk);
  auto none = store.read_record();
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  const Record record{RotationResult::kept, "id", "fp", WallTime{5}, ""};
  ASSERT_TRUE(store.write_record(record));
  auto back = store.read_record();
  ASSERT_TRUE(back && *back);
  EXPECT_EQ(**back, record);
  disk.flip(std::string(kRecordFile), 0, 1);
  auto damaged = store.read_record();
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message.find("last-rotation: "), std::string::npos);
}

}  // namespace
}  // namespace holdfast::identity
