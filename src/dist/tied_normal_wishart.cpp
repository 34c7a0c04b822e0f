// Everything by way of the components' normal-Wishart distributions, whose precision is one and the same.
#include "vem/dist/tied_normal_wishart.h"

#include "never_seen.h"

namespace vem {
Tensor TiedNormalWishartFamily::expand(const Tensor& t) const {
  const int64_t R = t.size(0), T = D_ * (D_ + 1) / 2 + 1;
  const Tensor first = t.slice(1, 0, K_).reshape({R, K_, 1}), means = t.slice(1, K_, K_ + K_ * D_).reshape({R, K_, D_});
  const Tensor shared = t.slice(1, K_ + K_ * D_).unsqueeze(1).expand({R, K_, T});
  return at::cat({first, means, shared}, 2).reshape({R * K_, -1});
}

Tensor TiedNormalWishartFamily::collapse(const Tensor& sums) const {
  const int64_t R = sums.size(0) / K_;
  const Tensor s = sums.view({R, K_, -1});
  return at::cat(
      {s.slice(2, 0, 1).reshape({R, K_}), s.slice(2, 1, 1 + D_).reshape({R, K_ * D_}), s.slice(2, 1 + D_).sum(1)}, 1);
}

Tensor TiedNormalWishartFamily::gather(const Tensor& t) const {
  const int64_t R = t.size(0) / K_;
  const Tensor s = t.view({R, K_, -1});
  return at::cat(
      {s.slice(2, 0, 1).reshape({R, K_}), s.slice(2, 1, 1 + D_).reshape({R, K_ * D_}), s.slice(2, 1 + D_).select(1, 0)},
      1);
}

Tensor TiedNormalWishartFamily::marginals(const Tensor& eta) const {
  const int64_t R = eta.size(0);
  const Tensor beta = eta.slice(1, 0, K_).reshape({R * K_}), beta_m = eta.slice(1, K_, K_ + K_ * D_).reshape({-1, D_});
  const Tensor m = at::where(beta.unsqueeze(-1) > kNeverSeen, beta_m / beta.unsqueeze(-1), at::zeros_like(beta_m));
  const Tensor second = NormalWishartFamily::unpacked(eta.slice(1, K_ + K_ * D_, size() - 1), D_);
  const Tensor outer = (beta_m.unsqueeze(-1) * m.unsqueeze(-2)).view({R, K_, D_, D_}).sum(1);
  const Tensor V = (second - outer).repeat_interleave(K_, 0);
  const Tensor nu = (eta.select(1, size() - 1) + static_cast<double>(D_ + 1 - K_)).repeat_interleave(K_, 0);
  return component_.natural({beta, m, V, nu});
}

Tensor TiedNormalWishartFamily::tied(const Tensor& eta) const {
  const NormalWishartFamily::Parameters p = component_.parameters(eta);
  const Tensor outer = NormalWishartFamily::packed(p.beta.view({-1, 1, 1}) * p.m.unsqueeze(-1) * p.m.unsqueeze(-2));
  const auto more = static_cast<double>(K_ - 1);
  return at::cat({p.beta.expand({K_}).view({1, K_}), (p.beta.unsqueeze(-1) * p.m).repeat({1, K_}),
                  NormalWishartFamily::packed(p.V) + (more + 1) * outer, eta.slice(1, -1) + more},
                 1);
}

Tensor TiedNormalWishartFamily::log_partition(const Tensor& eta) const {
  const int64_t R = eta.size(0);
  const Tensor wishart = component_.log_partition(marginals(eta)).view({R, K_}).select(1, 0);
  const Tensor others = eta.slice(1, 1, K_);
  return wishart + (0.5 * static_cast<double>(D_) * (std::log(2 * M_PI) - others.log())).sum(1);
}

Tensor TiedNormalWishartFamily::mean(const Tensor& eta) const { return gather(component_.mean(marginals(eta))); }

Tensor TiedNormalWishartFamily::for_mode(const Tensor& eta) const {
  NormalWishartFamily::Parameters p = component_.parameters(marginals(eta));
  p.beta = at::where(p.beta > kNeverSeen, p.beta, at::ones_like(p.beta));
  // The exponent of the shared precision stands where the component's own would, nu - D.
  p.nu = p.nu + static_cast<double>(K_ - 1);
  return component_.natural(p);
}

Tensor TiedNormalWishartFamily::mode(const Tensor& eta) const { return gather(component_.mode(for_mode(eta))); }

int64_t TiedNormalWishartFamily::num_floored(const Tensor& eta) const {
  return component_.num_floored(for_mode(eta)) / K_;
}

Tensor TiedNormalWishartFamily::unconstrained(const Tensor& eta) const {
  const int64_t R = eta.size(0);
  const NormalWishartFamily::Parameters p = component_.parameters(marginals(eta));
  const Tensor first = at::arange(R, at::kLong) * K_;  // the components of a row share V and nu
  const Tensor more = (p.nu.index_select(0, first) - static_cast<double>(D_ - 1)).log();
  return at::cat({p.beta.view({R, K_}).log(), p.m.view({R, K_ * D_}),
                  NormalWishartFamily::log_cholesky(p.V.index_select(0, first)), more.unsqueeze(-1)},
                 1);
}

Tensor TiedNormalWishartFamily::constrained(const Tensor& coordinates) const {
  const int64_t R = coordinates.size(0), begin = K_ + K_ * D_;
  const Tensor beta = coordinates.slice(1, 0, K_).exp(), m = coordinates.slice(1, K_, begin).reshape({R, K_, D_});
  const Tensor beta_m = beta.unsqueeze(-1) * m, outer = at::matmul(beta_m.transpose(1, 2), m);
  const Tensor V = NormalWishartFamily::from_log_cholesky(coordinates.slice(1, begin, size() - 1), D_);
  const Tensor nu = coordinates.slice(1, size() - 1).exp() + static_cast<double>(D_ - 1);
  return at::cat({beta, beta_m.reshape({R, K_ * D_}), NormalWishartFamily::packed(V + outer),
                  nu + static_cast<double>(K_ - D_ - 1)},
                 1);
}

Tensor TiedNormalWishartFamily::sample(const Tensor& eta, const Rng& rng) const {
  const int64_t R = eta.size(0), T = D_ * (D_ + 1) / 2;
  const NormalWishartFamily::Parameters p = component_.parameters(marginals(eta));
  const Tensor first = at::arange(R, at::kLong) * K_;
  const Tensor drawn = component_.sample(marginals(eta).index_select(0, first), rng);  // of the first components
  const Tensor weight = at::triu_indices(D_, D_, 0, at::kLong);
  const Tensor halves = 1 + weight[0].ne(weight[1]).to(at::kDouble);
  const Tensor precision = NormalWishartFamily::unpacked(drawn.slice(1, 1 + D_, 1 + D_ + T) * (-2 / halves), D_);
  const Tensor upper = NormalWishartFamily::cholesky(precision, "precision").transpose(-2, -1).repeat_interleave(K_, 0);
  const Tensor noise = rng.normal(at::arange(R * K_, at::kLong), {D_, 1}, "means") / p.beta.sqrt().view({-1, 1, 1});
  const Tensor mu = p.m + at::linalg_solve_triangular(upper, noise, true).squeeze(-1);
  const Tensor scaled = at::matmul(precision.repeat_interleave(K_, 0), mu.unsqueeze(-1)).squeeze(-1);
  const Tensor square = (-0.5 * (mu * scaled).sum(-1)).view({R, K_});
  return at::cat({square, scaled.view({R, K_ * D_}), drawn.slice(1, 1 + D_)}, 1);
}

}  // namespace vem
