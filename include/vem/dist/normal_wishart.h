// The normal-Wishart distribution over (mu, Lambda), the conjugate family of a full-covariance normal.
//   Lambda ~ Wishart(nu, V^-1), mu | Lambda ~ N(m, (beta Lambda)^-1)
//   eta = (beta, beta m, packed(V + beta m m'), nu - D), t = (-mu' Lambda mu / 2, Lambda mu, packed*(-Lambda / 2),
//   log|Lambda| / 2)
// packed() is the upper triangle by rows, D (D + 1) / 2 numbers; packed*() doubles what is off the diagonal, so that
// <eta, t> is the full inner product and a row x has the statistics s = (1, x, packed(x x'), 1).
// Bishop, Pattern Recognition and Machine Learning, section 2.3.6 and appendix B.
#pragma once

#include "vem/dist/exponential_family.h"
#include "vem/dist/wishart.h"

namespace vem {

class NormalWishartFamily final : public ExponentialFamily {
 public:
  /// variance_floor: the smallest eigenvalue of a covariance that mode() returns (0: none). Clipping eigenvalues is the
  /// exact optimum under that constraint, so bounds stay monotone.
  NormalWishartFamily(int64_t num_features, double variance_floor) : D_(num_features), floor_(variance_floor) {}
  int64_t size() const override { return 2 + D_ + D_ * (D_ + 1) / 2; }
  int64_t num_free() const override { return D_ + D_ * (D_ + 1) / 2; }
  Tensor log_partition(const Tensor& eta) const override;
  Tensor mean(const Tensor& eta) const override;
  Tensor mode(const Tensor& eta) const override;
  Tensor sample(const Tensor& eta, const Rng& rng) const override;
  int64_t num_floored(const Tensor& eta) const override;
  /// (log beta, m, the Cholesky factor of V with the logarithms of its diagonal, log(nu - D + 1))
  Tensor unconstrained(const Tensor& eta) const override;
  Tensor constrained(const Tensor& coordinates) const override;

  /// The usual parameters: beta [R], m [R, D], V [R, D, D] (the inverse of Bishop's W), nu [R].
  struct Parameters {
    Tensor beta, m, V, nu;
  };
  Parameters parameters(const Tensor& eta) const;
  Tensor natural(const Parameters& p) const;
  /// The covariance that maximises <eta, t> without a floor [R, D, D]; I for what was never seen.
  Tensor free_covariance(const Tensor& eta) const;
  /// Mean [R, D] and covariance [R, D, D] of the normal at the point t (under a posterior: of its expected precision).
  std::pair<Tensor, Tensor> moments(const Tensor& t) const;
  /// t at (mu, Lambda), [..., D] and [..., D, D].
  static Tensor statistics(const Tensor& mu, const Tensor& Lambda);
  /// [R, D, D] symmetric -> [R, D (D + 1) / 2], and back.
  static Tensor packed(const Tensor& matrix);
  static Tensor unpacked(const Tensor& packed, int64_t num_features);
  /// The lower triangle of the Cholesky factor with the logarithms of its diagonal, in the order of packed() of its
  /// transpose; NaN for a matrix that has none. And back to the matrix.
  static Tensor log_cholesky(const Tensor& matrix);
  static Tensor from_log_cholesky(const Tensor& packed, int64_t num_features);
  /// The lower Cholesky factor of each matrix; NumericError that names `what` and the row where it has none.
  static Tensor cholesky(const Tensor& matrix, const char* what);

 private:
  int64_t D_;
  double floor_;
};

/// The pair (mu, Lambda) as one event [D, D + 1], mu in the first column, for each of a batch: Lambda ~ Wishart(df,
/// scale), mu | Lambda ~ N(mean, (beta Lambda)^-1). eta and t as above, with V = scale^-1 and nu = df.
class NormalWishart final : public Distribution, public NaturalForm {
 public:
  /// mean [batch, D], beta [batch], df [batch], scale [batch, D, D].
  NormalWishart(const Tensor& mean, const Tensor& beta, const Tensor& df, const Tensor& scale);
  const char* name() const override { return "normal-wishart"; }
  Support support() const override { return Support::other; }
  Tensor mean() const override;
  Tensor variance() const override;  ///< of mu infinite where df <= D + 1
  Tensor entropy() const override;
  Tensor log_prob(const Tensor& x) const override;
  bool reparameterised() const override { return true; }

  Tensor natural() const override;
  Tensor statistics(const Tensor& x) const override;
  Tensor expected_statistics() const override;
  Tensor log_partition(const Tensor& eta) const override;
  std::shared_ptr<const Distribution> from_natural(const Tensor& eta) const override;

 protected:
  Tensor draw(const Shape& sample_shape, const Rng& rng) const override;

 private:
  explicit NormalWishart(const std::vector<Tensor>& parameters);
  int64_t D() const { return mean_.size(-1); }
  NormalWishartFamily family() const { return {D(), 0}; }

  Tensor mean_, beta_, df_, scale_;
  Wishart precision_;
};

}  // namespace vem
