// See counting_disk.h.
#include "runtime/counting_disk.h"

#include <utility>

namespace holdfast::runtime {
namespace {

class CountingFile final : public env::File {
 public:
  CountingFile(std::unique_ptr<env::File> file, std::shared_ptr<DiskCounts> counts)
      : file_(std::move(file)), counts_(std::move(counts)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    return file_->read_at(offset, out);
  }
  Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    Status status = file_->write_at(offset, bytes);
    if (status) counts_->written_bytes += bytes.size();
    return status;
  }
  Status sync() override {
    ++counts_->flushes;
    return file_->sync();
  }
  Result<std::uint64_t> size() override { return file_->size(); }

 private:
  std::unique_ptr<env::File> file_;
  std::shared_ptr<DiskCounts> counts_;
};

class CountingDisk final : public env::Disk {
 public:
  CountingDisk(std::unique_ptr<env::Disk> disk, std::shared_ptr<DiskCounts> counts)
      : disk_(std::move(disk)), counts_(std::move(counts)) {}

  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override {
    auto file = disk_->open(name, mode);
    if (!file) return file;
    return std::unique_ptr<env::File>(
        std::make_unique<CountingFile>(std::move(file).value(), counts_));
  }
  Result<std::vector<std::string>> list() override { return disk_->list(); }
  Status remove(std::string_view name) override { return disk_->remove(name); }
  Status rename(std::string_view from, std::string_view to) override {
    return disk_->rename(from, to);
  }
  Status sync_directory() override {
    ++counts_->flushes;
    return disk_->sync_directory();
  }
  Status lock() override { return disk_->lock(); }
  Result<std::uint64_t> free_bytes() override { return disk_->free_bytes(); }

 private:
  std::unique_ptr<env::Disk> disk_;
  std::shared_ptr<DiskCounts> counts_;
};

}  // namespace

std::unique_ptr<env::Disk> count_writes(std::unique_ptr<env::Disk> disk,
                                        std::shared_ptr<DiskCounts> counts) {
  return std::make_unique<CountingDisk>(std::move(disk), std::move(counts));
}

}  // namespace holdfast::runtime
