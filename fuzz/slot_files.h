// Slot files in RAM, made of a fuzzer's input.
//
// One byte of the input says into how many files the rest is split, and whether the checksums of
// what looks like records are repaired, so that the fuzzer gets past them and into the decoders.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "env/disk.h"
#include "outbox/format.h"
#include "outbox/slots.h"

namespace holdfast::fuzz {

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
  Status rename(std::string_view from, std::string_view to) override {
    auto file = files_.extract(std::string(from));
    if (file.empty()) return Error{Errc::not_found, "no such file", 0};
    files_.erase(std::string(to));
    file.key() = std::string(to);
    files_.insert(std::move(file));
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
inline std::vector<std::byte> repaired(std::vector<std::byte> bytes, std::uint64_t sequence) {
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

/// False: nothing can be made of so short or long an input.
inline bool plant_slots(std::span<const std::byte> input, MemoryDisk& disk) {
  if (input.size() < 2 || input.size() > 3 * outbox::kSegmentFloor) return false;
  const auto choice = std::to_integer<unsigned>(input[0]);
  const auto rest = input.subspan(1);
  const std::size_t files = 1 + choice % 3;
  const std::size_t part = rest.size() / files + 1;
  for (std::size_t i = 0; i < files; ++i) {
    const auto own = rest.subspan(std::min(rest.size(), i * part));
    const auto bytes = own.first(std::min(own.size(), part));
    std::vector<std::byte> file(bytes.begin(), bytes.end());
    if (choice % 2 != 0) file = repaired(std::move(file), i + 1);
    disk.plant(outbox::slot_name(static_cast<std::uint32_t>(i)), std::move(file));
  }
  return true;
}

}  // namespace holdfast::fuzz
