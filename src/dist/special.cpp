// The gamma functions by asymptotic series at x + 6, where
//   x (x + 1) ... (x + 5) = a (a + 4) (a + 6)  with a = x (x + 5)
// takes the six recurrence steps back at once. Written without branches, so that loops become vector instructions.
#include "vem/dist/special.h"

#include <cmath>

#include "log_gamma.h"
#include "vem/core/exp_log.h"

namespace vem::special {

namespace {

/// digamma(x) - log(x + 6).
VEM_INLINE double digamma_rest(double x) {
  const double a = x * (x + 5), y = 1 / (x + 6), y2 = y * y;
  const double recurrence = (2 * x + 5) * ((3 * a + 20) * a + 24) / (a * (a + 4) * (a + 6));
  double p = -1. / 12;
  p = p * y2 + 691. / 32760;
  p = p * y2 - 1. / 132;
  p = p * y2 + 1. / 240;
  p = p * y2 - 1. / 252;
  p = p * y2 + 1. / 120;
  p = p * y2 - 1. / 12;
  return p * y2 - 0.5 * y - recurrence;
}

VEM_INLINE double lgamma_of(double x) {
  const double a = x * (x + 5), y = x + 6, r = 1 / y, r2 = r * r;
  double p = 1. / 156;
  p = p * r2 - 691. / 360360;
  p = p * r2 + 1. / 1188;
  p = p * r2 - 1. / 1680;
  p = p * r2 + 1. / 1260;
  p = p * r2 - 1. / 360;
  p = p * r2 + 1. / 12;
  return (y - 0.5) * log_of(y) - y + kHalfLogTwoPi + p * r - log_of(a * (a + 4) * (a + 6));
}

}  // namespace

VEM_CLONES void exp(const double* x, double* out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = exp_of(x[i]);
}
VEM_CLONES void log(const double* x, double* out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = log_of(x[i]);
}
VEM_CLONES void digamma(const double* x, double* out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = log_of(x[i] + 6) + digamma_rest(x[i]);
}
VEM_CLONES void exp_digamma(const double* x, double* out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = (x[i] + 6) * exp_of(digamma_rest(x[i]));
}
VEM_CLONES void lgamma(const double* x, double* out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = lgamma_of(x[i]);
}
VEM_CLONES double sum_lgamma(const double* x, int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += lgamma_of(x[i]);
  return sum;
}

}  // namespace vem::special
