#include "sim/outbox_workloads.h"

#include <algorithm>

#include "outbox/slots.h"
#include "sim/toy_key_ring.h"

namespace holdfast::sim {
namespace {

using outbox::kSegmentFloor;
using std::chrono::milliseconds;
using std::chrono::seconds;

outbox::Options sized(unsigned segments) {
  outbox::Options options = outbox::test::small_options();
  options.max_bytes = segments * std::uint64_t{kSegmentFloor};
  return options;
}

outbox::Options roomy() { return sized(12); }
outbox::Options ordinary() { return sized(8); }
outbox::Options packed() { return sized(5); }
outbox::Options tiny() { return sized(4); }
outbox::Options encrypted() {
  static ToyKeyRing keys({1});  // holds nothing that changes
  outbox::Options options = ordinary();
  options.keys = &keys;
  return options;
}

/// Three lanes: what comes first keeps everything.
outbox::Options ruled(outbox::Options options, LaneRules normal, LaneRules bulk) {
  options.lanes[1].rules = normal;
  options.lanes[2].rules = bulk;
  return options;
}
outbox::Options old_ones_go() {
  return ruled(ordinary(), {.max_messages = 12, .when_full = WhenFull::drop_oldest},
               {.max_bytes = 6000, .when_full = WhenFull::drop_oldest});
}
outbox::Options new_ones_go() {
  outbox::Options options = ruled(ordinary(), {.max_messages = 20},
                                  {.max_bytes = 4000, .when_full = WhenFull::drop_newest});
  options.lanes[0].rules = {.max_messages = 9, .when_full = WhenFull::drop_newest};
  return options;
}
outbox::Options newest_of_a_key() {
  return ruled(ordinary(), {.conflate = true}, {.conflate = true});
}
outbox::Options bulk_makes_room(outbox::Options options) {
  return ruled(std::move(options), {}, {.when_full = WhenFull::drop_oldest});
}
outbox::Options crammed() { return bulk_makes_room(sized(6)); }
outbox::Options crammed_encrypted() {
  outbox::Options options = encrypted();
  options.max_bytes = 6 * std::uint64_t{kSegmentFloor};
  return bulk_makes_room(std::move(options));
}
outbox::Options made_ahead() {
  outbox::Options options = ordinary();
  options.preallocate = true;
  return options;
}
outbox::Options aging() {
  return ruled(ordinary(), {.max_age = seconds(8)}, {.max_age = seconds(30)});
}

/// A workload that never comes to what it is for would prove nothing.
void insist_dropped(OutboxRig& rig, DropReason reason) {
  if (!rig.up() || rig.world != Model::World::intact) return;
  if (rig.box()->ledger().dropped[static_cast<std::size_t>(reason)] > 0) return;
  rig.fail("nothing was dropped as " + std::string(to_string(reason)));
}

/// Whether a slot holds what was copied from others.
bool has_carried(OutboxRig& rig) {
  const auto names = rig.disk().list();
  return names && std::any_of(names->begin(), names->end(), [&](const std::string& name) {
           const auto header = outbox::decode_segment_header(rig.disk().content(name));
           return header && header->kind == outbox::SegmentKind::carried;
         });
}

/// Whether all slots that the limit allows exist.
bool all_slots_made(OutboxRig& rig) {
  const auto names = rig.disk().list();
  const auto slots = names ? std::count_if(names->begin(), names->end(),
                                           [](const auto& n) { return outbox::slot_number(n); })
                           : 0;
  return static_cast<std::uint64_t>(slots) * kSegmentFloor == rig.options.max_bytes;
}

void put_some(OutboxRig& rig, std::uint64_t count, std::size_t payload_below) {
  for (std::uint64_t i = 0; i < count && rig.up(); ++i) {
    rig.put_any(rig.random.below(payload_below));
  }
}

void fetch_all_lanes(OutboxRig& rig, std::size_t count) {
  for (std::size_t lane = 0; lane < rig.options.lanes.size(); ++lane) {
    rig.fetch(static_cast<LaneIndex>(lane), count);
  }
}

void steady(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 60 && rig.up(); ++i) {
    put_some(rig, 1 + rig.random.below(2), 300);
    rig.commit();
    fetch_all_lanes(rig, 10);
    rig.settle(rig.random.below(3), true);
    rig.tick(milliseconds(200));
  }
}

void out_of_order(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 40 && rig.up(); ++i) {
    put_some(rig, 5, 250);
    if (i % 2 == 0) rig.commit();
    fetch_all_lanes(rig, 20);
    rig.settle(rig.random.below(9), false);
    rig.tick(milliseconds(rig.random.below(3000)));
  }
}

void full_store(OutboxRig& rig) {
  rig.open();
  for (int round = 0; round < 2 && rig.up(); ++round) {
    for (int i = 0; i < 400 && rig.up(); ++i) {
      if (!rig.put_any(rig.random.below(900))) break;
      if (i % 8 == 0) rig.commit();
    }
    rig.commit();
    while (rig.up() && rig.waiting() > 40) {
      fetch_all_lanes(rig, 20);
      if (rig.in_flight() == 0) break;
      rig.settle(30, rig.random.below(2) == 0);
      rig.commit();
    }
  }
}

void recycling(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 70 && rig.up(); ++i) {
    put_some(rig, 3, 1500);
    rig.commit();
    fetch_all_lanes(rig, 20);
    if (rig.in_flight() > 6) rig.settle(rig.in_flight() - 4, false);
  }
}

void torn_tail(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 14 && rig.up(); ++i) {
    put_some(rig, 2 + rig.random.below(6), 500);
    if (rig.random.below(2) == 0) rig.commit();
    put_some(rig, 1 + rig.random.below(4), 500);
    // A commit that the process does not survive: written, not synced.
    rig.disk().faults.cut_at = rig.disk().operations() + 1;
    rig.commit();
    rig.disk().faults = {};
    rig.crash(rig.random.below(3) == 0);
    rig.open();
    rig.settle(rig.random.below(4), true);
  }
}

void rescue(OutboxRig& rig) {
  rig.world = Model::World::failing;
  rig.open();
  for (int i = 0; i < 40 && rig.up(); ++i) {
    put_some(rig, 1 + rig.random.below(4), 400);
    if (i % 3 == 2) rig.disk().faults.io_error_at = rig.disk().operations() + rig.random.below(4);
    rig.commit();
    fetch_all_lanes(rig, 10);
    rig.settle(rig.random.below(5), false);
    rig.tick(milliseconds(rig.random.below(2500)));
  }
}

void full_disk(OutboxRig& rig) {
  rig.open();
  rig.disk().faults.capacity = 5 * std::uint64_t{kSegmentFloor} + 1000;
  for (int i = 0; i < 60 && rig.up(); ++i) {
    put_some(rig, 6, 600);
    rig.commit();
    fetch_all_lanes(rig, 30);
    if (i > 15) rig.settle(rig.random.below(12), false);
    rig.tick(milliseconds(rig.random.below(1500)));
  }
}

void lane_changes(OutboxRig& rig) {
  const std::vector<std::vector<outbox::LaneOptions>> sets{
      {"urgent", "normal", "bulk"}, {"normal", "extra"}, {"bulk", "urgent"}, {"one"}};
  for (int i = 0; i < 12 && rig.wrong().empty(); ++i) {
    rig.options.lanes = sets[rig.random.below(sets.size())];
    if (!rig.open()) return;
    put_some(rig, 6, 200);
    rig.commit();
    rig.settle(rig.random.below(7), false);
    if (rig.random.below(3) == 0) {
      rig.crash(rig.random.below(2) == 0);
    } else {
      rig.close();
    }
  }
}

void clean_loops(OutboxRig& rig) {
  for (int i = 0; i < 30 && rig.wrong().empty(); ++i) {
    if (!rig.open()) return;
    put_some(rig, rig.random.below(4), 300);
    if (rig.random.below(2) == 0) rig.settle(rig.random.below(3), true);
    rig.close();
    if (i % 4 == 0) rig.crash(false);
  }
}

void large_payloads(OutboxRig& rig) {
  const std::size_t most = kSegmentFloor / 2 - 3 * outbox::kBlock - 200;
  rig.open();
  for (int i = 0; i < 30 && rig.up(); ++i) {
    rig.put_any(most - rig.random.below(i % 2 == 0 ? 200 : most));
    if (rig.random.below(3) == 0) rig.commit();
    fetch_all_lanes(rig, 3);
    if (rig.in_flight() > 3) rig.settle(2, false);
  }
  rig.commit();
}

void few_slots(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 90 && rig.up(); ++i) {
    put_some(rig, 4, 60);
    if (i % 3 == 0) rig.commit();
    fetch_all_lanes(rig, 40);
    rig.settle(rig.random.below(8), false);
  }
}

void few_stay(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 120 && rig.up(); ++i) {
    const bool room = rig.put_any(rig.random.below(400));
    if (!room && rig.up() && rig.world == Model::World::intact) {
      rig.fail("refused, and next to nothing waits");
    }
    if (i % 3 == 0) rig.commit();
    fetch_all_lanes(rig, 40);
    rig.settle(rig.in_flight() > 12 ? rig.in_flight() - 12 : 0, false);
  }
}

void ack_flush(OutboxRig& rig) {
  rig.open();
  put_some(rig, 120, 120);
  rig.commit();
  for (int i = 0; i < 60 && rig.up(); ++i) {
    fetch_all_lanes(rig, 4);
    rig.settle(1 + rig.random.below(3), false);
    rig.tick(milliseconds(1000 + rig.random.below(5000)));
  }
}

void preallocate(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 12 && rig.up(); ++i) {
    if (i % 4 == 0) put_some(rig, 3, 200);
    rig.tick(milliseconds(1000));
    if (i % 4 == 0) rig.commit();
  }
  if (rig.up() && rig.world == Model::World::intact && !all_slots_made(rig)) {
    rig.fail("not all slots were made ahead");
  }
  put_some(rig, 300, 900);
  rig.commit();
  fetch_all_lanes(rig, 400);
  rig.settle(200, false);
  rig.tick(seconds(6));
  put_some(rig, 40, 900);
  rig.commit();
}

void reboot_loops(OutboxRig& rig) {
  for (int i = 0; i < 24 && rig.wrong().empty(); ++i) {
    if (!rig.open()) return;
    put_some(rig, rig.random.below(3), 100);
    if (rig.random.below(2) == 0) rig.commit();
    if (rig.random.below(3) == 0) rig.settle(1, true);
    rig.crash(rig.random.below(2) == 0);
  }
}

void expiry(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 40 && rig.up(); ++i) {
    for (int k = 0; k < 3; ++k) {
      const std::uint64_t factor = rig.random.below(3);
      const std::uint64_t seconds_each = 1 + rig.random.below(20);
      const std::size_t payload = rig.random.below(200);
      rig.put_any(payload, static_cast<std::uint32_t>(factor * seconds_each));
    }
    rig.commit();
    if (i % 3 == 0) fetch_all_lanes(rig, 6);
    rig.settle(rig.random.below(5), true);
    rig.tick(seconds(rig.random.below(4)));
    if (i % 15 == 14) {
      rig.crash(rig.random.below(2) == 0);
      rig.open();
    }
  }
}

void batches(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 12 && rig.up(); ++i) {
    put_some(rig, 30 + rig.random.below(40), 300);
    if (i % 2 == 0) rig.commit();
    fetch_all_lanes(rig, 40);
    rig.settle(rig.in_flight() / 2, false);
  }
}

void backlog(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 20 && rig.up(); ++i) {
    put_some(rig, 25, 300);
    rig.commit();
  }
  rig.close();
  rig.open();
  while (rig.up() && rig.in_flight() > 0) {
    rig.settle(25, rig.random.below(2) == 0);
    if (rig.random.below(2) == 0) rig.commit();
    put_some(rig, 1, 100);
  }
}

void limit_changes(OutboxRig& rig) {
  for (int i = 0; i < 8 && rig.wrong().empty(); ++i) {
    rig.options.max_bytes = (4 + rig.random.below(9)) * std::uint64_t{kSegmentFloor};
    if (!rig.open()) return;
    rig.settle(rig.random.below(rig.in_flight() + 1), false);
    for (int k = 0; k < 10 && rig.up(); ++k) {
      put_some(rig, 6, 500);
      rig.commit();
      fetch_all_lanes(rig, 20);
      rig.settle(rig.random.below(8), true);
    }
    if (i % 3 == 2) {
      rig.crash(false);
    } else {
      rig.close();
    }
  }
}

void limits(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 60 && rig.up(); ++i) {
    put_some(rig, 1 + rig.random.below(6), 400);
    if (rig.random.below(3) != 0) rig.commit();
    if (rig.random.below(4) == 0) fetch_all_lanes(rig, 1 + rig.random.below(6));
    rig.settle(rig.random.below(5), false);
    rig.tick(milliseconds(rig.random.below(2500)));
    if (i % 12 == 11) rig.reopen();
    if (i % 20 == 15) {
      rig.crash(rig.random.below(2) == 0);
      rig.open();
      rig.settle(rig.in_flight() / 2, false);
    }
  }
  insist_dropped(rig, DropReason::evicted);
}

void conflation(OutboxRig& rig) {
  rig.keys = 7;
  rig.open();
  for (int i = 0; i < 60 && rig.up(); ++i) {
    put_some(rig, 1 + rig.random.below(5), 300);
    if (rig.random.below(3) != 0) rig.commit();
    if (rig.random.below(4) == 0) fetch_all_lanes(rig, 1 + rig.random.below(3));
    rig.settle(rig.random.below(4), false);
    // The first ticks after an opening read the keys of what waits, a segment each.
    rig.tick(milliseconds(rig.random.below(2500)));
    if (i % 7 == 6) rig.reopen();
    if (i % 20 == 15) {
      rig.crash(rig.random.below(2) == 0);
      rig.open();
    }
  }
  insist_dropped(rig, DropReason::superseded);
}

/// Fills the outbox, bulk mostly, and delivers bulk: each segment then holds a few others.
void compaction(OutboxRig& rig) {
  rig.open();
  bool carried = false;
  for (int round = 0; round < 3 && rig.up(); ++round) {
    for (int i = 0; i < 170 && rig.up(); ++i) {
      const std::size_t payload = 500 + rig.random.below(600);
      if (!rig.put(rig.random.below(12) == 0 ? 0 : 2, payload)) break;
      if (i % 10 == 9) rig.commit();
      carried = carried || (i % 10 == 0 && has_carried(rig));
    }
    rig.commit();
    rig.fetch(2, 30 + rig.random.below(60));
    if (round == 1) rig.fetch(0, 4);  // what is held is carried, too
    rig.settle(rig.in_flight(), false);
  }
  if (rig.world == Model::World::intact && rig.up() && !carried) rig.fail("nothing was carried");
  insist_dropped(rig, DropReason::evicted);
}

void mixed(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 220 && rig.up(); ++i) {
    switch (rig.random.below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        rig.put_any(rig.random.below(rig.random.below(20) == 0 ? 3500 : 300));
        break;
      case 4:
      case 5:
        rig.commit();
        break;
      case 6: {
        const std::size_t count = 1 + rig.random.below(20);
        rig.fetch(rig.any_lane(), count);
        break;
      }
      case 7:
      case 8:
        rig.settle(rig.random.below(12), false);
        break;
      default:
        rig.tick(milliseconds(500 + rig.random.below(8000)));
        if (rig.random.below(8) == 0) {
          if (rig.random.below(2) == 0) {
            rig.close();
          } else {
            rig.crash(rig.random.below(2) == 0);
          }
          rig.open();
        }
    }
  }
}

}  // namespace

const std::vector<Workload>& outbox_workloads() {
  static const std::vector<Workload> all{
      {"steady", "one or two messages a commit, settled in order", roomy, steady},
      {"out-of-order", "settlements in any order inside a window", ordinary, out_of_order},
      {"full-store", "filled to its limit, drained, filled again", packed, full_store},
      {"recycling", "slots used again and again", packed, recycling},
      {"torn-tail", "commits cut in their midst, opening behind them", ordinary, torn_tail},
      {"rescue", "a write or sync fails, the batch goes to a fresh slot", ordinary, rescue},
      {"full-disk", "ENOSPC: only the reserve slots are left", ordinary, full_disk},
      {"lane-changes", "each opening with other lanes", ordinary, lane_changes},
      {"clean-loops", "open, put, close in order, again", ordinary, clean_loops},
      {"large-payloads", "messages of up to the largest size", ordinary, large_payloads},
      {"few-slots", "four slots, the fewest there are", tiny, few_slots},
      {"few-stay", "the fewest slots, and some messages that stay", tiny, few_stay},
      {"ack-flush", "settlements only, made durable by time", ordinary, ack_flush},
      {"reboot-loops", "openings that end at once", ordinary, reboot_loops},
      {"expiry", "messages that expire, within a boot and across", ordinary, expiry},
      {"batches", "commits larger than the batch limit", roomy, batches},
      {"backlog", "many segments waiting, then drained", roomy, backlog},
      {"limit-changes", "max_bytes lowered and raised", roomy, limit_changes},
      {"mixed", "everything, by chance", ordinary, mixed},
      {"sealed", "everything, by chance, encrypted at rest", encrypted, mixed},
      {"limits-evict", "full lanes drop their oldest, by count and bytes", old_ones_go, limits},
      {"limits-newest", "full lanes drop the newest, or refuse it", new_ones_go, limits},
      {"conflation", "of each key only the newest waits", newest_of_a_key, conflation},
      {"compaction", "a full outbox: segments carried, bulk dropped", crammed, compaction},
      {"sealed-compaction", "the same, encrypted at rest", crammed_encrypted, compaction},
      {"preallocate", "slots made ahead, then used", made_ahead, preallocate},
      {"max-age", "lanes whose messages expire by themselves", aging, expiry},
  };
  return all;
}

}  // namespace holdfast::sim
