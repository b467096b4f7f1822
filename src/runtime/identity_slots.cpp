#include "runtime/identity_slots.h"

#include <utility>

#include "identity/store.h"
#include "posix/system.h"
#include "transport/credentials.h"
#include "transport/identity_check.h"

namespace holdfast::runtime {

namespace {

namespace fs = std::filesystem;
using identity::View;

View refused(std::string reason) {
  View view;
  view.state.condition = SlotCondition::refused;
  view.state.reason = std::move(reason);
  return view;
}

Result<Secret> read_secret(const char* what, const fs::path& file, std::size_t most) {
  auto text = posix::read_file(file, most);
  if (!text) return std::move(text).error().with(what);
  return Secret(std::move(text).value());
}

}  // namespace

View SlotReader::view_of(IdentitySlot slot, const fs::path& file, const Result<Secret>& content) {
  if (!content) {
    if (content.error().code == Errc::not_found) return {};
    return refused(content.error().message);
  }
  const std::string id = transport::content_id(content->text());
  if (seen_[slot].id == id) return seen_[slot];
  auto state = transport::inspect_identity({*content, file, &*content, file});
  View view = state ? View{std::move(state).value(), ""} : refused(state.error().message);
  view.id = id;
  return view;
}

/// tls.cert_file and tls.key_file, or the key in a token.
View SlotReader::pair() {
  const auto certificate = read_secret("certificate", tls_.cert_file, transport::kCertFileMax);
  if (!certificate) return refused(certificate.error().message);
  std::string whole = certificate->text();
  Secret key;
  if (!tls_.key_file.empty()) {
    auto read = read_secret("key", tls_.key_file, transport::kKeyFileMax);
    if (!read) return refused(read.error().message);
    key = std::move(read).value();
    whole += key.text();
  }
  const Secret both(std::move(whole));
  const std::string id = transport::content_id(both.text());
  if (seen_[IdentitySlot::active].id == id) return seen_[IdentitySlot::active];
  auto state = transport::inspect_identity(
      {*certificate, tls_.cert_file, tls_.key_file.empty() ? nullptr : &key, tls_.key_file});
  View view = state ? View{std::move(state).value(), ""} : refused(state.error().message);
  view.id = id;
  return view;
}

identity::Slots SlotReader::read() {
  identity::Slots slots;
  pair_is_active_ = false;
  if (!directory_.empty()) {
    const auto disk = posix::open_existing_disk(directory_);
    for (const IdentitySlot slot :
         {IdentitySlot::active, IdentitySlot::next, IdentitySlot::previous}) {
      const fs::path file = directory_ / identity::file_of(slot);
      slots[slot] = disk ? view_of(slot, file, identity::Store(**disk).read(slot))
                         : refused(disk.error().message);
    }
  }
  if (slots[IdentitySlot::active].state.condition == SlotCondition::missing &&
      !tls_.cert_file.empty()) {
    slots[IdentitySlot::active] = pair();
    pair_is_active_ = true;
  }
  seen_ = slots;
  return slots;
}

void use_active_slot(Config& config) {
  if (config.identity.directory.empty()) return;
  SlotReader reader(config);
  static_cast<void>(reader.read());
  if (reader.pair_is_active()) return;
  config.tls.cert_file = config.identity.directory / identity::file_of(IdentitySlot::active);
  config.tls.key_file = config.tls.cert_file;
}

Result<Secret> bundle(const fs::path& certificate, const fs::path& key,
                      const std::string& installed) {
  const auto first = read_secret("certificate", certificate, transport::kCertFileMax);
  if (!first) return first.error();
  const auto second = read_secret("key", key, transport::kKeyFileMax);
  if (!second) return second.error();
  auto checked = transport::inspect_identity({*first, certificate, &*second, key});
  if (!checked) return std::move(checked).error();
  std::string whole = installed + first->text();
  if (!whole.ends_with('\n')) whole += '\n';
  // One file for both is taken once.
  if (first->text() != second->text()) whole += second->text();
  return Secret(std::move(whole));
}

}  // namespace holdfast::runtime
