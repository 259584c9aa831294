// How much a test does here: numbers from the environment, and which sanitizer slows everything down.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>

namespace cow::test {

#if defined(__has_feature)
#define COW_TEST_HAS_FEATURE(feature) __has_feature(feature)
#else
#define COW_TEST_HAS_FEATURE(feature) 0
#endif

#if defined(__SANITIZE_THREAD__) || COW_TEST_HAS_FEATURE(thread_sanitizer)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif

#if defined(__SANITIZE_ADDRESS__) || COW_TEST_HAS_FEATURE(address_sanitizer)
inline constexpr bool under_asan = true;
#else
inline constexpr bool under_asan = false;
#endif

inline constexpr bool under_sanitizer = under_tsan || under_asan;

/// Why tests of faults inside the program's own signal handlers are left out there.
inline constexpr const char* tsan_blocks_faults_in_handlers =
    "ThreadSanitizer calls the program's handlers with SIGSEGV blocked, so that a fault in one is deadly with and "
    "without us";

inline std::optional<std::uint64_t> number_from_environment(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 0);
}

/// Random tests start from this seed: COW_SEED, or the same one each time.
inline std::uint64_t seed_or(std::uint64_t fallback) {
  return number_from_environment("COW_SEED").value_or(fallback);
}

}  // namespace cow::test
