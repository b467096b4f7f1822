// Whether this build has AddressSanitizer: its checks, and UBSan's, open pipes of their own, so a
// test that takes all descriptors away would test the sanitizer. For tests.
#pragma once

namespace holdfast::posix {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace holdfast::posix
