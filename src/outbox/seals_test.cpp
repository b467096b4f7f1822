// Goal:   sealed messages come back byte for byte with their key, wait without it, and show nothing
//         of themselves on the disk.
// Method: the store on a simulated disk with a toy key ring that refuses a nonce used twice; keys
//         are taken away, changed and given back; writes fail, segments are carried, bits flip.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "outbox/bytes.h"
#include "outbox/inspect.h"
#include "outbox/store_fixture.h"
#include "sim/toy_key_ring.h"

namespace holdfast::outbox::test {
namespace {

using Texts = std::vector<std::string>;

class SealsTest : public StoreFixture {
 protected:
  SealsTest() : StoreFixture(11), ring_({1}, true) { options_.keys = &ring_; }
  ~SealsTest() override { box_.reset(); }  // before the ring

  void open() {
    if (box_) {
      static_cast<void>(box_->close());
    }
    StoreFixture::open();
  }

  MessageId stored(const std::string& topic, std::size_t size = 100) {
    StoredMessage m = make_message(1, topic, size);
    m.user_properties.emplace_back("secret-name", "secret-value");
    m.content_type = "secret-type";
    m.key = "secret-key";
    const PutResult result = box_->put(m);
    EXPECT_EQ(result.rejected, RejectReason::none) << to_string(result.rejected);
    commit();
    return result.id;
  }

  Texts fetched() {
    Texts topics;
    for (const auto& m : box_->fetch(1, 100'000, 100'000'000).messages) {
      topics.push_back(m->topic);
      EXPECT_EQ(m->key, "secret-key");
      EXPECT_EQ(m->content_type, "secret-type");
      EXPECT_EQ(m->payload, make_message(1, "", m->payload.size()).payload);
    }
    return topics;
  }

  [[nodiscard]] bool on_disk(std::string_view text) const {
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    const auto files = disk_.durable();
    return std::any_of(files.begin(), files.end(), [&](const auto& file) {
      return std::search(file.second.begin(), file.second.end(), bytes.begin(), bytes.end()) !=
             file.second.end();
    });
  }

  sim::ToyKeyRing ring_;
};

TEST_F(SealsTest, NothingOfAMessageCanBeReadOnTheDisk) {
  open();
  stored("secret-topic");
  EXPECT_FALSE(on_disk("secret")) << "sealed";
  open();
  EXPECT_EQ(report_.locked, 0U);
  EXPECT_EQ(fetched(), Texts{"secret-topic"});
  options_.keys = nullptr;
  open();
  stored("secret-topic");
  EXPECT_TRUE(on_disk("secret-topic")) << "or the search above proves nothing";
}

TEST_F(SealsTest, WithoutItsKeyAMessageWaitsAndNothingElseDoes) {
  open();
  const MessageId id = stored("one");
  stored("two");
  ring_.set({});
  open();
  EXPECT_EQ(report_.locked, 2U);
  EXPECT_EQ(report_.pending, 2U);
  EXPECT_EQ(box_->unfetched(1), 0U) << "nobody must ask again and again";
  EXPECT_TRUE(fetched().empty());
  EXPECT_EQ(box_->fate(id).kind, FateKind::pending);
  stored("three");
  EXPECT_EQ(fetched(), Texts{"three"});
  EXPECT_TRUE(box_->take_news().dropped.empty());
  ring_.set({1});
  open();
  EXPECT_EQ(report_.locked, 0U);
  EXPECT_EQ(fetched(), (Texts{"one", "two", "three"}));
  EXPECT_EQ(count(DropReason::corrupt), 0U);
}

TEST_F(SealsTest, AnotherKeyOpensNothingAndANewOneReadsTheOldWithIt) {
  open();
  stored("one");
  ring_.set({2});
  open();
  EXPECT_EQ(report_.locked, 1U);
  stored("two");
  ring_.set({3, 2, 1});
  open();
  stored("three");
  EXPECT_EQ(fetched(), (Texts{"one", "two", "three"}));
  EXPECT_EQ(count(DropReason::corrupt), 0U);
}

TEST_F(SealsTest, SettlementsNeedNoKeyAndNoFreshSegment) {
  open();
  stored("one");
  const auto got = box_->fetch(1, 1, 1000).messages;
  ASSERT_EQ(got.size(), 1U);
  const auto files = disk_.durable().size();
  ring_.set({});
  open();
  EXPECT_EQ(disk_.durable().size(), files);
  box_->settle_dropped(got[0]->id, DropReason::refused);
  commit();
  open();
  EXPECT_EQ(box_->ledger().pending, 0U);
}

TEST_F(SealsTest, ABatchThatIsRescuedIsSealedForItsNewSegment) {
  open();
  stored("one");
  EXPECT_NE(box_->put(make_message(1, "secret-topic", 100)).id, 0U);
  disk_.faults.io_error_at = disk_.operations();
  commit();
  EXPECT_FALSE(on_disk("secret-topic"));
  open();
  const auto got = box_->fetch(1, 10, 10'000).messages;
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[1]->topic, "secret-topic");
}

// Every third message stays in each segment, the store fills up, and what stays is carried: under
// the key of the day.
TEST_F(SealsTest, WhatIsCarriedIsSealedAnew) {
  options_.keys = nullptr;
  open();
  Texts expected;
  std::size_t carried = 0;
  for (int i = 0; i < 600; ++i) {
    if (i == 100) {
      options_.keys = &ring_;
      open();
    }
    if (i == 250) {
      ring_.set({2, 1});
      open();
    }
    const std::string topic = "secret/" + std::to_string(i);
    const MessageId id = stored(topic, 1000);
    if (i % 20 == 0) {
      expected.push_back(topic);
    } else {
      box_->settle_dropped(id, DropReason::refused);
    }
  }
  for (const SegmentView& segment : box_->view().segments) {
    carried += segment.place != segment.sequence ? 1 : 0;
    EXPECT_TRUE(segment.place == segment.sequence || segment.key_id == 2);
  }
  EXPECT_GT(carried, 0U) << "or this shows nothing";
  ring_.set({2});
  open();
  const std::uint64_t locked = report_.locked;
  ring_.set({2, 1});
  open();
  EXPECT_EQ(fetched(), expected);
  EXPECT_LT(locked, expected.size());
  EXPECT_EQ(count(DropReason::corrupt), 0U);
}

// A checksum can be made by anyone; the tag cannot.
TEST_F(SealsTest, WhatWasForgedIsNotSent) {
  open();
  stored("one");
  stored("two");
  box_.reset();
  const auto name = disk_.durable().begin()->first;
  auto bytes = disk_.content(name);
  const auto header = decode_segment_header(bytes);
  ASSERT_TRUE(header && header->key_id == 1);
  const SegmentKey key = make_key(header->store, header->sequence, header->salt);
  for (std::uint32_t at = kDataStart; at + kRecordHeaderSize <= bytes.size();) {
    const RecordHeader record = decode_record_header(std::span(bytes).subspan(at));
    if (record.tag != key.tag) break;
    const std::uint32_t length = stride(record.length);
    if (record.type == RecordType::put) {
      bytes[at + kPutFixed + 3] ^= std::byte{1};
      stamp_record(std::span(bytes).subspan(at, length), key, at, record.group);
      break;
    }
    at += length;
  }
  disk_.plant(name, bytes);
  open();
  EXPECT_EQ(fetched(), Texts{"two"});
  EXPECT_EQ(count(DropReason::corrupt), 1U);
  EXPECT_TRUE(box_->ledger().balanced());
}

TEST_F(SealsTest, WithoutAnyHeaderASegmentIsOpenedWithThePresentKeyOrLocked) {
  open();
  for (int i = 0; i < 40; ++i) stored("t/" + std::to_string(i), 1000);
  ASSERT_GE(disk_.durable().size(), 2U);
  ASSERT_TRUE(box_->close().ok());
  box_.reset();
  const auto name = disk_.durable().begin()->first;
  for (const std::uint32_t at : {0U, kBlock}) disk_.flip(name, at + 33, 0);
  options_.keys = nullptr;
  open();
  EXPECT_TRUE(fetched().empty());
  EXPECT_EQ(box_->ledger().pending, 40U) << "without a key everything waits";
  EXPECT_EQ(count(DropReason::corrupt), 0U);
  options_.keys = &ring_;
  open();
  EXPECT_EQ(fetched().size(), 40U);
}

TEST_F(SealsTest, ALookWithoutTheKeyShowsThatThereIsOne) {
  open();
  const MessageId id = stored("one");
  const auto blind = Inspector::open(disk_).value();
  const auto seen = blind->list({}, {}).value().messages;
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_TRUE(seen[0].locked);
  EXPECT_EQ(seen[0].message.id, id);
  EXPECT_EQ(seen[0].message.topic, "");
  const auto open_eyed = Inspector::open(disk_, &ring_).value();
  const auto clear = open_eyed->list({}, {}).value().messages;
  ASSERT_EQ(clear.size(), 1U);
  EXPECT_FALSE(clear[0].locked);
  EXPECT_EQ(clear[0].message.topic, "one");
  EXPECT_EQ(box_->list({}, {}).messages.at(0).message.topic, "one");
}

TEST_F(SealsTest, ConflationFindsItsKeysAgain) {
  options_.lanes[1].rules.conflate = true;
  open();
  stored("one");
  open();
  stored("two");
  for (int i = 0; i < 20; ++i) box_->tick();
  EXPECT_EQ(fetched(), Texts{"two"}) << "both have the key secret-key";
}

}  // namespace
}  // namespace holdfast::outbox::test
