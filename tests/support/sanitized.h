// Whether the tests are built with a sanitizer (tests/sanitize.sh): one that keeps terabytes of addresses for itself
// can not run under a limit of them, and asks for memory in its own ways.
#pragma once

#ifndef __has_feature  // clang's; g++ has macros
#define __has_feature(feature) 0
#endif

namespace vem {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace vem
