// A long chain is taken in blocks of its rows: the same sums, for any number of threads.
#include <gtest/gtest.h>

#include "support/gaussian_reference.h"

namespace vem {
namespace long_chains_test {

/// One chain of 20,000 rows, some cells missing, after three short items that share its chunk.
struct LongChain {
  explicit LongChain(const std::string& chain, const std::string& covariance, Estimate estimate)
      : part(make_allocation(chain, {"", 3, estimate}, "markov-chain"),
             make_observation("covariance = \"" + covariance + "\"\n",
                              {4, at::kDouble, estimate, 3 * (chain.empty() ? 1 : 2)})) {
    batch.offsets = at::tensor({0, 3, 3, 7, 20007}, at::kLong);
    batch.index = at::arange(4, at::kLong);
    batch.weight = at::tensor({1., 1., 2., 1.}, at::kDouble);
    if (estimate == Estimate::gibbs) batch.weight = at::ones({4}, at::kDouble);
    const Tensor row = at::arange(20007, at::kLong);
    x = 2 * row.div(40, "floor").remainder(3).unsqueeze(1).to(at::kDouble) + Rng(1).normal(row, {4}, "x");
    x.slice(0, 9000, 12000).masked_fill_(Rng(2).uniform(row.slice(0, 9000, 12000), {4}, "gap") < 0.1, std::nan(""));
    part.set_priors(moments(x, batch.row_weight()));
    const int64_t K = part.num_components();
    part.start(x, batch, row.div(40, "floor").remainder(K), Rng(4));
  }
  Factored part;
  Batch batch;
  Tensor x;
};

TEST(LongChains, BlocksOfRowsGiveTheSumsOfTheWholeChain) {
  for (const std::string chain : {"", "state_components = 2\n"})
    for (const std::string covariance : {"full", "diagonal"}) {
      const LongChain c(chain, covariance, Estimate::posterior);
      const TensorMap globals = c.part.point();
      const Expectation e = c.part.expect(c.x, c.batch, globals);
      // by hand: all log-likelihoods at once, then all sums at once
      const Tensor t = c.part.observation().point(globals);
      const auto kernel = c.part.observation().incomplete_kernel(t);
      const Tensor features = kernel->features(c.x);
      const Allocation::Counts counts = c.part.allocation().expect(kernel->log_lik(features), c.batch, globals);
      const TensorMap sums = c.part.observation().spread(kernel->statistics(kernel->sums(features, counts.marginals)));
      EXPECT_NEAR(e.bound.item<double>(), counts.bound.item<double>(), 1e-10 * std::abs(e.bound.item<double>()));
      for (const auto& [key, value] : sums)
        EXPECT_TRUE(at::allclose(e.sums.at(key), value, 1e-10, 1e-7)) << key << covariance;
      for (const auto& [key, value] : counts.sums)
        EXPECT_TRUE(at::allclose(e.sums.at(key), value, 1e-10, 1e-8)) << key << covariance;
    }
}

TEST(LongChains, ThreadsChangeNoBit) {
  const int before = at::get_num_threads();
  for (const std::string chain : {"", "state_components = 2\n"})
    for (const Estimate estimate : {Estimate::ml, Estimate::gibbs}) {
      const LongChain c(chain, "full", estimate);
      const Rng rng(8);
      const auto sums = [&](int threads) {
        at::set_num_threads(threads);
        return c.part.expect(c.x, c.batch, c.part.point(), estimate == Estimate::gibbs ? &rng : nullptr);
      };
      const Expectation one = sums(1), two = sums(2), three = sums(3);
      at::set_num_threads(before);
      EXPECT_EQ(one.bound.item<double>(), two.bound.item<double>());
      for (const auto& [key, value] : one.sums) {
        EXPECT_TRUE(at::equal(value, two.sums.at(key))) << key << chain;
        EXPECT_TRUE(at::equal(value, three.sums.at(key))) << key << chain;
      }
    }
}

// What is drawn for a missing cell knows its item and place, not the blocks that rows fall into.
TEST(LongChains, DrawsDoNotDependOnTheBlocks) {
  const LongChain c("", "full", Estimate::gibbs);
  const Rng rng(8);
  const Expectation whole = c.part.expect(c.x, c.batch, c.part.point(), &rng);
  Batch last = c.batch;
  last.offsets = c.batch.offsets.slice(0, 3) - 7;
  last.index = c.batch.index.slice(0, 3);
  last.weight = c.batch.weight.slice(0, 3);
  Batch first = c.batch;
  first.offsets = c.batch.offsets.slice(0, 0, 4);
  first.index = c.batch.index.slice(0, 0, 3);
  first.weight = c.batch.weight.slice(0, 0, 3);
  Expectation parts = c.part.expect(c.x.slice(0, 0, 7), first, c.part.point(), &rng);
  parts += c.part.expect(c.x.slice(0, 7), last, c.part.point(), &rng);
  for (const auto& [key, value] : whole.sums) EXPECT_TRUE(at::allclose(value, parts.sums.at(key), 1e-10, 1e-7)) << key;
}

}  // namespace long_chains_test
}  // namespace vem
