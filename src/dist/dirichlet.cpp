// The Dirichlet distribution (Bishop, PRML, appendix B), by concentrations and in natural coordinates eta = alpha - 1.
#include "vem/dist/dirichlet.h"

#include "check.h"
#include "draws.h"
#include "vem/dist/special.h"

namespace vem {
namespace {

Tensor log_normalized(const Tensor& weights) { return weights.log() - weights.sum(-1, true).log(); }

using Loop = void (*)(const double* x, double* out, int64_t n);

/// `loop` of special.h where no gradient is asked for, `fallback` of LibTorch otherwise.
Tensor mapped(const Tensor& x, Loop loop, Tensor (*fallback)(const Tensor&)) {
  const bool plain = x.scalar_type() == at::kDouble && !(x.requires_grad() && at::GradMode::is_enabled());
  if (!plain) return fallback(x);
  const Tensor in = x.contiguous(), out = at::empty_like(in);
  loop(in.data_ptr<double>(), out.data_ptr<double>(), in.numel());
  return out;
}

Tensor log_gamma(const Tensor& x) { return mapped(x, special::lgamma, at::lgamma); }
Tensor digamma_of(const Tensor& x) { return mapped(x, special::digamma, at::digamma); }

Tensor log_normaliser(const Tensor& alpha) { return log_gamma(alpha).sum(-1) - log_gamma(alpha.sum(-1)); }

Tensor expected_log(const Tensor& alpha) { return digamma_of(alpha) - digamma_of(alpha.sum(-1, true)); }

}  // namespace

Tensor log_dirichlet_draw(const Tensor& alpha, const Rng& rng, const char* stream) {
  return at::log_softmax(log_gamma_draw(alpha, {}, rng, stream), -1);
}

Tensor DirichletFamily::log_partition(const Tensor& eta) const { return log_normaliser(eta + 1); }
Tensor DirichletFamily::mean(const Tensor& eta) const { return expected_log(eta + 1); }
Tensor DirichletFamily::mode(const Tensor& eta) const {
  const Tensor weights = eta.clamp_min(0), unseen = weights.sum(-1, true).eq(0);
  return log_normalized(weights).masked_fill(unseen, -std::log(static_cast<double>(num_categories_)));
}
Tensor DirichletFamily::sample(const Tensor& eta, const Rng& rng) const {
  return log_dirichlet_draw(eta + 1, rng, "dirichlet");
}

Tensor DirichletFamily::unconstrained(const Tensor& eta) const { return eta.log1p(); }
Tensor DirichletFamily::constrained(const Tensor& coordinates) const { return coordinates.expm1(); }

Dirichlet::Dirichlet(const Tensor& concentration) {
  concentration_ = positive(broadcast(name(), {{"concentration", concentration, 1}})[0], name(), "concentration");
  set_shapes(concentration_, 1);
}

Tensor Dirichlet::mean() const { return concentration_ / concentration_.sum(-1, true); }
Tensor Dirichlet::variance() const {
  const Tensor m = mean();
  return m * (1 - m) / (concentration_.sum(-1, true) + 1);
}
Tensor Dirichlet::entropy() const {
  return log_normaliser(concentration_) - (natural() * expected_statistics()).sum(-1);
}
Tensor Dirichlet::log_prob(const Tensor& x) const {
  checked(x);
  return at::xlogy(concentration_ - 1, x).sum(-1) - log_normaliser(concentration_);
}
Tensor Dirichlet::draw(const Shape& sample_shape, const Rng& rng) const {
  const Tensor x = at::softmax(log_gamma_draw(concentration_, sample_shape, rng), -1);
  return x.clamp_min(smallest_positive(x));
}

Tensor Dirichlet::natural() const { return concentration_ - 1; }
Tensor Dirichlet::expected_statistics() const { return expected_log(concentration_); }
Tensor Dirichlet::log_partition(const Tensor& eta) const { return log_normaliser(eta + 1); }
std::shared_ptr<const Distribution> Dirichlet::from_natural(const Tensor& eta) const {
  return std::make_shared<Dirichlet>(eta + 1);
}

}  // namespace vem
