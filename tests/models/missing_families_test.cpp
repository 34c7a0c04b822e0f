// Missing cells of the families other than the normal, exactly: of point estimates brute-force sums and integrals of
// complete rows, of posteriors numerical integrals over q(theta), and over the missing counts of a multinomial, whose
// cells depend on each other.
#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "support/models.h"
#include "vem/models/registry.h"

namespace vem {
namespace missing_families_test {

struct Family {
  std::string name, toml;
  Sample sample;
};

const std::vector<Family> kFamilies{{"bernoulli", "concentration = 1.5\n", Sample::bits},
                                    {"categorical", "num_symbols = 3\nconcentration = 1.5\n", Sample::symbols},
                                    {"multinomial", "concentration = 1.5\n", Sample::counts},
                                    {"poisson", "shape = 2.0\n", Sample::counts},
                                    {"exponential", "shape = 2.0\n", Sample::durations}};

Factored fitted(const Family& family, Estimate estimate, const Tensor& x) {
  const std::string prior = family.toml.substr(family.toml.rfind('\n', family.toml.size() - 2) + 1);
  std::string toml = family.toml;
  if (estimate == Estimate::ml) toml.erase(toml.size() - prior.size());
  Factored part(make_allocation(estimate == Estimate::ml ? "" : "concentration = 2.0\n", {"", 2, estimate}),
                make_observation(toml, {x.size(1), at::kDouble, estimate, 2}, family.name));
  const Batch batch = rows_batch(x.size(0));
  part.set_priors(moments(x, batch.weight));
  part.start(x, batch, at::arange(x.size(0), at::kLong).remainder(2));
  for (int i = 0; i < 4; ++i) m_step(part, part.expect(x, batch, globals_of(part)));
  return part;
}

/// The local bound of a row, by an E-step of its own.
double row_bound(const Factored& part, const Tensor& row) {
  return part.expect(row.view({1, -1}), rows_batch(1), globals_of(part)).bound.item<double>();
}

Tensor point_of(const Factored& part) { return part.observation().point(); }

/// The outcomes of a missing cell and log of the weight of each in a sum that stands for its integral.
std::pair<Tensor, Tensor> outcomes(const std::string& family) {
  if (family == "bernoulli") return {at::tensor({0., 1.}, at::kDouble), at::zeros({2}, at::kDouble)};
  if (family == "categorical") return {at::arange(3, at::kDouble), at::zeros({3}, at::kDouble)};
  if (family == "poisson") return {at::arange(80, at::kDouble), at::zeros({80}, at::kDouble)};
  // exp(u) on a line of u: the sum over trapezoids converges exponentially
  const Tensor u = at::linspace(-40, 10, 1001, at::kDouble);
  return {u.exp(), u + std::log(0.05)};
}

/// log of the sum over all outcomes of the missing cells of exp(joint), by the joint density of complete rows.
double brute_force(const Factored& part, const std::string& family, const Tensor& row) {
  const auto [values, log_weight] = outcomes(family);
  Tensor rows = row.view({1, -1}).clone(), log_w = at::zeros({1}, at::kDouble);
  const Tensor gaps = row.isnan().nonzero().squeeze(-1);
  for (int64_t g = 0; g < gaps.numel(); ++g) {
    const int64_t n = rows.size(0);
    rows = rows.repeat_interleave(values.numel(), 0);
    rows.select(1, gaps[g].item<int64_t>()).copy_(values.repeat({n}));
    log_w = log_w.repeat_interleave(values.numel()) + log_weight.repeat({n});
  }
  const Tensor weights = part.allocation().log_weights();
  return at::logsumexp((part.observation().log_prob(rows, point_of(part)) + weights + log_w.unsqueeze(1)).flatten(), 0)
      .item<double>();
}

/// Rows with at most two cells missing, of which there are some with one and with two.
std::vector<Tensor> rows_with_gaps(const Tensor& x) {
  std::vector<Tensor> rows;
  for (const Tensor& row : x.unbind(0))
    if (const int64_t gaps = row.isnan().sum().item<int64_t>(); gaps == 1 || gaps == 2) rows.push_back(row);
  return rows;
}

// The multinomial is left out: its missing cells are no sum over outcomes but the distribution given the total of what
// is there, which observations_test checks.
TEST(MissingFamilies, PointEstimatesGiveTheMarginalLikelihood) {
  for (const Family& family : kFamilies) {
    if (family.name == "multinomial") continue;
    const Tensor x = sample_data(family.sample).columns.at("x");
    for (const Estimate estimate : {Estimate::ml, Estimate::map}) {
      const Factored part = fitted(family, estimate, x);
      const std::vector<Tensor> rows = rows_with_gaps(x);
      ASSERT_GT(rows.size(), 10u);
      for (const Tensor& row : rows) {
        if (family.name == "exponential" && row.isnan().sum().item<int64_t>() > 1) continue;  // a million nodes
        const double expected = brute_force(part, family.name, row);
        EXPECT_NEAR(row_bound(part, row), expected, 1e-9 * std::max(1., std::abs(expected))) << family.name << row;
      }
    }
  }
}

/// E[f(p)] for p ~ Beta(a, b), on a line of logits. exp(-|u|) falls to 1e-30 within the ends.
double beta_mean(double a, double b, const std::function<Tensor(const Tensor& log_p, const Tensor& log_q)>& f) {
  const Tensor u = at::linspace(-120, 120, 24001, at::kDouble), log_p = at::log_sigmoid(u), log_q = at::log_sigmoid(-u);
  const Tensor density = (a * log_p + b * log_q).exp();  // with the Jacobian p q
  return ((density * f(log_p, log_q)).sum() / density.sum()).item<double>();
}

/// E[f(lambda)] for lambda ~ Gamma(a, rate b), on a line of logarithms.
double gamma_mean(double a, double b, const std::function<Tensor(const Tensor& log_lambda)>& f) {
  const Tensor u = at::linspace(-60, 12, 36001, at::kDouble), density = (a * u - b * u.exp()).exp();
  return ((density * f(u)).sum() / density.sum()).item<double>();
}

/// E_q[log p_c] of the groups of C probabilities whose Dirichlet parameters are alpha [G C].
Tensor expected_logs(const Tensor& alpha, int64_t C) {
  Tensor logs = at::zeros_like(alpha);
  for (int64_t i = 0; i < alpha.numel(); ++i) {
    const double own = alpha[i].item<double>(), all = alpha.slice(0, i / C * C, i / C * C + C).sum().item<double>();
    logs[i] = beta_mean(own, all - own, [](const Tensor& log_p, const Tensor&) { return log_p; });
  }
  return logs;
}

/// log of the sum over missing counts of exp E_q[log p]: beside those that are there, with x_+ in all, missing ones
/// have Gamma(x_+ + n) / (Gamma(x_+) prod m!) prod p^m, whose logarithm is linear in log p.
double counts_sum(const Tensor& row, const Tensor& logs) {
  const Tensor there = row.isnan().logical_not(), x = row.masked_select(there), total = x.sum();
  const double seen =
      (at::lgamma(total + 1) - at::lgamma(x + 1).sum() + (x * logs.masked_select(there)).sum()).item<double>();
  const Tensor lost = logs.masked_select(there.logical_not());
  if (lost.numel() == 0 || total.item<double>() == 0) return seen;
  const int64_t largest = lost.numel() == 1 ? 4000 : 400;  // terms fall geometrically
  const Tensor m = at::arange(largest, at::kDouble);
  Tensor terms = m * lost[0] - at::lgamma(m + 1), counts = m;
  if (lost.numel() == 2) {
    terms = (terms.unsqueeze(1) + m * lost[1] - at::lgamma(m + 1)).flatten();
    counts = (m.unsqueeze(1) + m).flatten();
  }
  return seen + at::logsumexp(terms + at::lgamma(total + counts) - at::lgamma(total), 0).item<double>();
}

/// E_q[log p(what is there | k)] by integrals over q(theta_k), whose natural parameters are eta [P].
double expected_log_density(const std::string& family, const Tensor& eta, const Tensor& row) {
  const int64_t D = row.numel();
  if (family == "multinomial") return counts_sum(row, expected_logs(eta + 1, D));
  double sum = 0;
  for (int64_t d = 0; d < D; ++d) {
    const double x = row[d].item<double>();
    if (std::isnan(x)) continue;
    if (family == "bernoulli") {
      const Tensor alpha = eta.slice(0, 2 * d, 2 * d + 2) + 1;
      sum += beta_mean(alpha[0].item<double>(), alpha[1].item<double>(),
                       [&](const Tensor& log_p, const Tensor& log_q) { return x * log_p + (1 - x) * log_q; });
    } else if (family == "categorical") {
      sum += expected_logs(eta.slice(0, 3 * d, 3 * d + 3) + 1, 3)[static_cast<int64_t>(x)].item<double>();
    } else {
      const bool poisson = family == "poisson";
      sum += gamma_mean(eta[d].item<double>() + 1, eta[D + d].item<double>(), [&](const Tensor& log_lambda) {
        return poisson ? x * log_lambda - log_lambda.exp() - std::lgamma(x + 1) : log_lambda - log_lambda.exp() * x;
      });
    }
  }
  return sum;
}

TEST(MissingFamilies, APosteriorIntegratesTheExpectedLogDensity) {
  for (const Family& family : kFamilies) {
    const Tensor x = sample_data(family.sample).columns.at("x");
    const Factored part = fitted(family, Estimate::posterior, x);
    const Tensor weights = expected_logs(part.allocation().blocks()[0]->eta()[0] + 1, 2);
    const Tensor eta = part.observation().blocks()[0]->eta();
    std::vector<Tensor> rows = rows_with_gaps(x);
    ASSERT_GT(rows.size(), 10u);
    rows.resize(10);
    rows.push_back(at::full_like(x[0], std::nan("")));
    for (const Tensor& row : rows) {
      Tensor joint = weights.clone();
      for (int64_t k = 0; k < 2; ++k) joint[k] += expected_log_density(family.name, eta[k], row);
      EXPECT_NEAR(row_bound(part, row), at::logsumexp(joint, 0).item<double>(), 1e-8) << family.name << row;
    }
  }
}

// Columns of several families: the product of what is there, by each family's own density.
TEST(MissingFamilies, AProductLeavesOutTheCellsOfEachFamily) {
  const Dataset data = sample_data(Sample::mixed);
  const Tensor x = data.columns.at("x");
  for (const std::string estimate : {"ml", "map", "posterior"}) {
    const Estimate kind = estimate == "ml" ? Estimate::ml : estimate == "map" ? Estimate::map : Estimate::posterior;
    Observation::Context context{4, at::kDouble, kind, 2};
    context.registry = &plugins();
    const auto rows = make_observation(
        "normal_columns = \"x0,x2\"\npoisson_columns = \"x1\"\ncategorical_columns = \"x3\"\n"
        "[part.categorical]\nkind = \"categorical\"\nnum_symbols = 3\n",
        context, "product");
    Factored own(make_allocation("", {"", 2, kind}), rows);
    const Batch batch = rows_batch(60);
    own.set_priors(moments(x, batch.weight));
    own.start(x, batch, at::arange(60, at::kLong).remainder(2));
    const TensorMap globals = globals_of(own);
    const Tensor w = own.allocation().blocks()[0]->t().detach()[0];
    const Tensor normal = globals.at("normal.components.t").detach(),
                 poisson = globals.at("poisson.components.t").detach(),
                 categorical = globals.at("categorical.components.t").detach();
    const auto alone = [&](const std::string& family, const std::string& toml, int64_t D) {
      return make_observation(toml, {D, at::kDouble, kind, 2}, family);
    };
    const auto n = alone("normal", "", 2), p = alone("poisson", "", 1),
               c = alone("categorical", "num_symbols = 3\n", 1);
    for (int64_t i = 0; i < 60; ++i) {
      const Tensor row = x.slice(0, i, i + 1), real = at::stack({row.select(1, 0), row.select(1, 2)}, 1);
      Tensor joint = w + n->log_prob(real, normal)[0];
      if (!std::isnan(row[0][1].item<double>())) joint = joint + p->log_prob(row.slice(1, 1, 2), poisson)[0];
      if (!std::isnan(row[0][3].item<double>())) joint = joint + c->log_prob(row.slice(1, 3, 4), categorical)[0];
      EXPECT_NEAR(row_bound(own, row[0]), at::logsumexp(joint, 0).item<double>(), 1e-9) << estimate << row;
    }
  }
}

}  // namespace missing_families_test
}  // namespace vem
