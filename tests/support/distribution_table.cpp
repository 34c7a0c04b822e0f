#include "support/distribution_table.h"

#include <stdexcept>

#include "vem/dist/bernoulli.h"
#include "vem/dist/categorical.h"
#include "vem/dist/dirichlet.h"
#include "vem/dist/discretized_logistic.h"
#include "vem/dist/gamma.h"
#include "vem/dist/independent.h"
#include "vem/dist/laplace.h"
#include "vem/dist/mixture.h"
#include "vem/dist/multivariate_normal.h"
#include "vem/dist/normal.h"
#include "vem/dist/normal_gamma.h"
#include "vem/dist/normal_wishart.h"
#include "vem/dist/poisson.h"
#include "vem/dist/student_t.h"
#include "vem/dist/zero_inflated.h"

namespace vem {
namespace {

Tensor t(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }
Tensor t2(const std::vector<double>& values, int64_t columns) { return t(values).view({-1, columns}); }
Tensor t3(const std::vector<double>& values, int64_t columns) { return t(values).view({2, -1, columns}); }

// ---- quadrature: trapezoids after a change of variables whose ends fall off doubly exponentially ----

Tensor steps(int64_t n, double reach) { return at::linspace(-reach, reach, n, at::kDouble); }

Grid real_line(int64_t n) {  // x = sinh(pi / 2 sinh s)
  const Tensor s = steps(n, 4), inner = s.sinh() * M_PI_2;
  return {inner.sinh(), inner.cosh() * s.cosh() * (M_PI_2 * 8 / static_cast<double>(n - 1))};
}
Grid half_line(int64_t n, double reach = 4) {  // x = exp(pi / 2 sinh s)
  const Tensor s = steps(n, reach), x = (s.sinh() * M_PI_2).exp();
  return {x, x * s.cosh() * (M_PI_2 * 2 * reach / static_cast<double>(n - 1))};
}
Grid unit_interval(int64_t n, double reach = 3) {  // x = sigmoid(pi sinh s)
  const Tensor s = steps(n, reach), inner = s.sinh() * M_PI, x = inner.sigmoid();
  return {x, x * (-inner).sigmoid() * s.cosh() * (M_PI * 2 * reach / static_cast<double>(n - 1))};
}
Grid counts(int64_t n) { return {at::arange(n, at::kDouble), at::ones({n}, at::kDouble)}; }

/// All pairs of points, as events [2].
Grid pairs(const Grid& a, const Grid& b) {
  const auto ij = at::meshgrid({a.points, b.points}, "ij");
  return {at::stack({ij[0].flatten(), ij[1].flatten()}, -1), at::outer(a.weights, b.weights).flatten()};
}

/// Three weights from two of the unit interval: u, (1 - u) v, (1 - u) (1 - v).
Grid simplex(int64_t n) {
  const Grid uv = pairs(unit_interval(n), unit_interval(n));
  const Tensor u = uv.points.select(-1, 0), v = uv.points.select(-1, 1), rest = 1 - u;
  return {at::stack({u, rest * v, rest * (1 - v)}, -1), uv.weights * rest};
}

/// Positive definite matrices [2, 2] from two variances and a correlation, which the densities keep away from one.
Grid matrices(int64_t n) {
  const Grid variances = pairs(half_line(n, 1.6), half_line(n, 1.6)), unit = unit_interval(n, 1.5);
  const int64_t m = variances.weights.numel();
  const Tensor v = variances.points.repeat_interleave(n, 0), scale = v.prod(-1).sqrt();
  const Tensor covariance = scale * (2 * unit.points - 1).repeat({m});
  const Tensor x = at::stack({v.select(-1, 0), covariance, covariance, v.select(-1, 1)}, -1).view({-1, 2, 2});
  return {x, at::outer(variances.weights, 2 * unit.weights).flatten() * scale};
}

template <class D>
std::function<std::shared_ptr<Distribution>(const Parameters&)> one() {
  return [](const Parameters& p) { return std::make_shared<D>(p[0]); };
}
template <class D>
std::function<std::shared_ptr<Distribution>(const Parameters&)> two() {
  return [](const Parameters& p) { return std::make_shared<D>(p[0], p[1]); };
}

std::vector<Row> on_the_line() {
  return {
      {"normal",
       two<Normal>(),
       {t({0.3, -1}), t({0.5, 2})},
       {t({0, 1}), t({1, 1.5})},
       real_line(801),
       false,
       {{1, 0, "normal: std must be positive and finite, got 0 at [1]"}}},
      {"laplace",
       two<Laplace>(),
       {t({0, 0}), t({0.5, 2})},
       {t({0.5, 1}), t({1, 1.5})},
       real_line(20001),
       false,
       {{1, -2, "laplace: scale must be positive and finite, got -2 at [1]"}}},
      {"student_t",
       [](const Parameters& p) { return std::make_shared<StudentT>(p[0], p[1], p[2]); },
       {t({5, 9}), t({0.3, -1}), t({0.5, 2})},
       {t({40, 7}), t({0, 1}), t({1, 1.5})},
       real_line(801),
       true,
       {{0, 0, "student-t: df must be positive and finite, got 0 at [1]"},
        {2, NAN, "student-t: scale must be positive and finite, got nan at [1]"}}},
      {"gamma",
       two<Gamma>(),
       {t({0.7, 5}), t({0.5, 2})},
       {t({1.5, 3}), t({1, 3})},
       half_line(801),
       true,
       {{0, -1, "gamma: concentration must be positive and finite, got -1 at [1]"},
        {1, INFINITY, "gamma: rate must be positive and finite, got inf at [1]"}}},
      {"beta",
       two<Beta>(),
       {t({0.7, 5}), t({1.5, 2})},
       {t({1.5, 3}), t({1, 3})},
       unit_interval(801),
       true,
       {{0, 0, "beta: a must be positive and finite, got 0 at [1]"},
        {1, -1, "beta: b must be positive and finite, got -1 at [1]"}}},
      {"continuous_bernoulli", one<ContinuousBernoulli>(), {t({0.1, -8})}, {t({-2, 0.5})}, unit_interval(801)},
  };
}

std::vector<Row> discrete() {
  const Tensor logits = t2({0.5, -0.7, 1, 1, 0, 1}, 3), others = t2({0, -1, 2, 0.5, 0.5, -2}, 3);
  const Grid bits = counts(2), categories = counts(3), corners{at::eye(3, at::kDouble), at::ones({3}, at::kDouble)};
  return {
      {"bernoulli", one<Bernoulli>(), {t({0.5, -2})}, {t({-1, 0.3})}, bits},
      {"categorical", one<Categorical>(), {logits}, {others}, categories},
      {"one_hot_categorical", one<OneHotCategorical>(), {logits}, {others}, corners},
      {"discretized_logistic",
       [](const Parameters& p) { return std::make_shared<DiscretizedLogistic>(p[0], p[1], 6); },
       {t({0.3, 1.1}), t({0.1, 0.4})},
       {t({-0.2, 0.5}), t({0.3, 0.02})},
       {at::arange(6, at::kDouble) / 5, at::ones({6}, at::kDouble)},
       false,
       {{1, 0, "discretized-logistic: scale must be positive and finite, got 0 at [1]"}}},
      {"poisson",
       one<Poisson>(),
       {t({0.8, 30})},
       {t({2, 25})},
       counts(200),
       false,
       {{0, 0, "poisson: rate must be positive and finite, got 0 at [1]"}}},
      {"negative_binomial",
       two<NegativeBinomial>(),
       {t({0.8, 9}), t({0.5, 1})},
       {t({0.8, 9}), t({-0.5, 0.7})},
       counts(400),
       false,
       {{0, -3, "negative-binomial: count must be positive and finite, got -3 at [1]"}},
       1},
  };
}

std::vector<Row> vectors() {
  const Grid plane = pairs(real_line(201), real_line(201));
  return {
      {"diagonal_normal",
       two<DiagonalNormal>(),
       {t2({0.3, -1, 1, 0}, 2), t2({-0.5, 0.2, 0, 0.4}, 2)},
       {t2({0, 0, 0.5, 1}, 2), t2({0, 0.3, -0.2, 0}, 2)},
       plane},
      {"full_normal",
       two<FullNormal>(),
       {t2({0.3, -1, 1, 0}, 2), t3({0.8, 0, 0.5, 0.7, 1, 0, -0.9, 1.5}, 2)},
       {t2({0, 0, 0.5, 1}, 2), t3({1, 0, 0.1, 1, 1.2, 0, 0, 0.9}, 2)},
       plane,
       false,
       {{1, -1, "full-normal: the diagonal of cholesky must be positive and finite, got -1 at [1, 0]"}}},
      {"low_rank_normal",
       [](const Parameters& p) { return std::make_shared<LowRankNormal>(p[0], p[1], p[2]); },
       {t2({0.3, -1, 1, 0}, 2), t3({0.8, 0.5, -1, 0.2}, 1), t2({0.5, 0.2, 1, 0.4}, 2)},
       {t2({0, 0, 0.5, 1}, 2), t3({0.1, 0.5, 1, 0.4}, 1), t2({1, 0.7, 1, 0.9}, 2)},
       plane,
       false,
       {{2, 0, "low-rank-normal: diagonal must be positive and finite, got 0 at [1, 0]"}}},
      {"dirichlet",
       one<Dirichlet>(),
       {t2({0.8, 3, 2, 5, 1, 2}, 3)},
       {t2({1, 2, 3, 2, 2, 2}, 3)},
       simplex(201),
       true,
       {{0, 0, "dirichlet: concentration must be positive and finite, got 0 at [1, 0]"}}},
      {"relaxed_one_hot_categorical",
       two<RelaxedOneHotCategorical>(),
       {t({0.7, 1.2}), t2({0.5, -0.7, 1, 1, 0, 1}, 3)},
       {t({1, 1}), t2({0, 0, 1, 0.5, 0.5, 0}, 3)},
       simplex(201),
       false,
       {{0, 0, "relaxed-one-hot-categorical: temperature must be positive and finite, got 0 at [1]"}}},
  };
}

/// L L' of the lower triangle, so that every perturbation of L gives a symmetric matrix.
Tensor gram(const Tensor& L) { return at::matmul(L.tril(), L.tril().transpose(-2, -1)); }

std::vector<Row> matrix_families() {
  const Tensor L = t3({0.8, 0, 0.5, 0.7, 0.6, 0, -0.3, 0.5}, 2), other = t3({0.7, 0, 0.2, 0.8, 0.5, 0, 0.1, 0.6}, 2);
  return {
      {"wishart",
       [](const Parameters& p) { return std::make_shared<Wishart>(p[0], gram(p[1])); },
       {t({9, 12}), L},
       {t({8, 11}), other},
       matrices(60),
       true,
       {{0, 1, "wishart: df must be above D - 1, got 1 at [1]"},
        {1, 0, "wishart: scale must be positive definite, that of batch member 1 is not"}}},
      {"normal_gamma",
       [](const Parameters& p) { return std::make_shared<NormalGamma>(p[0], p[1], p[2], p[3]); },
       {t({0.3, -1}), t({2, 0.5}), t({6, 7}), t({2, 3})},
       {t({0, -0.5}), t({1, 1}), t({5, 6}), t({2, 2})},
       pairs(real_line(401), half_line(401)),
       true,
       {{1, 0, "normal-gamma: beta must be positive and finite, got 0 at [1]"},
        {2, -1, "normal-gamma: concentration must be positive and finite, got -1 at [1]"},
        {3, -2, "normal-gamma: rate must be positive and finite, got -2 at [1]"}}},
      {"normal_wishart",
       [](const Parameters& p) { return std::make_shared<NormalWishart>(p[0], p[1], p[2], gram(p[3])); },
       {t2({0.3, -1, 1, 0}, 2), t({2, 0.5}), t({12, 14}), L},
       {t2({0, 0, 0.5, 1}, 2), t({1, 1}), t({11, 13}), other},
       {},  // five dimensions
       true,
       {{1, 0, "normal-wishart: beta must be positive and finite, got 0 at [1]"}}},
  };
}

std::vector<Row> wrappers() {
  const auto mixture = [](const Parameters& p) {
    return std::make_shared<Mixture>(Categorical(p[0]), std::make_shared<Normal>(p[1], p[2]));
  };
  const auto vector_mixture = [](const Parameters& p) {
    return std::make_shared<Mixture>(Categorical(p[0]), std::make_shared<DiagonalNormal>(p[1], p[2]));
  };
  const auto independent = [](const Parameters& p) {
    return std::make_shared<Independent>(std::make_shared<Normal>(p[0], p[1]), 1);
  };
  const auto inflated = [](const Parameters& p) {
    return std::make_shared<ZeroInflated>(std::make_shared<Poisson>(p[1]), p[0]);
  };
  const auto inflated_binomial = [](const Parameters& p) {
    return std::make_shared<ZeroInflated>(std::make_shared<NegativeBinomial>(p[1], p[2]), p[0]);
  };
  const Grid plane = pairs(real_line(301), real_line(301));
  const Tensor weights = t2({0.5, -1, 0, 1}, 2), other = t2({0, 0, 1, -1}, 2);
  return {
      {"mixture",
       mixture,
       {weights, t2({0, 3, -2, 1}, 2), t2({1, 0.5, 0.7, 2}, 2)},
       {other, t2({1, 2, -1, 1}, 2), t2({1, 1, 1, 2}, 2)},
       real_line(801)},
      {"vector_mixture",
       vector_mixture,
       {weights, t3({0, 3, -2, 1, 1, 0, 2, -1}, 2), t3({0, -.5, .2, 0, 0, .1, 0, 0}, 2)},
       {other, t3({0, 2, -1, 1, 1, 0, 1, -1}, 2), t3({0, 0, .2, 0, 0, 0, .3, 0}, 2)},
       plane},
      {"independent",
       independent,
       {t2({0, 0, 0, 0}, 2), t2({1, 0.5, 0.7, 2}, 2)},
       {t2({0.5, 0.3, -1, 1}, 2), t2({1, 1, 1, 2}, 2)},
       plane},
      {"zero_inflated", inflated, {t({-0.5, 1}), t({2, 20})}, {t({0, 0}), t({3, 15})}, counts(200)},
      {"zero_inflated_negative_binomial",
       inflated_binomial,
       {t({-0.5, 1}), t({0.8, 9}), t({0.5, 1})},
       {t({0, 0}), t({1, 8}), t({0.5, 1})},
       counts(400)},
  };
}

}  // namespace

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> rows;
    for (const auto& group : {on_the_line(), discrete(), vectors(), matrix_families(), wrappers()})
      rows.insert(rows.end(), group.begin(), group.end());
    return rows;
  }();
  return all;
}

const Row& row(const std::string& name) {
  for (const Row& r : rows())
    if (r.name == name) return r;
  throw std::runtime_error("the table has no row " + name);
}

}  // namespace vem
