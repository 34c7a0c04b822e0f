// Standard noise and draws that several distributions share, keyed by an Rng. Noise is made in float64, so that its
// tails are those of 53 bits, and then rounded.
#pragma once

#include "vem/dist/distribution.h"

namespace vem {

/// Uniform on (0, 1) [sample_shape, the shape of `like`], float64; draw s is a function of (rng, s) alone.
Tensor uniform_noise(const Shape& sample_shape, const Tensor& like, const Rng& rng, const char* stream = "uniform");
/// Standard normal, likewise, of the type of `like`.
Tensor normal_noise(const Shape& sample_shape, const Tensor& like, const Rng& rng, const char* stream = "normal");
/// Standard Gumbel, likewise: -log(-log u).
Tensor gumbel_noise(const Shape& sample_shape, const Tensor& like, const Rng& rng);

/// log of a draw from Gamma(a, rate 1) [sample_shape, a], differentiable in a; finite for every a, however small.
Tensor log_gamma_draw(const Tensor& a, const Shape& sample_shape, const Rng& rng, const char* stream = "gamma");
/// dx / da at a fixed quantile of Gamma(a >= 1, rate 1), by quadrature to about 1e-12.
double gamma_quantile_slope(double a, double x);

/// The smallest positive normal number of the type, which stands for draws that underflow, and the gap below one.
double smallest_positive(const Tensor& like);
double epsilon(const Tensor& like);

/// A draw that is differentiable where q is reparameterised.
Tensor drawn_from(const Distribution& q, const Shape& sample_shape, const Rng& rng);

/// Counts from Poisson(rate), float64, the shape of `rate`.
Tensor poisson_draw(const Tensor& rate, const Rng& rng);

}  // namespace vem
