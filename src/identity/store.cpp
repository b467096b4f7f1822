#include "identity/store.h"

#include <array>
#include <span>
#include <string>
#include <utility>

namespace holdfast::identity {

namespace {

bool is_missing(const Status& status) { return !status && status.error().code == Errc::not_found; }

}  // namespace

std::string_view file_of(IdentitySlot slot) noexcept {
  constexpr std::array<std::string_view, kIdentitySlots> kFiles{"active.pem", "next.pem",
                                                                "previous.pem"};
  return kFiles[static_cast<std::size_t>(slot)];
}

Result<Secret> Store::read_file(std::string_view name, std::size_t most) {
  auto file = disk_.open(name, env::OpenMode::read);
  if (!file) return std::move(file).error();
  // A byte more than allowed shows that there is more, whatever size the file says it has.
  std::string text(most + 1, '\0');
  auto got = (*file)->read_at(0, std::as_writable_bytes(std::span(text.data(), text.size())));
  if (!got) return std::move(got).error();
  text.resize(*got);
  Secret content(std::move(text));
  if (*got > most) {
    return Error{Errc::too_large,
                 std::string(name) + " is larger than " + std::to_string(most) +
                     " bytes, so it is no certificate with its key",
                 0};
  }
  return content;
}

Status Store::replace(std::string_view name, std::string_view content) {
  const std::string fresh = std::string(name) + ".new";
  // What a cut attempt has left must not lend its permissions.
  if (Status gone = disk_.remove(fresh); !gone && !is_missing(gone)) return gone;
  {
    auto file = disk_.open(fresh, env::OpenMode::create);
    if (!file) return std::move(file).error();
    Status done = (*file)->write_at(0, std::as_bytes(std::span(content.data(), content.size())));
    if (done) done = (*file)->sync();
    if (!done) {
      static_cast<void>(disk_.remove(fresh));  // it may hold a key
      return done;
    }
  }
  if (Status named = disk_.rename(fresh, name); !named) return named;
  return disk_.sync_directory();
}

Result<Secret> Store::read(IdentitySlot slot) { return read_file(file_of(slot), kSlotFileMax); }

Status Store::install(const Secret& content) {
  if (content.text().size() > kSlotFileMax) {
    return Error{Errc::too_large,
                 "more than " + std::to_string(kSlotFileMax) + " bytes for one slot", 0};
  }
  return replace(file_of(IdentitySlot::next), content.text());
}

Status Store::tidy() {
  auto names = disk_.list();
  if (!names) return std::move(names).error();
  bool any = false;
  for (const std::string& name : *names) {
    const auto ours = [&](std::string_view base) { return name == std::string(base) + ".new"; };
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
                        : replace(file_of(IdentitySlot::previous), before->text());
      if (!kept) return kept;
    }
    Status active = replace(file_of(IdentitySlot::active), tried.text());
    if (!active) return active;
  } else if (Status synced = disk_.sync_directory(); !synced) {
    return synced;  // its name may not be safe yet, from an attempt that failed there
  }
  if (!has(IdentitySlot::next, tried)) return {};
  return withdraw();
}

Result<std::optional<Record>> Store::read_record() {
  auto text = read_file(kRecordFile, kRecordMax);
  if (!text && text.error().code == Errc::not_found) return std::optional<Record>();
  if (!text) return std::move(text).error();
  auto record = parse_record(text->text());
  if (!record) return std::move(record).error().with(kRecordFile);
  return std::optional<Record>(std::move(record).value());
}

Status Store::write_record(const Record& record) { return replace(kRecordFile, to_text(record)); }

}  // namespace holdfast::identity
