// Mixture weights: the fast kernel against autograd's default, and both against sums over every component.
#include "vem/infer/allocation.h"

#include <gtest/gtest.h>

#include "support/gaussian_reference.h"
#include "vem/core/error.h"

namespace vem {
namespace allocation_test {

Tensor log_lik(int64_t rows, double size) { return size * Rng(1).normal(at::arange(rows, at::kLong), {4}, "log_lik"); }

TensorMap globals(const Allocation& allocation) { return allocation.blocks().at(0)->globals(); }

std::shared_ptr<Allocation> weights(Estimate estimate, const std::string& toml = "") {
  const auto allocation = make_allocation(toml, {"prior.", 4, estimate});
  allocation->set_priors();
  Expectation e;
  e.sums["prior.weights.t"] = at::tensor({5., 1., 30., 2.}, at::kDouble).view({1, 4});
  allocation->blocks()[0]->m_step(e, Step(), Rng(0));
  return allocation;
}

TEST(MixtureWeights, TheKernelAgreesWithAutograd) {
  for (const Estimate estimate : {Estimate::ml, Estimate::map, Estimate::posterior})
    for (const double size : {1., 30., 1e4}) {
      const auto allocation = weights(estimate);
      Batch batch = rows_batch(50);
      batch.weight = Rng(2).uniform(batch.index, {}, "w");
      const auto fast = allocation->expect(log_lik(50, size), batch, globals(*allocation));
      const auto plain = allocation->Allocation::expect(log_lik(50, size), batch, globals(*allocation));
      EXPECT_NEAR(fast.bound.item<double>(), plain.bound.item<double>(), 1e-12 * std::abs(plain.bound.item<double>()));
      EXPECT_TRUE(at::allclose(fast.marginals, plain.marginals, 1e-12, 1e-14));
      EXPECT_TRUE(at::allclose(fast.sums.at("prior.weights.t"), plain.sums.at("prior.weights.t"), 1e-12, 1e-13));
    }
}

// Row 7 has density 0 under every component, row 9 under all but the second, and the third component has no weight.
TEST(MixtureWeights, AnImpossibleRowHasNoResponsibilities) {
  const double inf = std::numeric_limits<double>::infinity();
  const auto allocation = weights(Estimate::ml);
  TensorMap point{{"prior.weights.t", globals(*allocation).at("prior.weights.t").detach().clone()}};
  point["prior.weights.t"][0][2] = -inf;
  Tensor ll = log_lik(40, 3);
  ll[7].fill_(-inf);
  ll[9].fill_(-inf);
  ll[9][1] = 0.5;
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    Batch batch = rows_batch(40);
    const auto counts = allocation->expect(ll.to(type), batch, point);
    EXPECT_EQ(counts.bound.item<double>(), -inf);
    Tensor expected = at::softmax(ll + point["prior.weights.t"], 1);
    expected[7].zero_();
    EXPECT_TRUE(at::allclose(counts.marginals.to(at::kDouble), expected, 1e-5, 1e-6));
    EXPECT_EQ(counts.marginals[9][1].item<double>(), 1);
    EXPECT_NEAR(counts.sums.at("prior.weights.t").sum().item<double>(), 39, 1e-5);
    batch.weight[7] = 0;  // no part of the batch: its bound is that of the others
    EXPECT_NEAR(allocation->expect(ll.to(type), batch, point).bound.item<double>(),
                at::logsumexp(ll + point["prior.weights.t"], 1).masked_select(batch.weight > 0).sum().item<double>(),
                type == at::kFloat ? 1e-3 : 1e-10);
  }
}

TEST(MixtureWeights, LogNormSumsOverEveryComponent) {
  const auto allocation = weights(Estimate::ml);
  const Tensor ll = log_lik(6, 1), t = globals(*allocation).at("prior.weights.t").detach();
  EXPECT_NEAR(t.exp().sum().item<double>(), 1, 1e-14);
  const Tensor norm = allocation->log_norm(ll, rows_batch(6), globals(*allocation));
  for (int64_t n = 0; n < 6; ++n) {
    double sum = 0;
    for (int64_t k = 0; k < 4; ++k) sum += std::exp(ll[n][k].item<double>() + t[0][k].item<double>());
    EXPECT_NEAR(norm[n].item<double>(), std::log(sum), 1e-13);
  }
}

TEST(MixtureWeights, Float32StaysFloat32AndSumsInFloat64) {
  const auto allocation = weights(Estimate::posterior);
  const auto counts = allocation->expect(log_lik(50, 5).to(at::kFloat), rows_batch(50), globals(*allocation));
  EXPECT_EQ(counts.marginals.scalar_type(), at::kFloat);
  EXPECT_EQ(counts.sums.at("prior.weights.t").scalar_type(), at::kDouble);
  EXPECT_NEAR(counts.sums.at("prior.weights.t").sum().item<double>(), 50, 1e-4);
}

TEST(MixtureWeights, AnArgumentIsNotChanged) {
  const auto allocation = weights(Estimate::ml);
  const Tensor ll = log_lik(20, 3), before = ll.clone();
  allocation->expect(ll, rows_batch(20), globals(*allocation));
  EXPECT_TRUE(at::equal(ll, before));
}

TEST(MixtureWeights, PredictiveWeightsAreThePosteriorMean) {
  const auto allocation = weights(Estimate::posterior, "concentration = 0.5\n");
  const Tensor expected = at::tensor({5.5, 1.5, 30.5, 2.5}, at::kDouble) / 40;
  EXPECT_TRUE(at::allclose(allocation->log_weights().exp()[0], expected, 1e-14));
  const Tensor draws = allocation->sample(at::arange(40000, at::kLong), Rng(3));
  const Tensor share = at::bincount(draws, {}, 4).to(at::kDouble) / 40000;
  EXPECT_LT(((share - expected).abs() / (expected / 40000).sqrt()).max().item<double>(), 5);
  // What an export records has LibTorch's numbers.
  at::manual_seed(3);
  const Tensor recorded = allocation->sample(at::arange(40000, at::kLong), Rng::recorded());
  EXPECT_EQ(recorded.scalar_type(), at::kLong);
  const Tensor theirs = at::bincount(recorded, {}, 4).to(at::kDouble) / 40000;
  EXPECT_LT(((theirs - expected).abs() / (expected / 40000).sqrt()).max().item<double>(), 5);
}

TEST(MixtureWeights, ErrorsSayWhatIsWrong) {
  const auto message = [](const std::string& toml, Estimate estimate) {
    try {
      make_allocation(toml, {"", 4, estimate});
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(
      message("concentration = 0.5\n", Estimate::map),
      "mixture-weights: concentration must be >= 1 when estimate is map, got 0.5: below 1 the density of the weights "
      "has no mode");
  EXPECT_EQ(
      message("concentration = 0.5\n", Estimate::ml),
      "mixture-weights: concentration has no effect in this run; it takes effect when estimate is map or posterior");
  EXPECT_EQ(message("concentration = 0.5\n", Estimate::posterior), "no error");
}

}  // namespace allocation_test
}  // namespace vem
