// The options of the normal observation and what its covariance structures share beside the kernels.
#pragma once

#include "normal_kernel.h"
#include "sharing.h"

namespace vem {

struct NormalOptions final : ConjugateOptions {
  enum class Covariance { full, diagonal, tied, spherical, factor, ppca };
  Covariance covariance = Covariance::full;
  int64_t rank = 1;
  double mean_strength = 1, degrees_of_freedom = 0, covariance_scale = 1, variance_floor = 1e-6;

  bool real_valued() const override { return true; }
  bool low_rank() const { return covariance == Covariance::factor || covariance == Covariance::ppca; }
  void visit(OptionVisitor& v) override;
};

/// Directions in which the data do not vary get this share of their mean variance in the prior, which must be proper.
constexpr double kFlat = 1e-9;

/// log(2 pi) D / 2: what log p(row | k) has beside <s, t>.
double half_log_two_pi(int64_t num_features);
/// E[-mu' Lambda mu] / 2 + m' E[Lambda] m / 2, which is -D / (2 beta), and 0 at a point: there it is all rounding.
Tensor spread_of(const Tensor& expected, const Tensor& at_mean);
/// The entry "components.flat" of Observation::diagnostics() for a prior whose scale is V [D, D]: directions that rest
/// on kFlat. And of one whose columns are independent, with these scales [D].
std::map<std::string, double> flat_directions(const Tensor& V);
std::map<std::string, double> flat_columns(const Tensor& scales);
/// log(1 + |w|^2 / divisor) of vectors w along `dim`, also where the square is beyond the range of numbers.
Tensor log1p_squares(const Tensor& w, int64_t dim, const Tensor& divisor);
/// Variances of q [rows, D]; ConfigError if it has none.
Tensor variance_of(const Distribution& q);
/// Covariances of q [rows, D, D]; dimensions are independent where q does not say otherwise.
Tensor covariance_of(const Distribution& q);
/// The packed kernel in the cheapest type that is exact enough where terms of this size [K] cancel in a quadratic form,
/// or residuals where none is. For one feature: the squared distance of a component from the origin in its own standard
/// deviations, plus one.
std::unique_ptr<const RowKernel> kernel_for(const Tensor& size, at::ScalarType dtype, const Tensor& weights, bool full,
                                            const std::function<QuadraticForm()>& form);

constexpr const char* kFiniteNumber = "a finite number, or NaN where it is missing,";

/// Rows with the same cells missing.
struct MissingPattern {
  Tensor rows, observed, missing;  ///< [n], columns [o], columns [m], int64
};
/// The patterns of rows [n, D], in a fixed order; the first is that of complete rows where there are any.
std::vector<MissingPattern> missing_patterns(const Tensor& x);
/// For rows with missing cells: precision [K, D, D] is that of the form.
std::unique_ptr<const RowKernel> incomplete_full_kernel(const QuadraticForm& form, const Tensor& precision);
/// x with conditional means, averaged by r [n, K], in its gaps; means where a row has no cell at all.
Tensor completed_full(const QuadraticForm& form, const Tensor& precision, const Tensor& x, const Tensor& r);
/// For a diagonal covariance: offsets [K, D] are the parts of form.offset by dimension.
std::unique_ptr<const RowKernel> incomplete_diagonal_kernel(const QuadraticForm& form, const Tensor& offsets);

/// Covariance full, tied, factor or ppca.
std::shared_ptr<Observation> full_normal(const NormalOptions& options, const Observation::Context& context);
/// Covariance diagonal or spherical.
std::shared_ptr<Observation> diagonal_normal(const NormalOptions& options, const Observation::Context& context);

}  // namespace vem
