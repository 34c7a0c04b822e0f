#include "support/gaussian_reference.h"

#include "vem/core/config.h"
#include "vem/dist/normal_wishart.h"
#include "vem/models/registry.h"

namespace vem {
namespace {

const Registry& registry() {
  static const Registry registry = builtin_registry();
  return registry;
}

struct PartChoice final : Options {
  Choice part;
  void visit(OptionVisitor& v) override { v("part", part, "what is tested"); }
};

Choice read(const std::string& kind, const std::string& name, const std::string& toml) {
  PartChoice choice;
  choice.part = {kind, name, nullptr};
  Config::parse("[part]\n" + toml, "test").read(choice, registry());
  return choice.part;
}

double log_det(const Tensor& m) { return at::logdet(m).item<double>(); }
double inner_product(const Tensor& a, const Tensor& b) { return (a * b).sum().item<double>(); }
double number(const Tensor& t, int64_t k) { return t[k].item<double>(); }

/// ln C(alpha), PRML B.23.
double log_c(const Tensor& alpha) { return (at::lgamma(alpha.sum()) - at::lgamma(alpha).sum()).item<double>(); }
/// ln B(W, nu), PRML B.79, with V = W^-1.
double log_b(const Tensor& V, double nu) {
  const auto D = static_cast<double>(V.size(0));
  double sum = 0.5 * nu * log_det(V) - 0.5 * nu * D * std::log(2.) - 0.25 * D * (D - 1) * std::log(M_PI);
  for (int64_t i = 1; i <= V.size(0); ++i) sum -= std::lgamma(0.5 * (nu + 1 - static_cast<double>(i)));
  return sum;
}
/// ln Lambda~, PRML 10.65.
double log_lambda(const BishopParameters& q, int64_t k) {
  const int64_t D = q.m.size(1);
  double sum = static_cast<double>(D) * std::log(2.) - log_det(q.V[k]);
  for (int64_t i = 1; i <= D; ++i) sum += at::digamma(0.5 * (q.nu[k] + 1 - static_cast<double>(i))).item<double>();
  return sum;
}
/// ln pi~, PRML 10.66.
Tensor log_pi(const BishopParameters& q) { return at::digamma(q.alpha) - at::digamma(q.alpha.sum()); }
/// (a - b)' W (a - b).
double square(const Tensor& W, const Tensor& a, const Tensor& b) { return inner_product(a - b, at::mv(W, a - b)); }

}  // namespace

std::shared_ptr<Observation> make_observation(const std::string& toml, const Observation::Context& context,
                                              const std::string& name) {
  return registry().create<Observation>(read("observation", name, toml), context);
}
std::shared_ptr<Allocation> make_allocation(const std::string& toml, const Allocation::Context& context,
                                            const std::string& name) {
  return registry().create<Allocation>(read("allocation", name, toml), context);
}

Factored make_part(const PartOptions& o) {
  const std::string weights = o.estimate == Estimate::ml ? "" : fmt::format("concentration = {}\n", o.concentration);
  return Factored(make_allocation(weights, {"", o.num_components, o.estimate}),
                  make_observation(fmt::format("covariance = \"{}\"\n{}", o.covariance, o.extra),
                                   {o.num_features, o.dtype, o.estimate, o.num_components}));
}

Batch rows_batch(int64_t rows) {
  Batch batch;
  batch.index = at::arange(rows, at::kLong);
  batch.weight = at::ones({rows}, at::kDouble);
  return batch;
}

TensorMap globals_of(const Factored& part) {
  TensorMap globals;
  for (const auto& block : part.blocks()) globals.merge(block->globals());
  return globals;
}

void m_step(const Factored& part, const Expectation& total) {
  for (const auto& block : part.blocks()) block->m_step(total, Step(), Rng(0));
}

double kl_global(const Factored& part) {
  double sum = 0;
  for (const auto& block : part.blocks()) sum += block->kl_global().item<double>();
  return sum;
}

Tensor plain_moments(const Tensor& x, bool full) {
  const int64_t N = x.size(0), D = x.size(1);
  const Tensor rows = x.to(at::kDouble), all = at::zeros({N, 1 + D + (full ? D * (D + 1) / 2 : D)}, at::kDouble);
  const auto in = rows.accessor<double, 2>();
  auto out = all.accessor<double, 2>();
  for (int64_t n = 0; n < N; ++n) {
    int64_t f = 0;
    out[n][f++] = 1;
    for (int64_t i = 0; i < D; ++i) out[n][f++] = in[n][i];
    for (int64_t i = 0; i < D; ++i)
      for (int64_t j = i; j < (full ? D : i + 1); ++j) out[n][f++] = in[n][i] * in[n][j];
  }
  return all;
}

Tensor reference_log_joint(const Tensor& x, const Tensor& weights, const Tensor& means, const Tensor& covariances) {
  Tensor joint = at::zeros({x.size(0), means.size(0)}, at::kDouble);
  for (int64_t k = 0; k < means.size(0); ++k) {
    const Tensor precision = at::linalg_inv(covariances[k]);
    const double constant = std::log(number(weights, k)) - 0.5 * log_det(2 * M_PI * covariances[k]);
    for (int64_t n = 0; n < x.size(0); ++n) joint[n][k] = constant - 0.5 * square(precision, x[n], means[k]);
  }
  return joint;
}

Tensor reference_student(const Tensor& x, const Tensor& weights, const Tensor& means, const Tensor& scales,
                         const Tensor& degrees) {
  const auto D = static_cast<double>(x.size(1));
  Tensor joint = at::zeros({x.size(0), means.size(0)}, at::kDouble);
  for (int64_t k = 0; k < means.size(0); ++k) {
    const Tensor precision = at::linalg_inv(scales[k]);
    const double nu = number(degrees, k);
    const double constant = std::log(number(weights, k)) + std::lgamma(0.5 * (nu + D)) - std::lgamma(0.5 * nu) -
                            0.5 * log_det(nu * M_PI * scales[k]);
    for (int64_t n = 0; n < x.size(0); ++n)
      joint[n][k] = constant - 0.5 * (nu + D) * std::log1p(square(precision, x[n], means[k]) / nu);
  }
  return joint;
}

BishopParameters bishop(const Factored& part, bool prior) {
  const ConjugateBlock& weights = *part.allocation().blocks().at(0);
  const ConjugateBlock& components = *part.observation().blocks().at(0);
  const auto& family = dynamic_cast<const NormalWishartFamily&>(components.family());
  const auto p = family.parameters(prior ? components.eta_prior() : components.eta());
  return {((prior ? weights.eta_prior() : weights.eta()) + 1).squeeze(0), p.beta, p.m, p.V, p.nu};
}

Tensor textbook_responsibilities(const Tensor& x, const BishopParameters& q) {
  const int64_t N = x.size(0), K = q.m.size(0);
  const auto D = static_cast<double>(x.size(1));
  Tensor log_rho = at::zeros({N, K}, at::kDouble);
  for (int64_t k = 0; k < K; ++k) {
    const Tensor W = at::linalg_inv(q.V[k]);
    const double constant = number(log_pi(q), k) + 0.5 * log_lambda(q, k) - 0.5 * D * std::log(2 * M_PI);
    for (int64_t n = 0; n < N; ++n)
      log_rho[n][k] = constant - 0.5 * (D / number(q.beta, k) + number(q.nu, k) * square(W, x[n], q.m[k]));
  }
  return at::softmax(log_rho, -1);
}

double textbook_elbo(const Tensor& x, const Tensor& r, const BishopParameters& q, const BishopParameters& prior) {
  const int64_t K = q.m.size(0);
  const auto D = static_cast<double>(x.size(1));
  const Tensor pi = log_pi(q), N = r.sum(0), r_log_r = at::where(r > 0, r * r.log(), at::zeros_like(r));
  double sum = inner_product(r, pi) + log_c(prior.alpha) + inner_product(prior.alpha - 1, pi)     // 10.72, 10.73
               - r_log_r.sum().item<double>() - inner_product(q.alpha - 1, pi) - log_c(q.alpha);  // 10.75, 10.76
  for (int64_t k = 0; k < K; ++k) {
    const Tensor W = at::linalg_inv(q.V[k]), mean = at::mv(x.t(), r.select(1, k)) / N[k], centred = x - mean;
    const Tensor S = at::mm((centred * r.select(1, k).unsqueeze(1)).t(), centred) / N[k];
    const double beta = number(q.beta, k), nu = number(q.nu, k), beta0 = number(prior.beta, k),
                 nu0 = number(prior.nu, k);
    const double lambda = log_lambda(q, k);
    sum += 0.5 * number(N, k) *
           (lambda - D / beta - nu * inner_product(S, W) - nu * square(W, mean, q.m[k]) -
            D * std::log(2 * M_PI));  // 10.71
    sum += 0.5 * (D * std::log(beta0 / (2 * M_PI)) + lambda - D * beta0 / beta -
                  beta0 * nu * square(W, q.m[k], prior.m[k])) +
           log_b(prior.V[k], nu0) + 0.5 * (nu0 - D - 1) * lambda - 0.5 * nu * inner_product(prior.V[k], W);  // 10.74
    const double entropy = -log_b(q.V[k], nu) - 0.5 * (nu - D - 1) * lambda + 0.5 * nu * D;                  // B.82
    sum -= 0.5 * lambda + 0.5 * D * std::log(beta / (2 * M_PI)) - 0.5 * D - entropy;                         // 10.77
  }
  return sum;
}

}  // namespace vem
