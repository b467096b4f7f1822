#include "posix/os_error.h"

#include <cerrno>
#include <system_error>

namespace holdfast::posix {

Errc errc_of(int os_error) noexcept {
  switch (os_error) {
    case ENOSPC:
    case EDQUOT:
      return Errc::no_space;
    case EROFS:
      return Errc::read_only;
    case EACCES:
    case EPERM:
      return Errc::permission;
    case ENOENT:
    case ENOTDIR:
      return Errc::not_found;
    case EADDRINUSE:
      return Errc::in_use;
    case ETIMEDOUT:
      return Errc::timeout;
    default:
      return Errc::io;
  }
}

std::string os_words(int os_error) { return std::generic_category().message(os_error); }

Error make_os_error(int os_error, std::string_view what) {
  return Error{errc_of(os_error), std::string(what) + ": " + os_words(os_error), os_error};
}

}  // namespace holdfast::posix
