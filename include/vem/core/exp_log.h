// exp and log by range reduction and a polynomial, without branches, so that a loop in a VEM_CLONES function that calls
// them becomes vector instructions.
#pragma once

#include <cstdint>
#include <cstring>

#include "vem/core/target_clones.h"

namespace vem {

VEM_INLINE double from_bits(uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
VEM_INLINE uint64_t to_bits(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

/// exp of a double in -708 .. 709 (Bits: uint64_t), or of each number of a vector of doubles (of as many of those), by
/// reference: to pass vectors by value is another matter on each machine. x = k log 2 + r with |r| <= log(2) / 2, then
/// the Taylor series to r^12: its remainder is below 2e-16.
template <class Bits, class Real>
VEM_INLINE void exp_inside(const Real& x, Real& result) {
  constexpr double kRound = 0x1.8p52, kHigh = 0x1.62e42fefa3800p-1, kLow = 0x1.ef35793c76730p-45;
  const Real shifted = x * 0x1.71547652b82fep0 + kRound, k = shifted - kRound;
  const Real r = (x - k * kHigh) - k * kLow;
  const Real r2 = r * r;  // even and odd terms apart: half the time until the last one is known
  Real even = r2 * (1. / 479001600) + 1. / 3628800, odd = r2 * (1. / 39916800) + 1. / 362880;
  even = even * r2 + 1. / 40320;
  odd = odd * r2 + 1. / 5040;
  even = even * r2 + 1. / 720;
  odd = odd * r2 + 1. / 120;
  even = even * r2 + 1. / 24;
  odd = odd * r2 + 1. / 6;
  even = even * r2 + 0.5;
  odd = odd * r2 + 1;
  even = even * r2 + 1;
  Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;  // k sits in the low bits of `shifted`
  Real power;
  std::memcpy(&power, &bits, sizeof power);
  result = (even + r * odd) * power;
}
VEM_INLINE double exp_inside(double x) {
  double result;
  exp_inside<uint64_t>(x, result);
  return result;
}
/// exp of any double: 0 below -708, NaN of NaN.
VEM_INLINE double exp_of(double x) {
  const double inside = exp_inside(x < -708 ? -708 : x > 709 ? 709 : x);
  return x < -708 ? 0 : inside;
}

/// Likewise in float32 in -87 .. 88, to r^7: within two units of the last place.
VEM_INLINE float exp_inside(float x) {
  constexpr float kRound = 0x1.8p23F, kHigh = 0x1.62e4p-1F, kLow = 0x1.7f7d1cp-20F;
  const float shifted = x * 0x1.715476p0F + kRound, k = shifted - kRound;
  const float r = (x - k * kHigh) - k * kLow;
  float p = 1.F / 5040;
  p = p * r + 1.F / 720;
  p = p * r + 1.F / 120;
  p = p * r + 1.F / 24;
  p = p * r + 1.F / 6;
  p = p * r + 0.5F;
  p = p * r + 1;
  p = p * r + 1;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127) << 23;  // k sits in the low bits of `shifted`
  float power;
  std::memcpy(&power, &bits, sizeof power);
  return p * power;
}
VEM_INLINE float exp_of(float x) {
  const float inside = exp_inside(x < -87 ? -87 : x > 88 ? 88 : x);
  return x < -87 ? 0 : inside;
}

/// x = 2^k m with m in [sqrt(1/2), sqrt(2)), log m = 2 artanh(f), f = (m - 1) / (m + 1), to f^19: below 1e-16.
VEM_INLINE double log_of(double x) {
  const uint64_t bits = to_bits(x);
  const double m1 = from_bits((bits & 0x000fffffffffffffull) | 0x3ff0000000000000ull);
  const double exponent = from_bits((bits >> 52) | 0x4330000000000000ull) - (0x1.0p52 + 1023);
  const bool high = m1 > 1.4142135623730951;
  const double m = high ? 0.5 * m1 : m1, k = high ? exponent + 1 : exponent;
  const double f = (m - 1) / (m + 1), f2 = f * f;
  double p = 1. / 19;
  p = p * f2 + 1. / 17;
  p = p * f2 + 1. / 15;
  p = p * f2 + 1. / 13;
  p = p * f2 + 1. / 11;
  p = p * f2 + 1. / 9;
  p = p * f2 + 1. / 7;
  p = p * f2 + 1. / 5;
  p = p * f2 + 1. / 3;
  p = p * f2 + 1;
  return k * 0.69314718055994531 + 2 * f * p;
}

}  // namespace vem
