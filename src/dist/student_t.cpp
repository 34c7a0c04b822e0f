// A normal over the root of a gamma: x = mean + scale z / sqrt(g / (df / 2)), g ~ Gamma(df / 2).
#include "vem/dist/student_t.h"

#include "check.h"
#include "draws.h"
#include "log_gamma.h"

namespace vem {
namespace {

Tensor half(const Tensor& like) { return at::full({}, 0.5, like.options()); }

}  // namespace

StudentT::StudentT(const Tensor& df, const Tensor& mean, const Tensor& scale) {
  const auto p = broadcast(name(), {{"df", df}, {"mean", mean}, {"scale", scale}});
  df_ = positive(p[0], name(), "df");
  mean_ = p[1];
  scale_ = positive(p[2], name(), "scale");
  set_shapes(mean_, 0);
}

Tensor StudentT::log_normaliser() const {
  return scale_.log() + 0.5 * (M_PI * df_).log() - lgamma_ratio(0.5 * df_, half(df_));
}

Tensor StudentT::mean() const { return at::where(df_ > 1, mean_, at::full_like(mean_, NAN)); }

Tensor StudentT::variance() const {
  const Tensor finite = df_ > 2, df = at::where(finite, df_, at::full_like(df_, 3));
  const Tensor divergent = at::where(df_ > 1, at::full_like(df_, INFINITY), at::full_like(df_, NAN));
  return at::where(finite, scale_ * scale_ * df / (df - 2), divergent);
}

Tensor StudentT::entropy() const { return log_normaliser() + 0.5 * (df_ + 1) * digamma_ratio(0.5 * df_, half(df_)); }

Tensor StudentT::log_prob(const Tensor& x) const {
  const Tensor standardized = (checked(x) - mean_) / scale_;
  return -0.5 * (df_ + 1) * at::log1p(standardized / df_ * standardized) - log_normaliser();
}

Tensor StudentT::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor log_gamma = log_gamma_draw(0.5 * df_, sample_shape, rng);
  const Tensor noise = normal_noise(sample_shape, mean_, rng);
  return mean_ + scale_ * noise * (0.5 * ((0.5 * df_).log() - log_gamma)).exp();
}

}  // namespace vem
