// p(x | z): every likelihood integrates to one, has the mean it says, and gradients that central differences confirm.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gradcheck.h"
#include "vem/infer/likelihood.h"

namespace vem {
namespace likelihoods_test {

constexpr int64_t kFeatures = 3;

struct Case {
  std::string name, toml;
  Tensor grid, weight;      // quadrature of one feature: points and weights, or the points of a discrete support
  double tolerance = 1e-8;  // of the quadrature
  bool moments = false;     // whether two moments give the best constant decoder
};

/// Simpson's rule on [from, to]: h^4 of the fourth derivative, 1e-9 for the narrowest of these densities.
Case continuous(const std::string& name, const std::string& toml, double from, double to, bool moments) {
  const int64_t n = 4000;
  const double h = (to - from) / n;
  Tensor weight = at::ones({n + 1}, at::kDouble) * (2 * h / 3);
  weight.slice(0, 1, n, 2).mul_(2);
  weight[0] = weight[n] = h / 3;
  return {name, toml, at::linspace(from, to, n + 1, at::kDouble), weight, 1e-8, moments};
}

/// Trapezoids in s with x = sinh(pi / 2 sinh s), for heavy tails.
Case on_the_line(const std::string& name, const std::string& toml, int64_t n, double tolerance) {
  const Tensor s = at::linspace(-4, 4, n, at::kDouble), inner = s.sinh() * M_PI_2;
  const Tensor weight = inner.cosh() * s.cosh() * (M_PI_2 * 8 / static_cast<double>(n - 1));
  return {name, toml, inner.sinh(), weight, tolerance};
}

Case discrete(const std::string& name, const std::string& toml, const Tensor& points, bool moments = false) {
  return {name, toml, points, at::ones_like(points), 1e-8, moments};
}

std::vector<Case> cases() {
  const Tensor counts = at::arange(12000, at::kDouble);  // of means up to e^5
  return {discrete("bernoulli", "kind = \"bernoulli\"\n", at::arange(2, at::kDouble), true),
          continuous("continuous_bernoulli", "kind = \"continuous-bernoulli\"\n", 0, 1, true),
          continuous("normal_fixed", "kind = \"normal\"\nscale = \"fixed\"\nvalue = 0.8\n", -30, 30, true),
          continuous("normal_shared", "kind = \"normal\"\nscale = \"shared\"\n", -30, 30, true),
          continuous("normal_predicted", "kind = \"normal\"\nscale = \"predicted\"\n", -30, 30, true),
          // h^2 / 12 of the jump in slope at the mean
          on_the_line("laplace", "kind = \"laplace\"\n", 200001, 1e-6),
          on_the_line("student_t", "kind = \"student-t\"\nscale = \"predicted\"\n", 4001, 1e-8),
          discrete("discretized_logistic", "kind = \"discretized-logistic\"\n", at::arange(256, at::kDouble) / 255),
          discrete("discretized_mixture", "kind = \"discretized-logistic\"\nnum_levels = 8\nnum_components = 2\n",
                   at::arange(8, at::kDouble) / 7),
          discrete("categorical", "kind = \"categorical\"\nnum_categories = 4\n", at::arange(4, at::kDouble)),
          discrete("poisson", "kind = \"poisson\"\n", counts, true),
          discrete("negative_binomial", "kind = \"negative-binomial\"\n", counts),
          discrete("zero_inflated", "kind = \"negative-binomial\"\ndispersion = \"predicted\"\nzero_inflated = true\n",
                   counts)};
}

std::shared_ptr<Likelihood> make(const std::string& toml, int64_t features, at::ScalarType dtype,
                                 const std::shared_ptr<GradientBlock>& block = parameter_block()) {
  return plugins().create<Likelihood>(chosen("likelihood", toml),
                                      {features, dtype, block, std::make_shared<ConstantBlock>("constants")});
}

/// Rows that every likelihood takes as they are: whole numbers where it wants them.
Tensor rows_for(const Likelihood& likelihood, int64_t n, int64_t features) {
  const Tensor x = at::sigmoid(random({n, features}, "x"));
  return likelihood.whole_numbers() ? (2 * x).floor() : x;
}

class EveryLikelihood : public testing::TestWithParam<Case> {};

TEST_P(EveryLikelihood, IntegratesToOneAndHasItsMean) {
  const auto likelihood = make(GetParam().toml, 1, at::kDouble);
  for (const double output : {-6.0, -0.31, -0.29, -1e-4, 0.0, 0.2, 1.0, 5.0}) {
    Tensor outputs = at::full({1, 1, likelihood->parameters_per_feature()}, output, at::kDouble);
    for (int64_t i = 1; i < outputs.size(-1); ++i) outputs[0][0][i] = 0.1 * static_cast<double>(i) * output;
    const Tensor x = GetParam().grid.unsqueeze(-1);
    const Tensor density = likelihood->log_prob(outputs.expand({1, x.size(0), -1}), x)[0].exp() * GetParam().weight;
    EXPECT_NEAR(density.sum().item<double>(), 1, GetParam().tolerance) << output;
    EXPECT_NEAR((density * GetParam().grid).sum().item<double>(), likelihood->mean(outputs).item<double>(),
                10 * GetParam().tolerance)
        << output;
  }
}

TEST_P(EveryLikelihood, GradientsAreThoseOfCentralDifferences) {
  const auto block = parameter_block();
  const auto likelihood = make(GetParam().toml, kFeatures, at::kDouble, block);
  const Tensor x = rows_for(*likelihood, 4, kFeatures);
  const Tensor outputs = random({2, 4, kFeatures * likelihood->parameters_per_feature()}, "outputs") * 2;
  const auto value = [&](const std::vector<Tensor>& in) {
    return (likelihood->log_prob(in[0], x) * random({2, 4}, "w")).sum();
  };
  EXPECT_LT(gradient_error(value, {outputs}), 1e-6);
}

TEST_P(EveryLikelihood, DrawsHaveTheMean) {
  const auto likelihood = make(GetParam().toml, kFeatures, at::kDouble);
  const int64_t n = 40000;
  for (const double size : {0.1, 1.0, 4.0}) {
    const Tensor outputs = random({1, kFeatures * likelihood->parameters_per_feature()}, "outputs") * size;
    const Tensor rows = outputs.expand({n, -1}), draws = likelihood->sample(rows, Rng(3));
    const Tensor error = draws.mean(0) - likelihood->mean(outputs)[0],
                 spread = draws.std(0) / std::sqrt(static_cast<double>(n));
    // in standard errors; one draw of 40000 moves a mean of bits by 2.5e-5
    EXPECT_LT((error.abs() / spread.clamp_min(2e-5)).max().item<double>(), 4.5) << size;
  }
}

// A cell without a value leaves the others' likelihood, whatever the decoder says of it.
TEST_P(EveryLikelihood, MissingCellsAreLeftOut) {
  const auto whole = make(GetParam().toml, kFeatures, at::kDouble), single = make(GetParam().toml, 1, at::kDouble);
  const int64_t parameters = whole->parameters_per_feature();
  const Tensor outputs = random({2, 5, kFeatures * parameters}, "outputs"), x = rows_for(*whole, 5, kFeatures);
  Tensor gaps = x.clone();
  gaps.select(1, 1).fill_(NAN);
  Tensor expected = at::zeros({2, 5}, at::kDouble);
  for (const int64_t d : {0, 2})
    expected =
        expected + single->log_prob(outputs.view({2, 5, parameters, kFeatures}).select(-1, d), x.narrow(1, d, 1));
  EXPECT_LT((whole->log_prob(outputs, gaps) - expected).abs().max().item<double>(), 1e-12);
}

TEST_P(EveryLikelihood, TheOutputBiasIsTheBestConstantDecoder) {
  if (!GetParam().moments) GTEST_SKIP() << "takes more than two moments";
  const auto block = parameter_block();
  const auto likelihood = make(GetParam().toml, kFeatures, at::kDouble, block);
  const Tensor x = (random({50, kFeatures}, "rows") > 0.3).to(at::kDouble);  // in every support
  const Tensor bias = likelihood->output_bias(x.mean(0), x.var(0, false));
  std::vector<Tensor> inputs{bias.clone().requires_grad_()};
  for (const Parameter& p : block->parameters()) inputs.push_back(p.value);
  const Tensor total = likelihood->log_prob(inputs[0].expand({1, 50, -1}), x).sum();
  for (const Tensor& gradient : torch::autograd::grad({total}, inputs))
    EXPECT_LT(gradient.abs().max().item<double>(), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Table, EveryLikelihood, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

// The fused kernel against the plain formula, values and slopes, over the range of logits that training meets.
TEST(Bernoulli, TheFusedKernelEqualsThePlainFormula) {
  const auto likelihood = make("kind = \"bernoulli\"\n", 101, at::kFloat);
  for (const double size : {0.01, 1.0, 8.0, 60.0, 200.0}) {
    const Tensor logits = (random({3, 7, 101}, "logits") * size).to(at::kFloat).requires_grad_();
    const Tensor x = at::sigmoid(random({7, 101}, "x")).to(at::kFloat), weight = random({3, 7}, "weight");
    const Tensor plain_logits = logits.detach().to(at::kDouble).requires_grad_(), plain_x = x.to(at::kDouble);
    const Tensor fused = likelihood->log_prob(logits, x);
    const Tensor softplus = plain_logits.clamp_min(0) + at::log1p((-plain_logits.abs()).exp());
    const Tensor plain = (plain_x * plain_logits - softplus).sum(-1);
    // 101 terms in single precision
    EXPECT_LT(((fused.to(at::kDouble) - plain).abs() / (1 + plain.abs())).max().item<double>(), 2e-6) << size;
    const Tensor a = torch::autograd::grad({(fused * weight).sum()}, {logits})[0];
    const Tensor b = torch::autograd::grad({(plain * weight).sum()}, {plain_logits})[0];
    EXPECT_LT((a.to(at::kDouble) - b).abs().max().item<double>(), 2e-6) << size;  // weights up to 2.5
    const Tensor general = make("kind = \"bernoulli\"\n", 101, at::kDouble)->log_prob(plain_logits, plain_x);
    EXPECT_LT((general - plain).abs().max().item<double>(), 1e-9) << size;
  }
}

TEST(Bernoulli, TheFusedKernelTakesNoItems) {
  const auto likelihood = make("kind = \"bernoulli\"\n", 20, at::kFloat);
  EXPECT_EQ(likelihood->log_prob(at::zeros({2, 0, 20}), at::zeros({0, 20})).sizes(), at::IntArrayRef({2, 0}));
  Tensor x = at::zeros({2, 20});
  x[1][19] = std::nan("");
  const Tensor log_prob = likelihood->log_prob(at::zeros({1, 2, 20}), x)[0];
  EXPECT_NEAR(log_prob[0].item<double>(), -20 * std::log(2), 1e-5);
  EXPECT_NEAR(log_prob[1].item<double>(), -19 * std::log(2), 1e-5);
}

// Loaiza-Ganem and Cunningham 2019, equation 8: log C = log(2 atanh(1 - 2 p) / (1 - 2 p)) + the Bernoulli's own terms.
TEST(ContinuousBernoulli, AgreesWithThePaperAndIsSmoothAcrossTheSeries) {
  const auto exact = make("kind = \"continuous-bernoulli\"\n", 1, at::kDouble),
             single = make("kind = \"continuous-bernoulli\"\n", 1, at::kFloat);
  const Tensor x = at::full({1, 1}, 0.3, at::kDouble);
  for (const double l : {-20.0, -3.0, -0.5, -0.301, -0.3, -0.299, -0.05, 0.01, 0.1, 0.2999, 0.3001, 0.7, 15.0}) {
    const double p = 1 / (1 + std::exp(-l)),
                 paper = 0.3 * std::log(p) + 0.7 * std::log1p(-p) + std::log(2 * std::atanh(1 - 2 * p) / (1 - 2 * p));
    const Tensor at_l = at::full({1, 1, 1}, l, at::kDouble);
    EXPECT_NEAR(exact->log_prob(at_l, x).item<double>(), paper, 1e-9 * (1 + std::abs(paper))) << l;  // atanh near one
    Tensor logit = at::full({1, 1, 1}, l, at::kFloat).requires_grad_();
    const Tensor value = single->log_prob(logit, x.to(at::kFloat));
    EXPECT_NEAR(value.item<double>(), paper, 1e-6 * (1 + std::abs(paper))) << l;
    const double slope = torch::autograd::grad({value.sum()}, {logit})[0].item<double>();
    EXPECT_NEAR(slope, 0.3 - exact->mean(at_l).item<double>(), 2e-6) << l;
  }
}

TEST(ContinuousBernoulli, DrawsFollowExtremeLogits) {
  const auto likelihood = make("kind = \"continuous-bernoulli\"\n", 1, at::kFloat);
  for (const double l : {-300.0, 300.0}) {
    const Tensor outputs = at::full({20000, 1}, l, at::kFloat), draws = likelihood->sample(outputs, Rng(1));
    const double rest = l > 0 ? (1 - draws).mean().item<double>() : draws.mean().item<double>();
    EXPECT_NEAR(rest, 1 / 300.0, 4 / 300.0 / std::sqrt(20000.0));  // exponential: its spread is its mean
  }
}

// Three words, two draws: P(2, 0, 0) = p1^2, P(1, 1, 0) = 2 p1 p2 ..., one in all; a missing word gives the rest of it.
TEST(Multinomial, IsADistributionOverBagsOfOneSize) {
  const auto likelihood = make("kind = \"multinomial\"\n", 3, at::kDouble);
  const Tensor outputs = at::tensor({0.3, -1.0, 0.8}, at::kDouble), p = at::softmax(outputs, -1);
  const Tensor bags =
      at::tensor({2., 0., 0., 0., 2., 0., 0., 0., 2., 1., 1., 0., 1., 0., 1., 0., 1., 1.}, at::kDouble).view({6, 3});
  const Tensor log_prob = likelihood->log_prob(outputs.expand({1, 6, 3}), bags)[0];
  EXPECT_NEAR(log_prob.exp().sum().item<double>(), 1, 1e-12);
  EXPECT_NEAR(log_prob[3].exp().item<double>(), (2 * p[0] * p[1]).item<double>(), 1e-12);
  const Tensor rest = at::tensor({1., NAN, 2.}, at::kDouble).view({1, 3}), q = p / (p[0] + p[2]);
  EXPECT_NEAR(likelihood->log_prob(outputs.view({1, 1, 3}), rest).exp().item<double>(),
              (3 * q[0] * q[2] * q[2]).item<double>(), 1e-12);
}

TEST(Multinomial, ItsBiasIsTheBestConstantAndDrawsHaveTheMean) {
  const auto likelihood = make("kind = \"multinomial\"\n", 4, at::kDouble);
  const Tensor x = (3 * at::sigmoid(random({50, 4}, "x"))).floor();
  const Tensor bias = likelihood->output_bias(x.mean(0), x.var(0, false)).requires_grad_();
  const Tensor total = likelihood->log_prob(bias.expand({1, 50, 4}), x).sum();
  EXPECT_LT(torch::autograd::grad({total}, {bias})[0].abs().max().item<double>(), 1e-9);
  const int64_t n = 20000;
  const double size = x.mean(0).sum().item<double>();
  const Tensor draws = likelihood->sample(bias.detach().expand({n, 4}), Rng(5));
  EXPECT_EQ(draws.sum(1).min().item<double>(), std::round(size));
  const Tensor error = draws.mean(0) - likelihood->mean(bias.detach()) * (std::round(size) / size);
  EXPECT_LT((error.abs() / (draws.std(0) / std::sqrt(static_cast<double>(n)))).max().item<double>(), 4.5);
}

// Negative binomial counts of the same odds, given their total: by Polya's urn, which gives back one ball more of the
// colour that was drawn, P(2, 1, 0) = 3 a1 (a1 + 1) a2 / (A (A + 1) (A + 2)). A missing count leaves the others' urn.
TEST(DirichletMultinomial, IsPolyasUrn) {
  const auto likelihood = make("kind = \"dirichlet-multinomial\"\nconcentration = \"predicted\"\n", 3, at::kDouble);
  const Tensor a = at::tensor({0.3, 1.7, 0.8}, at::kDouble), outputs = a.log().view({1, 1, 3});
  const auto p = [&](const std::vector<double>& counts) {
    return likelihood->log_prob(outputs, at::tensor(counts, at::kDouble).view({1, 3})).exp().item<double>();
  };
  double sum = 0;
  for (double i = 0; i <= 5; ++i)
    for (double j = 0; i + j <= 5; ++j) sum += p({i, j, 5 - i - j});
  EXPECT_NEAR(sum, 1, 1e-12);
  EXPECT_NEAR(p({2, 1, 0}), 3 * .3 * 1.3 * 1.7 / (2.8 * 3.8 * 4.8), 1e-14);
  EXPECT_NEAR(p({1, NAN, 2}), 3 * .3 * .8 * 1.8 / (1.1 * 2.1 * 3.1), 1e-14);
  EXPECT_EQ(p({0, 0, 0}), 1);
  EXPECT_EQ(p({NAN, NAN, NAN}), 1);
}

TEST(DirichletMultinomial, FirmSharesAreAMultinomial) {
  const auto block = parameter_block();
  const auto firm = make("kind = \"dirichlet-multinomial\"\n", 4, at::kFloat, block),
             multinomial = make("kind = \"multinomial\"\n", 4, at::kFloat);
  block->parameters()[0].value.detach().fill_(std::log(1e12));
  const Tensor x = (1000 * at::sigmoid(random({5, 4}, "x"))).floor().to(at::kFloat);
  const Tensor outputs = random({2, 5, 4}, "outputs").to(at::kFloat);
  EXPECT_TRUE(at::allclose(firm->log_prob(outputs, x), multinomial->log_prob(outputs, x), 1e-5));  // float32
}

TEST(DirichletMultinomial, GradientsAreThoseOfCentralDifferences) {
  const auto block = parameter_block();
  Tensor x = (9 * at::sigmoid(random({5, 4}, "x"))).floor();
  x[1][2] = NAN;
  x[2].zero_();
  for (const std::string concentration : {"shared", "predicted"}) {
    const auto likelihood =
        make("kind = \"dirichlet-multinomial\"\nconcentration = \"" + concentration + "\"\n", 4, at::kDouble, block);
    const auto value = [&](const std::vector<Tensor>& in) {
      return (likelihood->log_prob(in[0], x) * random({2, 5}, "w")).sum();
    };
    const Tensor outputs = random({2, 5, 4}, "outputs");
    EXPECT_LT(gradient_error(value, {outputs}), 1e-6) << concentration;
    if (concentration == "predicted") continue;
    const Tensor parameter = block->parameters()[0].value;
    const double slope = torch::autograd::grad({value({outputs})}, {parameter})[0].item<double>(), h = 1e-5;
    const auto at_step = [&](double step) {
      const at::NoGradGuard off;
      parameter.fill_(step);
      return value({outputs}).item<double>();
    };
    EXPECT_NEAR(slope, (at_step(h) - at_step(-h)) / (2 * h), 1e-6);
  }
}

// Variances n p (1 - p) (n + A) / (1 + A).
TEST(DirichletMultinomial, DrawsHaveItsMoments) {
  const auto likelihood = make("kind = \"dirichlet-multinomial\"\nconcentration = \"predicted\"\n", 3, at::kDouble);
  likelihood->output_bias(at::tensor({10., 4., 6.}, at::kDouble), at::ones({3}, at::kDouble));
  const Tensor a = at::tensor({0.5, 1.5, 1.}, at::kDouble), p = a / 3;
  const int64_t n = 40000;
  const Tensor draws = likelihood->sample(a.log().expand({n, 3}), Rng(6));
  EXPECT_TRUE(draws.sum(1).eq(20).all().item<bool>());
  EXPECT_TRUE(at::allclose(likelihood->mean(a.log()), 20 * p));
  const Tensor variance = 20 * p * (1 - p) * 23. / 4.;
  EXPECT_LT(((draws.mean(0) - 20 * p).abs() / (variance / n).sqrt()).max().item<double>(), 4.5);
  EXPECT_LT((draws.var(0) / variance - 1).abs().max().item<double>(), 0.03);  // a share of 3 / sqrt(n), twice
}

// ---- counts whose means share out their total ----

// The product of Poissons has the probability of the total in it: without, it is the multinomial.
TEST(Library, PoissonsGivenTheirTotalAreAMultinomial) {
  const auto poissons = make("kind = \"poisson\"\nlibrary = \"observed\"\n", 4, at::kDouble),
             multinomial = make("kind = \"multinomial\"\n", 4, at::kDouble);
  Tensor x = (9 * at::sigmoid(random({5, 4}, "x"))).floor();
  x[1][2] = NAN;
  const Tensor outputs = random({1, 5, 4}, "outputs"), n = x.nan_to_num().sum(1);
  const Tensor log_total = n * n.log() - n - at::lgamma(n + 1);
  EXPECT_TRUE(at::allclose(poissons->log_prob(outputs, x)[0] - log_total, multinomial->log_prob(outputs, x)[0]));
}

const std::vector<std::string>& with_library() {
  static const std::vector<std::string> all{
      "kind = \"poisson\"\nlibrary = \"observed\"\n", "kind = \"negative-binomial\"\nlibrary = \"observed\"\n",
      "kind = \"negative-binomial\"\nlibrary = \"observed\"\nzero_inflated = true\ndispersion = \"predicted\"\n"};
  return all;
}

// The same family without a total, at the logs of total * softmax(outputs): cell by cell, missing ones left out.
TEST(Library, DensitiesAreThoseOfMeansThatShareTheTotal) {
  for (const std::string& toml : with_library()) {
    std::string plain_toml = toml;
    plain_toml.replace(toml.find("observed"), 8, "none");
    const auto given = make(toml, 4, at::kDouble), plain = make(plain_toml, 4, at::kDouble);
    const int64_t P = given->parameters_per_feature();
    const Tensor x = (6 * at::sigmoid(random({5, 4}, "x"))).floor(), outputs = random({2, 5, P * 4}, "outputs");
    Tensor rows = x.clone();
    rows[1][2] = NAN;
    rows[2].zero_();
    for (const int64_t hidden : {0, 1, 2}) {
      const Tensor row = rows[hidden].view({1, 4}), seen = row.isnan().logical_not();
      const Tensor logits = outputs.narrow(-1, 0, 4).select(1, hidden).unsqueeze(1).exp() * seen;
      const Tensor share = logits / logits.sum(-1, true);
      const double total = std::max(1e-8, row.nan_to_num().sum().item<double>());
      const Tensor log_mean = (total * share).log().masked_fill(seen.logical_not(), 0),
                   rest = outputs.select(1, hidden).unsqueeze(1).slice(-1, 4);
      const Tensor expected = plain->log_prob(at::cat({log_mean, rest}, -1), row),
                   got = given->log_prob(outputs.select(1, hidden).unsqueeze(1), row);
      EXPECT_LT((got - expected).abs().max().item<double>(), 1e-10) << toml << hidden;
    }
  }
}

// Cells are independent, each a distribution over all counts: exact sums at the means that a
// total of 60 gives, and the row 25 + 35 as the product of its cells.
TEST(Library, CellsSumToOneAndMultiply) {
  const int64_t n = 4000;  // means up to 60, far into the tails
  const Tensor row = at::tensor({25., 35.}, at::kDouble).view({1, 2});
  for (const std::string& toml : with_library()) {
    std::string none = toml;
    none.replace(toml.find("observed"), 8, "none");
    const auto given = make(toml, 2, at::kDouble), family = make(none, 2, at::kDouble);
    const Tensor outputs = random({1, 1, given->parameters_per_feature() * 2}, "outputs"),
                 share = at::softmax(outputs.narrow(-1, 0, 2), -1),
                 means = at::cat({(60 * share).log(), outputs.slice(-1, 2)}, -1);
    double product = 0;
    for (const int64_t d : {0, 1}) {
      Tensor counts = at::full({n, 2}, NAN, at::kDouble);
      counts.select(1, d).copy_(at::arange(n, at::kDouble));
      const Tensor cells = family->log_prob(means.expand({1, n, -1}), counts)[0];
      EXPECT_NEAR(cells.exp().sum().item<double>(), 1, 1e-8) << toml;
      product += cells[row[0][d].item<int64_t>()].item<double>();
    }
    EXPECT_NEAR(given->log_prob(outputs, row).item<double>(), product, 1e-10) << toml;
  }
}

TEST(Library, GradientsAreThoseOfCentralDifferences) {
  for (const std::string& toml : with_library()) {
    const auto likelihood = make(toml, kFeatures, at::kDouble);
    Tensor x = (6 * at::sigmoid(random({4, kFeatures}, "x"))).floor();
    x[2][1] = NAN;
    x[3].fill_(NAN);
    const Tensor outputs = random({2, 4, kFeatures * likelihood->parameters_per_feature()}, "outputs");
    const auto value = [&](const std::vector<Tensor>& in) {
      return (likelihood->log_prob(in[0], x) * random({2, 4}, "w")).sum();
    };
    EXPECT_LT(gradient_error(value, {outputs}), 1e-6) << toml;
    EXPECT_EQ(likelihood->log_prob(outputs, x).select(1, 3).abs().max().item<double>(), 0) << toml;
  }
}

// The size of a row says nothing of what it is made of: twice the counts, twice the means.
TEST(Library, MeansAndDrawsAreThoseOfAnAverageRow) {
  for (const std::string& toml : with_library()) {
    const auto likelihood = make(toml, 4, at::kDouble);
    const Tensor x = (9 * at::sigmoid(random({50, 4}, "x"))).floor();
    const Tensor bias = likelihood->output_bias(x.mean(0), x.var(0, false));
    const Tensor mean = likelihood->mean(bias);
    const bool inflated = toml.find("zero_inflated") != std::string::npos;
    EXPECT_TRUE(inflated || at::allclose(mean, x.mean(0), 1e-6, 1e-9)) << toml;
    const int64_t n = 20000;
    const Tensor draws = likelihood->sample(bias.expand({n, -1}), Rng(5));
    const Tensor error = draws.std(0) / std::sqrt(static_cast<double>(n));
    EXPECT_LT(((draws.mean(0) - mean).abs() / error).max().item<double>(), 4.5) << toml;
  }
}

TEST(NormalLikelihood, TheScaleHasAFloorThatKillsNoGradient) {
  const auto likelihood = make("kind = \"normal\"\nscale = \"predicted\"\nmin_scale = 0.01\n", 1, at::kDouble);
  const Tensor outputs = at::tensor({0.0, -12.0}, at::kDouble).view({1, 1, 2}).requires_grad_();
  const Tensor log_prob = likelihood->log_prob(outputs, at::ones({1, 1}, at::kDouble));
  EXPECT_NEAR(log_prob.item<double>(), -0.5 / 1e-4 - std::log(0.01) - 0.5 * std::log(2 * M_PI),
              10);  // e^-12 above the floor
  EXPECT_GT(torch::autograd::grad({log_prob.sum()}, {outputs})[0][0][0][1].item<double>(), 1.0);
}

}  // namespace likelihoods_test
}  // namespace vem
