// Our outbox on a real directory, called as the storage thread calls it.
#include "outbox/outbox.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "bench/outbox/candidate.h"
#include "posix/system.h"
#include "transport/key_ring.h"

namespace holdfast::bench {
namespace {

/// The same file, without waiting for the disk.
class UnsyncedFile final : public env::File {
 public:
  explicit UnsyncedFile(std::unique_ptr<env::File> file) : file_(std::move(file)) {}
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    return file_->read_at(offset, out);
  }
  Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    return file_->write_at(offset, bytes);
  }
  Status sync() override { return {}; }
  Result<std::uint64_t> size() override { return file_->size(); }

 private:
  std::unique_ptr<env::File> file_;
};

class UnsyncedDisk final : public env::Disk {
 public:
  explicit UnsyncedDisk(std::unique_ptr<env::Disk> disk) : disk_(std::move(disk)) {}
  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override {
    auto file = disk_->open(name, mode);
    if (!file) return std::move(file).error();
    return std::unique_ptr<env::File>(std::make_unique<UnsyncedFile>(std::move(file).value()));
  }
  Result<std::vector<std::string>> list() override { return disk_->list(); }
  Status remove(std::string_view name) override { return disk_->remove(name); }
  Status rename(std::string_view from, std::string_view to) override {
    return disk_->rename(from, to);
  }
  Status sync_directory() override { return {}; }
  Status lock() override { return disk_->lock(); }
  Result<std::uint64_t> free_bytes() override { return disk_->free_bytes(); }

 private:
  std::unique_ptr<env::Disk> disk_;
};

class Ours final : public Candidate {
 public:
  /// A key that nobody needs to keep.
  bool make_key(const CandidateOptions& options, std::string& why) {
    const auto file = std::filesystem::path(options.directory) / "bench.key";
    std::ofstream out(file, std::ios::binary);
    for (int i = 0; i < 4; ++i) {
      const std::uint64_t bits = random_->next();
      out.write(reinterpret_cast<const char*>(&bits), sizeof(bits));
    }
    out.close();
    auto keys = transport::load_key_ring({file, {}}, true);
    if (!keys) {
      why = keys.error().message;
      return false;
    }
    keys_ = std::move(keys).value();
    return true;
  }

  bool open(const CandidateOptions& options, std::string& why) {
    auto disk = posix::open_disk(options.directory);
    if (!disk) {
      why = disk.error().message;
      return false;
    }
    disk_ = std::move(disk).value();
    if (!options.synced) disk_ = std::make_unique<UnsyncedDisk>(std::move(disk_));
    outbox::Options wanted;
    wanted.keys = keys_.get();
    wanted.preallocate = options.preallocate;
    if (options.evict) wanted.lanes[kLane].rules.when_full = WhenFull::drop_oldest;
    if (options.max_bytes != 0) wanted.max_bytes = options.max_bytes;
    auto store = outbox::Outbox::open(*disk_, *clock_, *random_, wanted, report_);
    if (!store) {
      why = store.error().message;
      return false;
    }
    store_ = std::move(store).value();
    for (BootTime due; options.preallocate && (due = store_->next_due()) != kNever;) {
      std::this_thread::sleep_for(due - clock_->now());
      store_->tick();
    }
    message_.topic = kTopic;
    message_.lane = kLane;
    return true;
  }

  bool put(std::uint64_t number, std::span<const std::byte> payload) override {
    message_.payload.assign(payload.begin(), payload.end());
    const outbox::PutResult put = store_->put(message_);
    if (put.id == 0) return false;
    remember(number, put.id);
    return true;
  }

  bool commit() override {
    std::vector<MessageId> lost;
    return store_->commit(lost).ok() && lost.empty();
  }

  std::size_t fetch(std::size_t count, const Visit& visit) override {
    const auto found = store_->fetch(kLane, count, kFetchBytes);
    const outbox::News news = store_->take_news();
    for (const auto& [id, reason] : news.dropped) dropped_ += reason == DropReason::corrupt;
    for (const MessagePtr& message : found.messages) {
      const std::uint64_t number = number_of(message->payload);
      remember(number, message->id);
      visit(number, message->payload);
    }
    return found.messages.size();
  }

  bool ack(std::uint64_t number) override {
    store_->settle_delivered(id_of(number));
    return true;
  }

  std::uint64_t pending() override { return store_->ledger().pending; }
  std::uint64_t reported_lost() override { return report_.corrupt + report_.torn + dropped_; }
  void close() override {
    if (!store_->close()) die("ours: cannot close in order");
  }

 private:
  static constexpr LaneIndex kLane = 1;
  static constexpr std::size_t kFetchBytes = 4UL * 1024 * 1024;

  // Ids grow by one with the numbers, within one opening: one pair for each is enough.
  struct Anchor {
    std::uint64_t number;
    MessageId id;
  };
  void remember(std::uint64_t number, MessageId id) {
    if (anchors_.empty() || id - number != anchors_.back().id - anchors_.back().number) {
      anchors_.push_back({number, id});
    }
  }
  [[nodiscard]] MessageId id_of(std::uint64_t number) const {
    const auto after = std::find_if(anchors_.rbegin(), anchors_.rend(),
                                    [number](const Anchor& a) { return a.number <= number; });
    if (after == anchors_.rend()) die("ours: a message that was never put");
    return after->id + (number - after->number);
  }

  std::unique_ptr<env::Disk> disk_;
  std::unique_ptr<env::Clock> clock_ = posix::make_clock();
  std::unique_ptr<env::Random> random_ = posix::make_random();
  std::unique_ptr<env::KeyRing> keys_;
  std::unique_ptr<outbox::Outbox> store_;
  outbox::RecoveryReport report_;
  StoredMessage message_;
  std::vector<Anchor> anchors_;
  std::uint64_t dropped_ = 0;
};

}  // namespace

std::unique_ptr<Candidate> open_ours(const CandidateOptions& options, std::string& why) {
  auto ours = std::make_unique<Ours>();
  if (!ours->open(options, why)) return nullptr;
  return ours;
}

std::unique_ptr<Candidate> open_ours_sealed(const CandidateOptions& options, std::string& why) {
  auto ours = std::make_unique<Ours>();
  if (!ours->make_key(options, why) || !ours->open(options, why)) return nullptr;
  return ours;
}

}  // namespace holdfast::bench
