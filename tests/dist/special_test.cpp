// Vectorised special functions against the library's, over their whole domain; learned concentrations.
#include "vem/dist/special.h"

#include <gtest/gtest.h>

#include <cmath>

#include "vem/core/rng.h"
#include "vem/dist/dirichlet_concentration.h"
#include "vem/dist/incomplete.h"

namespace vem {
namespace special_test {

/// Points from 1e-100 to 1e10, evenly in the logarithm, and some where formulas change.
std::vector<double> points() {
  std::vector<double> x{1, 2, 6, 1.4616321449683623, 0.5, 1e-3, 1.0 / 700};
  for (int i = 0; i <= 5000; ++i) x.push_back(std::pow(10., -100 + 110. * i / 5000));
  return x;
}

std::vector<double> apply(void (*f)(const double*, double*, int64_t), std::vector<double> x) {
  f(x.data(), x.data(), static_cast<int64_t>(x.size()));
  return x;
}

TEST(Special, ExpAndLogAreAccurate) {
  std::vector<double> x;
  for (int i = -7080; i <= 7080; ++i) x.push_back(i / 10. + 1e-3);
  const std::vector<double> e = apply(special::exp, x), p = points(), l = apply(special::log, p);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(e[i] / std::exp(x[i]), 1, 1e-14) << x[i];
  for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(l[i], std::log(p[i]), 1e-15 * std::max(1., std::abs(l[i]))) << p[i];
  EXPECT_EQ(apply(special::exp, {-1000, -708.1, 0})[0], 0);
  EXPECT_EQ(apply(special::exp, {-1000, -708.1, 0})[2], 1);
}

// digamma has a root at 1.46 and log Gamma has two: there the absolute error counts.
TEST(Special, GammaFunctionsAreAccurate) {
  const std::vector<double> x = points(), psi = apply(special::digamma, x), log_gamma = apply(special::lgamma, x),
                            exp_psi = apply(special::exp_digamma, x);
  const Tensor exact = at::digamma(at::tensor(x, at::kDouble));
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double wanted = exact[static_cast<int64_t>(i)].item<double>();
    EXPECT_NEAR(psi[i], wanted, 1e-11 * std::max(1., std::abs(wanted))) << x[i];
    EXPECT_NEAR(log_gamma[i], std::lgamma(x[i]), 1e-11 * std::max(1., std::abs(std::lgamma(x[i])))) << x[i];
    if (wanted > -700)
      EXPECT_NEAR(exp_psi[i] / std::exp(wanted), 1, 1e-10) << x[i];
    else
      EXPECT_LT(exp_psi[i], 1e-300);
    sum += log_gamma[i];
  }
  EXPECT_NEAR(special::sum_lgamma(x.data(), static_cast<int64_t>(x.size())), sum, 1e-13 * std::abs(sum));
}

// Values of mpmath 1.3.0 at 30 digits.
TEST(Special, DigammaAtKnownPoints) {
  const std::vector<double> got = apply(special::digamma, {0.01, 0.1, 1, 10, 1000});
  const double wanted[] = {-100.560885457869, -10.4237549404111, -0.577215664901533, 2.25175258906672,
                           6.90725519564881};
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-12 * std::abs(wanted[i]));
}

/// eta of `draws` draws whose mean E[log theta] is that of Dirichlet(alpha), disturbed by `noise`.
Tensor eta_of(const std::vector<double>& alpha, double draws, double noise) {
  const Tensor a = at::tensor(alpha, at::kDouble);
  const Tensor log_theta =
      at::digamma(a) - at::digamma(a.sum()) - noise * Rng(1).uniform(at::arange(a.size(0), at::kLong), {}, "noise");
  return at::cat({log_theta * draws, at::full({1}, -draws, at::kDouble)}).unsqueeze(0);
}

// Without noise the optimum is alpha itself; with it the gradient vanishes and a grid around it is lower.
TEST(DirichletConcentration, NewtonFindsTheMaximum) {
  for (const std::vector<double>& alpha :
       std::vector<std::vector<double>>{{0.1, 0.1, 0.1}, {1, 2, 3}, {1e-3, 0.5, 40}, {300, 200, 100}, {5, 5, 5}}) {
    for (const double noise : {0., 0.3}) {
      const DirichletConcentration family(3, false);
      const Tensor eta = eta_of(alpha, 17, noise), t = family.mode(eta);
      const Tensor a = t[0].slice(0, 0, 3).clone();
      const double moved = ((a - at::tensor(alpha, at::kDouble)) / a).abs().max().item<double>();
      EXPECT_EQ(noise == 0, moved < 1e-7);
      const auto value = [&](const Tensor& at_alpha) {
        return (eta * DirichletConcentration::point(at_alpha)).sum().item<double>();
      };
      const Tensor gradient = eta[0].slice(0, 0, 3) / 17 + at::digamma(a.sum()) - at::digamma(a);
      EXPECT_LE((gradient * a).abs().max().item<double>(), 1e-8 * std::max(1., a.max().item<double>()));
      EXPECT_NEAR((eta * t).sum().item<double>(), value(a), 1e-9 * std::abs(value(a)));
      for (int64_t k = 0; k < 3; ++k)
        for (const double factor : {0.7, 0.95, 1.05, 1.4}) {
          Tensor other = a.clone();
          other[k] *= factor;
          EXPECT_LT(value(other), value(a));
        }
    }
  }
}

TEST(DirichletConcentration, ASymmetricOneIsTheBestSymmetricOne) {
  const DirichletConcentration family(4, true);
  const Tensor eta = eta_of({0.2, 0.4, 0.9, 0.3}, 5, 0), a = family.mode(eta)[0].slice(0, 0, 4);
  EXPECT_EQ(a.max().item<double>(), a.min().item<double>());
  const auto value = [&](double factor) {
    return (eta * DirichletConcentration::point(a * factor)).sum().item<double>();
  };
  for (const double factor : {0.5, 0.9, 0.99, 1.01, 1.1, 2.}) EXPECT_LT(value(factor), value(1));
  EXPECT_NEAR((value(1 + 1e-5) - value(1 - 1e-5)) / 2e-5, 0, 1e-5);
  const Tensor start = at::tensor({0.1, 2., 0.7, 1.}, at::kDouble);
  EXPECT_LE((DirichletConcentration(4, false).mode(DirichletConcentration::start(start))[0].slice(0, 0, 4) - start)
                .abs()
                .max()
                .item<double>(),
            1e-9);
}

// Closed forms: powers, sums of Poisson and binomial probabilities, the Student-t of one and of two degrees of freedom.
TEST(Special, IncompleteGammaAndBetaHaveTheirClosedForms) {
  using special::incomplete_beta;
  using special::incomplete_gamma_above;
  for (const double x : {0., 1e-300, 0.02, 0.5, 3.7, 40., 800.}) {
    double poisson = std::exp(-x), sum = 0;
    for (int n = 1; n <= 60; ++n) {
      sum += poisson;
      poisson *= x / n;
      EXPECT_NEAR(incomplete_gamma_above(n, x), sum, 1e-13) << n << " " << x;
    }
  }
  for (const double x : {1e-12, 0.1, 0.5, 0.93}) {
    for (const double a : {0.01, 0.5, 1., 7., 1e4}) {
      EXPECT_NEAR(incomplete_beta(a, 1, x), std::pow(x, a), 1e-12);
      EXPECT_NEAR(incomplete_beta(1, a, x), -std::expm1(a * std::log1p(-x)), 1e-12);
    }
    double below = 0;  // of 30 trials with probability x
    for (int k = 0; k < 30; ++k) {
      below += std::exp(std::lgamma(31) - std::lgamma(k + 1) - std::lgamma(31 - k) + k * std::log(x) +
                        (30 - k) * std::log1p(-x));
      EXPECT_NEAR(incomplete_beta(30 - k, k + 1, 1 - x), below, 1e-12) << k;
    }
  }
  for (const double z : {0., 0.3, 1., 12., 1e8}) {
    EXPECT_NEAR(1 - 0.5 * incomplete_beta(0.5, 0.5, 1 / (1 + z * z)), 0.5 + std::atan(z) / M_PI, 1e-15);
    EXPECT_NEAR(1 - 0.5 * incomplete_beta(1, 0.5, 2 / (2 + z * z)), 0.5 + z / (2 * std::sqrt(2 + z * z)), 1e-15);
  }
  EXPECT_NEAR(incomplete_beta(1e6, 1e6, 0.5), 0.5, 1e-8);
  EXPECT_EQ(incomplete_beta(2, 3, 0), 0);
  EXPECT_EQ(incomplete_beta(2, 3, 1), 1);
  EXPECT_TRUE(std::isnan(incomplete_beta(2, 3, std::nan(""))));
}

}  // namespace special_test
}  // namespace vem
