#include "posix/accounts.h"

#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <charconv>
#include <vector>

namespace holdfast::posix {

namespace {

constexpr std::size_t kEntryMax = 1024 * 1024;  // a group of very many members

std::optional<id_t> number_of(const std::string& text) {
  id_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

/// getpwnam_r or getgrnam_r, with as much room as the entry takes.
template <class Entry, class Get>
bool look_up(Entry& entry, std::vector<char>& room, Get get) {
  Entry* found = nullptr;
  int error = ERANGE;
  for (room.resize(1024); error == ERANGE && room.size() <= kEntryMax;
       room.resize(room.size() * 2)) {
    do {
      error = get(&entry, room.data(), room.size(), &found);
    } while (error == EINTR);
    if (error != ERANGE) break;
  }
  return error == 0 && found != nullptr;
}

}  // namespace

std::optional<uid_t> user_id(const std::string& name) {
  if (const auto number = number_of(name)) return *number;
  passwd entry{};
  std::vector<char> room;
  const auto get = [&](passwd* to, char* at, std::size_t size, passwd** found) {
    return ::getpwnam_r(name.c_str(), to, at, size, found);
  };
  return look_up(entry, room, get) ? std::optional(entry.pw_uid) : std::nullopt;
}

std::optional<gid_t> group_id(const std::string& name) {
  if (const auto number = number_of(name)) return *number;
  group entry{};
  std::vector<char> room;
  const auto get = [&](group* to, char* at, std::size_t size, group** found) {
    return ::getgrnam_r(name.c_str(), to, at, size, found);
  };
  return look_up(entry, room, get) ? std::optional(entry.gr_gid) : std::nullopt;
}

}  // namespace holdfast::posix
