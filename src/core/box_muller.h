// The Box-Muller transform (1958) in float64, inlined into loops that the compiler turns into whole vectors: a call of
// std::log or std::sin would be made number by number. Relative accuracy of each function about 1e-15.
#pragma once

#include <cstdint>
#include <cstring>

namespace vem {

/// log(u) for u in (0, 1) above 1e-18: u = 2^e m with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1) / (m + 1)).
__attribute__((always_inline)) inline double log_unit(double u) {
  constexpr uint64_t kRootHalf = 0x3fe6a09e667f3bcdull, kShift = 64;  // shifted so that exponents are positive
  uint64_t bits;
  std::memcpy(&bits, &u, sizeof bits);
  const uint64_t shifted = (bits - kRootHalf + (kShift << 52)) >> 52;
  bits -= (shifted - kShift) << 52;
  double m;
  std::memcpy(&m, &bits, sizeof m);
  const double e = static_cast<double>(static_cast<int32_t>(shifted)) - static_cast<double>(kShift);
  const double s = (m - 1) / (m + 1), q = s * s;  // q < 0.0295: the first term left out is below 1e-18
  double p = 1.0 / 21;
  p = p * q + 1.0 / 19;
  p = p * q + 1.0 / 17;
  p = p * q + 1.0 / 15;
  p = p * q + 1.0 / 13;
  p = p * q + 1.0 / 11;
  p = p * q + 1.0 / 9;
  p = p * q + 1.0 / 7;
  p = p * q + 1.0 / 5;
  p = p * q + 1.0 / 3;
  return e * 0.6931471805599453 + 2 * s * (p * q + 1);
}

/// sin and cos of 2 pi u for u in [0, 1]: Taylor's series within an eighth of a turn of the nearest quarter.
__attribute__((always_inline)) inline void sin_cos_turn(double u, double* sine, double* cosine) {
  const double quarter = __builtin_floor(4 * u + 0.5);
  const double a = (4 * u - quarter) * 1.5707963267948966, q = a * a;
  double s = -1.0 / 1307674368000;
  s = s * q + 1.0 / 6227020800;
  s = s * q - 1.0 / 39916800;
  s = s * q + 1.0 / 362880;
  s = s * q - 1.0 / 5040;
  s = s * q + 1.0 / 120;
  s = s * q - 1.0 / 6;
  s = a + a * (s * q);
  double c = 1.0 / 20922789888000;
  c = c * q - 1.0 / 87178291200;
  c = c * q + 1.0 / 479001600;
  c = c * q - 1.0 / 3628800;
  c = c * q + 1.0 / 40320;
  c = c * q - 1.0 / 720;
  c = c * q + 1.0 / 24;
  c = c * q - 0.5;
  c = c * q + 1;
  const bool odd = quarter == 1 || quarter == 3;
  const double along = odd ? s : c, across = odd ? c : s;
  *cosine = quarter == 1 || quarter == 2 ? -along : along;
  *sine = quarter == 2 || quarter == 3 ? -across : across;
}

}  // namespace vem
