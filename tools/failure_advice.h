// What an operator should know and do for each failure that has a name, beyond the sentence that
// the programs print: the words of docs/failures.md that are not taken from the code.
//
// Purpose:  one row for each verdict, reason and health; one that is missing does not compile.
// Threads:  constants.
// Errors:   none.
// Source:   the page's facts are those of the documents that it links to.
#pragma once

#include <span>
#include <string_view>

#include "holdfast/types.h"

namespace holdfast::tools {

/// Where an operator looks: the groups of docs/failures.md, in its order.
enum class Place : std::uint8_t { device, network, server, broker, nothing };
inline constexpr std::size_t kPlaces = 5;
[[nodiscard]] std::string_view heading_of(Place place) noexcept;

struct VerdictAdvice {
  Verdict verdict = Verdict::none;
  Place place = Place::nothing;
  std::string_view means;   ///< What is behind it, as far as the device can tell.
  std::string_view remedy;  ///< What to do, after the advice of `holdfast doctor` if it has any.
  std::string_view checks;  ///< Of `holdfast doctor`: which of them look at this, with commas.
  std::string_view preset;  ///< `holdfast lab fault PRESET` brings it about; empty: none does.
};

/// In the order of the page.
[[nodiscard]] std::span<const VerdictAdvice> verdict_advice() noexcept;

struct NamedAdvice {
  std::string_view name;
  std::string_view means;
  std::string_view remedy;
};

/// Of each enumerator, in its order; RejectReason without `none`.
[[nodiscard]] std::span<const NamedAdvice> reject_advice() noexcept;
[[nodiscard]] std::span<const NamedAdvice> drop_advice() noexcept;
[[nodiscard]] std::span<const NamedAdvice> storage_advice() noexcept;

}  // namespace holdfast::tools
