// The normal-Wishart as a Wishart and a normal given its draw.
#include "vem/dist/normal_wishart.h"

#include "check.h"
#include "log_gamma.h"
#include "matrix.h"
#include "vem/dist/multivariate_normal.h"

namespace vem {
namespace {

/// [..., 1, 1], to multiply matrices with.
Tensor scalar(const Tensor& v) { return v.unsqueeze(-1).unsqueeze(-1); }

/// The event [..., D, D + 1] of mu and Lambda.
Tensor event(const Tensor& mu, const Tensor& Lambda) { return at::cat({mu.unsqueeze(-1), Lambda}, -1); }

}  // namespace

NormalWishart::NormalWishart(const Tensor& mean, const Tensor& beta, const Tensor& df, const Tensor& scale)
    : NormalWishart(broadcast("normal-wishart", {{"mean", mean, 1}, {"beta", beta}, {"df", df}, {"scale", scale, 2}})) {
}

NormalWishart::NormalWishart(const std::vector<Tensor>& p)
    : mean_(p[0]), beta_(positive(p[1], "normal-wishart", "beta")), df_(p[2]), scale_(p[3]), precision_(df_, scale_) {
  require_shape(mean_.size(-1) == scale_.size(-1), mean_, name(), "mean", "[..., D] for a scale [..., D, D]");
  set_shapes(beta_.sizes().vec(), {D(), D() + 1});
}

Tensor NormalWishart::mean() const { return event(mean_, precision_.mean()); }
Tensor NormalWishart::variance() const {
  const Tensor excess = df_ - static_cast<double>(D() + 1), finite = excess > 0;
  const Tensor below = (beta_ * at::where(finite, excess, at::ones_like(excess))).unsqueeze(-1);
  const Tensor v = inverse_from(cholesky(scale_, name(), "scale")).diagonal(0, -2, -1);
  return event(at::where(finite.unsqueeze(-1), v / below, at::full_like(v, INFINITY)), precision_.variance());
}
Tensor NormalWishart::entropy() const {
  const Tensor half_log_det = precision_.expected_statistics().select(-1, -1);
  const auto dims = static_cast<double>(D());
  return precision_.entropy() + dims * (kHalfLogTwoPi + 0.5) - 0.5 * dims * beta_.log() - half_log_det;
}
Tensor NormalWishart::log_prob(const Tensor& x) const {
  const Tensor mu = checked(x).select(-1, 0), Lambda = x.slice(-1, 1);
  const Tensor log_lambda = precision_.log_prob(Lambda);
  return log_lambda + FullNormal::from_precision(mean_, scalar(beta_) * Lambda).log_prob(mu);
}
Tensor NormalWishart::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor Lambda = precision_.rsample(sample_shape, rng.fold("precision"));
  return event(FullNormal::from_precision(mean_, scalar(beta_) * Lambda).rsample({}, rng.fold("mean")), Lambda);
}

Tensor NormalWishart::natural() const {
  const Tensor v = inverse_from(cholesky(scale_, name(), "scale"));
  return family().natural({beta_, mean_, v, df_});
}
Tensor NormalWishart::statistics(const Tensor& x) const {
  return NormalWishartFamily::statistics(x.select(-1, 0), x.slice(-1, 1));
}
// The family knows rows only.
Tensor NormalWishart::expected_statistics() const {
  const Tensor eta = natural();
  return family().mean(eta.reshape({-1, eta.size(-1)})).view(eta.sizes());
}
Tensor NormalWishart::log_partition(const Tensor& eta) const {
  return family()
      .log_partition(eta.reshape({-1, eta.size(-1)}))
      .view(eta.sizes().slice(0, static_cast<size_t>(eta.dim() - 1)));
}
std::shared_ptr<const Distribution> NormalWishart::from_natural(const Tensor& eta) const {
  const NormalWishartFamily::Parameters p = family().parameters(eta.reshape({-1, eta.size(-1)}));
  const Shape batch(eta.sizes().begin(), eta.sizes().end() - 1);
  const Tensor scale = inverse_from(cholesky(p.V, name(), "the inverse scale in eta"));
  return std::make_shared<NormalWishart>(p.m.reshape(concatenated(batch, {D()})), p.beta.reshape(batch),
                                         p.nu.reshape(batch), scale.reshape(concatenated(batch, {D(), D()})));
}

}  // namespace vem
