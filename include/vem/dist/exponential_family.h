// Exponential families in coordinates with base measure one: the distributions of conjugate blocks.
#pragma once

#include "vem/core/rng.h"
#include "vem/core/types.h"

namespace vem {

/// q(theta) = exp(<eta, t(theta)> - A(eta)), R independent rows: eta and t are [R, size()], float64.
class ExponentialFamily {
 public:
  virtual ~ExponentialFamily() = default;
  /// P, the length of eta and of t.
  virtual int64_t size() const = 0;
  /// Free parameters of a row's theta; the default: one a statistic.
  virtual int64_t num_free() const { return size(); }
  /// A(eta) [R].
  virtual Tensor log_partition(const Tensor& eta) const = 0;
  /// E_q[t] = dA/d eta [R, P].
  virtual Tensor mean(const Tensor& eta) const = 0;
  /// t at argmax_theta <eta, t(theta)> [R, P]: MAP for a posterior eta, maximum likelihood for eta = sums.
  virtual Tensor mode(const Tensor& eta) const = 0;
  /// Likewise where there is no closed form: a t whose <eta, t> is not below that of the given one. Default: mode().
  virtual Tensor improved(const Tensor& eta, const Tensor&) const { return mode(eta); }
  /// t at a draw from q [R, P].
  virtual Tensor sample(const Tensor& eta, const Rng& rng) const = 0;
  /// eta in coordinates without constraints [R, Q] and back, by logarithms of what is positive: where extrapolations
  /// are made. Rows without such coordinates (nothing was seen) are not finite. The default: eta.
  virtual Tensor unconstrained(const Tensor& eta) const { return eta; }
  virtual Tensor constrained(const Tensor& coordinates) const { return coordinates; }
  /// Rows whose mode() sits on a floor (a smallest variance): solutions there do not count as optima.
  virtual int64_t num_floored(const Tensor&) const { return 0; }
};

}  // namespace vem
