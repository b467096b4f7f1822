// Which of two versions is the later one.
//
// Purpose:  no document brings back an old version by itself, with the faults that it had.
// Method:   numbers by their value, other parts by their letters; "1.0-rc1" is before "1.0", and
//           what follows a '+' does not count, as Semantic Versioning has it.
#pragma once

#include <string_view>

namespace holdfast::update {

/// Below 0: `one` is before `other`; 0: neither.
[[nodiscard]] int compare_versions(std::string_view one, std::string_view other);

/// The same for Debian's, "[EPOCH:]VERSION[-REVISION]", as deb-version(7) has it: a '~' is before
/// the end, letters before all else.
[[nodiscard]] int compare_debian_versions(std::string_view one, std::string_view other);

}  // namespace holdfast::update
