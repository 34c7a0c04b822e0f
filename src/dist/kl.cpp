// The pairs with a closed form of their own; all pairs of one exponential family share one rule.
#include "vem/dist/kl.h"

#include <typeindex>

#include "check.h"
#include "draws.h"
#include "log_gamma.h"
#include "matrix.h"
#include "vem/dist/bernoulli.h"
#include "vem/dist/categorical.h"
#include "vem/dist/gamma.h"
#include "vem/dist/independent.h"
#include "vem/dist/laplace.h"
#include "vem/dist/multivariate_normal.h"
#include "vem/dist/normal.h"
#include "vem/dist/normal_function.h"
#include "vem/dist/poisson.h"
#include "vem/dist/student_t.h"

namespace vem {
namespace {

using Formula = std::function<Tensor(const Distribution&, const Distribution&)>;

struct Pair {
  std::type_index q, p;
  Formula formula;
};

template <class Q, class P>
Pair pair(Tensor (*formula)(const Q&, const P&)) {
  return {typeid(Q), typeid(P), [formula](const Distribution& q, const Distribution& p) {
            return formula(static_cast<const Q&>(q), static_cast<const P&>(p));
          }};
}

Tensor normal_normal(const Normal& q, const Normal& p) {
  const auto both = at::broadcast_tensors({(q.mean() - p.mean()) / p.std(), (q.std() / p.std()).log()});
  return normal_kl_to_standard(both[0], both[1]);
}

Tensor diagonal_diagonal(const DiagonalNormal& q, const DiagonalNormal& p) {
  const auto both = at::broadcast_tensors({(q.mean() - p.mean()) * (-p.log_std()).exp(), q.log_std() - p.log_std()});
  return normal_kl_to_standard(both[0], both[1]).sum(-1);
}

/// A lower factor of the covariance.
Tensor root(const DiagonalNormal& d) { return at::diag_embed(d.log_std().exp()); }
Tensor root(const FullNormal& d) { return d.cholesky(); }
Tensor root(const LowRankNormal& d) { return cholesky(d.covariance(), d.name(), "covariance"); }

template <class Q, class P>
Tensor gaussians(const Q& q, const P& p) {
  const Tensor of_q = root(q), of_p = root(p), distance = solve(of_p, q.mean() - p.mean());
  const Tensor ratio = at::linalg_solve_triangular(of_p, of_q, false);
  return 0.5 * (ratio.square().sum({-2, -1}) + distance.square().sum(-1) - static_cast<double>(of_q.size(-1))) +
         half_log_det(of_p) - half_log_det(of_q);
}

/// By the entropy and two moments: no matrix of all dimensions.
Tensor low_rank_diagonal(const LowRankNormal& q, const DiagonalNormal& p) {
  const Tensor precision = (-2 * p.log_std()).exp(), distance = q.mean() - p.mean();
  const Tensor square = ((q.variance() + distance * distance) * precision).sum(-1);
  return normal_log_density(square, p.log_std().sum(-1), distance.size(-1)).neg() - q.entropy();
}

Tensor independents(const Independent& q, const Independent& p) {
  const Tensor base = q.dims() == p.dims() ? kl(q.base(), p.base()) : Tensor();
  return base.defined() && q.dims() > 0 ? base.flatten(-q.dims()).sum(-1) : base;
}

Tensor laplace_laplace(const Laplace& q, const Laplace& p) {
  const Tensor distance = (q.mean() - p.mean()).abs(), log_ratio = (q.scale() / p.scale()).log();
  return (log_ratio.exp() * (-distance / q.scale()).exp() + distance / p.scale()) - log_ratio - 1;
}

/// E|x - m| of a normal, by its error function.
Tensor normal_laplace(const Normal& q, const Laplace& p) {
  const Tensor z = (q.mean() - p.mean()) / q.std();
  const Tensor distance = q.std() * (std::sqrt(2 / M_PI) * (-0.5 * z * z).exp() + z * at::erf(z * M_SQRT1_2));
  return distance / p.scale() + (2 * p.scale()).log() - q.entropy();
}

/// Anything with an entropy and two moments against a normal.
template <class Q>
Tensor moments_normal(const Q& q, const Normal& p) {
  const Tensor distance = (q.mean() - p.mean()) / p.std(), ratio = q.variance() / (p.std() * p.std());
  return 0.5 * (ratio + distance * distance) + p.std().log() + kHalfLogTwoPi - q.entropy();
}

/// Terms of the two outcomes: neither loses digits in its own tail.
Tensor bernoulli_bernoulli(const Bernoulli& q, const Bernoulli& p) {
  return Bernoulli::log_prob(q.logits(), q.mean()) - Bernoulli::log_prob(p.logits(), q.mean());
}

Tensor categories(const Categorical& q, const Categorical& p) {
  const Tensor log_q = q.log_probs();
  return (log_q.exp() * (log_q - p.log_probs())).sum(-1);
}

Tensor one_hots(const OneHotCategorical& q, const OneHotCategorical& p) {
  return categories(q.category(), p.category());
}

const std::vector<Pair>& table() {
  static const std::vector<Pair> pairs = {
      pair(normal_normal),
      pair(diagonal_diagonal),
      pair(gaussians<FullNormal, FullNormal>),
      pair(gaussians<FullNormal, DiagonalNormal>),
      pair(gaussians<FullNormal, LowRankNormal>),
      pair(gaussians<DiagonalNormal, FullNormal>),
      pair(gaussians<DiagonalNormal, LowRankNormal>),
      pair(gaussians<LowRankNormal, LowRankNormal>),
      pair(gaussians<LowRankNormal, FullNormal>),
      pair(low_rank_diagonal),
      pair(independents),
      pair(laplace_laplace),
      pair(normal_laplace),
      pair(moments_normal<Laplace>),
      pair(moments_normal<StudentT>),
      pair(moments_normal<Gamma>),
      pair(moments_normal<Beta>),
      pair(moments_normal<ContinuousBernoulli>),
      pair(bernoulli_bernoulli),
      pair(categories),
      pair(one_hots),
  };
  return pairs;
}

/// Whether what is no part of eta agrees too: p's log-partition at q's eta is q's own.
bool same_family(const NaturalForm& q, const NaturalForm& p) {
  const auto* a = dynamic_cast<const NegativeBinomial*>(&q);
  const auto* b = dynamic_cast<const NegativeBinomial*>(&p);
  return !a || a->count().equal(b->count());
}

Tensor exponential_family(const NaturalForm& q, const NaturalForm& p) {
  const Tensor eta_q = q.natural(), eta_p = p.natural();
  return ((eta_q - eta_p) * q.expected_statistics()).sum(-1) - q.log_partition(eta_q) + p.log_partition(eta_p);
}

/// The mean over draws of f, which is given the draws.
Tensor monte_carlo(const Distribution& q, int64_t samples, const Rng& rng,
                   const std::function<Tensor(const Tensor&)>& f) {
  return f(drawn_from(q, {samples}, rng)).mean(0);
}

}  // namespace

Tensor kl(const Distribution& q, const Distribution& p) {
  if (q.event_shape() != p.event_shape())
    fail<Error>("kl: q ({}) has event shape [{}] but p ({}) has [{}]", q.name(), fmt::join(q.event_shape(), ", "),
                p.name(), fmt::join(p.event_shape(), ", "));
  const std::type_index of_q = typeid(q), of_p = typeid(p);
  for (const Pair& pair : table())
    if (pair.q == of_q && pair.p == of_p) return pair.formula(q, p);
  const auto *a = dynamic_cast<const NaturalForm*>(&q), *b = dynamic_cast<const NaturalForm*>(&p);
  if (of_q == of_p && a && same_family(*a, *b)) return exponential_family(*a, *b);
  return {};
}

Tensor kl_estimate(const Distribution& q, const Distribution& p, int64_t samples, const Rng& rng) {
  const Tensor exact = kl(q, p);
  if (exact.defined()) return exact;
  return monte_carlo(q, samples, rng, [&](const Tensor& x) { return q.log_prob(x) - p.log_prob(x); });
}

Tensor entropy_estimate(const Distribution& q, int64_t samples, const Rng& rng) {
  const Tensor exact = q.entropy();
  if (exact.defined()) return exact;
  return monte_carlo(q, samples, rng, [&](const Tensor& x) { return -q.log_prob(x); });
}

}  // namespace vem
