// The CSR kernel of latent Dirichlet allocation against the dense reference, and its sampler against enumeration.
#include "../models/lda/kernel.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "support/lda_reference.h"
#include "support/models.h"
#include "vem/dist/dirichlet_concentration.h"

namespace vem {
namespace lda_kernel_test {

constexpr int64_t kDocuments = 9, kWords = 7, kTopics = 3;

struct Toy {
  DenseLda dense;
  Batch batch;
  Tensor start;
  double log_norm;
};

/// Nine documents over seven words, one of them empty; alpha is not symmetric, weights are 0, 1 and 2.
Toy toy(bool collapsed) {
  const Rng rng(4);
  const Tensor index = at::arange(kDocuments, at::kLong);
  Tensor counts = (rng.uniform(index, {kWords}, "counts") * 4).floor();
  counts[5].zero_();
  const Tensor beta = rng.normal(at::arange(kTopics, at::kLong), {kWords}, "beta");
  Toy t{{counts, at::log_softmax(beta, 1), at::tensor({0.2, 0.5, 1.1}, at::kDouble), collapsed},
        documents_of_counts(counts).batch(index, 0, at::kDouble),
        rng.uniform(index, {kTopics}, "gamma") * 3 + 0.1,
        0};
  t.batch.weight = index.remainder(3).to(at::kDouble);
  t.log_norm = DirichletConcentration::point(collapsed ? t.dense.alpha + 1 : t.dense.alpha)[0][kTopics].item<double>();
  return t;
}

void expect_sweeps(const LdaExpectation& ours, const Toy& t, const DenseSweep& dense, double tolerance) {
  const Tensor& weight = t.batch.weight;
  EXPECT_NEAR(ours.bound.item<double>(), (weight * dense.bound).sum().item<double>(), tolerance * 100);
  EXPECT_LE(difference(ours.topics, (weight.view({-1, 1, 1}) * dense.topics).sum(0)), tolerance * 10);
  EXPECT_LE(difference(ours.log_theta, (weight.unsqueeze(1) * dense.log_theta).sum(0)), tolerance * 10);
  EXPECT_LE(difference(ours.gamma, dense.gamma), tolerance * 10);
}

// float64: rounding of sums of some hundred numbers of size 1 to 10; float32: of single products.
TEST(LdaKernel, EverySweepIsTheDenseReferences) {
  for (const bool collapsed : {false, true})
    for (const auto& [dtype, tolerance] : {std::pair{at::kDouble, 1e-12}, std::pair{at::kFloat, 1e-6}})
      for (const bool fresh : {false, true}) {
        const Toy t = toy(collapsed);
        const LdaKernel kernel(t.dense.log_beta, t.dense.alpha, dtype);
        LdaSettings settings;
        settings.update = collapsed ? LdaUpdate::collapsed : LdaUpdate::variational;
        Tensor gamma = fresh ? dense_start(t.dense) : t.start.to(dtype).to(at::kDouble);
        for (const int64_t sweeps : {1, 2, 5}) {
          settings.max_iterations = sweeps;
          Tensor begin = gamma;
          for (int64_t i = 1; i < sweeps; ++i) begin = dense_sweep(t.dense, begin).gamma;
          expect_sweeps(kernel.expect(t.batch, fresh ? Tensor() : t.start, t.log_norm, settings), t,
                        dense_sweep(t.dense, begin), tolerance);
        }
      }
}

TEST(LdaKernel, DocumentsNeverSeenBeginFreshAndEmptyOnesChangeNothing) {
  const Toy t = toy(false);
  const LdaKernel kernel(t.dense.log_beta, t.dense.alpha, at::kDouble);
  Tensor half = t.start.clone();
  half.slice(0, 0, 4).fill_(std::nan(""));
  const Tensor mixed = at::cat({dense_start(t.dense).slice(0, 0, 4), t.start.slice(0, 4)});
  expect_sweeps(kernel.expect(t.batch, half, t.log_norm, {}), t, dense_sweep(t.dense, mixed), 1e-12);
  // without the empty document
  const Tensor others = at::tensor({0, 1, 2, 3, 4, 6, 7, 8}, at::kLong);
  Batch rest = documents_of_counts(t.dense.counts).batch(others, 0, at::kDouble);
  rest.weight = t.batch.weight.index_select(0, others);
  const LdaExpectation with = kernel.expect(t.batch, {}, t.log_norm, {}),
                       without = kernel.expect(rest, {}, t.log_norm, {});
  EXPECT_EQ(with.bound.item<double>(), without.bound.item<double>());
  EXPECT_EQ(difference(with.topics, without.topics), 0);
  EXPECT_EQ(difference(with.log_theta, without.log_theta), 0);
  EXPECT_EQ(difference(with.gamma[5], t.dense.alpha), 0);
  EXPECT_EQ(with.documents.item<double>(), without.documents.item<double>());
}

TEST(LdaKernel, StopsWhereGammaStandsStillAndCountsSweeps) {
  const Toy t = toy(false);
  const LdaKernel kernel(t.dense.log_beta, t.dense.alpha, at::kDouble);
  LdaSettings settings{LdaUpdate::variational, 100000, 1e-13, true};
  const LdaExpectation done = kernel.expect(t.batch, {}, t.log_norm, settings);
  const double sweeps = done.iterations.item<double>() / done.documents.item<double>();
  EXPECT_GT(sweeps, 3);
  EXPECT_LT(sweeps, 5000);
  EXPECT_LE(difference(dense_sweep(t.dense, done.gamma).gamma, done.gamma), 1e-11);
  settings.max_iterations = 3;
  settings.tolerance = 0;
  const LdaExpectation three = kernel.expect(t.batch, {}, t.log_norm, settings);
  EXPECT_EQ(three.iterations.item<double>(), 3 * three.documents.item<double>());
}

// The weights of a word that only an unused topic knows are exp(-100) times exp(-100): nothing in float32.
TEST(LdaKernel, ProductsThatUnderflowAreDoneInLogarithms) {
  Toy t = toy(false);
  t.dense.alpha = at::full({kTopics}, 0.01, at::kDouble);
  t.dense.log_beta = at::full({kTopics, kWords}, -100., at::kDouble);
  for (int64_t v = 0; v < kWords; ++v) t.dense.log_beta[v % kTopics][v] = -1;
  t.log_norm = DirichletConcentration::point(t.dense.alpha)[0][kTopics].item<double>();
  Tensor start = at::full({kDocuments, kTopics}, 0.01, at::kDouble);
  start.select(1, 0).fill_(20);
  t.dense.alpha = t.dense.alpha.clone();
  for (const auto& [dtype, tolerance] : {std::pair{at::kDouble, 1e-11}, std::pair{at::kFloat, 1e-5}}) {
    const LdaExpectation ours =
        LdaKernel(t.dense.log_beta, t.dense.alpha, dtype).expect(t.batch, start, t.log_norm, {});
    const DenseSweep dense = dense_sweep(t.dense, start.to(dtype).to(at::kDouble));
    const double size = std::abs((t.batch.weight * dense.bound).sum().item<double>());
    EXPECT_GT(size, 1000);  // those words cost about a hundred nats each
    EXPECT_NEAR(ours.bound.item<double>(), (t.batch.weight * dense.bound).sum().item<double>(), tolerance * size);
    EXPECT_LE(difference(ours.topics, (t.batch.weight.view({-1, 1, 1}) * dense.topics).sum(0)), tolerance * 100);
    EXPECT_LE(difference(ours.gamma, dense.gamma), tolerance * 100);
  }
}

TEST(LdaKernel, AnyNumberOfThreadsGivesTheSameBits) {
  const Rng rng(5);
  const Tensor index = at::arange(3000, at::kLong);
  const Tensor counts = (rng.uniform(index, {kWords}, "counts") * 4).floor();
  const Batch batch = documents_of_counts(counts).batch(index, 0, at::kDouble);
  const Toy t = toy(false);
  const LdaKernel kernel(t.dense.log_beta, t.dense.alpha, at::kFloat);
  const int before = at::get_num_threads();
  std::vector<LdaExpectation> results;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    results.push_back(kernel.expect(batch, {}, t.log_norm, {LdaUpdate::variational, 4, 0, true}));
  }
  at::set_num_threads(before);
  for (const LdaExpectation& r : results) {
    EXPECT_EQ(r.bound.item<double>(), results[0].bound.item<double>());
    EXPECT_EQ(difference(r.topics, results[0].topics), 0);
    EXPECT_EQ(difference(r.gamma, results[0].gamma), 0);
  }
}

// Three sweeps, each from where the last one ended. A token whose uniform number lies within rounding of an edge would
// take another topic and be seen as a difference of one.
TEST(LdaKernel, EveryGibbsSweepIsTheDenseReferences) {
  const Toy t = toy(false);
  const LdaKernel kernel(t.dense.log_beta, t.dense.alpha, at::kDouble);
  Tensor theta = t.start / t.start.sum(1, true);
  for (int64_t sweep = 0; sweep < 3; ++sweep) {
    const Rng rng = Rng(7).at(sweep);
    const LdaExpectation ours = kernel.sample(t.batch, theta, rng);
    const DenseDraw dense = dense_draw(t.dense, theta, rng);
    const Tensor& weight = t.batch.weight;
    EXPECT_NEAR(ours.bound.item<double>(), (weight * dense.log_prob).sum().item<double>(), 1e-10);
    EXPECT_LE(difference(ours.topics, (weight.view({-1, 1, 1}) * dense.topics).sum(0)), 1e-10);
    EXPECT_LE(difference(ours.gamma, dense.theta), 1e-10);
    theta = dense.theta;
  }
}

// The stationary distribution of (z, theta) has p(z | w) in proportion to B(alpha + n(z)) prod_i beta_{z_i w_i}: all
// 2^3 values of z are summed. 4,000 chains: the standard error of a share is below 0.5 / sqrt(3 * 4,000) = 0.0046.
TEST(LdaKernel, TheSamplerLeavesTheExactPosterior) {
  const Tensor alpha = at::tensor({0.4, 0.8}, at::kDouble);
  const Tensor log_beta = at::tensor({0.7, 0.2, 0.1, 0.1, 0.3, 0.6}, at::kDouble).view({2, 3}).log();
  const std::vector<int64_t> words{0, 0, 2};
  double total = 0, first = 0;
  for (int z = 0; z < 8; ++z) {
    double log_p = 0, n[2] = {0, 0};
    for (int i = 0; i < 3; ++i) {
      const int k = (z >> i) & 1;
      n[k] += 1;
      log_p += log_beta[k][words[static_cast<size_t>(i)]].item<double>();
    }
    log_p += std::lgamma(0.4 + n[0]) + std::lgamma(0.8 + n[1]);
    total += std::exp(log_p);
    first += std::exp(log_p) * n[0];
  }
  constexpr int64_t kChains = 4000;
  Tensor counts = at::zeros({kChains, 3}, at::kDouble);
  counts.select(1, 0).fill_(2);
  counts.select(1, 2).fill_(1);
  const Batch batch = documents_of_counts(counts).batch(at::arange(kChains, at::kLong), 0, at::kDouble);
  const LdaKernel kernel(log_beta, alpha, at::kDouble);
  LdaExpectation draw;
  for (int64_t sweep = 0; sweep < 40; ++sweep) draw = kernel.sample(batch, draw.gamma, Rng(6).at(sweep));
  EXPECT_EQ(draw.topics.sum().item<double>(), 3 * kChains);
  EXPECT_NEAR(draw.topics[0].sum().item<double>() / kChains, first / total, 4 * 3 * 0.0046);
  EXPECT_LE(difference(draw.gamma.sum(1), at::ones({kChains}, at::kDouble)), 1e-12);
}

}  // namespace lda_kernel_test
}  // namespace vem
