#include "outbox/snapshot_disk.h"

#include <algorithm>
#include <limits>

namespace holdfast::outbox {
namespace {

Error refused() { return Error{Errc::read_only, "this outbox is only looked at", 0}; }

class SnapshotFile final : public env::File {
 public:
  SnapshotFile(std::unique_ptr<env::File> file, std::uint64_t limit)
      : file_(std::move(file)), limit_(limit) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    auto got = file_->read_at(offset, out);
    if (!got) return got;
    const std::uint64_t shown = limit_ > offset ? limit_ - offset : 0;
    if (*got > shown) {
      std::fill(out.begin() + static_cast<std::ptrdiff_t>(shown),
                out.begin() + static_cast<std::ptrdiff_t>(*got), std::byte{0});
    }
    return got;
  }
  Status write_at(std::uint64_t, std::span<const std::byte>) override { return refused(); }
  Status sync() override { return refused(); }
  Result<std::uint64_t> size() override { return file_->size(); }

 private:
  std::unique_ptr<env::File> file_;
  std::uint64_t limit_;
};

}  // namespace

Result<std::unique_ptr<env::File>> SnapshotDisk::open(std::string_view name, env::OpenMode mode) {
  if (mode != env::OpenMode::read) return refused();
  auto file = disk_.open(name, env::OpenMode::read);
  if (!file) return file;
  const auto limit = limits_.find(std::string(name));
  return std::unique_ptr<env::File>(std::make_unique<SnapshotFile>(
      std::move(file).value(),
      limit == limits_.end() ? std::numeric_limits<std::uint64_t>::max() : limit->second));
}

Status SnapshotDisk::remove(std::string_view) { return refused(); }

Status SnapshotDisk::rename(std::string_view, std::string_view) { return refused(); }

Status SnapshotDisk::sync_directory() { return refused(); }

Status SnapshotDisk::lock() { return refused(); }

}  // namespace holdfast::outbox
