// An outbox at work on a simulated disk, and the model of what it owes, always in step.
//
// Purpose:  workloads are written against this: each call acts on both and compares what comes
//           back. At any moment, also in the middle of a call, model() is right about what a crash
//           must leave.
// Threads:  one thread at a time.
// Errors:   wrong() has the first thing that was wrong. Once it is set, or the disk fails for good,
//           up() is false and the calls do nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "outbox/test_world.h"
#include "sim/outbox_model.h"
#include "sim/power_cut_disk.h"
#include "sim/seeded_random.h"

namespace holdfast::sim {

class OutboxRig {
 public:
  OutboxRig(std::uint64_t seed, outbox::Options options);
  /// A twin that owes what `from` owes now, on an image of its disk. Not opened yet.
  OutboxRig(std::uint64_t seed, const OutboxRig& from, std::unique_ptr<PowerCutDisk> disk);

  SeededRandom random;  ///< The workload's own choices.
  outbox::test::HandClock clock;
  outbox::Options options;
  Model::World world = Model::World::intact;
  std::uint64_t keys = 0;  ///< Messages get one of so many keys; 0: each has its own.
  /// Called around every use of the store: true before, false behind.
  std::function<void(bool)> entering;
  env::Disk* below = nullptr;  ///< What the store is given instead of disk(), if anything.

  [[nodiscard]] PowerCutDisk& disk() { return *disk_; }
  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] outbox::Outbox* box() { return box_.get(); }
  [[nodiscard]] bool up() const { return box_ != nullptr && wrong_.empty(); }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  [[nodiscard]] std::uint64_t crashes() const { return crashes_; }
  void fail(const std::string& what);

  /// Opens the store, takes out everything and judges it. False when it did not open.
  bool open();
  /// Closes in order and opens again, but takes nothing out: all is the store's to give up.
  bool reopen();
  /// False when it was refused.
  bool put(LaneIndex lane, std::size_t payload, std::uint32_t expiry_seconds = 0);
  /// A lane by chance.
  [[nodiscard]] LaneIndex any_lane();
  /// Into any_lane(). What the arguments draw is drawn before it, with every compiler.
  bool put_any(std::size_t payload, std::uint32_t expiry_seconds = 0);
  bool commit();
  void fetch(LaneIndex lane, std::size_t count);
  /// Settles up to `count` of those in flight, the oldest first or in any order.
  void settle(std::size_t count, bool in_order);
  void tick(Duration pass);
  /// Closes in order; open() may follow.
  void close();
  /// The power goes (or the process is killed) now, leaving one of the possible states. A restart
  /// after a cut is a reboot. open() may follow.
  void crash(bool kill);
  /// Forgets the store object, as a process that ends without a word.
  void abandon();
  /// The store opens once more and everything is delivered.
  void drain();

  [[nodiscard]] std::size_t in_flight() const { return in_flight_.size(); }
  [[nodiscard]] std::uint64_t waiting() const;

 private:
  StoredMessage make(LaneIndex lane, std::size_t payload, std::uint32_t expiry_seconds);
  void take_lost(const std::vector<MessageId>& lost);
  bool open_box(outbox::RecoveryReport& report);
  [[nodiscard]] bool lane_is_full(const Known& fresh) const;
  /// Takes what the store decided by itself, checks it, and does about it what flow would.
  void take_news();
  bool note_dropped(MessageId id, DropReason reason);
  [[nodiscard]] bool is_held(MessageId id) const;
  [[nodiscard]] bool is_oldest(const Known& k) const;
  void give_up_held(LaneIndex lane, std::uint64_t count);
  void end_held(std::size_t at, DropReason reason);
  void check_limits();
  void check_lane(const outbox::LaneOptions& lane, bool keys_known);
  std::shared_ptr<const std::string> name_of(LaneIndex lane);

  SeededRandom world_random_;
  std::unique_ptr<PowerCutDisk> disk_;
  std::unique_ptr<outbox::Outbox> box_;
  Model model_;
  std::vector<std::shared_ptr<const std::string>> names_;
  std::vector<MessageId> uncommitted_;
  std::vector<MessageId> in_flight_;
  std::string wrong_;
  std::uint64_t crashes_ = 0;
  std::uint64_t made_ = 0;
};

}  // namespace holdfast::sim
