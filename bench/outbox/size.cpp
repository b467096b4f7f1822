// A program with the outbox and its disk and nothing else, to weigh: built once with the outbox and
// once (HOLDFAST_BENCH_NO_OUTBOX) with the disk only. The difference is what the outbox costs.
#include <cstdio>

#include "posix/system.h"
#ifndef HOLDFAST_BENCH_NO_OUTBOX
#include "outbox/outbox.h"
#endif

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto disk = holdfast::posix::open_disk(argv[1]);
  const auto clock = holdfast::posix::make_clock();
  const auto random = holdfast::posix::make_random();
  if (!disk || !(*disk)->lock()) return 1;
#ifndef HOLDFAST_BENCH_NO_OUTBOX
  holdfast::outbox::RecoveryReport report;
  auto store = holdfast::outbox::Outbox::open(**disk, *clock, *random, {}, report);
  if (!store) return 1;
  std::printf("%llu\n", static_cast<unsigned long long>((*store)->ledger().pending));
#else
  std::printf("%llu\n", static_cast<unsigned long long>(random->next()));
#endif
  return clock->wall().ms > 0 ? 0 : 1;
}
