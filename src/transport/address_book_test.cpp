// Goal:   the book remembers what it should, no more and no longer, and its file is written seldom
//         and read with suspicion.
// Method: the book on a clock of the test's own; nothing else.
#include "transport/address_book.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "transport/tcp_race.h"

namespace holdfast::transport {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class HandClock final : public env::Clock {
 public:
  BootTime now() const override { return now_; }
  WallTime wall() const override { return wall_; }
  bool wall_synchronized() const override { return true; }
  env::BootId boot_id() const override { return {}; }
  void pass(Duration time) {
    now_ += time;
    wall_.ms += std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  }
  void set_wall(std::int64_t ms) { wall_.ms = ms; }

 private:
  BootTime now_{hours(1)};
  WallTime wall_{1'800'000'000'000};
};

class AddressBookTest : public ::testing::Test {
 protected:
  static env::Address at(int last) { return {"192.0.2." + std::to_string(last), false}; }
  static std::vector<std::string> names(const std::vector<env::Address>& addresses) {
    std::vector<std::string> found;
    for (const env::Address& address : addresses) found.push_back(address.numeric);
    return found;
  }
  std::vector<std::string> good(const AddressBook& book) { return names(book.last_good(broker_)); }
  void expect_damaged(const std::string& text, const std::string& words) {
    AddressBook book(clock_, nullptr);
    const Status loaded = book.load(text);
    ASSERT_FALSE(loaded.ok()) << text;
    EXPECT_EQ(loaded.error().code, Errc::corrupt);
    EXPECT_NE(loaded.error().message.find(words), std::string::npos) << loaded.error().message;
    EXPECT_TRUE(good(book).empty());
  }

  HandClock clock_;
  std::vector<std::string> saved_;
  AddressBook book_{clock_, [this](std::string text) { saved_.push_back(std::move(text)); }};
  const env::Place broker_{"broker.test", 8883};
};

TEST_F(AddressBookTest, KnowsTheLastGoodOnesOfEachPlaceAndNotMore) {
  for (int i = 1; i <= 6; ++i) book_.worked(broker_, at(i), true);
  book_.worked({"broker.test", 443}, at(9), true);
  EXPECT_EQ(good(book_),
            (std::vector<std::string>{"192.0.2.6", "192.0.2.5", "192.0.2.4", "192.0.2.3"}));
  EXPECT_EQ(names(book_.last_good({"broker.test", 443})), std::vector<std::string>{"192.0.2.9"});
  for (int i = 0; i < 10; ++i) book_.worked({"other" + std::to_string(i), 1}, at(i), true);
  EXPECT_TRUE(good(book_).empty()) << "other places have been of use since";
  EXPECT_EQ(names(book_.last_good({"other9", 1})), std::vector<std::string>{"192.0.2.9"});
}

TEST_F(AddressBookTest, AnAddressIsGoodForAWeekAfterTheNameServiceGaveIt) {
  book_.worked(broker_, at(1), true);
  clock_.pass(kGoodFor - hours(1));
  EXPECT_EQ(good(book_).size(), 1U);
  book_.worked(broker_, at(1), false);  // Used in want of an answer: that makes it no younger.
  clock_.pass(hours(1));
  EXPECT_TRUE(good(book_).empty());
}

TEST_F(AddressBookTest, AtAStartWithoutATimeTheAddressesAreStillKnown) {
  book_.worked(broker_, at(1), true);
  clock_.set_wall(0);
  EXPECT_EQ(good(book_).size(), 1U);
}

TEST_F(AddressBookTest, WhatIsNumericNeedsNoBook) {
  book_.worked({"192.0.2.1", 8883}, at(1), true);
  book_.worked({"2001:db8::1", 8883}, {"2001:db8::1", true}, true);
  EXPECT_TRUE(saved_.empty());
}

TEST_F(AddressBookTest, AFailedAddressIsTriedLastForAWhileOrUntilItWorks) {
  const std::vector<env::Address> all{at(1), at(2), at(3)};
  book_.failed(broker_, at(1));
  clock_.pass(seconds(1));
  book_.failed(broker_, at(2));
  EXPECT_EQ(names(order_of_attempts(all, broker_, &book_)),
            (std::vector<std::string>{"192.0.2.3", "192.0.2.1", "192.0.2.2"}));
  EXPECT_EQ(names(order_of_attempts(all, {"broker.test", 443}, &book_)), names(all));
  clock_.pass(seconds(1));
  book_.failed(broker_, at(1));  // Again: now it is the one that failed last.
  EXPECT_EQ(names(order_of_attempts(all, broker_, &book_)),
            (std::vector<std::string>{"192.0.2.3", "192.0.2.2", "192.0.2.1"}));
  book_.worked(broker_, at(1), true);
  EXPECT_EQ(names(order_of_attempts(all, broker_, &book_)),
            (std::vector<std::string>{"192.0.2.1", "192.0.2.3", "192.0.2.2"}));
  clock_.pass(kFailedFor);
  EXPECT_EQ(names(order_of_attempts(all, broker_, &book_)), names(all));
}

TEST_F(AddressBookTest, FamiliesAlternateAmongTheHopefulOnes) {
  const env::Address six{"2001:db8::1", true};
  const env::Address seven{"2001:db8::2", true};
  book_.failed(broker_, at(1));
  EXPECT_EQ(names(order_of_attempts({six, seven, at(1), at(2)}, broker_, &book_)),
            (std::vector<std::string>{"2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.1"}));
}

// However many there are, and however many attempts it takes.
TEST_F(AddressBookTest, EveryAddressIsTriedInTime) {
  std::vector<env::Address> all;
  for (int i = 1; i <= 50; ++i) all.push_back(at(i));
  std::vector<std::string> tried;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto order = order_of_attempts(all, broker_, &book_);
    ASSERT_EQ(order.size(), kAddressesMax);
    for (const env::Address& address : order) {
      tried.push_back(address.numeric);
      book_.failed(broker_, address);
    }
    clock_.pass(seconds(1));
  }
  tried.resize(all.size());
  EXPECT_EQ(tried, names(all));
}

TEST_F(AddressBookTest, TheFailedOnesAreBounded) {
  for (int i = 0; i < 1000; ++i) {
    book_.failed({"host" + std::to_string(i), 1}, at(1));
  }
  std::size_t known = 0;
  for (int i = 0; i < 1000; ++i) {
    known += book_.failed_at({"host" + std::to_string(i), 1}, at(1)) ? 1U : 0U;
  }
  EXPECT_EQ(known, limits::kFailedAddresses);
  EXPECT_TRUE(book_.failed_at({"host999", 1}, at(1)));
}

TEST_F(AddressBookTest, WhatWasSavedIsKnownAgain) {
  book_.worked(broker_, at(1), true);
  clock_.pass(hours(2));
  book_.worked(broker_, {"2001:db8::7", true}, true);
  ASSERT_EQ(saved_.size(), 2U);
  EXPECT_EQ(saved_.back(),
            "holdfast-addresses 1 2\n"
            "broker.test 8883 2001:db8::7 1800007200000\n"
            "broker.test 8883 192.0.2.1 1800000000000\n");
  AddressBook next(clock_, nullptr);
  ASSERT_TRUE(next.load(saved_.back()).ok());
  EXPECT_EQ(good(next), good(book_));
  EXPECT_TRUE(next.last_good(broker_).front().v6);
  clock_.pass(kGoodFor - minutes(1));
  EXPECT_EQ(good(next), std::vector<std::string>{"2001:db8::7"}) << "their ages are known, too";
}

TEST_F(AddressBookTest, FlashIsSparedWhereEachConnectFindsAnotherAddress) {
  const int days = 10;
  for (int i = 0; i < days * 24 * 60; ++i) {
    book_.worked(broker_, at(i % 200), true);
    clock_.pass(minutes(1));
  }
  EXPECT_LE(saved_.size(), static_cast<std::size_t>(days * 24 + 1));
}

TEST_F(AddressBookTest, AnAddressThatStaysIsWrittenOnceADay) {
  for (int i = 0; i < 10 * 24 * 60; ++i) {
    book_.worked(broker_, at(1), true);
    clock_.pass(minutes(1));
  }
  EXPECT_EQ(saved_.size(), 10U);
  AddressBook next(clock_, [](const std::string&) { FAIL() << "a restart is no news"; });
  ASSERT_TRUE(next.load(saved_.back()).ok());
  clock_.pass(-hours(1));
  next.worked(broker_, at(1), true);
}

TEST_F(AddressBookTest, AClockThatWentBackDoesNotEndTheSaving) {
  book_.worked(broker_, at(1), true);
  clock_.set_wall(0);
  book_.worked(broker_, at(2), true);
  EXPECT_EQ(saved_.size(), 2U);
}

TEST_F(AddressBookTest, ADamagedFileIsRefusedWithAReason) {
  expect_damaged("", "first line");
  expect_damaged("holdfast-addresses 2 0\n", "first line");
  expect_damaged("holdfast-addresses 1 1\n", "count");
  expect_damaged("holdfast-addresses 1 x\n", "count");
  expect_damaged("holdfast-addresses 1 1\nbroker.test 8883 192.0.2.1 18", "cut");
  expect_damaged("holdfast-addresses 1 1\nb 1 192.0.2.1\n", "line 2: a line has too few");
  expect_damaged("holdfast-addresses 1 1\n 8883 192.0.2.1 1\n", "a name");
  expect_damaged("holdfast-addresses 1 1\nbroker.test 88830 192.0.2.1 1\n", "a port");
  expect_damaged("holdfast-addresses 1 1\nbroker.test 8883 192.0.2.x 1\n", "an address");
  expect_damaged("holdfast-addresses 1 1\nbroker.test 8883 192.0.2.1 1 \n", "a time");
  expect_damaged("holdfast-addresses 1 1\nb 1 192.0.2.1 9223372036854775807\n", "a time");
  const std::size_t over = limits::kPlaces * limits::kGoodAddresses + 1;
  std::string many = "holdfast-addresses 1 " + std::to_string(over) + "\n";
  for (std::size_t i = 0; i < over; ++i) many += "b 1 192.0.2.1 1\n";
  expect_damaged(many, "too many");
}

// Whatever byte is missing or another, loading ends and the book stays within its bounds.
TEST_F(AddressBookTest, AnyByteMayBeAnother) {
  for (int i = 1; i <= 3; ++i) {
    book_.worked(broker_, at(i), true);
    clock_.pass(hours(2));
  }
  const std::string whole = saved_.back();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(byte);
      AddressBook book(clock_, nullptr);
      const bool loaded = book.load(damaged).ok();
      EXPECT_LE(good(book).size(), loaded ? limits::kGoodAddresses : 0U);
    }
    AddressBook book(clock_, nullptr);
    EXPECT_FALSE(book.load(whole.substr(0, i)).ok());
  }
}

}  // namespace
}  // namespace holdfast::transport
