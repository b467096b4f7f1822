#include "sim/power_cut_disk.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace holdfast::sim {
namespace {

Error power_off() { return Error{Errc::io, "the power is off", EIO}; }
Error io_error() { return Error{Errc::io, "input/output error", EIO}; }

}  // namespace

class PowerCutDisk::OpenFile final : public env::File {
 public:
  OpenFile(PowerCutDisk& disk, std::shared_ptr<Inode> inode, bool writable)
      : disk_(disk), inode_(std::move(inode)), generation_(disk.generation_), writable_(writable) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    if (stale()) return power_off();
    const std::size_t size = inode_->cached.size();
    const std::size_t n = offset >= size ? 0 : std::min<std::size_t>(out.size(), size - offset);
    if (n == 0) return n;
    const auto broken = inode_->broken.lower_bound(offset / kSector);
    if (broken != inode_->broken.end() && *broken <= (offset + n - 1) / kSector) {
      return io_error();
    }
    std::copy_n(inode_->cached.begin() + static_cast<std::ptrdiff_t>(offset), n, out.begin());
    return n;
  }

  Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (stale()) return power_off();
    if (!writable_) return Error{Errc::permission, "not open for writing", EBADF};
    wrote_ = true;
    return disk_.write(*inode_, offset, bytes);
  }

  Status sync() override {
    if (stale()) return power_off();
    return disk_.sync(*inode_, disk_.faults.ignore_first_sync && !wrote_);
  }

  Result<std::uint64_t> size() override {
    if (stale()) return power_off();
    return std::uint64_t{inode_->cached.size()};
  }

 private:
  [[nodiscard]] bool stale() const { return disk_.down_ || generation_ != disk_.generation_; }

  PowerCutDisk& disk_;
  std::shared_ptr<Inode> inode_;
  std::uint64_t generation_;
  bool writable_;
  bool wrote_ = false;
};

void PowerCutDisk::settle_sector(Inode& inode, std::uint64_t sector) const {
  const std::size_t from = sector * kSector;
  const std::size_t to = std::min(from + kSector, inode.cached.size());
  if (from >= to) return;
  if (inode.durable.size() < to) inode.durable.resize(to);
  std::copy(inode.cached.begin() + static_cast<std::ptrdiff_t>(from),
            inode.cached.begin() + static_cast<std::ptrdiff_t>(to),
            inode.durable.begin() + static_cast<std::ptrdiff_t>(from));
}

void PowerCutDisk::lose_power(Inode& inode) {
  // All, none, or any of the sectors: each of the three finds different mistakes.
  const std::uint64_t kind = random_.below(4);
  for (const std::uint64_t sector : inode.dirty) {
    const bool survives = kind == 0 ? false : kind == 1 ? true : random_.below(2) == 0;
    if (survives) settle_sector(inode, sector);
  }
  inode.dirty.clear();
  inode.cached = inode.durable;
}

void PowerCutDisk::restart() {
  if (!faults.kill) {
    Names after = durable_;
    for (const auto& [name, inode] : cached_) {
      if (random_.below(2) == 0) after[name] = inode;
    }
    for (const auto& [name, inode] : durable_) {
      const auto now = cached_.find(name);
      if (now == cached_.end() && random_.below(2) == 0) after.erase(name);
    }
    cached_ = after;
    durable_ = after;
    for (auto& [name, inode] : cached_) lose_power(*inode);
  }
  ++generation_;
  down_ = false;
  locked_ = false;
  faults.cut_at = kNever;
  faults.io_error_at = kNever;
}

Status PowerCutDisk::begin_operation(bool writes) {
  if (down_) return power_off();
  const std::uint64_t number = operations_++;
  if (number == faults.cut_at) {
    down_ = true;
    return power_off();
  }
  if (writes && faults.read_only) return Error{Errc::read_only, "read-only file system", EROFS};
  if (writes && (faults.io_errors || number == faults.io_error_at)) return io_error();
  return {};
}

Status PowerCutDisk::write(Inode& inode, std::uint64_t offset, std::span<const std::byte> bytes) {
  const Status begun = begin_operation(true);
  if (!begun && begun.error().code == Errc::read_only) return begun;
  std::size_t count = bytes.size();
  // A write that is cut or fails has reached the cache in part.
  if (!begun) count = static_cast<std::size_t>(random_.below(bytes.size() + 1));
  const std::size_t end = offset + count;
  if (begun && end > inode.cached.size() && used() + end - inode.cached.size() > faults.capacity) {
    return Error{Errc::no_space, "no space left on device", ENOSPC};
  }
  if (count == 0) return begun;
  if (end > inode.cached.size()) inode.cached.resize(end);
  std::copy_n(bytes.begin(), count, inode.cached.begin() + static_cast<std::ptrdiff_t>(offset));
  for (std::uint64_t s = offset / kSector; s <= (end - 1) / kSector; ++s) inode.dirty.insert(s);
  bytes_written_ += count;
  return begun;
}

Status PowerCutDisk::sync(Inode& inode, bool ignored) {
  const Status begun = begin_operation(true);
  if (!begun && begun.error().code == Errc::read_only) return begun;
  if (!begun && down_) return begun;
  if (ignored) return begun;
  for (const std::uint64_t sector : inode.dirty) {
    if (begun.ok() || random_.below(2) == 0) settle_sector(inode, sector);
  }
  inode.dirty.clear();
  ++syncs_;
  return begun;
}

Result<std::unique_ptr<env::File>> PowerCutDisk::open(std::string_view name, env::OpenMode mode) {
  if (down_) return power_off();
  const auto found = cached_.find(name);
  if (mode == env::OpenMode::create) {
    if (Status begun = begin_operation(true); !begun) return std::move(begun).error();
    if (found != cached_.end()) return Error{Errc::in_use, "file exists", EEXIST};
    auto inode = std::make_shared<Inode>();
    cached_.emplace(std::string(name), inode);
    return std::unique_ptr<env::File>(std::make_unique<OpenFile>(*this, inode, true));
  }
  if (found == cached_.end()) return Error{Errc::not_found, "no such file", ENOENT};
  const bool writable = mode == env::OpenMode::read_write;
  if (writable && faults.read_only) {
    return Error{Errc::read_only, "read-only file system", EROFS};
  }
  return std::unique_ptr<env::File>(std::make_unique<OpenFile>(*this, found->second, writable));
}

Result<std::vector<std::string>> PowerCutDisk::list() {
  if (down_) return power_off();
  std::vector<std::string> names;
  for (const auto& [name, inode] : cached_) names.push_back(name);
  return names;
}

Status PowerCutDisk::remove(std::string_view name) {
  if (Status begun = begin_operation(true); !begun) return begun;
  const auto found = cached_.find(name);
  if (found == cached_.end()) return Error{Errc::not_found, "no such file", ENOENT};
  cached_.erase(found);
  return {};
}

Status PowerCutDisk::sync_directory() {
  if (Status begun = begin_operation(true); !begun) return begun;
  if (!faults.ignore_directory_sync) durable_ = cached_;
  return {};
}

Status PowerCutDisk::lock() {
  if (down_) return power_off();
  if (locked_) return Error{Errc::in_use, "locked by another process", EWOULDBLOCK};
  locked_ = true;
  return {};
}

std::uint64_t PowerCutDisk::used() const {
  std::uint64_t sum = 0;
  for (const auto& [name, inode] : cached_) sum += inode->cached.size();
  return sum;
}

Result<std::uint64_t> PowerCutDisk::free_bytes() {
  const std::uint64_t taken = used();
  return faults.capacity > taken ? faults.capacity - taken : 0;
}

void PowerCutDisk::flip(const std::string& name, std::uint64_t offset, unsigned bit) {
  const auto found = cached_.find(name);
  HF_CHECK(found != cached_.end());
  const auto mask = static_cast<std::byte>(1U << bit);
  if (offset < found->second->cached.size()) found->second->cached[offset] ^= mask;
  if (offset < found->second->durable.size()) found->second->durable[offset] ^= mask;
}

std::vector<std::byte> PowerCutDisk::content(const std::string& name) const {
  const auto found = cached_.find(name);
  return found == cached_.end() ? std::vector<std::byte>{} : found->second->cached;
}

void PowerCutDisk::plant(const std::string& name, std::vector<std::byte> bytes) {
  auto inode = std::make_shared<Inode>();
  inode->cached = bytes;
  inode->durable = std::move(bytes);
  cached_[name] = inode;
  durable_[name] = inode;
}

std::map<std::string, std::vector<std::byte>> PowerCutDisk::durable() const {
  std::map<std::string, std::vector<std::byte>> out;
  for (const auto& [name, inode] : durable_) out.emplace(name, inode->durable);
  return out;
}

void PowerCutDisk::break_sector(const std::string& name, std::uint64_t sector) {
  const auto found = cached_.find(name);
  HF_CHECK(found != cached_.end());
  found->second->broken.insert(sector);
}

}  // namespace holdfast::sim
