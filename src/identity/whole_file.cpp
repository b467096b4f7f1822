#include "identity/whole_file.h"

#include <span>
#include <string>
#include <utility>

namespace holdfast::identity {

Result<Secret> read_whole(env::Disk& disk, std::string_view name, std::size_t most) {
  auto file = disk.open(name, env::OpenMode::read);
  if (!file) return std::move(file).error();
  // A byte more than allowed shows that there is more, whatever size the file says it has.
  std::string text(most + 1, '\0');
  auto got = (*file)->read_at(0, std::as_writable_bytes(std::span(text.data(), text.size())));
  if (!got) return std::move(got).error();
  text.resize(*got);
  Secret content(std::move(text));
  if (*got > most) {
    return Error{Errc::too_large,
                 std::string(name) + " is larger than " + std::to_string(most) + " bytes", 0};
  }
  return content;
}

Result<Secret> read_whole_durable(env::Disk& disk, std::string_view name, std::size_t most) {
  // replace_whole() has synced the content before it gave the name.
  if (Status named = disk.sync_directory(); !named) return std::move(named).error();
  return read_whole(disk, name, most);
}

Status replace_whole(env::Disk& disk, std::string_view name, std::string_view content) {
  const std::string fresh = std::string(name) + std::string(kUnfinished);
  // What a cut attempt has left must not lend its permissions.
  if (Status gone = disk.remove(fresh); !gone && gone.error().code != Errc::not_found) return gone;
  {
    auto file = disk.open(fresh, env::OpenMode::create);
    if (!file) return std::move(file).error();
    Status done = (*file)->write_at(0, std::as_bytes(std::span(content.data(), content.size())));
    if (done) done = (*file)->sync();
    if (!done) {
      static_cast<void>(disk.remove(fresh));  // it may hold a key
      return done;
    }
  }
  if (Status named = disk.rename(fresh, name); !named) return named;
  return disk.sync_directory();
}

}  // namespace holdfast::identity
