// Which sanitizer this build has, for tests whose means a sanitizer takes away.
#pragma once

#if defined(__has_feature)
#define HOLDFAST_HAS_FEATURE(name) __has_feature(name)
#else
#define HOLDFAST_HAS_FEATURE(name) 0
#endif

namespace holdfast::posix {

/// ASan's checks, and UBSan's beside it, open pipes: a test that takes all descriptors away would
/// test the sanitizer.
#if defined(__SANITIZE_ADDRESS__) || HOLDFAST_HAS_FEATURE(address_sanitizer)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#if defined(__SANITIZE_THREAD__) || HOLDFAST_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace holdfast::posix
