#include "identity/store.h"

#include <array>
#include <string>
#include <utility>

#include "identity/whole_file.h"

namespace holdfast::identity {

namespace {

/// What a slot's file may be called while it is written.
bool is_unfinished(std::string_view name, std::string_view of) {
  return name.starts_with(of) && name.substr(of.size()) == kUnfinished;
}

}  // namespace

std::string_view file_of(IdentitySlot slot) noexcept {
  constexpr std::array<std::string_view, kIdentitySlots> kFiles{"active.pem", "next.pem",
                                                                "previous.pem"};
  return kFiles[static_cast<std::size_t>(slot)];
}

Result<Secret> Store::read(IdentitySlot slot) {
  auto content = read_whole(disk_, file_of(slot), kSlotFileMax);
  if (!content && content.error().code == Errc::too_large) {
    Error error = std::move(content).error();
    error.message += ", so it is no certificate with its key";
    return error;
  }
  return content;
}

Status Store::install(const Secret& content) {
  if (content.text().size() > kSlotFileMax) {
    return Error{Errc::too_large,
                 "more than " + std::to_string(kSlotFileMax) + " bytes for one slot", 0};
  }
  return replace_whole(disk_, file_of(IdentitySlot::next), content.text());
}

Status Store::tidy() {
  auto names = disk_.list();
  if (!names) return std::move(names).error();
  bool any = false;
  for (const std::string& name : *names) {
    const auto ours = [&](std::string_view base) { return is_unfinished(name, base); };
    if (!ours(file_of(IdentitySlot::active)) && !ours(file_of(IdentitySlot::next)) &&
        !ours(file_of(IdentitySlot::previous)) && !ours(kRecordFile)) {
      continue;
    }
    if (Status gone = disk_.remove(name); !gone) return gone;
    any = true;
  }
  return any ? disk_.sync_directory() : Status();
}

Status Store::withdraw() {
  if (Status gone = disk_.remove(file_of(IdentitySlot::next)); !gone) return gone;
  return disk_.sync_directory();
}

Status Store::keep(const Secret& tried, const Secret* before) {
  const auto has = [this](IdentitySlot slot, const Secret& content) {
    const auto there = read(slot);
    return there && there->text() == content.text();
  };
  if (!has(IdentitySlot::active, tried)) {
    if (before != nullptr) {
      Status kept = has(IdentitySlot::previous, *before)
                        ? disk_.sync_directory()  // as below
                        : replace_whole(disk_, file_of(IdentitySlot::previous), before->text());
      if (!kept) return kept;
    }
    Status active = replace_whole(disk_, file_of(IdentitySlot::active), tried.text());
    if (!active) return active;
  } else if (Status synced = disk_.sync_directory(); !synced) {
    return synced;  // its name may not be safe yet, from an attempt that failed there
  }
  if (!has(IdentitySlot::next, tried)) return {};
  return withdraw();
}

Result<std::optional<Record>> Store::read_record() {
  auto text = read_whole(disk_, kRecordFile, kRecordMax);
  if (!text && text.error().code == Errc::not_found) return std::optional<Record>();
  if (!text) return std::move(text).error();
  auto record = parse_record(text->text());
  if (!record) return std::move(record).error().with(kRecordFile);
  return std::optional<Record>(std::move(record).value());
}

Status Store::write_record(const Record& record) {
  return replace_whole(disk_, kRecordFile, to_text(record));
}

}  // namespace holdfast::identity
