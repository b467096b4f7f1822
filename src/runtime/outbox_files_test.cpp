// Goal:   an outbox on a real file system is looked at beside a writer at full speed without any
//         false damage; questions are answered between the turns of the storage thread; repair
//         takes away what is foreign and nothing else.
// Method: a real store in a directory of its own, written by a thread of its own while this one
//         looks again and again; then files are damaged on purpose.
#include "runtime/outbox_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "outbox/store.h"
#include "posix/system.h"
#include "runtime/storage.h"

namespace holdfast::runtime {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class OutboxFilesTest : public testing::Test {
 protected:
  OutboxFilesTest() {
    std::string name = (fs::temp_directory_path() / "hf-look-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~OutboxFilesTest() override { fs::remove_all(folder_); }

  std::unique_ptr<outbox::Outbox> open_store(env::Disk& disk) {
    outbox::Options options;
    options.segment_bytes = outbox::kSegmentFloor;
    options.max_bytes = 16 * std::uint64_t{outbox::kSegmentFloor};
    outbox::RecoveryReport report;
    auto store = outbox::Outbox::open(disk, *clock_, *random_, options, report);
    EXPECT_TRUE(store.ok());
    return std::move(store).value();
  }

  static StoredMessage message(LaneIndex lane, std::string topic, std::size_t size) {
    StoredMessage m;
    m.lane = lane;
    m.topic = std::move(topic);
    m.payload.assign(size, std::byte{'p'});
    return m;
  }

  /// A closed store with `count` messages, and one delivered.
  void fill(const fs::path& directory, int count) {
    auto disk = posix::open_disk(directory).value();
    auto store = open_store(*disk);
    std::vector<MessageId> lost;
    for (int i = 0; i < count; ++i) {
      ASSERT_NE(
          store->put(message(static_cast<LaneIndex>(i % 3), "t/" + std::to_string(i), 400)).id, 0U);
      ASSERT_TRUE(store->commit(lost).ok());
    }
    store->settle_delivered(store->fetch(0, 1, 100'000).messages.front()->id);
    ASSERT_TRUE(store->close().ok());
  }

  static void damage(const fs::path& file, std::streamoff at, const std::string& bytes) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(at);
    stream << bytes;
    ASSERT_TRUE(stream.good());
  }

  fs::path folder_;
  std::shared_ptr<env::Clock> clock_ = posix::make_clock();
  std::shared_ptr<env::Random> random_ = posix::make_random();
};

TEST_F(OutboxFilesTest, AWriterAtFullSpeedIsNeverTakenForDamage) {
  auto disk = posix::open_disk(folder_).value();
  auto store = open_store(*disk);
  std::vector<MessageId> lost;
  static_cast<void>(store->put(message(0, "first", 10)));
  ASSERT_TRUE(store->commit(lost).ok());
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> written{0};
  std::thread writer([&] {
    std::vector<MessageId> gone;
    for (std::uint64_t i = 0; !stop; ++i) {
      for (std::uint64_t n = 0; n < 1 + i % 9; ++n) {
        if (store->put(message(static_cast<LaneIndex>(n % 3), "t", 50 + 97 * (i % 40))).id != 0) {
          ++written;
        }
      }
      EXPECT_TRUE(store->commit(gone).ok());
      for (LaneIndex lane = 0; lane < 3; ++lane) {
        for (const MessagePtr& m : store->fetch(lane, 3, 1'000'000).messages) {
          store->settle_delivered(m->id);
        }
      }
    }
  });
  std::uint64_t looks = 0;
  std::uint64_t seen = 0;
  // Until both have done enough; each look is a whole verify and a listing.
  while ((looks < 60 || written < 2000) && !HasFailure()) {
    auto files = OutboxFiles::open(folder_);
    if (!files) {
      EXPECT_EQ(files.error().code, Errc::in_use) << files.error().message;
      continue;
    }
    ++looks;
    const json result = files->verify();
    EXPECT_TRUE(result["clean"].get<bool>()) << result.dump();
    const json stat = files->stat();
    EXPECT_TRUE(stat["ledger"]["balanced"].get<bool>());
    EXPECT_EQ(stat["recovery"]["corrupt"], 0) << stat.dump();
    EXPECT_FALSE(stat["recovery"]["rebuilt"].get<bool>());
    const auto page = files->list({});
    EXPECT_TRUE(page.ok());
    if (page.ok()) seen += (*page)["messages"].size();
  }
  stop = true;
  writer.join();
  EXPECT_GT(seen, 0U);
  EXPECT_TRUE(store->close().ok());
}

TEST_F(OutboxFilesTest, QuestionsAreAnsweredBetweenTheTurnsOfTheStorageThread) {
  auto parts = std::shared_ptr<env::Disk>(posix::open_disk(folder_).value());
  auto store = open_store(*parts);
  struct Heard {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t appended = 0;
    std::vector<json> answers;
    bool closed = false;
  };
  const auto heard = std::make_shared<Heard>();
  const auto keep =
      std::make_shared<std::tuple<std::shared_ptr<env::Disk>, std::shared_ptr<env::Clock>,
                                  std::shared_ptr<env::Random>>>(parts, clock_, random_);
  Storage storage(std::move(store), keep, clock_, 3,
                  [heard](const std::vector<device::Event>& events) {
                    const std::lock_guard lock(heard->mutex);
                    for (const device::Event& event : events) {
                      if (const auto* a = std::get_if<device::StoreAppended>(&event)) {
                        heard->appended += a->items.size();
                      }
                      heard->closed |= std::holds_alternative<device::StoreClosed>(event);
                    }
                    heard->changed.notify_all();
                  });
  const auto wait = [&](const auto& condition) {
    std::unique_lock lock(heard->mutex);
    return heard->changed.wait_for(lock, std::chrono::seconds(20), condition);
  };
  const auto ask = [&](const auto& request, const char* id) {
    storage.look(make_look(request, id, [heard](const std::string& line) {
      const std::lock_guard lock(heard->mutex);
      heard->answers.push_back(json::parse(line));
      heard->changed.notify_all();
    }));
  };
  device::StoreAppend append;
  for (int i = 0; i < 300; ++i) {
    append.items.push_back(
        {1, std::make_shared<const StoredMessage>(message(1, "topic \x01\xFF", 500))});
  }
  storage.submit({device::StoreCommand(std::move(append))});
  ASSERT_TRUE(wait([&] { return heard->appended == 300; }));
  ask(OutboxStatRequest{}, "1");
  ask(OutboxListRequest{"normal", 7, "", false}, "2");
  ask(OutboxListRequest{"nowhere", 7, "", false}, "3");
  ask(OutboxListRequest{std::nullopt, 7, "9:1:2:x", false}, "4");
  ask(OutboxListRequest{std::nullopt, 7, "1:1:4294967295:0", false}, "5");
  ask(OutboxMessageRequest{outbox::make_id(1, 299)}, "6");
  ask(OutboxMessageRequest{outbox::make_id(1, 301)}, "7");
  ASSERT_TRUE(wait([&] { return heard->answers.size() == 7; }));
  std::map<int, json> by_id;
  for (const json& answer : heard->answers) by_id[answer["id"].get<int>()] = answer;
  EXPECT_EQ(by_id[1]["outbox"]["ledger"]["pending"], 300);
  EXPECT_EQ(by_id[1]["outbox"]["lanes"]["normal"], 300);
  EXPECT_EQ(by_id[2]["messages"].size(), 7U);
  EXPECT_EQ(by_id[2]["messages"][0]["topic"], "topic \x01\xEF\xBF\xBD");
  EXPECT_TRUE(by_id[2].contains("next"));
  EXPECT_NE(by_id[3]["error"].get<std::string>().find("urgent, normal, bulk"), std::string::npos);
  EXPECT_NE(by_id[4]["error"].get<std::string>().find("\"from\""), std::string::npos);
  EXPECT_TRUE(by_id[5]["ok"].get<bool>());
  EXPECT_EQ(by_id[6]["message"]["message_id"], outbox::make_id(1, 299));
  EXPECT_EQ(by_id[6]["message"]["payload"], std::string(500, 'p'));
  EXPECT_EQ(by_id[7]["error"], "not_found");
  storage.submit({device::StoreCommand(device::StoreClose{})});
  EXPECT_TRUE(storage.join(clock_->now() + std::chrono::seconds(20)));
  ask(OutboxStatRequest{}, "8");  // too late: dropped, and nothing breaks
  EXPECT_EQ(heard->answers.size(), 7U);
}

TEST_F(OutboxFilesTest, ErrorsNameTheThingAndWhatToDo) {
  const auto none = OutboxFiles::open(folder_ / "none");
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("none"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "none")) << "looking must not make it";
  const auto empty = OutboxFiles::open(folder_);
  ASSERT_FALSE(empty.ok());
  EXPECT_NE(empty.error().message.find("holds no outbox"), std::string::npos);
  std::ofstream(folder_ / "file") << "x";
  EXPECT_FALSE(OutboxFiles::open(folder_ / "file").ok());
  EXPECT_FALSE(repair_outbox(folder_ / "none", true).ok());
}

TEST_F(OutboxFilesTest, RepairSaysWhatItWouldDoAndThenDoesIt) {
  const fs::path ours = folder_ / "ours";
  fill(ours, 150);
  fill(folder_ / "other", 3);
  fs::copy_file(folder_ / "other" / "slot-0000.seg", ours / "slot-0050.seg");
  std::ofstream(ours / "slot-0051.seg") << "half made";
  // The payload of a waiting message in a segment that is not the newest.
  auto before = OutboxFiles::open(ours);
  ASSERT_TRUE(before.ok());
  const json message = (*before->list({}))["messages"][5];
  const json whole = *before->message(message["message_id"].get<MessageId>());
  ASSERT_LT(whole["sequence"].get<std::uint64_t>(),
            before->stat()["segments"].back()["sequence"].get<std::uint64_t>());
  const std::string slot = outbox::slot_name(whole["slot"].get<std::uint32_t>());
  damage(ours / slot, whole["offset"].get<std::streamoff>() + 100, "DAMAGE");

  const auto plan = repair_outbox(ours, false);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ((*plan)["moved"].size(), 2U);
  EXPECT_EQ((*plan)["given_up"], 1);
  EXPECT_FALSE(fs::exists(ours / "quarantine"));
  EXPECT_TRUE(fs::exists(ours / "slot-0050.seg"));
  const json found = (*plan)["before"]["findings"];
  EXPECT_TRUE(std::any_of(found.begin(), found.end(), [&](const json& f) {
    return f["kind"] == "records" && f["file"] == slot && f["lost"] == 1 &&
           f["first_message_id"] == message["message_id"];
  })) << found.dump(1);

  {
    auto disk = posix::open_disk(ours).value();
    ASSERT_TRUE(disk->lock().ok());
    const auto refused = repair_outbox(ours, true);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Errc::in_use);
  }
  const auto done = repair_outbox(ours, true);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ((*done)["given_up"], 1);
  EXPECT_EQ((*done)["after"]["lost"], 0);
  EXPECT_TRUE(fs::exists(ours / "quarantine" / "slot-0050.seg"));
  EXPECT_EQ(fs::file_size(ours / "quarantine" / "slot-0051.seg"), 9U);
  EXPECT_TRUE(fs::exists(ours / (*done)["report"].get<std::string>()));
  const json after = OutboxFiles::open(ours)->stat();
  EXPECT_EQ(after["ledger"]["dropped"]["corrupt"], 1);
  EXPECT_EQ(after["ledger"]["pending"], 148);
  EXPECT_TRUE(after["ledger"]["balanced"].get<bool>());
  const auto again = repair_outbox(ours, true);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE((*again)["moved"].empty());
  EXPECT_EQ((*again)["given_up"], 0);
}

}  // namespace
}  // namespace holdfast::runtime
