// Goal:   no bytes on disk make the outbox crash, hang or break its own accounts.
// Method: the input is the content of up to three slot files. One byte says how to split it and
//         whether to repair the checksums of what looks like records, so that the fuzzer gets past
//         them and into the decoders. Then: open, fetch, settle, put, commit, open again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "outbox/crc32c.h"
#include "outbox/outbox.h"
#include "outbox/slots.h"

namespace {

using namespace holdfast;

class FixedClock final : public env::Clock {
 public:
  [[nodiscard]] BootTime now() const override { return BootTime{std::chrono::seconds(100)}; }
  [[nodiscard]] WallTime wall() const override { return WallTime{1'750'000'000'000}; }
  [[nodiscard]] bool wall_synchronized() const override { return true; }
  [[nodiscard]] env::BootId boot_id() const override { return env::BootId{1}; }
};

class CountingRandom final : public env::Random {
 public:
  std::uint64_t next() override { return ++count_; }

 private:
  std::uint64_t count_ = 0;
};

class MemoryDisk final : public env::Disk {
 public:
  using Content = std::shared_ptr<std::vector<std::byte>>;

  void plant(std::string name, std::vector<std::byte> bytes) {
    files_[std::move(name)] = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  }
  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override {
    const auto found = files_.find(std::string(name));
    if (found == files_.end() && mode != env::OpenMode::create) {
      return Error{Errc::not_found, "no such file", 0};
    }
    if (found == files_.end()) plant(std::string(name), {});
    return std::unique_ptr<env::File>(std::make_unique<MemoryFile>(files_[std::string(name)]));
  }
  Result<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    for (const auto& [name, content] : files_) names.push_back(name);
    return names;
  }
  Status remove(std::string_view name) override {
    files_.erase(std::string(name));
    return {};
  }
  Status sync_directory() override { return {}; }
  Status lock() override { return {}; }
  Result<std::uint64_t> free_bytes() override { return std::uint64_t{1} << 30; }

 private:
  class MemoryFile final : public env::File {
   public:
    explicit MemoryFile(Content content) : content_(std::move(content)) {}
    Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
      if (offset >= content_->size()) return std::size_t{0};
      const std::size_t n = std::min<std::size_t>(out.size(), content_->size() - offset);
      std::copy_n(content_->begin() + static_cast<std::ptrdiff_t>(offset), n, out.begin());
      return n;
    }
    Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      content_->resize(std::max<std::size_t>(content_->size(), offset + bytes.size()));
      std::copy(bytes.begin(), bytes.end(),
                content_->begin() + static_cast<std::ptrdiff_t>(offset));
      return {};
    }
    Status sync() override { return {}; }
    Result<std::uint64_t> size() override { return std::uint64_t{content_->size()}; }

   private:
    Content content_;
  };

  std::map<std::string, Content> files_;
};

/// Makes a segment of the input: a valid header, and records with valid checksums where the input
/// has something like a length and a type.
std::vector<std::byte> repaired(std::vector<std::byte> bytes, std::uint64_t sequence) {
  using namespace outbox;
  const StoreUuid store{1};
  bytes.insert(bytes.begin(), kDataStart, std::byte{0});
  bytes.resize(kSegmentFloor);
  const SegmentHeader header{store, sequence, 7, kSegmentFloor};
  encode(header, bytes);
  encode(header, std::span(bytes).subspan(kBlock));
  const SegmentKey key = make_key(store, sequence, 7);
  std::uint32_t at = kDataStart;
  while (at + kRecordHeaderSize <= kSegmentFloor) {
    const RecordHeader record = decode_record_header(std::span(bytes).subspan(at));
    const std::uint32_t length = stride(record.length);
    if (record.length < kRecordHeaderSize || at + length > kSegmentFloor) {
      at += kAlign;
      continue;
    }
    stamp_record(std::span(bytes).subspan(at, length), key, at, record.group);
    at += length;
  }
  return bytes;
}

void work(MemoryDisk& disk) {
  FixedClock clock;
  CountingRandom random;
  outbox::Options options;
  options.segment_bytes = outbox::kSegmentFloor;
  options.max_bytes = 8 * std::uint64_t{outbox::kSegmentFloor};
  outbox::RecoveryReport report;
  auto opened = outbox::Outbox::open(disk, clock, random, options, report);
  if (!opened) std::abort();  // damage never keeps it from opening
  outbox::Outbox& box = **opened;
  for (LaneIndex lane = 0; lane < 3; ++lane) {
    for (int i = 0; i < 200; ++i) {
      const auto got = box.fetch(lane, 16, 100'000);
      for (const MessagePtr& m : got.messages) box.settle_delivered(m->id);
      if (!got.more) break;
    }
  }
  StoredMessage message;
  message.topic = "t";
  static_cast<void>(box.put(message));
  std::vector<MessageId> lost;
  static_cast<void>(box.commit(lost));
  if (!box.ledger().balanced()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 3 * outbox::kSegmentFloor) return 0;
  const bool repair = (data[0] & 1) != 0;
  const std::size_t files = 1 + data[0] % 3;
  std::vector<std::byte> rest(size - 1);
  std::transform(data + 1, data + size, rest.begin(), [](auto b) { return std::byte{b}; });
  MemoryDisk disk;
  const std::size_t part = rest.size() / files + 1;
  for (std::size_t i = 0; i < files; ++i) {
    const std::size_t from = std::min(rest.size(), i * part);
    const std::size_t to = std::min(rest.size(), from + part);
    std::vector<std::byte> bytes(rest.begin() + static_cast<std::ptrdiff_t>(from),
                                 rest.begin() + static_cast<std::ptrdiff_t>(to));
    if (repair) bytes = repaired(std::move(bytes), i + 1);
    disk.plant(outbox::slot_name(static_cast<std::uint32_t>(i)), std::move(bytes));
  }
  work(disk);
  work(disk);
  return 0;
}
