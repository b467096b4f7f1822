// outbox_sample DIR SEED: makes an outbox by the real store, for readers to be tested on.
//
// Several openings, closed in order or not; several segments; all kinds of fields; messages that
// were delivered and dropped out of order. Same seed, same messages.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "outbox/store.h"
#include "posix/system.h"
#include "sim/seeded_random.h"

namespace {

using namespace holdfast;  // NOLINT: a program's main file

StoredMessage make_message(sim::SeededRandom& random, int number) {
  StoredMessage m;
  m.lane = static_cast<LaneIndex>(random.below(4) % 3);
  m.topic = "plant/line " + std::to_string(number) + (random.below(9) == 0 ? "/\xC3\xBC" : "");
  const std::uint64_t size = random.below(10) == 0 ? 3000 + random.below(4000) : random.below(400);
  const bool text = random.below(2) == 0;
  for (std::uint64_t i = 0; i < size; ++i) {
    m.payload.push_back(static_cast<std::byte>(text ? 'a' + random.below(26) : random.below(256)));
  }
  if (random.below(4) == 0) m.qos = Qos::at_most_once;
  m.retain = random.below(8) == 0;
  if (random.below(3) == 0) m.expiry_seconds = 86'400 + static_cast<std::uint32_t>(number);
  if (random.below(5) == 0) m.key = "key " + std::to_string(number % 7);
  if (random.below(6) == 0) m.alias = kVolatileBit | static_cast<MessageId>(number + 1);
  if (random.below(3) == 0) m.content_type = "text/plain";
  for (std::uint64_t n = random.below(3); n > 0; --n) {
    m.user_properties.emplace_back("key" + std::to_string(n % 2), std::to_string(number));
  }
  if (random.below(4) == 0) m.response_topic = "answers/" + std::to_string(number);
  for (std::uint64_t n = random.below(4); n > 0; --n) {
    m.correlation_data.push_back(static_cast<std::byte>(random.below(256)));
  }
  return m;
}

bool live_once(env::Disk& disk, sim::SeededRandom& random, bool in_order) {
  const auto clock = posix::make_clock();
  outbox::Options options;
  options.segment_bytes = outbox::kSegmentFloor;
  options.max_bytes = 8 * std::uint64_t{outbox::kSegmentFloor};
  outbox::RecoveryReport report;
  auto store = outbox::Outbox::open(disk, *clock, random, options, report);
  if (!store) return false;
  std::vector<MessageId> lost;
  const std::uint64_t commits = 10 + random.below(120);
  // A few lanes that are never emptied leave little in many segments: those are then carried.
  const std::uint64_t lanes = 1 + random.below(3);
  for (std::uint64_t i = 0; i < commits; ++i) {
    for (std::uint64_t n = random.below(6); n > 0; --n) {
      static_cast<void>((*store)->put(make_message(random, static_cast<int>(i))));
    }
    if (!(*store)->commit(lost)) return false;
    const auto lane = static_cast<LaneIndex>(random.below(lanes));
    for (const MessagePtr& m : (*store)->fetch(lane, random.below(12), 100'000).messages) {
      const std::uint64_t end = random.below(6);
      if (end == 0) (*store)->settle_dropped(m->id, DropReason::refused);
      if (end > 1) (*store)->settle_delivered(m->id);
    }
  }
  return !in_order || (*store)->close().ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: outbox_sample DIR SEED\n", stderr);
    return 2;
  }
  sim::SeededRandom random(std::strtoull(argv[2], nullptr, 10));
  for (std::uint64_t lives = 1 + random.below(4); lives > 0; --lives) {
    auto disk = posix::open_disk(argv[1]);
    if (!disk || !live_once(**disk, random, random.below(2) == 0)) {
      std::fprintf(stderr, "outbox_sample: cannot make %s\n", argv[1]);
      return 1;
    }
  }
  return 0;
}
