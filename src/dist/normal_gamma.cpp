// The normal-gamma as a gamma and a normal given its draw.
#include "vem/dist/normal_gamma.h"

#include "check.h"
#include "log_gamma.h"
#include "vem/dist/normal.h"

namespace vem {
namespace {

const NormalGammaFamily kFamily(1, 0);

}  // namespace

NormalGamma::NormalGamma(const Tensor& mean, const Tensor& beta, const Tensor& concentration, const Tensor& rate)
    : NormalGamma(broadcast("normal-gamma",
                            {{"mean", mean}, {"beta", beta}, {"concentration", concentration}, {"rate", rate}})) {}

NormalGamma::NormalGamma(const std::vector<Tensor>& p)
    : mean_(p[0]),
      beta_(positive(p[1], "normal-gamma", "beta")),
      concentration_(positive(p[2], "normal-gamma", "concentration")),
      rate_(positive(p[3], "normal-gamma", "rate")),
      precision_(concentration_, rate_) {
  set_shapes(mean_.sizes().vec(), {2});
}

Tensor NormalGamma::mean() const { return at::stack({mean_, precision_.mean()}, -1); }
Tensor NormalGamma::variance() const {
  const Tensor finite = concentration_ > 1, below = at::where(finite, concentration_ - 1, at::ones_like(rate_));
  const Tensor of_mu = at::where(finite, rate_ / (beta_ * below), at::full_like(rate_, INFINITY));
  return at::stack({of_mu, precision_.variance()}, -1);
}
Tensor NormalGamma::entropy() const {
  const Tensor log_lambda = precision_.expected_statistics().select(-1, 0);
  return precision_.entropy() + (kHalfLogTwoPi + 0.5) - 0.5 * (beta_.log() + log_lambda);
}
Tensor NormalGamma::log_prob(const Tensor& x) const {
  const Tensor mu = checked(x).select(-1, 0), lambda = x.select(-1, 1);
  const Tensor log_lambda = precision_.log_prob(lambda);  // before a root of what may be negative
  return log_lambda + Normal(mean_, (beta_ * lambda).rsqrt()).log_prob(mu);
}
Tensor NormalGamma::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor lambda = precision_.rsample(sample_shape, rng.fold("precision"));
  return at::stack({Normal(mean_, (beta_ * lambda).rsqrt()).rsample({}, rng.fold("mean")), lambda}, -1);
}

Tensor NormalGamma::natural() const {
  const auto column = [](const Tensor& v) { return v.unsqueeze(-1); };
  return NormalGammaFamily::natural({column(beta_), column(mean_), column(concentration_), column(rate_)});
}
Tensor NormalGamma::statistics(const Tensor& x) const {
  return NormalGammaFamily::statistics(x.slice(-1, 0, 1), x.slice(-1, 1, 2));
}
Tensor NormalGamma::expected_statistics() const { return kFamily.mean(natural()); }
Tensor NormalGamma::log_partition(const Tensor& eta) const { return kFamily.log_partition(eta); }
std::shared_ptr<const Distribution> NormalGamma::from_natural(const Tensor& eta) const {
  const NormalGammaFamily::Parameters p = NormalGammaFamily::parameters(eta);
  return std::make_shared<NormalGamma>(p.m.squeeze(-1), p.beta.squeeze(-1), p.a.squeeze(-1), p.b.squeeze(-1));
}

}  // namespace vem
