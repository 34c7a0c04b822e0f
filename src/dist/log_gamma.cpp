// By Stirling's series (Abramowitz and Stegun 6.1.41, 6.3.18) above kLarge, where its first omitted terms are below
// 1e-15, and by the library's functions below:
//   log Gamma(z) = (z - 1/2) log z - z + log(2 pi) / 2 + s(z),   digamma(z) = log z - 1 / (2 z) + s'(z).
#include "log_gamma.h"

namespace vem {
namespace {

/// s'(z).
Tensor stirling_slope(const Tensor& z) {
  const Tensor q = 1 / (z * z);
  return -q * (1. / 12 + q * (-1. / 120 + q * (1. / 252 + q * (-1. / 240 + q * (1. / 132 - q * (691. / 32760))))));
}

/// `large` where z is, `small` elsewhere; each gets an argument at which it and its gradient are finite.
template <class Large, class Small>
Tensor by_size(const Tensor& z, const Large& large, const Small& small) {
  const Tensor is_large = z >= kLarge, edge = at::full_like(z, kLarge);
  return at::where(is_large, large(at::where(is_large, z, edge)), small(at::where(is_large, edge, z)));
}

}  // namespace

// 1 / (12 z) - 1 / (360 z^3) + ...
Tensor stirling(const Tensor& z) {
  const Tensor r = 1 / z, q = r * r;
  return r * (1. / 12 + q * (-1. / 360 + q * (1. / 1260 + q * (-1. / 1680 + q * (1. / 1188 - q * (691. / 360360))))));
}

Tensor lgamma_ratio(const Tensor& z, const Tensor& d) {
  return by_size(
      z,
      [&](const Tensor& big) {
        const Tensor end = big + d;
        return (big - 0.5) * at::log1p(d / big) + d * (end.log() - 1) + (stirling(end) - stirling(big));
      },
      [&](const Tensor& small) { return at::lgamma(small + d) - at::lgamma(small); });
}

Tensor digamma_ratio(const Tensor& z, const Tensor& d) {
  return by_size(
      z,
      [&](const Tensor& big) {
        const Tensor end = big + d;
        return at::log1p(d / big) + 0.5 * d / (big * end) + (stirling_slope(end) - stirling_slope(big));
      },
      [&](const Tensor& small) { return at::digamma(small + d) - at::digamma(small); });
}

Tensor log_beta(const Tensor& a, const Tensor& b) {
  const Tensor low = at::minimum(a, b);
  return at::lgamma(low) - lgamma_ratio(at::maximum(a, b), low);
}

Tensor standard_gamma_entropy(const Tensor& a) {
  return by_size(
      a,
      [](const Tensor& big) {
        return 0.5 * big.log() + kHalfLogTwoPi + stirling(big) + (big - 1) * (0.5 / big - stirling_slope(big));
      },
      [](const Tensor& small) { return small + at::lgamma(small) + (1 - small) * at::digamma(small); });
}

}  // namespace vem
