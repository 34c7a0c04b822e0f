// D independent gamma distributions a row, of rates lambda ~ Gamma(a, rate b): the conjugate family of Poisson counts
// and exponential durations. eta = (a - 1 [D], b [D]), t = (log lambda [D], -lambda [D]).
#pragma once

#include "vem/dist/exponential_family.h"

namespace vem {

class GammasFamily final : public ExponentialFamily {
 public:
  /// The smallest and the largest rate that mode() returns. A smallest rate of 0 has t = -infinity (a Poisson cell that
  /// is never counted); an infinite largest rate is no limit.
  GammasFamily(int64_t num_rates, double max_rate, double min_rate = 0)
      : D_(num_rates), max_rate_(max_rate), min_rate_(min_rate) {}
  int64_t size() const override { return 2 * D_; }
  int64_t num_free() const override { return D_; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  /// A rate whose a is not above 1 gets the smallest one; what was never seen is 1.
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  Tensor unconstrained(const Tensor& eta) const override;  ///< (log a, log b)
  Tensor constrained(const Tensor& coordinates) const override;
  /// Rows with a rate at max_rate.
  int64_t num_floored(const Tensor& eta) const override;

 private:
  int64_t D_;
  double max_rate_, min_rate_;
};

}  // namespace vem
