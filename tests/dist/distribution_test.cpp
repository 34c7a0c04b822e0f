// What single distributions promise beside the table: values by hand, noise that is given, limits, extreme draws and
// the texts of errors.
#include <gtest/gtest.h>

#include "../src/dist/draws.h"
#include "../src/dist/log_gamma.h"
#include "support/gradcheck.h"
#include "vem/core/error.h"
#include "vem/dist/bernoulli.h"
#include "vem/dist/categorical.h"
#include "vem/dist/dirichlet.h"
#include "vem/dist/gamma.h"
#include "vem/dist/independent.h"
#include "vem/dist/kl.h"
#include "vem/dist/laplace.h"
#include "vem/dist/mixture.h"
#include "vem/dist/multivariate_normal.h"
#include "vem/dist/normal.h"
#include "vem/dist/poisson.h"
#include "vem/dist/soft_bound.h"
#include "vem/dist/student_t.h"
#include "vem/dist/wishart.h"
#include "vem/dist/zero_inflated.h"

namespace vem {
namespace distribution_test {

Tensor t(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }
Tensor zeros(const Shape& shape) { return at::zeros(shape, at::kDouble); }

template <class E = Error>
std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "no error of this class";
}

TEST(DiagonalNormal, LogProbByHand) {
  const DiagonalNormal q(t({1, -2}).view({1, 2}), t({0, std::log(2.)}).view({1, 2}));
  const Tensor z = t({2, 0}).view({1, 1, 2});
  // -log 2 pi - log 2 - (1 + 1) / 2
  EXPECT_NEAR(q.log_prob(z).item<double>(), -std::log(2 * M_PI) - std::log(2.) - 1, 1e-14);
  EXPECT_NEAR(q.entropy().item<double>(), std::log(2 * M_PI * M_E) + std::log(2.), 1e-14);
}

TEST(Distribution, NoiseThatIsGivenGivesTheDraw) {
  const Tensor noise = t({1, -2}).view({1, 2});
  EXPECT_TRUE(Normal(t({1, 1}), t({2, 3})).rsample(noise).equal(t({3, -5}).view({1, 2})));
  EXPECT_TRUE(DiagonalNormal(t({1, 1}), zeros({2})).rsample(noise).equal(t({2, -1}).view({1, 2})));
  const FullNormal full(t({1, 1}), t({1, 7, 2, 3}).view({2, 2}));  // the 7 is above the diagonal
  EXPECT_TRUE(full.rsample(noise).equal(t({2, -3}).view({1, 2})));
  EXPECT_EQ(message([&] {
              Laplace(t({0, 0}), t({1, 1})).rsample(noise);
            }),
            "laplace.rsample: a draw is not a function of standard normal noise; pass a shape and an rng");
}

TEST(Distribution, ParametersBroadcast) {
  const Normal q(zeros({3, 1}), t({1, 2}));
  EXPECT_EQ(q.batch_shape(), (Shape{3, 2}));
  EXPECT_EQ(q.mean().sizes(), at::IntArrayRef({3, 2}));
  EXPECT_EQ(q.sample({4}, Rng(1)).sizes(), at::IntArrayRef({4, 3, 2}));
  EXPECT_EQ(q.log_prob(zeros({})).sizes(), at::IntArrayRef({3, 2}));
  EXPECT_EQ(kl(q, Normal(zeros({2}), t({1, 1}))).sizes(), at::IntArrayRef({3, 2}));
  const Categorical c(zeros({2, 5}));
  EXPECT_EQ(c.log_prob(at::zeros({7, 2}, at::kLong)).sizes(), at::IntArrayRef({7, 2}));
  EXPECT_EQ(c.log_prob(at::zeros({7, 1}, at::kLong)).sizes(), at::IntArrayRef({7, 2}));
  EXPECT_EQ(Wishart(t({5, 6, 7}), at::eye(2, at::kDouble)).sample({}, Rng(1)).sizes(), at::IntArrayRef({3, 2, 2}));
}

TEST(FullNormal, CovarianceAndPrecisionGiveTheSame) {
  const Tensor covariance = t({2, 0.5, 0.5, 1}).view({2, 2}), x = t({1, -1});
  const FullNormal a = FullNormal::from_covariance(zeros({2}), covariance);
  const FullNormal b = FullNormal::from_precision(zeros({2}), at::linalg_inv(covariance));
  EXPECT_TRUE(at::allclose(a.cholesky(), b.cholesky(), 1e-14, 1e-14));
  EXPECT_TRUE(at::allclose(a.variance(), t({2, 1}), 1e-14));
  EXPECT_EQ(message<NumericError>([&] { FullNormal::from_covariance(zeros({2}), -covariance); }),
            "full-normal: covariance must be positive definite, that of batch member 0 is not");
}

TEST(StudentT, OfManyDegreesOfFreedomIsNormal) {
  const Tensor x = t({-3, 0, 1.5, 30});
  for (const double df : {1e12, 1e20, 1e300}) {
    const StudentT q(at::full({}, df, at::kDouble), zeros({}), at::ones({}, at::kDouble));
    const Normal p(zeros({}), at::ones({}, at::kDouble));
    EXPECT_TRUE(at::allclose(q.log_prob(x), p.log_prob(x), 1e-8, 1e-8)) << df;  // they differ by x^4 / (4 df)
    EXPECT_NEAR(q.entropy().item<double>(), p.entropy().item<double>(), 1e-11);
    EXPECT_NEAR(q.variance().item<double>(), 1, 1e-11);
  }
}

// ---- draws ----

// dx/da = -(dF/da) / p(x), with dF/da by central differences of the regularised incomplete gamma function.
TEST(GammaDraw, SlopeIsThatOfTheQuantile) {
  for (const double a : {1.0, 1.3, 2.5, 10.0, 80.0, 1000.0}) {
    for (const double deviations : {-0.9, -0.5, 0.0, 0.01, 1.0, 3.0, 6.0}) {
      const double x = a + deviations * std::sqrt(a), h = 1e-3 * std::sqrt(a);
      const auto F = [&](double shape) {
        const Tensor s = t({shape}), at_x = t({x});
        return (x > a ? -at::special_gammaincc(s, at_x) : at::special_gammainc(s, at_x)).item<double>();
      };
      const double numeric = -(F(a + h) - F(a - h)) / (2 * h) / std::exp((a - 1) * std::log(x) - x - std::lgamma(a));
      // h^2 times third derivatives, and 1e-14 / h of the incomplete gamma function
      EXPECT_NEAR(gamma_quantile_slope(a, x) / numeric, 1, 2e-5) << a << " " << x;
    }
  }
}

// Far out dx/da tends to log x - digamma(a) above and, in units of x / a, to digamma(a + 1) - log x below (the first
// term of the incomplete gamma function's series).
TEST(GammaDraw, SlopeHoldsInTheTails) {
  for (const double a : {1.0, 3.0, 20.0}) {
    const double psi = at::digamma(t({a + 1})).item<double>();
    const double x = 1e-12;
    EXPECT_NEAR(gamma_quantile_slope(a, x) / (x / a * (psi - std::log(x))), 1, 1e-10) << a;
    const double slope = gamma_quantile_slope(a, 1e6), far = std::log(1e6) - (psi - 1 / a);
    EXPECT_NEAR(slope / far, 1, 1e-4) << a;  // the next term is a / x
  }
  for (const double a : {1e4, 1e6, 1e8}) EXPECT_NEAR(gamma_quantile_slope(a, a), 1, 1e-3) << a;
}

TEST(GammaDraw, SmallConcentrationsNeitherUnderflowNorLoseTheirSlope) {
  const Tensor a = at::full({}, 1e-3, at::kDouble).requires_grad_();
  const Tensor log_x = log_gamma_draw(a, {40000}, Rng(1));
  EXPECT_TRUE(at::isfinite(log_x).all().item<bool>());
  const double error = log_x.mean().item<double>() - at::digamma(a).item<double>();
  EXPECT_LT(std::abs(error), 5 * log_x.std().item<double>() / 200);
  const double slope = torch::autograd::grad({log_x.mean()}, {a})[0].item<double>();
  EXPECT_NEAR(slope / at::polygamma(1, a).item<double>(), 1, 5 / 200.);  // the exponential part has relative spread one
  const Tensor x = Beta(a.detach(), a.detach()).sample({1000}, Rng(2));
  EXPECT_TRUE(at::logical_and(x > 0, x < 1).all().item<bool>());
  const Tensor p = Dirichlet(at::full({3}, 1e-3, at::kDouble)).sample({1000}, Rng(2));
  EXPECT_TRUE((p > 0).all().item<bool>());
}

TEST(PoissonDraw, CountsHaveTheirProbabilities) {
  const int64_t n = 40000;
  for (const double rate : {1e-30, 0.5, 9.9, 10.0, 35.0, 400.0}) {
    const Poisson q(at::full({}, rate, at::kDouble));
    const Tensor x = q.sample({n}, Rng(3)), values = at::arange(600, at::kDouble), p = q.log_prob(values).exp();
    const Tensor seen = at::bincount(x.to(at::kLong), {}, 600).to(at::kDouble) / static_cast<double>(n);
    const Tensor error = (seen - p).abs() / ((p * (1 - p) / static_cast<double>(n)).sqrt() + 1e-12);
    EXPECT_LT(at::where(p * static_cast<double>(n) > 20, error, at::zeros_like(error)).max().item<double>(), 5) << rate;
    EXPECT_LT((at::where(p * static_cast<double>(n) > 20, zeros({}), seen)).sum().item<double>(), 0.02) << rate;
  }
}

TEST(PoissonDraw, LargeRatesAreNearlyNormal) {
  const Tensor x = Poisson(at::full({}, 1e12, at::kDouble)).sample({20000}, Rng(4));
  const Tensor z = (x - 1e12) / 1e6;
  EXPECT_LT(std::abs(z.mean().item<double>()), 5 / std::sqrt(20000.));
  EXPECT_LT(std::abs(z.square().mean().item<double>() - 1), 5 * std::sqrt(2 / 20000.));
}

TEST(Mixture, ResponsibilitiesAreThePosterior) {
  const Mixture q(Categorical(t({0, 1})), std::make_shared<Normal>(t({-1, 2}), t({1, 1})));
  const Tensor r = q.log_responsibilities(t({0.5})).exp();
  EXPECT_TRUE(at::allclose(r, t({1, M_E}).view({1, 2}) / (1 + M_E), 1e-14));  // x is half way
}

TEST(ContinuousBernoulli, QuantileInvertsTheDistributionFunction) {
  const Tensor u = at::linspace(0.01, 0.99, 30, at::kDouble);
  for (const double logit : {-30.0, -1.0, -2e-3, -9e-4, 0.0, 1e-6, 9e-4, 2e-3, 1.0, 30.0}) {
    const Tensor l = at::full({}, logit, at::kDouble), x = ContinuousBernoulli::quantile(l, u);
    const Tensor F = logit == 0 ? x : at::expm1(l * x) / at::expm1(l);
    EXPECT_TRUE(at::allclose(F, u, 1e-12, 1e-12)) << logit;
    const auto value = [&](const std::vector<Tensor>& in) {
      return ContinuousBernoulli::quantile(in[0], u).sin().sum();
    };
    EXPECT_LT(gradient_error(value, {l}, 1e-5), 1e-6) << logit;
  }
}

// ---- special functions ----

TEST(LogGamma, RatiosKeepTheirDigits) {
  const Tensor small = t({0.5, 3, 15.9, 16, 40}), d = t({0.5, 7, 1, 2.5, 100});
  EXPECT_TRUE(at::allclose(lgamma_ratio(small, d), at::lgamma(small + d) - at::lgamma(small), 1e-13, 1e-13));
  EXPECT_TRUE(at::allclose(digamma_ratio(small, d), at::digamma(small + d) - at::digamma(small), 1e-13, 1e-14));
  const Tensor large = t({1e8, 1e20, 1e200});  // Gamma(z + 2) / Gamma(z) = z (z + 1)
  EXPECT_TRUE(at::allclose(lgamma_ratio(large, t({2})), large.log() + (large + 1).log(), 1e-14));
  EXPECT_TRUE(at::allclose(digamma_ratio(large, t({2})), 1 / large + 1 / (large + 1), 1e-13, 0));
  EXPECT_TRUE(at::allclose(standard_gamma_entropy(t({16.001})), standard_gamma_entropy(t({15.999})), 1e-4));
}

// ---- errors ----

TEST(Errors, ShapesAndTypesOfParameters) {
  EXPECT_EQ(message([] { Normal(zeros({2}), at::ones({3}, at::kDouble)); }),
            "normal: std has shape [3], which does not broadcast with the batch shape [2] of the other parameters");
  EXPECT_EQ(message([] { Normal(zeros({2}), at::ones({2}, at::kFloat)); }), "normal: std is Float but mean is Double");
  EXPECT_EQ(message([] {
              DiagonalNormal(zeros({2, 3}), zeros({2, 1}));
            }),
            "diagonal-normal: log_std has shape [2, 1] but [..., L] as the mean's is expected");
  EXPECT_EQ(message([] {
              FullNormal(zeros({2}), zeros({3, 3}));
            }),
            "full-normal: cholesky has shape [3, 3] but [..., D, D] for a mean [..., D] is expected");
  EXPECT_EQ(message([] { Categorical(zeros({})); }),
            "categorical: logits has shape [] but at least 1 dimension(s) are expected");
  EXPECT_EQ(message([] {
              Independent(std::make_shared<Normal>(zeros({2}), t({1, 1})), 2);
            }),
            "independent: dims must be in [0, 1], the batch dimensions of normal, got 2");
  EXPECT_EQ(message([] {
              Mixture(Categorical(zeros({3})), std::make_shared<Normal>(zeros({2}), t({1, 1})));
            }),
            "mixture: components have batch shape [2] but [3] is expected, that of the weights and their number");
  EXPECT_EQ(message([] {
              ZeroInflated(std::make_shared<Normal>(zeros({2}), t({1, 1})), zeros({2}));
            }),
            "zero-inflated: base must be a distribution of counts, got normal");
  EXPECT_EQ(message([] {
              ZeroInflated(std::make_shared<Poisson>(t({1, 1})), zeros({3}));
            }),
            "zero-inflated: gate_logits have shape [3], which does not broadcast to the batch shape [2] of poisson");
  EXPECT_EQ(message([] { kl(Normal(zeros({}), t({1})), DiagonalNormal(zeros({2}), zeros({2}))); }),
            "kl: q (normal) has event shape [] but p (diagonal-normal) has [2]");
}

TEST(Errors, ValuesOutOfTheSupport) {
  const auto of = [](const Distribution& q, const Tensor& x) { return message<DataError>([&] { q.log_prob(x); }); };
  EXPECT_EQ(of(Poisson(t({1, 1})), t({0, -1})), "poisson.log_prob: x must be a count 0, 1, 2 ..., got -1 at [1]");
  EXPECT_EQ(of(Poisson(t({1, 1})), t({0.5, 1})), "poisson.log_prob: x must be a count 0, 1, 2 ..., got 0.5 at [0]");
  EXPECT_EQ(of(Bernoulli(t({1, 1})), t({0, 2})), "bernoulli.log_prob: x must be in [0, 1], got 2 at [1]");
  EXPECT_EQ(of(Gamma(t({1}), t({1})), t({NAN})), "gamma.log_prob: x must not be negative, got nan at [0]");
  EXPECT_EQ(of(Categorical(zeros({3})), t({3})), "categorical.log_prob: x must be a category 0 .. 2, got 3 .. 3");
  EXPECT_EQ(of(OneHotCategorical(zeros({3})), t({1, 1, 0})),
            "one-hot-categorical.log_prob: event 0 of x must have one 1");
  EXPECT_EQ(of(Dirichlet(t({1, 1})), t({0.5, 0.6})), "dirichlet.log_prob: event 0 of x must have sum one");
  EXPECT_EQ(of(Wishart(t({5}), at::eye(2, at::kDouble)), t({1, 0.5, -0.5, 1}).view({2, 2})),
            "wishart.log_prob: event 0 of x must be symmetric and positive definite");
  EXPECT_EQ(of(Mixture(Categorical(zeros({2})), std::make_shared<Poisson>(t({1, 2}))), t({-1})),
            "poisson.log_prob: x must be a count 0, 1, 2 ..., got -1 at [0, 0]");
}

// Zero counts are certain where the rate has underflowed, and a few are as improbable as its logarithm says.
TEST(Poisson, ByTheLogOfItsRateIsFiniteForEveryRate) {
  const Tensor log_rate = t({-900, -120, -3, 2.5, 40}), zero = zeros({5}), three = t({3, 3, 3, 3, 3});
  const Poisson p = Poisson::of_log_rate(log_rate);
  EXPECT_TRUE(at::allclose(p.log_prob(zero), -log_rate.exp(), 1e-14, 1e-14));
  EXPECT_TRUE(at::allclose(p.log_prob(three), 3 * log_rate - log_rate.exp() - std::log(6.), 1e-14, 1e-12));
  EXPECT_TRUE(at::allclose(Poisson(log_rate.slice(0, 2).exp()).log_prob(three.slice(0, 2)),
                           p.log_prob(three).slice(0, 2), 1e-12, 1e-12));
  EXPECT_TRUE(at::equal(p.natural().squeeze(-1), log_rate));
  const Tensor low = at::full({3}, -200.f).requires_grad_();
  const Tensor slope =
      torch::autograd::grad({Poisson::of_log_rate(low).log_prob(at::tensor({0.f, 1.f, 40.f})).sum()}, {low})[0];
  EXPECT_TRUE(at::equal(slope, at::tensor({0.f, 1.f, 40.f})));
}

TEST(SoftBound, IsTheNumberItselfInsideAndFiniteWithASlopeOutside) {
  const Tensor inside = t({-30, -1.5, 0, 7, 30});
  EXPECT_TRUE(soft_bound(inside).is_same(inside));
  const Tensor mixed = t({-1e300, -1e4, -31, -30, 0.25, 30, 31, 35, 1e4, INFINITY});
  const Tensor bounded = soft_bound(mixed);
  EXPECT_TRUE(at::equal(bounded.slice(0, 3, 6), mixed.slice(0, 3, 6)));
  EXPECT_NEAR(bounded[6].item<double>(), 30 + 10 * (1 - 1 / 1.1), 1e-12);
  EXPECT_NEAR(bounded[7].item<double>(), 30 + 10 * (1 - 1 / 1.5), 1e-12);
  EXPECT_EQ(bounded[9].item<double>(), 40);
  EXPECT_TRUE((bounded.diff() > 0).slice(0, 1, 8).all().item<bool>());
  const auto value = [](const std::vector<Tensor>& in) { return soft_bound(in[0]).sum(); };
  EXPECT_LT(gradient_error(value, {t({-80, -31, 0.25, 31, 35, 200})}), 1e-7);
  EXPECT_TRUE(soft_bound(at::full({1}, NAN)).isnan().item<bool>());
  EXPECT_EQ(soft_bound(at::empty({0, 3})).numel(), 0);
}

}  // namespace distribution_test
}  // namespace vem
