// Special functions that keep their digits where differences of lgamma would lose them. All are differentiable.
#pragma once

#include "vem/core/types.h"

namespace vem {

constexpr double kHalfLogTwoPi = 0.91893853320467274178;  // log(2 pi) / 2

/// log Gamma(z + d) - log Gamma(z) for z > 0, d >= 0, also where z is so large that each has lost its digits.
Tensor lgamma_ratio(const Tensor& z, const Tensor& d);
/// digamma(z + d) - digamma(z), likewise.
Tensor digamma_ratio(const Tensor& z, const Tensor& d);
/// log B(a, b).
Tensor log_beta(const Tensor& a, const Tensor& b);
/// s(z) = log Gamma(z) - ((z - 1/2) log z - z + log(2 pi) / 2) for z >= kLarge.
constexpr double kLarge = 16;
Tensor stirling(const Tensor& z);
/// a + log Gamma(a) + (1 - a) digamma(a): the entropy of Gamma(a, rate 1).
Tensor standard_gamma_entropy(const Tensor& a);

}  // namespace vem
