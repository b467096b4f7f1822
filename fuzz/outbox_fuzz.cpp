// Goal:   no bytes on disk make the outbox crash, hang or break its own accounts.
// Method: the input is the content of up to three slot files (slot_files.h). Then: open, fetch,
//         settle, put, commit, open again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "fuzz/slot_files.h"
#include "outbox/outbox.h"

namespace {

using namespace holdfast;
using fuzz::MemoryDisk;

class FixedClock final : public env::Clock {
 public:
  [[nodiscard]] BootTime now() const override { return BootTime{std::chrono::seconds(100)}; }
  [[nodiscard]] WallTime wall() const override { return WallTime{1'750'000'000'000}; }
  [[nodiscard]] bool wall_synchronized() const override { return true; }
  [[nodiscard]] env::BootId boot_id() const override { return env::BootId{1}; }
};

class CountingRandom final : public env::Random {
 public:
  std::uint64_t next() override { return ++count_; }

 private:
  std::uint64_t count_ = 0;
};

void work(MemoryDisk& disk) {
  FixedClock clock;
  CountingRandom random;
  outbox::Options options;
  options.segment_bytes = outbox::kSegmentFloor;
  options.max_bytes = 8 * std::uint64_t{outbox::kSegmentFloor};
  outbox::RecoveryReport report;
  auto opened = outbox::Outbox::open(disk, clock, random, options, report);
  if (!opened) std::abort();  // damage never keeps it from opening
  outbox::Outbox& box = **opened;
  for (LaneIndex lane = 0; lane < 3; ++lane) {
    for (int i = 0; i < 200; ++i) {
      const auto got = box.fetch(lane, 16, 100'000);
      for (const MessagePtr& m : got.messages) box.settle_delivered(m->id);
      if (!got.more) break;
    }
  }
  StoredMessage message;
  message.topic = "t";
  static_cast<void>(box.put(message));
  std::vector<MessageId> lost;
  static_cast<void>(box.commit(lost));
  if (!box.ledger().balanced()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  MemoryDisk disk;
  if (!fuzz::plant_slots(std::as_bytes(std::span(data, size)), disk)) return 0;
  work(disk);
  work(disk);
  return 0;
}
