// Special functions of many positive numbers at once, in vector instructions: the digamma and log-gamma functions take
// most of the time of variational Bayes with Dirichlet distributions. Series after a shift by six: Abramowitz and
// Stegun 6.1.41, 6.3.18. Relative errors are below 1e-10 where the result is not near a root of the function: on
// [1e-100, 1e10].
#pragma once

#include <cstdint>

namespace vem::special {

/// out[i] = f(x[i]) for i < n; `out` may be `x`.
void exp(const double* x, double* out, int64_t n);          ///< 0 below -708
void log(const double* x, double* out, int64_t n);          ///< of positive numbers that are not denormal
void digamma(const double* x, double* out, int64_t n);      ///< d log Gamma(x) / dx
void exp_digamma(const double* x, double* out, int64_t n);  ///< exp(digamma(x))
void lgamma(const double* x, double* out, int64_t n);       ///< log Gamma(x)
/// The sum of log Gamma(x[i]).
double sum_lgamma(const double* x, int64_t n);

}  // namespace vem::special
