#include "vem/dist/wishart.h"

#include "check.h"
#include "draws.h"
#include "matrix.h"
#include "wishart_terms.h"

namespace vem {

Tensor wishart_log_normaliser(const Tensor& df, const Tensor& half_log_det_v, int64_t D) {
  return df * (0.5 * M_LN2 * static_cast<double>(D) - half_log_det_v) + at::mvlgamma(0.5 * df, D);
}

Tensor wishart_expected_log_det(const Tensor& df, const Tensor& half_log_det_v, int64_t D) {
  return at::digamma(bartlett_shapes(df, D)).sum(-1) + (M_LN2 * static_cast<double>(D) - 2 * half_log_det_v);
}

Tensor bartlett_shapes(const Tensor& df, int64_t D) { return 0.5 * (df.unsqueeze(-1) - at::arange(D, df.options())); }

Tensor bartlett(const Tensor& noise, const Tensor& log_gamma) {
  return noise.tril(-1) + at::diag_embed((0.5 * (log_gamma + M_LN2)).exp());
}

Wishart::Wishart(const Tensor& df, const Tensor& scale) {
  const auto p = broadcast(name(), {{"df", df}, {"scale", scale, 2}});
  const int64_t D = p[1].size(-1);
  require_shape(p[1].size(-2) == D, p[1], name(), "scale", "[..., D, D]");
  require(p[0] > static_cast<double>(D - 1), p[0], name(), "df", "above D - 1");
  df_ = p[0];
  scale_ = p[1];
  cholesky_ = vem::cholesky(scale_, name(), "scale");
  set_shapes(scale_, 2);
}

Tensor Wishart::mean() const { return df_.unsqueeze(-1).unsqueeze(-1) * scale_; }
Tensor Wishart::variance() const {
  const Tensor d = scale_.diagonal(0, -2, -1);
  return df_.unsqueeze(-1).unsqueeze(-1) * (scale_.square() + d.unsqueeze(-1) * d.unsqueeze(-2));
}
Tensor Wishart::entropy() const {
  const Tensor eta = natural();
  return log_partition(eta) - (eta * expected_statistics()).sum(-1);
}
Tensor Wishart::log_prob(const Tensor& x) const {
  checked(x);
  const Tensor eta = natural();
  return (eta * statistics(x)).sum(-1) - log_partition(eta);
}

// L A A' L' for the scale L L'.
Tensor Wishart::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor gamma = log_gamma_draw(bartlett_shapes(df_, scale_.size(-1)), sample_shape, rng);
  const Tensor noise = normal_noise(sample_shape, scale_, rng);
  const Tensor root = at::matmul(cholesky_, bartlett(noise, gamma));
  return at::matmul(root, root.transpose(-2, -1));
}

Tensor Wishart::natural() const {
  const double excess = static_cast<double>(scale_.size(-1) + 1);
  return at::cat({packed(inverse_from(cholesky_)), (df_ - excess).unsqueeze(-1)}, -1);
}
Tensor Wishart::statistics(const Tensor& x) const {
  const Tensor half_log = half_log_det(vem::cholesky(x, name(), "x"));
  const Tensor symmetric = 0.5 * (x + x.transpose(-2, -1));  // so that the gradient is
  return at::cat({-0.5 * packed_dual(symmetric), half_log.unsqueeze(-1)}, -1);
}
Tensor Wishart::expected_statistics() const {
  const Tensor log_det = wishart_expected_log_det(df_, -half_log_det(cholesky_), scale_.size(-1));
  return at::cat({-0.5 * packed_dual(mean()), 0.5 * log_det.unsqueeze(-1)}, -1);
}
Tensor Wishart::log_partition(const Tensor& eta) const {
  const int64_t D = scale_.size(-1), last = eta.size(-1) - 1;
  const Tensor v = vem::cholesky(unpacked(eta.slice(-1, 0, last)), name(), "the inverse scale in eta");
  return wishart_log_normaliser(eta.select(-1, last) + static_cast<double>(D + 1), half_log_det(v), D);
}
std::shared_ptr<const Distribution> Wishart::from_natural(const Tensor& eta) const {
  const int64_t last = eta.size(-1) - 1;
  const Tensor v = vem::cholesky(unpacked(eta.slice(-1, 0, last)), name(), "the inverse scale in eta");
  return std::make_shared<Wishart>(eta.select(-1, last) + static_cast<double>(scale_.size(-1) + 1), inverse_from(v));
}

}  // namespace vem
