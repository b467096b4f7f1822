// What tests of an open store share: its simulated disk, a hand-turned clock, and a way to end the
// process and open again.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "outbox/store.h"
#include "outbox/test_world.h"

namespace holdfast::outbox::test {

class StoreFixture : public testing::Test {
 protected:
  explicit StoreFixture(std::uint64_t seed)
      : random_(seed), disk_(random_), options_(small_options()) {}

  /// Ends the process (without a cut) if one runs, and opens.
  void open() {
    box_.reset();
    disk_.faults.kill = true;
    disk_.restart();
    report_ = {};
    auto opened = Store::open_store(disk_, clock_, random_, options_, report_);
    ASSERT_TRUE(opened.ok());
    box_ = std::move(opened).value();
  }

  /// Everything so far becomes durable, and the books balance.
  void commit() {
    std::vector<MessageId> lost;
    EXPECT_TRUE(box_->commit(lost).ok());
    EXPECT_TRUE(lost.empty());
    EXPECT_TRUE(box_->ledger().balanced());
  }

  [[nodiscard]] std::uint64_t count(DropReason reason) const {
    return box_->ledger().dropped[static_cast<std::size_t>(reason)];
  }

  HandClock clock_;
  SeededRandom random_;
  sim::PowerCutDisk disk_;
  Options options_;
  RecoveryReport report_;
  std::unique_ptr<Store> box_;
};

}  // namespace holdfast::outbox::test
