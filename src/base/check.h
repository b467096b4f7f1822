// Invariants, checked in every build: a broken one ends the process at once, with its place, before
// wrong state can reach the disk. The process manager restarts us and recovery starts from the
// last good state. For conditions that the outside world can cause, return an Error instead.
#pragma once

namespace holdfast {

/// Prints "holdfast: invariant broken: CONDITION at FILE:LINE" and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace holdfast

#define HF_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::holdfast::check_failed(#condition, __FILE__, __LINE__))
