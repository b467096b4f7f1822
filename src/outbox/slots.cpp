#include "outbox/slots.h"

#include <algorithm>

#include "base/check.h"

namespace holdfast::outbox {
namespace {

constexpr std::string_view kPrefix = "slot-";
constexpr std::string_view kSuffix = ".seg";
constexpr std::size_t kDigits = 4;
constexpr std::uint32_t kSlotNumbers = 10'000;
constexpr std::size_t kChunk = 64 * limits::kKiB;

}  // namespace

std::string slot_name(std::uint32_t slot) {
  std::string digits = std::to_string(slot);
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return std::string(kPrefix) + digits + std::string(kSuffix);
}

std::optional<std::uint32_t> slot_number(std::string_view name) {
  if (name.size() != kPrefix.size() + kDigits + kSuffix.size() || !name.starts_with(kPrefix) ||
      !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  std::uint32_t number = 0;
  for (const char c : name.substr(kPrefix.size(), kDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return number;
}

Status Slots::found(std::uint32_t slot) {
  if (slot >= slots_.size()) slots_.resize(std::size_t{slot} + 1);
  Slot& s = slots_[slot];
  auto file = disk_.open(slot_name(slot), env::OpenMode::read_write);
  s.writable = file.ok();
  if (!file && (file.error().code == Errc::read_only || file.error().code == Errc::permission)) {
    file = disk_.open(slot_name(slot), env::OpenMode::read);
  }
  if (!file) return std::move(file).error().with(slot_name(slot));
  s.file = std::move(file).value();
  s.use = Use::spoiled;
  return {};
}

void Slots::configure(std::uint32_t segment_bytes, std::uint32_t count) {
  segment_bytes_ = segment_bytes;
  count_ = count;
  std::uint32_t ours = 0;
  for (end_ = 0; ours < count && end_ < kSlotNumbers; ++end_) {
    ours += end_ < slots_.size() && slots_[end_].use == Use::foreign ? 0U : 1U;
  }
  if (slots_.size() < end_) slots_.resize(end_);
  for (Slot& slot : slots_) {
    if (slot.use != Use::spoiled || !slot.file) continue;
    const auto size = slot.file->size();
    if (size && *size == segment_bytes) {
      slot.use = Use::free;
    } else {
      slot.bad = true;  // cut short, or of another store: good for reading at most
    }
  }
}

env::File* Slots::file(std::uint32_t slot) {
  return slot < slots_.size() ? slots_[slot].file.get() : nullptr;
}

bool Slots::writable(std::uint32_t slot) const {
  return slot < slots_.size() && slots_[slot].writable && !slots_[slot].bad;
}

std::vector<std::uint32_t> Slots::existing() const {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].file) out.push_back(i);
  }
  return out;
}

Status Slots::write_again(const Extent& extent) {
  const Slot& slot = slots_[extent.slot];
  if (slot.bad) return Error{Errc::io, "the slot has failed before", 0};
  std::unique_ptr<env::File> other;
  if (!slot.writable) {
    auto opened = disk_.open(slot_name(extent.slot), env::OpenMode::read_write);
    if (!opened) return std::move(opened).error();
    other = std::move(opened).value();
  }
  env::File& file = other ? *other : *slot.file;
  std::vector<std::byte> bytes(kChunk);
  for (std::uint32_t at = extent.from; at < extent.to;) {
    const auto part = std::span(bytes).first(std::min<std::size_t>(kChunk, extent.to - at));
    const auto got = file.read_at(at, part);
    if (!got) return got.error();
    if (*got == 0) break;  // cut short
    if (Status written = file.write_at(at, part.first(*got)); !written) return written;
    at += static_cast<std::uint32_t>(*got);
  }
  return file.sync();
}

void Slots::mark_used(std::uint32_t slot) { slots_[slot].use = Use::used; }

void Slots::quarantine(std::uint32_t slot) { slots_[slot].use = Use::foreign; }

void Slots::release(std::uint32_t slot) {
  Slot& s = slots_[slot];
  HF_CHECK(s.use == Use::used);
  s.use = s.bad ? Use::spoiled : Use::free;
}

void Slots::trim(std::uint32_t keep) {
  for (std::size_t i = slots_.size(); i > end_ && ready() > keep; --i) {
    Slot& s = slots_[i - 1];
    if (s.use != Use::free) continue;
    s.file.reset();
    s.use = Use::spoiled;
    if (disk_.remove(slot_name(static_cast<std::uint32_t>(i - 1)))) s = Slot{};
    directory_dirty_ = true;
  }
}

void Slots::mark_bad(std::uint32_t slot) {
  Slot& s = slots_[slot];
  s.bad = true;
  if (s.use == Use::free) s.use = Use::spoiled;
}

std::uint32_t Slots::ready() const {
  std::uint32_t n = 0;
  for (const Slot& slot : slots_) n += slot.use == Use::free ? 1U : 0U;
  return n;
}

bool Slots::has_ready(std::uint32_t wanted) const {
  for (auto slot = slots_.begin(); wanted > 0 && slot != slots_.end(); ++slot) {
    if (slot->use == Use::free) --wanted;
  }
  return wanted == 0;
}

bool Slots::can_make() const {
  return std::any_of(slots_.begin(), slots_.begin() + end_,
                     [](const Slot& s) { return s.use == Use::absent || s.use == Use::spoiled; });
}

Status Slots::make() {
  for (const Use use : {Use::spoiled, Use::absent}) {
    for (std::uint32_t i = 0; i < end_; ++i) {
      if (slots_[i].use == use) return make_at(i);
    }
  }
  return Error{Errc::full, "all slots of the outbox exist", 0};
}

Status Slots::make_at(std::uint32_t slot) {
  Slot& s = slots_[slot];
  const std::string name = slot_name(slot);
  if (s.use == Use::spoiled) {
    s.file.reset();
    if (Status removed = disk_.remove(name); !removed && removed.error().code != Errc::not_found) {
      return std::move(removed).error().with(name);
    }
    directory_dirty_ = true;
    s = Slot{};
  }
  auto file = disk_.open(name, env::OpenMode::create);
  if (!file) return std::move(file).error().with(name);
  directory_dirty_ = true;
  s.use = Use::spoiled;  // until all of it is written and synced
  s.file = std::move(file).value();
  s.writable = true;
  const std::vector<std::byte> zeros(kChunk);  // not a constant: it would be half the code
  Status status;
  for (std::uint32_t at = 0; at < segment_bytes_ && status.ok(); at += kChunk) {
    const std::size_t n = std::min<std::size_t>(kChunk, segment_bytes_ - at);
    status = s.file->write_at(at, std::span(zeros).first(n));
  }
  if (status.ok()) status = s.file->sync();
  if (status.ok()) status = sync_directory();
  if (status.ok()) {
    s.use = Use::free;
    return {};
  }
  // A half-made file would hold space that a full disk needs elsewhere.
  s.file.reset();
  if (disk_.remove(name)) s = Slot{};
  return std::move(status).error().with(name);
}

Status Slots::sync_directory() {
  if (!directory_dirty_) return {};
  if (Status status = disk_.sync_directory(); !status) return status;
  directory_dirty_ = false;
  return {};
}

Result<std::uint32_t> Slots::take() {
  if (ready() == 0) {
    if (Status made = make(); !made) return std::move(made).error();
  }
  if (Status status = sync_directory(); !status) return std::move(status).error();
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    Slot& s = slots_[i];
    if (s.use != Use::free) continue;
    if (!s.writable) {
      auto file = disk_.open(slot_name(i), env::OpenMode::read_write);
      if (!file) return std::move(file).error().with(slot_name(i));
      s.file = std::move(file).value();
      s.writable = true;
    }
    s.use = Use::used;
    return i;
  }
  return Error{Errc::internal, "no ready slot", 0};
}

}  // namespace holdfast::outbox
