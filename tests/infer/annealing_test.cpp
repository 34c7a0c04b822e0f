// Annealed importance sampling against a linear Gaussian model, whose evidence is known, from both sides.
#include "vem/infer/annealing.h"

#include <gtest/gtest.h>

#include "vem/dist/normal_function.h"

namespace vem {
namespace annealing_test {

constexpr int64_t kChains = 40, kItems = 6, kLatent = 2, kFeatures = 3;
constexpr double kSigma = 0.5;

Tensor normal(const Shape& shape, const std::string& stream) {
  int64_t n = 1;
  for (const int64_t size : shape) n *= size;
  return Rng(9).normal(at::arange(n, at::kLong), {}, stream).view(shape);
}

/// z ~ N(0, I), x = W z + sigma noise.
struct Linear {
  Tensor W = normal({kFeatures, kLatent}, "W"), z = normal({kItems, kLatent}, "z"),
         x = at::mm(z, W.t()) + kSigma * normal({kItems, kFeatures}, "noise");
  Annealed target{
      [](const Tensor& at_z) { return normal_log_density(at_z.square().sum(-1), at::zeros({}, at::kDouble), kLatent); },
      [this](const Tensor& at_z) {
        const Tensor error = (x - at::matmul(at_z, W.t())) / kSigma;
        return normal_log_density(error.square().sum(-1), at::full({}, kFeatures * std::log(kSigma), at::kDouble),
                                  kFeatures);
      }};
  Tensor precision = at::eye(kLatent, at::kDouble) + at::mm(W.t(), W) / (kSigma * kSigma);

  Tensor log_evidence() const {
    const Tensor S = at::mm(W, W.t()) + kSigma * kSigma * at::eye(kFeatures, at::kDouble);
    return normal_log_density((x * at::linalg_solve(S, x.t()).t()).sum(-1), 0.5 * at::logdet(S), kFeatures);
  }
  Tensor posterior_draws() const {
    const Tensor mean = at::linalg_solve(precision, at::mm(x, W).t()).t() / (kSigma * kSigma);
    const Tensor factor = at::linalg_cholesky(at::linalg_inv(precision));
    return mean + at::matmul(normal({kChains, kItems, kLatent}, "posterior"), factor.t());
  }
};

AnnealingSettings settings(int64_t temperatures) { return {temperatures, 5}; }

/// log-mean-exp over chains and its standard error by the delta method.
std::pair<Tensor, Tensor> log_mean(const Tensor& log_weights) {
  const Tensor value = log_weights.logsumexp(0) - std::log(static_cast<double>(kChains));
  return {value, (log_weights - value).exp().std(0) / std::sqrt(static_cast<double>(kChains))};
}

TEST(Annealing, FindsTheEvidenceFromBothSides) {
  const Linear model;
  const AnnealingResult up = anneal(model.target, normal({kChains, kItems, kLatent}, "prior"), settings(200), Rng(1)),
                        down = anneal_back(model.target, model.posterior_draws(), settings(200), Rng(2));
  const Tensor exact = model.log_evidence();
  const auto [lower, lower_error] = log_mean(up.log_weights);
  const auto [upper, upper_error] = log_mean(down.log_weights);
  EXPECT_LT(((lower - exact).abs() / lower_error).max().item<double>(), 4.5);
  EXPECT_LT(((-upper - exact).abs() / upper_error).max().item<double>(), 4.5);
  EXPECT_LT((lower - exact).abs().max().item<double>(), 0.2);  // 40 chains whose weights vary by less than one in ratio
  EXPECT_GT(up.acceptance.min().item<double>(), 0.4);
  EXPECT_LT(up.acceptance.max().item<double>(), 0.95);
}

// Jensen: single weights are below the evidence on average, and above it backwards; slower annealing closes in.
TEST(Annealing, SlowerIsTighter) {
  const Linear model;
  const double exact = model.log_evidence().mean().item<double>();
  double last = 1e9;
  for (const int64_t T : {5, 40, 320}) {
    const Tensor up =
                     anneal(model.target, normal({kChains, kItems, kLatent}, "prior"), settings(T), Rng(1)).log_weights,
                 down = anneal_back(model.target, model.posterior_draws(), settings(T), Rng(2)).log_weights;
    EXPECT_LT(up.mean().item<double>(), exact);
    EXPECT_GT(-down.mean().item<double>(), exact);
    const double gap = -down.mean().item<double>() - up.mean().item<double>();
    EXPECT_LT(gap, 0.5 * last);
    last = gap;
  }
}

TEST(Annealing, IsAFunctionOfItsKey) {
  const Linear model;
  const Tensor start = normal({kChains, kItems, kLatent}, "prior");
  const auto run = [&](uint64_t seed) { return anneal(model.target, start, settings(10), Rng(seed)).log_weights; };
  EXPECT_TRUE(at::equal(run(1), run(1)));
  EXPECT_FALSE(at::equal(run(1), run(2)));
}

}  // namespace annealing_test
}  // namespace vem
