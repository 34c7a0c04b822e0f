// The closed-form E-step against plain loops, autograd and textbook formulas, for every estimate and covariance.
#include "vem/infer/factored.h"

#include <gtest/gtest.h>

#include "support/gaussian_reference.h"
#include "vem/core/error.h"
#include "vem/dist/normal_wishart.h"

namespace vem {
namespace factored_test {

Tensor index(int64_t n) { return at::arange(n, at::kLong); }

/// Three blobs with correlated features, in random order; D features.
Tensor blobs(int64_t n, int64_t D, uint64_t seed = 1) {
  const Rng rng(seed);
  const Tensor group = rng.permutation(n).remainder(3), mixing = rng.normal(index(D), {D}, "mixing") * 0.4;
  const Tensor centers = 2 * rng.normal(index(3), {D}, "centers");
  return centers.index_select(0, group) + at::mm(rng.normal(index(n), {D}, "x"), mixing + at::eye(D, at::kDouble));
}

Tensor soft(int64_t n, int64_t K, uint64_t seed = 2) {
  return at::softmax(2 * Rng(seed).normal(index(n), {K}, "r"), -1);
}

Factored started(const PartOptions& o, const Tensor& x) {
  Factored part = make_part(o);
  const Batch batch = rows_batch(x.size(0));
  part.set_priors(moments(x, batch.weight));
  part.start(x, batch, soft(x.size(0), o.num_components));
  return part;
}

struct Case {
  Estimate estimate;
  std::string covariance;
};
std::string name(const Case& c) {
  const char* const estimates[] = {"ml", "map", "posterior"};
  return c.covariance + "_" + estimates[static_cast<int>(c.estimate)];
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"})
    for (const Estimate estimate : {Estimate::ml, Estimate::map, Estimate::posterior})
      all.push_back({estimate, covariance});
  return all;
}

class EStep : public testing::TestWithParam<Case> {
 protected:
  PartOptions options(int64_t D = 3, at::ScalarType dtype = at::kDouble) const {
    PartOptions o;
    o.num_features = D;
    o.estimate = GetParam().estimate;
    o.covariance = GetParam().covariance;
    o.dtype = dtype;
    return o;
  }
};

TEST_P(EStep, SumsAreTheAutogradGradient) {
  const Tensor x = blobs(300, 3);
  const Factored part = started(options(), x);
  Batch batch = rows_batch(300);
  batch.weight = Rng(4).uniform(index(300), {}, "w");
  TensorMap globals = globals_of(part);
  const Expectation e = part.expect(x, batch, globals);
  std::vector<Tensor> leaves;
  for (auto& entry : globals) leaves.push_back(entry.second = entry.second.detach().clone().requires_grad_());
  const Tensor bound = (part.log_norm(part.observation().statistics(x), batch, globals) * batch.weight).sum();
  const auto gradients = torch::autograd::grad({bound}, leaves);
  EXPECT_NEAR(bound.item<double>(), e.bound.item<double>(), 1e-11 * std::abs(bound.item<double>()));
  size_t i = 0;
  for (const auto& entry : globals)
    EXPECT_TRUE(at::allclose(e.sums.at(entry.first), gradients[i++], 1e-11, 1e-11)) << entry.first;
  EXPECT_NEAR(e.count.item<double>(), batch.weight.sum().item<double>(), 1e-11);
}

TEST_P(EStep, AFullPassNeverLowersTheBound) {
  const Tensor x = blobs(400, 3);
  const Factored part = started(options(), x);
  const Batch batch = rows_batch(400);
  double last = -std::numeric_limits<double>::infinity(), smallest = 1;
  for (int i = 0; i < 60; ++i) {
    const Expectation e = part.expect(x, batch, globals_of(part));
    const double bound = e.bound.item<double>() - kl_global(part);
    smallest = std::min(smallest, bound - last);
    last = bound;
    m_step(part, e);
  }
  EXPECT_GE(smallest, -1e-11 * std::abs(last));  // rounding of a sum of 400 terms
}

TEST_P(EStep, SplitsAddUp) {
  const Tensor x = blobs(1000, 3);
  const Factored part = started(options(), x);
  const TensorMap globals = globals_of(part);
  const Expectation whole = part.expect(x, rows_batch(1000), globals);
  Expectation parts;
  for (const auto& [from, to] : {std::pair<int64_t, int64_t>{0, 300}, {300, 300}, {300, 301}, {301, 1000}})
    parts += part.expect(x.slice(0, from, to), rows_batch(to - from), globals);
  EXPECT_EQ(parts.count.item<double>(), 1000);
  EXPECT_NEAR(parts.bound.item<double>(), whole.bound.item<double>(), 1e-10 * std::abs(whole.bound.item<double>()));
  for (const auto& [key, value] : whole.sums) EXPECT_TRUE(at::allclose(value, parts.sums.at(key), 1e-10, 1e-10)) << key;
}

TEST_P(EStep, AnEmptyBatchGivesZerosUnderEveryKey) {
  const Factored part = started(options(), blobs(50, 3));
  const Expectation e = part.expect(at::zeros({0, 3}, at::kDouble), rows_batch(0), globals_of(part));
  EXPECT_EQ(e.count.item<double>(), 0);
  EXPECT_EQ(e.bound.item<double>(), 0);
  for (const auto& [key, value] : globals_of(part))
    EXPECT_TRUE(at::equal(e.sums.at(key), at::zeros_like(value))) << key;
}

TEST_P(EStep, ThreadsChangeNoBit) {
  const Tensor x = blobs(5000, 6);
  const Factored part = started(options(6), x);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const Expectation one = part.expect(x, rows_batch(5000), globals_of(part));
  at::set_num_threads(2);
  const Expectation two = part.expect(x, rows_batch(5000), globals_of(part));
  const Expectation small_two = part.expect(x.slice(0, 0, 100), rows_batch(100), globals_of(part));
  at::set_num_threads(1);
  const Expectation small_one = part.expect(x.slice(0, 0, 100), rows_batch(100), globals_of(part));
  at::set_num_threads(before);
  EXPECT_EQ(one.bound.item<double>(), two.bound.item<double>());
  EXPECT_EQ(small_one.bound.item<double>(), small_two.bound.item<double>());
  for (const auto& [key, value] : one.sums) EXPECT_TRUE(at::equal(value, two.sums.at(key))) << key;
  for (const auto& [key, value] : small_one.sums) EXPECT_TRUE(at::equal(value, small_two.sums.at(key))) << key;
}

TEST_P(EStep, Float32KeepsFiveDigits) {
  const Tensor x = blobs(2000, 4);
  const Factored exact = started(options(4), x), part = started(options(4, at::kFloat), x);
  const Expectation a = exact.expect(x, rows_batch(2000), globals_of(exact)),
                    b = part.expect(x, rows_batch(2000), globals_of(exact));
  EXPECT_NEAR(b.bound.item<double>(), a.bound.item<double>(), 1e-5 * std::abs(a.bound.item<double>()));
  for (const auto& [key, value] : a.sums) {
    EXPECT_EQ(b.sums.at(key).scalar_type(), at::kDouble);
    EXPECT_LE((value - b.sums.at(key)).abs().max().item<double>(), 1e-5 * value.abs().max().item<double>()) << key;
  }
}

TEST_P(EStep, WholeWeightsAreRepeatedRowsInAnyOrder) {
  const Tensor x = blobs(200, 3), times = index(200).remainder(4);
  const Factored part = started(options(), x);
  Batch weighted = rows_batch(200);
  weighted.weight = times.to(at::kDouble);
  const Tensor rows = at::repeat_interleave(times), order = Rng(3).permutation(rows.size(0));
  const Expectation a = part.expect(x, weighted, globals_of(part));
  const Expectation b =
      part.expect(x.index_select(0, rows.index_select(0, order)), rows_batch(rows.size(0)), globals_of(part));
  EXPECT_NEAR(a.bound.item<double>(), b.bound.item<double>(), 1e-11 * std::abs(a.bound.item<double>()));
  for (const auto& [key, value] : a.sums) EXPECT_TRUE(at::allclose(value, b.sums.at(key), 1e-11, 1e-10)) << key;
  const Moments m = moments(x, weighted.weight),
                n = moments(x.index_select(0, rows), at::ones({rows.size(0)}, at::kDouble));
  EXPECT_TRUE(at::allclose(m.covariance(), n.covariance(), 1e-12, 1e-12));
}

// Nobody is assigned to components 2 and 3; they must stay harmless whatever the estimate. Their weight may be 0, whose
// log is -infinity.
TEST_P(EStep, AnEmptiedComponentNeverGivesNaN) {
  const Tensor x = blobs(100, 3);
  PartOptions o = options();
  o.num_components = 4;
  Factored part = make_part(o);
  const Batch batch = rows_batch(100);
  part.set_priors(moments(x, batch.weight));
  part.start(x, batch, at::one_hot(index(100).remainder(2), 4).to(at::kDouble));
  double last = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < 30; ++i) {
    const Expectation e = part.expect(x, batch, globals_of(part));
    for (const auto& [key, value] : e.sums) ASSERT_TRUE(at::isfinite(value).all().item<bool>()) << key;
    for (const auto& [key, value] : globals_of(part)) {
      const Tensor allowed =
          key == "weights.t" ? value.eq(-std::numeric_limits<double>::infinity()) : at::isfinite(value);
      ASSERT_TRUE(allowed.logical_or(at::isfinite(value)).all().item<bool>()) << key;
    }
    const double bound = e.bound.item<double>() - kl_global(part);
    EXPECT_GE(bound, last - 1e-10 * std::abs(bound));
    last = bound;
    m_step(part, e);
  }
}

TEST_P(EStep, RaggedItemsAreTheirRows) {
  const Tensor x = blobs(700, 3);
  const Factored part = started(options(), x);
  Batch ragged = rows_batch(4), flat = rows_batch(700);
  ragged.offsets = at::tensor({int64_t{0}, int64_t{300}, int64_t{300}, int64_t{650}, int64_t{700}});
  ragged.weight = at::tensor({1., 5., .5, 2.}, at::kDouble);
  flat.weight = ragged.weight.index_select(0, ragged.row_item());
  const Expectation a = part.expect(x, ragged, globals_of(part)), b = part.expect(x, flat, globals_of(part));
  EXPECT_NEAR(a.bound.item<double>(), b.bound.item<double>(), 1e-11 * std::abs(b.bound.item<double>()));
  for (const auto& [key, value] : b.sums) EXPECT_TRUE(at::allclose(value, a.sums.at(key), 1e-11, 1e-11)) << key;
  EXPECT_EQ(a.count.item<double>(), 8.5);
}

TEST_P(EStep, AssignGivesTheSumsOfTheGivenResponsibilities) {
  const Tensor x = blobs(300, 3), r = soft(300, 3);
  Factored part = make_part(options());
  Batch batch = rows_batch(300);
  batch.weight = Rng(4).uniform(index(300), {}, "w");
  part.set_priors(moments(x, batch.weight));
  const Expectation e = part.assign(x, batch, r);
  const Tensor marginals = r * batch.weight.unsqueeze(-1);
  const Tensor expected = part.observation().sums(part.observation().statistics(x), marginals);
  EXPECT_TRUE(
      at::allclose(e.sums.at("components.t"), part.observation().spread(expected).at("components.t"), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(e.sums.at("weights.t"), marginals.sum(0, true), 1e-12, 1e-12));
}

// The predictive density of any conjugate family is A(eta + s) - A(eta) + log_base.
TEST_P(EStep, PredictiveDensityIsARatioOfNormalisers) {
  if (GetParam().estimate == Estimate::ml) GTEST_SKIP() << "maximum likelihood has no posterior to integrate over";
  const Tensor x = blobs(20, 3);
  const Factored part = started(options(), x);
  const ConjugateBlock& block = *part.observation().blocks().at(0);
  const Tensor eta = block.eta(), s = part.observation().statistics(x);
  const Tensor log_p = part.observation().log_predictive(x);
  for (int64_t n = 0; n < 20; ++n)
    for (int64_t k = 0; k < 3; ++k) {
      const Tensor row = at::zeros({3, s.size(1)}, at::kDouble).index_put({at::scalar_tensor(k, at::kLong)}, s[n]);
      const Tensor more = eta + part.observation().spread(row).at("components.t");
      const Tensor expected = (block.family().log_partition(more) - block.family().log_partition(eta)).sum() +
                              part.observation().log_base(s);
      EXPECT_NEAR(log_p[n][k].item<double>(), expected.item<double>(), 1e-9) << n;
    }
}

// E_q[s] against draws of z, and its gradient against autograd through a quadrature-free identity: s is quadratic in z.
TEST_P(EStep, ExpectedStatisticsOfADiagonalNormal) {
  const Factored part = started(options(), blobs(60, 3));
  const Tensor mean = blobs(5, 3, 7), log_std = 0.3 * blobs(5, 3, 8);
  const DiagonalNormal q(mean, log_std);
  const Tensor expected = part.observation().statistics(q);
  // sigma points +-sqrt(D) sigma e_d integrate second moments exactly
  Tensor sum = at::zeros_like(expected);
  for (int64_t d = 0; d < 3; ++d)
    for (const double sign : {-1., 1.}) {
      const Tensor shift = at::one_hot(at::scalar_tensor(d, at::kLong), 3).to(at::kDouble) * sign * std::sqrt(3.);
      sum = sum + part.observation().statistics(q.rsample(shift.view({1, 1, 3})).squeeze(0));
    }
  EXPECT_TRUE(at::allclose(expected, sum / 6, 1e-13, 1e-13));
}

// Components at growing distances, in standard deviations, from the centre and from each other.
TEST_P(EStep, FarComponentsKeepTheirDigits) {
  for (const auto dtype : {at::kDouble, at::kFloat})
    for (const double distance : {50., 500., 1e4, 1e6}) {
      const Tensor side = index(400).remainder(2).to(at::kDouble) * 2 - 1;
      const Tensor x = 0.5 * distance * side.unsqueeze(-1) + Rng(1).normal(index(400), {2}, "x");
      PartOptions o = options(2, dtype);
      o.num_components = 2;
      if (o.estimate != Estimate::posterior) o.extra = "variance_floor = 1e-12\n";
      Factored part = make_part(o);
      const Batch batch = rows_batch(400);
      part.set_priors({at::zeros({2}, at::kDouble), at::eye(2, at::kDouble)});
      part.start(x, batch, at::one_hot(index(400).remainder(2), 2).to(at::kDouble));
      TensorMap globals = globals_of(part);
      for (auto& entry : globals) entry.second = entry.second.detach();
      const Tensor log_lik = part.observation().log_prob(x, part.observation().point(globals));
      const double exact = at::logsumexp(part.allocation().log_joint(log_lik, globals), -1).sum().item<double>();
      const double bound = part.expect(x, batch, globals).bound.item<double>();
      // float64: terms of 1e10 at most cancel, 1e-6 nats a row; float32: terms of 1e4, 1e-4 nats a row on average
      EXPECT_NEAR(bound, exact, 400 * (dtype == at::kFloat ? 1e-4 : 1e-6)) << distance;
    }
}

INSTANTIATE_TEST_SUITE_P(Table, EStep, testing::ValuesIn(cases()), [](const auto& info) { return name(info.param); });

// ---- against plain loops and textbook formulas ----

TEST(Factored, PointEstimatesAgreeWithPlainLoops) {
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"}) {
    PartOptions o;
    o.estimate = Estimate::ml;
    o.covariance = covariance;
    const Tensor x = blobs(60, 3);
    const Factored part = started(o, x);
    const TensorMap parts = part.observation().describe(part.observation().point());
    const Tensor covariances =
        covariance == "full" || covariance == "tied" ? parts.at("covariances") : at::diag_embed(parts.at("variances"));
    const Tensor joint =
        reference_log_joint(x, part.allocation().log_weights().exp().squeeze(0), parts.at("means"), covariances);
    const Expectation e = part.expect(x, rows_batch(60), globals_of(part));
    EXPECT_NEAR(e.bound.item<double>(), at::logsumexp(joint, -1).sum().item<double>(), 1e-9);
    const Tensor r = at::softmax(joint, -1);
    const Tensor one = at::ones({60, 1}, at::kDouble);
    const Tensor second = covariance == "full" || covariance == "tied"
                              ? NormalWishartFamily::packed(x.unsqueeze(2) * x.unsqueeze(1))
                              : x * x;
    const Tensor ones = second.size(1) == 3 ? one.expand({60, 3}) : one;
    const Tensor expected =
        part.observation().spread(at::mm(r.t(), at::cat({ones, x, second, ones}, 1))).at("components.t");
    EXPECT_TRUE(at::allclose(e.sums.at("components.t"), expected, 1e-10, 1e-10));
    EXPECT_TRUE(at::allclose(e.sums.at("weights.t")[0], r.sum(0), 1e-10, 1e-10));
  }
}

TEST(Factored, TheBoundIsTheSumOfTheTextbookTerms) {
  PartOptions o;
  o.concentration = 0.7;
  o.extra = "mean_strength = 0.3\ndegrees_of_freedom = 4.5\ncovariance_scale = 0.5\n";
  const Tensor x = blobs(80, 3);
  const Factored part = started(o, x);
  for (int i = 0; i < 5; ++i) {
    const Expectation e = part.expect(x, rows_batch(80), globals_of(part));
    const BishopParameters q = bishop(part, false), prior = bishop(part, true);
    const Tensor r = textbook_responsibilities(x, q);
    EXPECT_TRUE(at::allclose(e.sums.at("weights.t")[0], r.sum(0), 1e-9, 1e-9));
    const double expected = textbook_elbo(x, r, q, prior);
    EXPECT_NEAR(e.bound.item<double>() - kl_global(part), expected, 1e-10 * std::abs(expected));
    m_step(part, e);
  }
}

TEST(Factored, OneComponentGivesTheExactEvidence) {
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"}) {
    PartOptions o;
    o.num_components = 1;
    o.covariance = covariance;
    const Tensor x = blobs(50, 3);
    Factored part = make_part(o);
    part.set_priors(moments(x, at::ones({50}, at::kDouble)));
    const ConjugateBlock& block = *part.observation().blocks().at(0);
    const auto& family = block.family();
    const Tensor prior = block.eta_prior(), s = part.observation().statistics(x);
    // the chain rule of predictive densities, row by row
    double evidence = 0;
    for (int64_t n = 0; n < 50; ++n) {
      if (n > 0) m_step(part, part.expect(x.slice(0, 0, n), rows_batch(n), globals_of(part)));
      evidence += part.observation().log_predictive(x.slice(0, n, n + 1)).item<double>();
    }
    const Tensor eta = prior + part.observation().spread(s.sum(0, true)).at("components.t");
    m_step(part, part.expect(x, rows_batch(50), globals_of(part)));
    const double bound = part.expect(x, rows_batch(50), globals_of(part)).bound.item<double>() - kl_global(part);
    EXPECT_NEAR(bound, evidence, 1e-10 * std::abs(evidence)) << covariance;
    const double ratio =
        (family.log_partition(eta) - family.log_partition(prior)).item<double>() - 75 * std::log(2 * M_PI);
    EXPECT_NEAR(bound, ratio, 1e-10 * std::abs(evidence)) << covariance;
  }
}

TEST(Factored, DrawsFollowTheirComponents) {
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"})
    for (const Estimate estimate : {Estimate::ml, Estimate::posterior}) {
      PartOptions o;
      o.covariance = covariance;
      o.estimate = estimate;
      const Factored part = started(o, blobs(120, 3));
      const auto [x, component] = part.sample(at::arange(40000, at::kLong), Rng(8));
      const TensorMap parts = part.observation().describe(part.observation().point());
      for (int64_t k = 0; k < 3; ++k) {
        const Tensor rows = x.index_select(0, component.eq(k).nonzero().squeeze(-1));
        const double share = static_cast<double>(rows.size(0)) / 40000,
                     weight = part.allocation().log_weights()[0][k].exp().item<double>();
        EXPECT_NEAR(share, weight, 5 * std::sqrt(weight / 40000));
        const Tensor error = (rows.mean(0) - parts.at("means")[k]).abs() / (rows.std(0) / std::sqrt(rows.size(0)));
        EXPECT_LT(error.max().item<double>(), 5);
        // the mean log density under draws is minus the entropy: compare with the density at other draws by ranks
        const Tensor log_p = estimate == Estimate::ml ? part.observation().log_prob(rows, part.observation().point())
                                                      : part.observation().log_predictive(rows);
        EXPECT_TRUE(at::isfinite(log_p).all().item<bool>());
        if (estimate == Estimate::ml && covariance == "full") {
          const Tensor centred = rows - parts.at("means")[k], S = at::mm(centred.t(), centred) / rows.size(0);
          EXPECT_TRUE(at::allclose(S, parts.at("covariances")[k], 0.1, 0.1));  // 5 / sqrt(10000)
        }
      }
    }
}

// Importance weights of one density under draws of another have mean one: draws and log_predictive belong together.
TEST(Factored, PredictiveDrawsMatchThePredictiveDensity) {
  for (const std::string covariance : {"full", "diagonal", "tied", "spherical"}) {
    PartOptions o;
    o.covariance = covariance;
    o.num_components = 1;
    Factored part = make_part(o);
    const Tensor x = blobs(6, 3);  // few rows, so that the tails are heavy
    part.set_priors(moments(x, at::ones({6}, at::kDouble)));
    m_step(part, part.expect(x, rows_batch(6), globals_of(part)));
    const Tensor draws = part.sample(at::arange(60000, at::kLong), Rng(8)).first;
    const Tensor log_q = part.observation().log_predictive(draws);
    const TensorMap parts = part.observation().describe(part.observation().point());
    const Tensor S =
        covariance == "full" || covariance == "tied" ? parts.at("covariances") : at::diag_embed(parts.at("variances"));
    const Tensor ratio =
        (reference_log_joint(draws.slice(0, 0, 4000), at::ones({1}, at::kDouble), parts.at("means"), S) -
         log_q.slice(0, 0, 4000))
            .exp();
    EXPECT_NEAR(ratio.mean().item<double>(), 1, 5 * ratio.std().item<double>() / std::sqrt(4000.)) << covariance;
  }
}

class OtherDistribution final : public Distribution {
 public:
  Tensor mean() const override { return at::zeros({1, 3}, at::kDouble); }
  Tensor rsample(const Tensor& noise) const override { return noise; }
  Tensor log_prob(const Tensor& z) const override { return z.sum(-1); }
  Tensor entropy() const override { return at::zeros({1}, at::kDouble); }
};

TEST(Factored, ErrorsSayWhatIsWrong) {
  Factored part = make_part({});
  const auto message = [](const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([&] { part.observation().statistics(OtherDistribution()); }),
            "observation normal: as a prior it needs the variances of the posterior; distribution has none");
  part.set_priors({at::zeros({3}, at::kDouble), at::eye(3, at::kDouble)});
  EXPECT_EQ(message([&] {
              part.assign(at::zeros({4, 3}, at::kDouble), rows_batch(4), at::zeros({4, 2}, at::kDouble));
            }),
            "factored.assign: responsibilities of rows 0 to 4 have shape [4, 2] but [4, 3] is expected");
  EXPECT_EQ(message([&] {
              make_observation("degrees_of_freedom = 2\n", {3, at::kDouble, Estimate::posterior});
            }),
            "normal: degrees_of_freedom must be > 2 for 3 features and a full covariance, got 2");
  EXPECT_EQ(message([&] {
              make_observation("degrees_of_freedom = 2\n", {3, at::kDouble, Estimate::map});
            }),
            "normal: degrees_of_freedom must be >= 3 for 3 features and a full covariance, got 2");
  EXPECT_EQ(message([&] {
              make_observation("mean_strength = 2\n", {3, at::kDouble, Estimate::ml});
            }),
            "normal: mean_strength has no effect in this run; it takes effect when estimate is map or posterior");
  EXPECT_EQ(message([&] {
              make_observation("variance_floor = 0.1\n", {3, at::kDouble, Estimate::posterior});
            }),
            "normal: variance_floor has no effect in this run; it takes effect when estimate is ml or map");
}

}  // namespace factored_test
}  // namespace vem
