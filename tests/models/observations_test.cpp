// Families of counts and categories: densities that sum to one, predictive densities, evidence, gaps, draws.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "support/models.h"
#include "vem/core/error.h"

namespace vem {
namespace observations_test {

struct Family {
  std::string name, toml;
  std::vector<double> rows;  // three of two columns
};

const std::vector<Family> kFamilies{{"bernoulli", "concentration = 0.7\n", {0, 1, 1, 1, 0, 0}},
                                    {"categorical", "num_symbols = 3\nconcentration = 0.7\n", {0, 2, 1, 1, 2, 0}},
                                    {"multinomial", "concentration = 0.7\n", {3, 1, 0, 4, 2, 2}},
                                    {"poisson", "shape = 1.5\n", {0, 3, 7, 1, 2, 2}},
                                    {"exponential", "shape = 1.5\n", {.1, 2, 1.5, .3, .7, 4}}};

Tensor rows_of(const Family& family) { return at::tensor(family.rows, at::kDouble).view({3, 2}); }

/// Two components whose q has seen the rows, unequally.
std::shared_ptr<Observation> seen(const Family& family, Estimate estimate = Estimate::posterior) {
  const std::string toml =
      estimate == Estimate::ml ? family.name == "categorical" ? "num_symbols = 3\n" : "" : family.toml;
  const auto observation = make_observation(toml, {2, at::kDouble, estimate, 2}, family.name);
  const Tensor x = rows_of(family);
  observation->set_priors(moments(x, at::ones({3}, at::kDouble)));
  const Tensor r = at::tensor({.2, .8, .7, .3, .5, .5}, at::kDouble).view({3, 2});
  Expectation total;
  total.sums = observation->spread(observation->sums(observation->statistics(x), r));
  observation->blocks()[0]->m_step(total, Step(), Rng(0));
  return observation;
}

/// Every row with cells in 0 .. largest.
Tensor grid(int64_t largest) {
  const Tensor cells = at::arange(largest + 1, at::kDouble);
  return at::stack({cells.repeat_interleave(largest + 1), cells.repeat({largest + 1})}, 1);
}

/// Rows that make up all outcomes, and the log of the measure of each.
std::pair<Tensor, double> outcomes(const std::string& name) {
  if (name == "bernoulli") return {grid(1), 0};
  if (name == "categorical") return {grid(2), 0};
  if (name == "poisson") return {grid(300), 0};
  if (name == "multinomial") {  // of five trials
    const Tensor first = at::arange(6, at::kDouble);
    return {at::stack({first, 5 - first}, 1), 0};
  }
  return {(grid(400) + 0.5) * 0.25, 2 * std::log(0.25)};  // midpoints
}

TEST(Observations, DensitiesSumToOne) {
  for (const Family& family : kFamilies)
    for (const Estimate estimate : {Estimate::map, Estimate::posterior}) {
      Family proper = family;
      if (estimate == Estimate::map && proper.toml.find("0.7") != std::string::npos)
        proper.toml.replace(proper.toml.find("0.7"), 3, "1.7");
      const auto observation = seen(proper, estimate);
      const auto [x, log_measure] = outcomes(family.name);
      const Tensor log_p =
          estimate == Estimate::map ? observation->log_prob(x, observation->point()) : observation->log_predictive(x);
      // exponential: midpoints of a step of 0.25, and Lomax tails beyond 100
      const double tolerance = family.name == "exponential" ? 2e-2 : family.name == "poisson" ? 1e-4 : 1e-12;
      for (int64_t k = 0; k < 2; ++k)
        EXPECT_NEAR(at::logsumexp(log_p.select(1, k), 0).item<double>() + log_measure, 0, tolerance) << family.name;
    }
}

TEST(Observations, PredictiveDensitiesAreRatiosOfNormalisers) {
  for (const Family& family : kFamilies) {
    const auto observation = seen(family);
    const ConjugateBlock& block = *observation->blocks()[0];
    const Tensor x = rows_of(family), s = observation->statistics(x), log_p = observation->log_predictive(x);
    for (int64_t n = 0; n < 3; ++n) {
      const Tensor base = observation->log_base(s.slice(0, n, n + 1)).reshape({-1});
      const Tensor expected =
          block.family().log_partition(block.eta() + s[n]) - block.family().log_partition(block.eta()) + base;
      EXPECT_TRUE(at::allclose(log_p[n], expected, 1e-11, 1e-11)) << family.name;
    }
  }
}

// One component: the bound is tight, so it is the log evidence, which the chain rule of predictive densities gives too.
TEST(Observations, OneComponentGivesTheExactEvidence) {
  for (const Family& family : kFamilies) {
    const auto observation = make_observation(family.toml, {2, at::kDouble, Estimate::posterior, 1}, family.name);
    const Factored part(make_allocation("", {"", 1, Estimate::posterior}), observation);
    const Tensor x = rows_of(family);
    part.allocation().blocks()[0]->set_prior(at::zeros({1, 1}, at::kDouble));
    observation->set_priors(moments(x, at::ones({3}, at::kDouble)));
    double evidence = 0;
    for (int64_t n = 0; n < 3; ++n) {
      if (n > 0) m_step(part, part.expect(x.slice(0, 0, n), rows_batch(n), globals_of(part)));
      evidence += observation->log_predictive(x.slice(0, n, n + 1)).item<double>();
    }
    m_step(part, part.expect(x, rows_batch(3), globals_of(part)));
    const double bound = part.expect(x, rows_batch(3), globals_of(part)).bound.item<double>() - kl_global(part);
    EXPECT_NEAR(bound, evidence, 1e-11 * std::abs(evidence)) << family.name;
  }
}

// A missing cell: the sum over its outcomes; of a multinomial, the distribution given the total of what is there.
TEST(Observations, MissingCellsAreSummedOut) {
  for (const Family& family : kFamilies) {
    if (family.name == "multinomial" || family.name == "exponential") continue;
    for (const Estimate estimate : {Estimate::ml, Estimate::posterior}) {
      const auto observation = seen(family, estimate);
      const int64_t largest = family.name == "poisson" ? 300 : family.name == "categorical" ? 2 : 1;
      const Tensor gap = at::tensor({1., std::nan("")}, at::kDouble).view({1, 2});
      const Tensor all = at::stack({at::ones({largest + 1}, at::kDouble), at::arange(largest + 1, at::kDouble)}, 1);
      const auto log_p = [&](const Tensor& x) {
        return estimate == Estimate::ml ? observation->log_prob(x, observation->point())
                                        : observation->log_predictive(x);
      };
      EXPECT_TRUE(at::allclose(log_p(gap)[0], at::logsumexp(log_p(all), 0), 1e-6, 1e-6)) << family.name;
    }
  }
}

TEST(Observations, MissingCountsOfAMultinomialLeaveItsShares) {
  const auto observation = make_observation("", {3, at::kDouble, Estimate::ml, 1}, "multinomial");
  Expectation total;
  total.sums["components.t"] = at::tensor({5., 3., 2.}, at::kDouble).view({1, 3});
  observation->blocks()[0]->m_step(total, Step(), Rng(0));
  const Tensor x = at::tensor({4., std::nan(""), 2.}, at::kDouble).view({1, 3});
  // binomial(6, 4; 5/7): 15 (5/7)^4 (2/7)^2
  const double expected = std::log(15.) + 4 * std::log(5. / 7) + 2 * std::log(2. / 7);
  EXPECT_NEAR(observation->log_prob(x, observation->point()).item<double>(), expected, 1e-12);
  const auto kernel = observation->incomplete_kernel(observation->point());
  const Tensor sums = kernel->sums(kernel->features(x), at::ones({1, 1}, at::kDouble));
  EXPECT_TRUE(at::allclose(sums, at::tensor({4., 6 * .3 / .7, 2.}, at::kDouble).view({1, 3})));
  // the predictive density of two cells is beta-binomial, whatever the third
  const auto posterior = make_observation("", {3, at::kDouble, Estimate::posterior, 1}, "multinomial");
  posterior->set_priors({});
  const auto lbeta = [](double a, double b) { return std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b); };
  EXPECT_NEAR(posterior->log_predictive(x).item<double>(), std::log(15.) + lbeta(5, 3) - lbeta(1, 1), 1e-12);
}

TEST(Observations, DrawsFollowTheirDensity) {
  const int64_t n = 20000;
  for (const Family& family : kFamilies)
    for (const Estimate estimate : {Estimate::ml, Estimate::posterior}) {
      const auto observation = seen(family, estimate);
      const Tensor index = at::arange(n, at::kLong), component = index.remainder(2);
      const Tensor x = estimate == Estimate::ml ? observation->sample(index, component, observation->point(), Rng(4))
                                                : observation->sample_predictive(index, component, Rng(4));
      EXPECT_TRUE(observation->supported(x).all().item<bool>()) << family.name;
      if (family.name == "multinomial") {
        EXPECT_TRUE(x.sum(1).eq(100).all().item<bool>());
        continue;
      }
      // by importance weights: under draws from p, the mean of q / p is one, with q a density of the same support
      const Tensor log_p =
          estimate == Estimate::ml ? observation->log_prob(x, observation->point()) : observation->log_predictive(x);
      const Tensor own = log_p.gather(1, component.unsqueeze(1)).squeeze(1);
      const Tensor other = log_p.gather(1, (1 - component).unsqueeze(1)).squeeze(1);
      const Tensor ratio = (other - own).clamp_max(8).exp();
      EXPECT_NEAR(ratio.mean().item<double>(), 1, 6 * ratio.std().item<double>() / std::sqrt(n)) << family.name;
    }
}

// A product of one family is that family; of several, log densities add up whatever the order of the columns.
TEST(Observations, AProductAddsItsParts) {
  const Registry& registry = plugins();
  const Observation::Context context{5, at::kDouble, Estimate::posterior, 2, "", {"a", "b", "c", "d", "e"}, &registry};
  const auto product = make_observation(
      "normal_columns = \"d, a\"\npoisson_columns = \"c\"\ncategorical_columns = \"b,e\"\n"
      "[part.categorical]\nkind = \"categorical\"\nnum_symbols = 3\n[part.normal]\nkind = \"normal\"\n",
      context, "product");
  Tensor x = at::tensor({.3, 2., 4., -1., 0., 1.5, 0., 1., .5, 1., -.2, 1., 0., .1, 2.}, at::kDouble).view({3, 5});
  product->set_priors(moments(x, at::ones({3}, at::kDouble)));
  EXPECT_EQ(product->parameters(), (std::vector<std::string>{"normal.means", "normal.covariances",
                                                             "categorical.probabilities", "poisson.rates"}));
  x[1][0] = std::nan("");
  x[2][1] = std::nan("");
  const auto columns = [&](const std::vector<int64_t>& places) {
    return x.index_select(1, at::tensor(places, at::kLong));
  };
  const auto part = [&](const std::string& name, const std::string& toml, const Tensor& rows) {
    Tensor complete = rows.clone();
    const auto observation = make_observation(toml, {rows.size(1), at::kDouble, Estimate::posterior, 2}, name);
    Tensor full = at::tensor({.3, 2., 4., -1., 0., 1.5, 0., 1., .5, 1., -.2, 1., 0., .1, 2.}, at::kDouble).view({3, 5});
    const std::vector<int64_t> places = name == "normal"    ? std::vector<int64_t>{3, 0}
                                        : name == "poisson" ? std::vector<int64_t>{2}
                                                            : std::vector<int64_t>{1, 4};
    observation->set_priors(moments(full.index_select(1, at::tensor(places, at::kLong)), at::ones({3}, at::kDouble)));
    return std::make_pair(observation->log_prob(rows, observation->point()), observation->log_predictive(rows));
  };
  const auto normal = part("normal", "", columns({3, 0})), poisson = part("poisson", "", columns({2})),
             categorical = part("categorical", "num_symbols = 3\n", columns({1, 4}));
  EXPECT_TRUE(at::allclose(product->log_prob(x, product->point()), normal.first + poisson.first + categorical.first));
  EXPECT_TRUE(at::allclose(product->log_predictive(x), normal.second + poisson.second + categorical.second));
  const auto kernel = product->incomplete_kernel(product->point());
  EXPECT_TRUE(at::allclose(kernel->log_lik(kernel->features(x)), product->log_prob(x, product->point())));
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Observations, ErrorsSayWhatIsWrong) {
  const Registry& registry = plugins();
  const auto product = [&](const std::string& toml) {
    return message([&] {
      make_observation(toml, {2, at::kDouble, Estimate::posterior, 2, "", {"length", "sex"}, &registry}, "product");
    });
  };
  EXPECT_EQ(product("normal_columns = \"length\"\n"),
            "product: column 'sex' belongs to no family; name it in one of the _columns, or leave it out of the data");
  EXPECT_EQ(product("normal_columns = \"lenght, sex\"\n"),
            "product: normal_columns names 'lenght', but the columns are length, sex; did you mean 'length'?");
  EXPECT_EQ(product("normal_columns = \"length,sex\"\npoisson_columns = \"sex\"\n"),
            "product: column 'sex' is named in normal_columns and in poisson_columns");
  Dataset data = sample_data(Sample::blobs);
  for (const auto& [kind, wanted] : std::map<std::string, std::string>{
           {"bernoulli", "0 or 1, or NaN where it is missing, is expected"},
           {"categorical", "a whole number in [0, 1] (num_symbols = 2), or NaN where it is missing, is expected"},
           {"poisson", "a whole number in 0 .. 2^46 (log-probabilities of larger counts keep no digits), or NaN"}}) {
    const auto model = make_model("[model]\nkind = \"mixture\"\nobservation = \"" + kind + "\"\n", data);
    const std::string text = message([&] { model->initialize(data, Rng(1)); });
    EXPECT_NE(text.find("in row 0, column 0; " + wanted), std::string::npos) << text;
  }
  EXPECT_EQ(message([&] {
              make_model("[model]\nkind = \"mixture\"\nobservation = \"poisson\"\nstandardize = false\n", data);
            }),
            "test:4: model.standardize has no effect in this run; it takes effect when the observation is real-valued "
            "and start is not "
            "run");
}

}  // namespace observations_test
}  // namespace vem
