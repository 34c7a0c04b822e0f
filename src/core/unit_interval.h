// Random bits as numbers inside the unit interval: never 0, whose logarithm is infinite, and never 1.
#pragma once

#include <cstdint>

namespace vem {

/// The middle of one of 2^53 equal parts of (0, 1): (bits + 1/2) / 2^53 for bits below 2^53, rounded to a double. The
/// last middle would be rounded to 1; it becomes the number before 1. Inlined into loops that the compiler turns into
/// whole vectors.
__attribute__((always_inline)) inline double unit_53(uint64_t bits) {
  constexpr double kBelowOne = 1 - 0x1.0p-53;
  const double middle = (static_cast<double>(static_cast<int64_t>(bits)) + 0.5) * 0x1.0p-53;
  return middle < kBelowOne ? middle : kBelowOne;
}

/// The same of 2^23 parts in float32, where no middle is rounded.
__attribute__((always_inline)) inline float unit_23(uint32_t bits) {
  return (static_cast<float>(static_cast<int32_t>(bits)) + 0.5f) * 0x1.0p-23f;
}

}  // namespace vem
