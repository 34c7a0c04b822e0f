// The options of the normal observation and what its two covariance structures share beside the kernels.
#pragma once

#include "normal_kernel.h"

namespace vem {

struct NormalOptions final : ConjugateOptions {
  enum class Covariance { full, diagonal };
  Covariance covariance = Covariance::full;
  double mean_strength = 1, degrees_of_freedom = 0, covariance_scale = 1, variance_floor = 1e-6;

  bool real_valued() const override { return true; }
  void visit(OptionVisitor& v) override;
};

/// Directions in which the data do not vary get this share of their mean variance in the prior, which must be proper.
constexpr double kFlat = 1e-9;

/// log(2 pi) D / 2: what log p(row | k) has beside <s, t>.
double half_log_two_pi(int64_t num_features);
/// q as a diagonal normal; ConfigError if it is another distribution.
const DiagonalNormal& require_diagonal(const Distribution& q);
/// The packed kernel in the cheapest type that is exact enough where terms of this size [K] cancel in a quadratic form,
/// or residuals where none is. For one feature: the squared distance of a component from the origin in its own standard
/// deviations, plus one.
std::unique_ptr<const RowKernel> kernel_for(const Tensor& size, at::ScalarType dtype, const Tensor& weights, bool full,
                                            const std::function<QuadraticForm()>& form);

std::shared_ptr<Observation> full_normal(const NormalOptions& options, const Observation::Context& context);
std::shared_ptr<Observation> diagonal_normal(const NormalOptions& options, const Observation::Context& context);

}  // namespace vem
