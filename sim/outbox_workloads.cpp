#include "sim/outbox_workloads.h"

#include <algorithm>
#include <cstdio>

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
    if (i % 4 == 0) rig.clock.reboot();
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
      {"ack-flush", "settlements only, made durable by time", ordinary, ack_flush},
      {"reboot-loops", "openings that end at once", ordinary, reboot_loops},
      {"expiry", "messages that expire, within a boot and across", ordinary, expiry},
      {"batches", "commits larger than the batch limit", roomy, batches},
      {"backlog", "many segments waiting, then drained", roomy, backlog},
      {"limit-changes", "max_bytes lowered and raised", roomy, limit_changes},
      {"mixed", "everything, by chance", ordinary, mixed},
      {"sealed", "everything, by chance, encrypted at rest", encrypted, mixed},
  };
  return all;
}

void list_workloads() {
  for (const Workload& w : outbox_workloads()) {
    std::printf("%-16s %s\n", std::string(w.name).c_str(), std::string(w.what).c_str());
  }
}

std::vector<std::string> workload_names() {
  std::vector<std::string> names;
  for (const Workload& w : outbox_workloads()) names.emplace_back(w.name);
  return names;
}

}  // namespace holdfast::sim
