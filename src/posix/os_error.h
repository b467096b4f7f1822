// errno as an Error: code to switch on, words to read.
#pragma once

#include <string>
#include <string_view>

#include "holdfast/result.h"

namespace holdfast::posix {

/// The nearest Errc; `io` for everything without a better one.
[[nodiscard]] Errc errc_of(int os_error) noexcept;

/// "Connection refused", without touching errno.
[[nodiscard]] std::string os_words(int os_error);

/// "WHAT: Connection refused", with code and os_error filled in.
[[nodiscard]] Error make_os_error(int os_error, std::string_view what);

}  // namespace holdfast::posix
