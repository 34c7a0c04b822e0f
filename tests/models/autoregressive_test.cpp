// Autoregressive rows: densities by their definition, the exact evidence, forecasts against all paths, recovery.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "support/gradcheck.h"
#include "support/models.h"
#include "vem/core/error.h"
#include "vem/dist/matrix_normal_wishart.h"
#include "vem/dist/normal_wishart.h"

namespace vem {
namespace autoregressive_test {

Tensor index(int64_t n) { return at::arange(n, at::kLong); }

Batch sequences(const std::vector<int64_t>& offsets) {
  Batch batch;
  batch.offsets = at::tensor(offsets, at::kLong);
  batch.index = index(batch.offsets.size(0) - 1);
  batch.weight = at::ones({batch.offsets.size(0) - 1}, at::kDouble);
  return batch;
}

Tensor history_of(const Tensor& x, const Tensor& offsets, int64_t lags) {
  return with_history([&](int64_t begin, int64_t end) { return x.slice(0, begin, end); }, offsets, 0, x.size(0), lags);
}

TEST(Autoregressive, HistoryStopsAtTheFirstRowOfAnItem) {
  const Tensor x = at::arange(14, at::kDouble).view({7, 2}), offsets = at::tensor({0, 3, 3, 4, 7}, at::kLong);
  const Tensor rows = history_of(x, offsets, 2);
  for (int64_t n = 0; n < 7; ++n)
    for (int64_t lag = 0; lag <= 2; ++lag) {
      const int64_t first = n < 3 ? 0 : n < 4 ? 3 : 4;
      const Tensor cells = rows[n].slice(0, 2 * lag, 2 * lag + 2);
      EXPECT_TRUE(n - lag >= first ? at::equal(cells, x[n - lag]) : cells.isnan().all().item<bool>()) << n << lag;
    }
  EXPECT_TRUE(at::allclose(with_history(x, offsets, 2), rows, 0, 0, true));  // what an export records
  // any block of rows, whose reader sees no rows before those that it needs
  for (int64_t begin = 0; begin < 7; ++begin) {
    const Tensor block = with_history(
        [&](int64_t from, int64_t to) {
          EXPECT_GE(from, begin - 2);
          return x.slice(0, from, to);
        },
        offsets, begin, 7, 2);
    EXPECT_TRUE(at::allclose(block, rows.slice(0, begin), 0, 0, true)) << begin;
  }
}

Tensor proper_eta() {
  const MatrixNormalWishartFamily family(2, 3, 0);
  const Rng rng(3);
  std::vector<Tensor> rows;
  for (const double scale : {1., 1.7}) {
    const Tensor G = rng.normal(index(3), {3}, "K"), H = rng.normal(index(2), {2}, "V");
    const Tensor K = at::mm(G, G.t()) + scale * at::eye(3, at::kDouble), V = at::mm(H, H.t()) + at::eye(2, at::kDouble);
    rows.push_back(family.natural({K.unsqueeze(0), scale * rng.normal(index(1), {2, 3}, "M"), V.unsqueeze(0),
                                   at::full({1}, 5.5 * scale, at::kDouble)}));
  }
  return at::cat(rows);
}

TEST(MatrixNormalWishart, TheMeanIsTheGradientOfTheLogPartition) {
  const MatrixNormalWishartFamily family(2, 3, 0);
  const Tensor eta = proper_eta(), leaf = eta.clone().requires_grad_();
  const Tensor gradient = torch::autograd::grad({family.log_partition(leaf).sum()}, {leaf})[0];
  EXPECT_TRUE(at::allclose(family.mean(eta), gradient, 1e-9, 1e-9));
}

TEST(MatrixNormalWishart, DrawsHaveTheMeanAndNoneBeatsTheMode) {
  const MatrixNormalWishartFamily family(2, 3, 0);
  const Tensor eta = proper_eta().slice(0, 0, 1);
  const Tensor draws = family.sample(eta.expand({4000, -1}).contiguous(), Rng(5));
  const Tensor error = (draws.mean(0) - family.mean(eta)[0]).abs(), spread = draws.std(0) / std::sqrt(4000.);
  EXPECT_TRUE((error < 5 * spread + 1e-12).all().item<bool>()) << error << spread;
  EXPECT_LE((draws * eta).sum(1).max().item<double>(), (eta * family.mode(eta)).sum().item<double>() + 1e-9);
}

TEST(MatrixNormalWishart, OneInputIsTheNormalWishart) {
  const NormalWishartFamily single(2, 0);
  const Tensor eta =
      single.natural({at::full({1}, 1.5, at::kDouble), at::tensor({.3, -.2}, at::kDouble).view({1, 2}),
                      at::tensor({2., .4, .4, 1.}, at::kDouble).view({1, 2, 2}), at::full({1}, 4.5, at::kDouble)});
  const MatrixNormalWishartFamily family(2, 1, 0);
  EXPECT_TRUE(at::allclose(family.log_partition(eta), single.log_partition(eta)));
  EXPECT_TRUE(at::allclose(family.mean(eta), single.mean(eta)));
  EXPECT_TRUE(at::allclose(family.mode(eta), single.mode(eta)));
}

/// Two components whose q has seen rows, unequally; D = 2, order 2.
std::shared_ptr<Observation> seen(Estimate estimate, int64_t K = 2) {
  const auto observation = make_observation("order = 2\n", {2, at::kDouble, estimate, K}, "autoregressive");
  const Tensor x = Rng(1).normal(index(40), {2}, "x").cumsum(0) * 0.5;
  observation->set_priors(moments(x, at::ones({40}, at::kDouble)));
  const Tensor s = observation->statistics(history_of(x, at::tensor({0, 40}, at::kLong), 2));
  Expectation total;
  total.sums = observation->spread(observation->sums(s, at::softmax(Rng(2).normal(index(40), {K}, "r"), -1)));
  observation->blocks()[0]->m_step(total, Step(), Rng(0));
  return observation;
}

TEST(Autoregressive, DensitiesAreThoseOfTheResiduals) {
  const auto observation = seen(Estimate::ml);
  const Tensor x = Rng(4).normal(index(9), {2}, "x"), offsets = at::tensor({0, 5, 6, 9}, at::kLong);
  const Tensor log_p = observation->log_prob(history_of(x, offsets, 2), observation->point());
  const TensorMap parts = observation->describe(observation->point());
  for (int64_t n = 0; n < 9; ++n)
    for (int64_t k = 0; k < 2; ++k) {
      const bool given = n < 2 || (n >= 5 && n != 8);
      if (given) {
        EXPECT_EQ(log_p[n][k].item<double>(), 0) << n;
        continue;
      }
      const Tensor mean =
          parts.at("intercepts")[k] + at::mv(parts.at("coefficients")[k], at::cat({x[n - 1], x[n - 2]}));
      const Tensor expected = reference_log_joint(x.slice(0, n, n + 1), at::ones({1}, at::kDouble), mean.view({1, 2}),
                                                  parts.at("covariances").slice(0, k, k + 1));
      EXPECT_NEAR(log_p[n][k].item<double>(), expected.item<double>(), 1e-10) << n;
    }
}

TEST(Autoregressive, PredictiveDensitiesAreRatiosOfNormalisers) {
  const auto observation = seen(Estimate::posterior);
  const ConjugateBlock& block = *observation->blocks()[0];
  const Tensor x = Rng(4).normal(index(6), {2}, "x");
  const Tensor rows = history_of(x, at::tensor({0, 6}, at::kLong), 2), s = observation->statistics(rows);
  const Tensor log_p = observation->log_predictive(rows), base = observation->log_base(s);
  for (int64_t n = 0; n < 6; ++n) {
    const Tensor expected =
        block.family().log_partition(block.eta() + s[n]) - block.family().log_partition(block.eta()) + base[n];
    EXPECT_TRUE(at::allclose(log_p[n], expected, 1e-10, 1e-10)) << n;
  }
}

// With one state the bound is tight: the log evidence, by the chain rule of predictive densities.
TEST(Autoregressive, OneStateGivesTheExactEvidence) {
  const auto observation = make_observation("order = 1\n", {2, at::kDouble, Estimate::posterior, 1}, "autoregressive");
  const Factored part(make_allocation("", {"", 1, Estimate::posterior}, "markov-chain"), observation);
  const Tensor x = Rng(1).normal(index(12), {2}, "x").cumsum(0);
  Factored(part).set_priors(moments(x, at::ones({12}, at::kDouble)));
  double evidence = 0;
  for (int64_t n = 1; n < 12; ++n) {
    if (n > 1) m_step(part, part.expect(x.slice(0, 0, n), sequences({0, n}), globals_of(part)));
    evidence += observation->log_predictive(at::cat({x[n], x[n - 1]}).unsqueeze(0)).item<double>();
  }
  m_step(part, part.expect(x, sequences({0, 12}), globals_of(part)));
  const double bound = part.expect(x, sequences({0, 12}), globals_of(part)).bound.item<double>() - kl_global(part);
  EXPECT_NEAR(bound, evidence, 1e-10 * std::abs(evidence));
}

// Moments of rows to come by the sum over all paths of states.
TEST(Autoregressive, ForecastsAreSumsOverAllPaths) {
  const auto observation = seen(Estimate::ml);
  const TensorMap parts = observation->describe(observation->point());
  const Tensor next = at::tensor({.3, .7}, at::kDouble).view({1, 2});
  const Tensor A = at::tensor({.8, .2, .4, .6}, at::kDouble).view({2, 2});
  const Tensor past = at::tensor({.5, -1., .2, .4}, at::kDouble).view({1, 4});
  const int64_t horizon = 4;
  const ColumnForecast forecast = observation->forecast(next, A, past, horizon, 0.9);
  const Tensor &mean = forecast.mean, &variance = forecast.variance;
  Tensor first = at::zeros({horizon, 2}, at::kDouble), second = at::zeros({horizon, 2}, at::kDouble);
  for (int64_t path = 0; path < 16; ++path) {
    Tensor m = past[0], S = at::zeros({4, 4}, at::kDouble);
    double p = 1;
    for (int64_t h = 0; h < horizon; ++h) {
      const int64_t k = path >> h & 1;
      p *= h == 0 ? next[0][k].item<double>() : A[path >> (h - 1) & 1][k].item<double>();
      const Tensor F = at::cat({parts.at("coefficients")[k], at::eye(4, at::kDouble).slice(0, 0, 2)});
      m = at::mv(F, m);
      m.slice(0, 0, 2).add_(parts.at("intercepts")[k]);
      S = at::mm(at::mm(F, S), F.t());
      S.slice(0, 0, 2).slice(1, 0, 2).add_(parts.at("covariances")[k]);
      // paths that agree up to h share its weight
      const double share = p / static_cast<double>(int64_t{1} << (horizon - 1 - h));
      first[h].add_(share * m.slice(0, 0, 2));
      second[h].add_(share * (S.diagonal() + m.square()).slice(0, 0, 2));
    }
  }
  EXPECT_TRUE(at::allclose(mean[0], first, 1e-10, 1e-10)) << mean << first;
  EXPECT_TRUE(at::allclose(variance[0], second - first.square(), 1e-10, 1e-10));
}

// Two regimes, drawn by the model from known parameters and found again: a rotation and a slow decay.
TEST(Autoregressive, FindsTheRegimesThatItDrew) {
  const int64_t n = 4000;
  const std::string toml =
      "[model]\nkind = \"hmm\"\nnum_components = 2\nestimate = \"ml\"\nstandardize = false\nstart = \"labels\"\n"
      "observation = {kind = \"autoregressive\"}\n";
  const Tensor A = at::tensor({.6, -.7, .7, .6, .3, 0., 0., -.5}, at::kDouble).view({2, 2, 2});
  const Tensor b = at::tensor({0., 0., 1., 1.}, at::kDouble).view({2, 2});
  const Tensor state = index(n).div(50, "floor").remainder(2), noise = 0.4 * Rng(2).normal(index(n), {2}, "e");
  std::vector<Tensor> rows{at::zeros({2}, at::kDouble)};
  for (int64_t t = 1; t < n; ++t) {
    const int64_t k = state[t].item<int64_t>();
    rows.push_back(b[k] + at::mv(A[k], rows.back()) + noise[t]);
  }
  Dataset data;
  data.size = 1;
  data.columns["x"] = at::stack(rows);
  data.columns["label"] = state.bitwise_xor(index(n).remainder(7).eq(0).to(at::kLong));  // a seventh is wrong
  data.offsets = at::tensor({int64_t{0}, n}, at::kLong);
  data.schema.item_shape = {2};
  data.schema.num_classes = 2;
  const auto model = make_model(toml, data);
  FitOptions options;
  options.epochs = 60;
  fit(*model, data, options, {plugins()});
  const std::vector<Method> methods = model->methods();
  const auto call = [&](const char* name, const std::vector<Tensor>& in) {
    return Model::find(methods, name)->call(in, Rng(0));
  };
  const Tensor path = call("predict", {data.columns["x"], data.offsets})[0];
  EXPECT_GT(path.eq(state).to(at::kDouble).mean().item<double>(), 0.95);
  const auto parts = call("component_parameters", {});
  for (int64_t k = 0; k < 2; ++k) {
    // standard errors of a regression: s (X'X)^-1/2, with 2,000 rows whose deviations are 0.4 at least: 0.4 / (0.4
    // sqrt(2000)) = 0.022 for coefficients; four of them, and some rows that are taken for the other regime
    EXPECT_LT((parts[2][k] - A[k]).abs().max().item<double>(), 0.1) << parts[2][k];
    EXPECT_LT((parts[1][k] - b[k]).abs().max().item<double>(), 0.1) << parts[1][k];
    EXPECT_LT((parts[3][k] - 0.16 * at::eye(2, at::kDouble)).abs().max().item<double>(), 0.02) << parts[3][k];
  }
  // the same on rows of another unit: a likelihood in the data's units, coefficients that go with them
  Dataset other = data;
  other.columns["x"] = 1000 + data.columns["x"] * at::tensor({10., .1}, at::kDouble);
  const auto scaled = make_model(toml.substr(0, toml.find("standardize")) + toml.substr(toml.find("start =")), other);
  fit(*scaled, other, options, {plugins()});
  const auto total = [](const Model& m, const Dataset& d) {
    return m.e_step(d.batch(at::zeros({1}, at::kLong), 0, at::kDouble), Step(), Rng(0)).bound.item<double>();
  };
  EXPECT_NEAR(total(*scaled, other), total(*model, data), 1e-3);  // log(10) + log(0.1) = 0; both stop near the optimum
}

TEST(Autoregressive, DrawsGoOnFromTheirPast) {
  const auto observation = seen(Estimate::ml, 1);
  const Tensor index = at::arange(20000, at::kLong),
               x = observation->sample(index, at::zeros_like(index), observation->point(), Rng(3));
  const TensorMap parts = observation->describe(observation->point());
  const Tensor u = at::cat({at::ones({19998, 1}, at::kDouble), x.slice(0, 1, -1), x.slice(0, 0, -2)}, 1),
               y = x.slice(0, 2);
  const Tensor gram = at::mm(u.t(), u), A = at::mm(at::linalg_inv(gram), at::mm(u.t(), y)).t();
  const Tensor residual = y - at::mm(u, A.t()), S = at::mm(residual.t(), residual) / 19998;
  const Tensor error = at::outer(S.diagonal(), at::linalg_inv(gram).diagonal()).sqrt();
  const Tensor truth = at::cat({parts.at("intercepts")[0].unsqueeze(1), parts.at("coefficients")[0]}, 1);
  EXPECT_TRUE(((A - truth).abs() < 5 * error).all().item<bool>()) << A << truth;
  EXPECT_TRUE(at::allclose(S, parts.at("covariances")[0], 0.05, 0.01));  // 5 sqrt(2 / 20000)
}

TEST(Autoregressive, ErrorsSayWhatIsWrong) {
  const auto message = [](const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  Dataset data = sample_data(Sample::blobs);
  EXPECT_EQ(message([&] { make_model("[model]\nkind = \"mixture\"\nobservation = \"autoregressive\"\n", data); }),
            "autoregressive: it looks back at earlier rows of a sequence, and mixture-weights has none; use a "
            "markov-chain");
  Dataset gaps = sample_data(Sample::gap_sequences);
  const auto model = make_model("[model]\nkind = \"hmm\"\nobservation = \"autoregressive\"\n", gaps);
  const std::string text = message([&] { model->initialize(gaps, Rng(0)); });
  EXPECT_NE(text.find("a finite number (rows that others follow may not be missing) is expected"), std::string::npos)
      << text;
}

}  // namespace autoregressive_test
}  // namespace vem
