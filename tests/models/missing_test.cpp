// Missing cells, exactly: brute-force marginals for points, numerical integration of exp E_q[log p] for posteriors.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "support/models.h"

namespace vem {
namespace missing_test {

const std::vector<std::string> kCovariances{"full", "tied", "diagonal", "spherical"};

/// Three blobs with a fifth of the cells missing; rows 0 .. 6 have every pattern but the complete one.
Tensor gappy() {
  Tensor x = sample_data(Sample::gaps).columns["x"].clone();
  for (int64_t pattern = 1; pattern < 8; ++pattern)
    for (int64_t d = 0; d < 3; ++d)
      if (pattern >> d & 1) x[pattern - 1][d] = std::nan("");
  return x;
}

Factored fitted(const std::string& covariance, Estimate estimate, const Tensor& x) {
  PartOptions o;
  o.covariance = covariance;
  o.estimate = estimate;
  Factored part = make_part(o);
  const Batch batch = rows_batch(x.size(0));
  part.set_priors(moments(x, batch.weight));
  part.start(x, batch, at::arange(x.size(0), at::kLong).remainder(3));
  for (int i = 0; i < 5; ++i) m_step(part, part.expect(x, batch, globals_of(part)));
  return part;
}

Tensor row_bound(const Factored& part, const Tensor& row) {
  return part.expect(row.view({1, -1}), rows_batch(1), globals_of(part)).bound;
}

TEST(Missing, PointEstimatesGiveTheMarginalLikelihood) {
  const Tensor x = gappy();
  for (const std::string& covariance : kCovariances)
    for (const Estimate estimate : {Estimate::ml, Estimate::map}) {
      const Factored part = fitted(covariance, estimate, x);
      const TensorMap parts = part.observation().describe(part.observation().point());
      const Tensor S = parts.count("covariances") ? parts.at("covariances") : at::diag_embed(parts.at("variances"));
      const Tensor weights = part.allocation().log_weights().exp().squeeze(0);
      const Tensor log_lik = part.observation().log_prob(x, part.observation().point());
      for (int64_t n = 0; n < 20; ++n) {
        const Tensor there = x[n].isnan().logical_not().nonzero().squeeze(-1);
        const Tensor joint = there.numel() == 0 ? weights.log().view({1, -1})
                                                : reference_log_joint(x[n].index_select(0, there).view({1, -1}),
                                                                      weights, parts.at("means").index_select(1, there),
                                                                      S.index_select(1, there).index_select(2, there));
        EXPECT_NEAR(row_bound(part, x[n]).item<double>(), at::logsumexp(joint, -1).item<double>(), 1e-10)
            << covariance << " row " << n;
        EXPECT_TRUE(at::allclose(log_lik[n] + weights.log(), joint[0], 1e-10, 1e-10)) << covariance << n;
      }
    }
}

/// log of the integral of exp over a grid of so many cells that are missing, each from -a to a.
double log_integral(const std::function<Tensor(const Tensor&)>& log_f, const Tensor& row) {
  const Tensor gaps = row.isnan().nonzero().squeeze(-1);
  const int64_t points = 241;
  const double reach = 60, width = 2 * reach / (points - 1);
  const Tensor line = at::linspace(-reach, reach, points, at::kDouble);
  Tensor rows = row.view({1, -1});
  for (int64_t i = 0; i < gaps.numel(); ++i) {
    rows = rows.repeat_interleave(points, 0);
    rows.select(1, gaps[i].item<int64_t>()).copy_(line.repeat({rows.size(0) / points}));
  }
  return (at::logsumexp(log_f(rows), 0) + gaps.numel() * std::log(width)).item<double>();
}

// Trapezoids converge exponentially for an analytic function that falls to zero: a step of half a standard deviation is
// enough for 10 digits.
TEST(Missing, APosteriorOfFullCovariancesIntegratesTheExpectedLogDensity) {
  const Tensor x = gappy();
  for (const std::string covariance : {"full", "tied"}) {
    const Factored part = fitted(covariance, Estimate::posterior, x);
    const auto bound_of_rows = [&](const Tensor& rows) {
      return part.log_norm(part.observation().statistics(rows), rows_batch(rows.size(0)), globals_of(part)).detach();
    };
    for (int64_t n = 0; n < 6; ++n)
      EXPECT_NEAR(row_bound(part, x[n]).item<double>(), log_integral(bound_of_rows, x[n].clone()), 1e-7)
          << covariance << " row " << n;
  }
}

// Where cells are independent given the component, what is missing leaves the model: exp E_q[log p(x_o | k)].
TEST(Missing, APosteriorOfIndependentCellsLeavesThemOut) {
  const Tensor x = gappy();
  for (const std::string covariance : {"diagonal", "spherical"}) {
    const Factored part = fitted(covariance, Estimate::posterior, x);
    const Tensor t = part.observation().point();  // four groups of D numbers
    for (int64_t n = 0; n < 20; ++n) {
      Tensor joint = part.allocation().blocks()[0]->t().detach()[0].clone();
      for (int64_t d = 0; d < 3; ++d) {
        const double v = x[n][d].item<double>();
        if (std::isnan(v)) continue;
        joint = joint + t.select(1, d) + v * t.select(1, 3 + d) + v * v * t.select(1, 6 + d) + t.select(1, 9 + d) -
                0.5 * std::log(2 * M_PI);
      }
      EXPECT_NEAR(row_bound(part, x[n]).item<double>(), at::logsumexp(joint, 0).item<double>(), 1e-10) << covariance;
    }
  }
}

// The predictive density of what is there is the integral of that of the complete row.
TEST(Missing, PredictiveDensitiesAreMarginals) {
  const Tensor x = gappy();
  for (const std::string& covariance : kCovariances) {
    const Factored part = fitted(covariance, Estimate::posterior, x);
    const Tensor log_p = part.observation().log_predictive(x);
    EXPECT_TRUE(at::allclose(log_p[6], at::zeros({3}, at::kDouble)));
    for (int64_t k = 0; k < 3; ++k)
      for (const int64_t n : {0, 1, 3}) {  // one cell is missing
        const auto complete = [&](const Tensor& rows) { return part.observation().log_predictive(rows).select(1, k); };
        // Student tails beyond the grid: less than 1e-4 of the mass
        EXPECT_NEAR(log_p[n][k].item<double>(), log_integral(complete, x[n].clone()), 2e-4) << covariance << n << k;
      }
  }
}

// By the regression of one column on the others within each component, weighted by responsibilities.
TEST(Missing, ImputedCellsAreConditionalMeans) {
  Dataset data = sample_data(Sample::gaps);
  for (const std::string& covariance : kCovariances) {
    const auto model = make_model(
        "[model]\nkind = \"gmm\"\nnum_components = 3\nestimate = \"ml\"\n"
        "[model.observation]\nkind = \"normal\"\ncovariance = \"" +
            covariance + "\"\n",
        data);
    FitOptions options;
    options.epochs = 5;
    fit(*model, data, options, {plugins()});
    const auto methods = model->methods();
    const auto call = [&](const std::string& name, const std::vector<Tensor>& in) {
      return Model::find(methods, name)->call(in, Rng(0));
    };
    const Tensor x = data.columns["x"], filled = call("impute", {x})[0], r = call("responsibilities", {x})[0];
    EXPECT_EQ(filled.isnan().sum().item<int64_t>(), 0);
    EXPECT_TRUE(at::allclose(at::where(x.isnan(), x, filled), x, 1e-12, 1e-12, true));
    const auto parts = call("component_parameters", {});
    const Tensor S = parts[2].dim() == 3 ? parts[2] : at::diag_embed(parts[2]);
    for (int64_t n = 0; n < 20; ++n) {
      const Tensor gap = x[n].isnan().nonzero().squeeze(-1), there = x[n].isnan().logical_not().nonzero().squeeze(-1);
      if (gap.numel() == 0 || there.numel() == 0) continue;
      Tensor expected = at::zeros({gap.numel()}, at::kDouble);
      for (int64_t k = 0; k < 3; ++k) {
        const Tensor across = S[k].index_select(0, gap).index_select(1, there),
                     own = S[k].index_select(0, there).index_select(1, there);
        const Tensor residual = x[n].index_select(0, there) - parts[1][k].index_select(0, there);
        expected = expected +
                   r[n][k] * (parts[1][k].index_select(0, gap) + at::mv(at::mm(across, at::linalg_inv(own)), residual));
      }
      EXPECT_TRUE(at::allclose(filled[n].index_select(0, gap), expected, 1e-9, 1e-9)) << covariance << n;
    }
  }
}

TEST(Missing, MomentsCountTheCellsThatAreThere) {
  const Tensor x = gappy(), weight = at::ones({60}, at::kDouble);
  const Moments m = moments(x, weight);
  const Tensor covariance = m.covariance();
  for (int64_t d = 0; d < 3; ++d) {
    const Tensor column = x.select(1, d), cells = column.index({column.isnan().logical_not()});
    EXPECT_NEAR(m.mean[d].item<double>(), cells.mean().item<double>(), 1e-12);
    EXPECT_NEAR(m.variance[d].item<double>(), cells.var().item<double>(), 1e-12);
    EXPECT_EQ(covariance[d][d].item<double>(), m.variance[d].item<double>());
  }
  EXPECT_GT(std::get<0>(at::linalg_eigh(covariance))[0].item<double>(), 0);
}

}  // namespace missing_test
}  // namespace vem
