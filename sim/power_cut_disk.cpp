#include "sim/power_cut_disk.h"

#include <algorithm>
#include <array>
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
    if (auto error = disk_.refused(Call::read)) return std::move(*error);
    const std::size_t size = inode_->cached.size();
    const std::size_t n = offset >= size ? 0 : std::min<std::size_t>(out.size(), size - offset);
    if (n == 0) return n;
    const auto broken = inode_->broken.lower_bound(offset / kSector);
    if (broken != inode_->broken.end() && *broken <= (offset + n - 1) / kSector) {
      return io_error();
    }
    inode_->cached.read(offset, out.first(n));
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
    if (auto error = disk_.refused(Call::size)) return std::move(*error);
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
  inode.durable.take(inode.cached, from, to - from);
}

// All dirty sectors, those of a whole page at once.
void PowerCutDisk::settle_all(Inode& inode) const {
  constexpr std::size_t kPerPage = PagedBytes::kPage / kSector;
  for (auto at = inode.dirty.begin(); at != inode.dirty.end();) {
    auto last = at;
    std::size_t run = 1;
    while (*at % kPerPage == 0 && run < kPerPage && std::next(last) != inode.dirty.end() &&
           *std::next(last) == *last + 1) {
      ++last;
      ++run;
    }
    const std::size_t from = *at * kSector;
    if (run == kPerPage && from + PagedBytes::kPage <= inode.cached.size()) {
      inode.durable.take(inode.cached, from, PagedBytes::kPage);
      at = std::next(last);
    } else {
      settle_sector(inode, *at);
      ++at;
    }
  }
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
  start_again();
  faults.cut_at = kNever;
  faults.io_error_at = kNever;
}

void PowerCutDisk::start_again() {
  replaced_.clear();
  ++generation_;
  down_ = false;
}

std::unique_ptr<PowerCutDisk> PowerCutDisk::image(env::Random& random, std::size_t written) const {
  auto copy = std::make_unique<PowerCutDisk>(random);
  copy->spoils_pages = spoils_pages;
  copy->replaced_ = replaced_;
  std::map<const Inode*, std::shared_ptr<Inode>> made;
  for (const auto& [from, to] :
       {std::pair(&cached_, &copy->cached_), {&durable_, &copy->durable_}}) {
    for (const auto& [name, inode] : *from) {
      auto& twin = made[inode.get()];
      if (!twin) twin = std::make_shared<Inode>(*inode);
      to->emplace(name, twin);
    }
  }
  const auto target = made.find(writing_.inode);
  if (written > 0 && target != made.end()) {
    put_into(*target->second, writing_.offset, writing_.bytes.first(written));
  }
  return copy;
}

std::vector<std::string> PowerCutDisk::changed_names() const {
  std::set<std::string> changed;
  for (const auto& [name, inode] : cached_) {
    const auto old = durable_.find(name);
    if (old == durable_.end() || old->second != inode) changed.insert(name);
  }
  for (const auto& [name, inode] : durable_) {
    if (!cached_.contains(name)) changed.insert(name);
  }
  return {changed.begin(), changed.end()};
}

std::vector<std::shared_ptr<PowerCutDisk::Inode>> PowerCutDisk::inodes() const {
  std::vector<std::shared_ptr<Inode>> out;
  for (const auto& [name, inode] : cached_) out.push_back(inode);
  for (const auto& [name, inode] : durable_) {
    if (std::find(out.begin(), out.end(), inode) == out.end()) out.push_back(inode);
  }
  return out;
}

std::size_t PowerCutDisk::undecided() const {
  std::size_t count = 2 * changed_names().size();
  for (const auto& inode : inodes()) {
    count += inode->dirty.size() + spoilable_pages(*inode).size();
  }
  return count;
}

// Offsets of the pages on stable storage that were being changed.
std::vector<std::size_t> PowerCutDisk::spoilable_pages(const Inode& inode) const {
  constexpr std::size_t kPage = PagedBytes::kPage;
  std::vector<std::size_t> pages;
  if (!spoils_pages) return pages;
  for (const std::uint64_t sector : inode.dirty) {
    const std::size_t page = sector * kSector / kPage * kPage;
    if (page + kPage > inode.durable.size()) continue;
    if (!pages.empty() && pages.back() == page) continue;
    std::array<std::byte, kPage> old{};
    std::array<std::byte, kPage> now{};
    inode.durable.read(page, old);
    inode.cached.read(page, now);
    if (old != now) pages.push_back(page);
  }
  return pages;
}

void PowerCutDisk::cut(const std::vector<bool>& survives) {
  std::size_t next = 0;
  const auto decide = [&] { return next < survives.size() ? bool{survives[next++]} : false; };
  const auto all = inodes();
  for (const std::string& name : changed_names()) {
    const bool old_gone = decide();  // what had the name before has lost it
    const bool new_there = decide();
    const auto now = cached_.find(name);
    if (new_there && now != cached_.end()) {
      durable_[name] = now->second;
    } else if (old_gone && !replaced_.contains(name)) {
      durable_.erase(name);
    }
  }
  cached_ = durable_;
  for (const auto& inode : all) {
    const auto pages = spoilable_pages(*inode);
    for (const std::uint64_t sector : inode->dirty) {
      if (decide()) settle_sector(*inode, sector);
    }
    for (const std::size_t page : pages) {
      if (decide()) continue;
      std::array<std::byte, PagedBytes::kPage> spoiled{};
      for (std::size_t i = 0; i < spoiled.size(); ++i)
        spoiled[i] = std::byte((i * 37 + page) & 255);
      inode->durable.write(page, spoiled);
    }
    inode->dirty.clear();
    inode->cached = inode->durable;
  }
  start_again();
}

void PowerCutDisk::kill() { start_again(); }

std::optional<Error> PowerCutDisk::refused(Call call) const {
  return before ? before(call) : std::nullopt;
}

Status PowerCutDisk::begin_operation(Call call, bool writes) {
  if (down_) return power_off();
  if (auto error = refused(call)) return std::move(*error);
  const std::uint64_t number = operations_++;
  if (number == faults.cut_at) {
    down_ = true;
    return power_off();
  }
  if (writes && faults.read_only) return Error{Errc::read_only, "read-only file system", EROFS};
  if (writes && (faults.io_errors || number == faults.io_error_at)) return io_error();
  return {};
}

void PowerCutDisk::put_into(Inode& inode, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const std::size_t end = offset + bytes.size();
  inode.cached.write(offset, bytes);
  for (std::uint64_t s = offset / kSector; s <= (end - 1) / kSector; ++s) inode.dirty.insert(s);
}

Status PowerCutDisk::write(Inode& inode, std::uint64_t offset, std::span<const std::byte> bytes) {
  writing_ = {&inode, offset, bytes};
  Status begun = begin_operation(Call::write, true);
  writing_ = {};
  if (!begun && begun.error().code == Errc::read_only) return begun;
  std::size_t count = bytes.size();
  // A write that is cut or fails has reached the cache in part.
  if (!begun) count = static_cast<std::size_t>(random_.below(bytes.size() + 1));
  const std::size_t end = offset + count;
  if (begun && end > inode.cached.size() && used() + end - inode.cached.size() > faults.capacity) {
    return Error{Errc::no_space, "no space left on device", ENOSPC};
  }
  put_into(inode, offset, bytes.first(count));
  bytes_written_ += count;
  return begun;
}

Status PowerCutDisk::sync(Inode& inode, bool ignored) {
  Status begun = begin_operation(Call::sync, true);
  if (!begun && begun.error().code == Errc::read_only) return begun;
  if (!begun && down_) return begun;
  if (ignored) return begun;
  if (begun.ok()) {
    settle_all(inode);
  } else {
    for (const std::uint64_t sector : inode.dirty) {
      if (random_.below(2) == 0) settle_sector(inode, sector);
    }
  }
  inode.dirty.clear();
  ++syncs_;
  return begun;
}

Result<std::unique_ptr<env::File>> PowerCutDisk::open(std::string_view name, env::OpenMode mode) {
  if (down_) return power_off();
  const auto found = cached_.find(name);
  if (mode == env::OpenMode::create) {
    if (Status begun = begin_operation(Call::create, true); !begun) {
      return std::move(begun).error();
    }
    if (found != cached_.end()) return Error{Errc::in_use, "file exists", EEXIST};
    auto inode = std::make_shared<Inode>();
    cached_.emplace(std::string(name), inode);
    return std::unique_ptr<env::File>(std::make_unique<OpenFile>(*this, inode, true));
  }
  if (auto error = refused(Call::open)) return std::move(*error);
  if (found == cached_.end()) return Error{Errc::not_found, "no such file", ENOENT};
  const bool writable = mode == env::OpenMode::read_write;
  if (writable && faults.read_only) {
    return Error{Errc::read_only, "read-only file system", EROFS};
  }
  return std::unique_ptr<env::File>(std::make_unique<OpenFile>(*this, found->second, writable));
}

Result<std::vector<std::string>> PowerCutDisk::list() {
  if (down_) return power_off();
  if (auto error = refused(Call::list)) return std::move(*error);
  std::vector<std::string> names;
  for (const auto& [name, inode] : cached_) names.push_back(name);
  return names;
}

Status PowerCutDisk::remove(std::string_view name) {
  if (Status begun = begin_operation(Call::remove, true); !begun) return begun;
  const auto found = cached_.find(name);
  if (found == cached_.end()) return Error{Errc::not_found, "no such file", ENOENT};
  cached_.erase(found);
  if (const auto was = replaced_.find(name); was != replaced_.end()) replaced_.erase(was);
  return {};
}

// A cut may leave the file under both names, or under neither if it was new: worse than real ones.
// But whoever had the new name keeps it until the file has it (rename(2)).
Status PowerCutDisk::rename(std::string_view from, std::string_view to) {
  if (Status begun = begin_operation(Call::rename, true); !begun) return begun;
  const auto found = cached_.find(from);
  if (found == cached_.end()) return Error{Errc::not_found, "no such file", ENOENT};
  cached_.insert_or_assign(std::string(to), found->second);
  cached_.erase(cached_.find(from));
  replaced_.insert(std::string(to));
  return {};
}

Status PowerCutDisk::sync_directory() {
  if (Status begun = begin_operation(Call::sync_directory, true); !begun) return begun;
  if (faults.ignore_directory_sync) return {};
  durable_ = cached_;
  replaced_.clear();
  return {};
}

Status PowerCutDisk::lock() {
  if (down_) return power_off();
  if (auto error = refused(Call::lock)) return std::move(*error);
  if (faults.locked) return Error{Errc::in_use, "locked by another process", EWOULDBLOCK};
  return {};
}

std::uint64_t PowerCutDisk::used() const {
  std::uint64_t sum = 0;
  for (const auto& [name, inode] : cached_) sum += inode->cached.size();
  return sum;
}

Result<std::uint64_t> PowerCutDisk::free_bytes() {
  if (auto error = refused(Call::free_bytes)) return std::move(*error);
  const std::uint64_t taken = used();
  return faults.capacity > taken ? faults.capacity - taken : 0;
}

void PowerCutDisk::flip(const std::string& name, std::uint64_t offset, unsigned bit) {
  const auto found = cached_.find(name);
  HF_CHECK(found != cached_.end());
  const auto mask = static_cast<std::byte>(1U << bit);
  for (PagedBytes* bytes : {&found->second->cached, &found->second->durable}) {
    if (offset >= bytes->size()) continue;
    std::array<std::byte, 1> one{};
    bytes->read(offset, one);
    one[0] ^= mask;
    bytes->write(offset, one);
  }
}

std::vector<std::byte> PowerCutDisk::content(const std::string& name) const {
  const auto found = cached_.find(name);
  return found == cached_.end() ? std::vector<std::byte>{} : found->second->cached.all();
}

void PowerCutDisk::plant(const std::string& name, std::vector<std::byte> bytes) {
  auto inode = std::make_shared<Inode>();
  inode->cached.write(0, bytes);
  inode->durable = inode->cached;
  cached_[name] = inode;
  durable_[name] = inode;
}

std::map<std::string, std::vector<std::byte>> PowerCutDisk::durable() const {
  std::map<std::string, std::vector<std::byte>> out;
  for (const auto& [name, inode] : durable_) out.emplace(name, inode->durable.all());
  return out;
}

void PowerCutDisk::break_sector(const std::string& name, std::uint64_t sector) {
  const auto found = cached_.find(name);
  HF_CHECK(found != cached_.end());
  found->second->broken.insert(sector);
}

}  // namespace holdfast::sim
