// One sequence in logarithms: K^2 exponentials a step, but no path is ever lost. Private to chain inference.
#pragma once

#include "chain_layout.h"

namespace vem {

class LogSweep {
 public:
  /// Filters the item (of one row or more) forward.
  LogSweep(const Potentials& p, int64_t item);
  double log_norm() const { return log_norm_; }
  /// log p(z_t | x_1 .. x_t) [T, K]
  const Tensor& log_filtered() const { return log_filtered_; }
  /// Smoothed marginals times `weight` into the item's rows of `marginals` [R, K]; pairwise ones are added to [K, K].
  void backward(double weight, double* marginals, double* transitions) const;

 private:
  const Potentials& p_;
  int64_t begin_, T_;
  double log_norm_ = 0;
  Tensor log_filtered_;
};

}  // namespace vem
