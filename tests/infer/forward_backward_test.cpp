// Chain inference against the sum over all paths, autograd of a plain recursion, and at the edges of float64.
#include "vem/infer/forward_backward.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/chain_reference.h"
#include "support/gradcheck.h"
#include "vem/core/error.h"
#include "vem/core/infinity.h"
#include "vem/core/rng.h"

namespace vem {
namespace forward_backward_test {

const std::vector<int64_t> kRagged{0, 1, 5, 1, 17, 0, 3, 40, 2, 17, 1, 9, 23, 4, 4, 4, 12, 0};

Tensor ones(int64_t n) { return at::ones({n}, at::kDouble); }

/// Largest difference of any of the counts.
double difference(const ChainCounts& a, const ChainCounts& b) {
  const auto d = [](const Tensor& x, const Tensor& y) {
    return x.numel() ? (x.reshape({-1}) - y.reshape({-1})).abs().max().item<double>() : 0.0;
  };
  return std::max(
      {d(a.log_norm, b.log_norm), d(a.marginals, b.marginals), d(a.start, b.start), d(a.transitions, b.transitions)});
}

bool same_bits(const ChainCounts& a, const ChainCounts& b) {
  return at::equal(a.log_norm, b.log_norm) && at::equal(a.marginals, b.marginals) && at::equal(a.start, b.start) &&
         at::equal(a.transitions, b.transitions);
}

// Sums of at most 243 positive terms, each with a few roundings: 1e-12.
TEST(ForwardBackward, IsTheSumOverAllPaths) {
  for (int64_t K = 1; K <= 3; ++K)
    for (int64_t T = 1; T <= 5; ++T)
      for (uint64_t seed = 0; seed < 5; ++seed) {
        const Chain chain = random_chain(K, {T}, seed, K == 3);
        EXPECT_LT(difference(forward_backward(chain, ones(1)), enumerated_counts(chain)), 1e-12) << K << " " << T;
      }
}

TEST(ForwardBackward, IsTheGradientOfThePlainRecursion) {
  for (const int64_t K : {1, 2, 3, 4, 5, 8, 10, 12, 13, 16, 20, 33, 40})
    for (const bool zeros : {false, true}) {
      if (zeros && K < 3) continue;
      const Chain chain = random_chain(K, kRagged, 7, zeros);
      const Tensor weight = Rng(3).normal(at::arange(18, at::kLong), {}, "weight");  // of either sign
      const ChainCounts counts = forward_backward(chain, weight);
      EXPECT_LT(difference(counts, plain_counts(chain, weight)), 1e-11) << K;
      EXPECT_EQ(counts.transitions.masked_select(at::isneginf(chain.log_transition)).abs().sum().item<double>(), 0);
    }
}

TEST(ForwardBackward, RowsNeedNotSumToOne) {
  Chain chain = random_chain(4, kRagged, 2);
  chain.log_transition = chain.log_transition - at::tensor({0.3, 700., 5., 0.}, at::kDouble).view({4, 1});
  chain.log_start = chain.log_start - 800;
  const Tensor weight = ones(18);
  const ChainCounts counts = forward_backward(chain, weight), plain = plain_counts(chain, weight);
  EXPECT_LT(difference(counts, plain), 1e-11 * plain.log_norm.abs().max().item<double>());
}

TEST(ForwardBackward, EmptyBatchesAndItems) {
  const ChainCounts none = forward_backward(random_chain(3, {}, 1), ones(0));
  EXPECT_EQ(none.log_norm.sizes(), at::IntArrayRef({0}));
  EXPECT_EQ(none.marginals.sizes(), at::IntArrayRef({0, 3}));
  EXPECT_EQ(none.transitions.abs().sum().item<double>() + none.start.abs().sum().item<double>(), 0);
  const ChainCounts empty = forward_backward(random_chain(3, {0, 0}, 1), ones(2));
  EXPECT_TRUE(at::equal(empty.log_norm, at::zeros({2}, at::kDouble)));
  Chain single = random_chain(3, {1, 1, 1, 1}, 4);
  const ChainCounts ragged = forward_backward(single, ones(4));
  single.offsets = Tensor();
  EXPECT_TRUE(same_bits(ragged, forward_backward(single, ones(4))));
}

TEST(ForwardBackward, TakesFloat32LogLikelihoods) {
  Chain chain = random_chain(5, kRagged, 9);
  chain.log_lik = chain.log_lik.to(at::kFloat);
  Chain wide = chain;
  wide.log_lik = chain.log_lik.to(at::kDouble);
  EXPECT_TRUE(same_bits(forward_backward(chain, ones(18)), forward_backward(wide, ones(18))));
  chain.log_lik.requires_grad_();
  EXPECT_EQ(torch::autograd::grad({chain_log_norm(chain).sum()}, {chain.log_lik})[0].scalar_type(), at::kFloat);
}

// Chains of different weights: the order of a split changes the order of sums, by 1e-11 of their size at most.
TEST(ForwardBackward, ItemsDoNotDependOnTheirNeighbours) {
  const Chain chain = random_chain(6, kRagged, 5);
  const ChainCounts all = forward_backward(chain, ones(18));
  Tensor transitions = at::zeros({6, 6}, at::kDouble);
  for (int64_t n = 0; n < 18; ++n) {
    Chain one = chain;
    const int64_t begin = chain.offsets[n].item<int64_t>(), end = chain.offsets[n + 1].item<int64_t>();
    one.log_lik = chain.log_lik.slice(0, begin, end);
    one.offsets = at::tensor({int64_t{0}, end - begin});
    const ChainCounts alone = forward_backward(one, ones(1));
    EXPECT_NEAR(alone.log_norm.item<double>(), all.log_norm[n].item<double>(), 1e-11);
    EXPECT_TRUE(at::allclose(alone.marginals, all.marginals.slice(0, begin, end), 0, 1e-12));
    transitions = transitions + alone.transitions;
  }
  EXPECT_TRUE(at::allclose(transitions, all.transitions, 0, 1e-11));
}

TEST(ForwardBackward, HasTheSameBitsForAnyNumberOfThreads) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 300; ++i) lengths.push_back(i % 37);
  lengths.push_back(5000);
  const Chain chain = random_chain(7, lengths, 6);
  const Tensor weight = Rng(3).uniform(at::arange(301, at::kLong), {}, "weight");
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const ChainCounts one = forward_backward(chain, weight);
  for (const int threads : {2, 3, 5}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(same_bits(one, forward_backward(chain, weight))) << threads;
  }
  at::set_num_threads(before);
  std::vector<ChainCounts> results(4);
  std::vector<std::thread> callers;
  for (ChainCounts& result : results) callers.emplace_back([&] { result = forward_backward(chain, weight); });
  for (std::thread& caller : callers) caller.join();
  for (const ChainCounts& result : results) EXPECT_TRUE(same_bits(one, result));
}

// 20,000 steps: roundings of 1e-16 add up to 1e-12 of the sums at most.
TEST(ForwardBackward, ALongChainKeepsItsDigits) {
  const Chain chain = random_chain(3, {20000}, 8);
  const ChainCounts counts = forward_backward(chain, ones(1));
  const at::NoGradGuard off;
  EXPECT_NEAR(counts.log_norm.item<double>(), plain_log_norm(chain).item<double>(), 1e-12 * 20000 * 10);
  EXPECT_TRUE(at::allclose(counts.marginals.sum(-1), ones(20000), 0, 1e-11));
  EXPECT_NEAR(counts.transitions.sum().item<double>(), 19999, 1e-7);
  EXPECT_TRUE(at::allclose(counts.transitions.sum(0), counts.marginals.slice(0, 1).sum(0), 1e-10, 0));
}

// ---- at the edges ----

/// Means -1 and 1, variance one; the row of an outlier of 1e4 standard deviations.
Tensor two_normals(const Tensor& x) {
  const Tensor mean = at::tensor({-1., 1.}, at::kDouble);
  return -0.5 * (x.unsqueeze(-1) - mean).square() - 0.5 * std::log(2 * M_PI);
}

TEST(ForwardBackward, OutliersNeitherRaiseNorGiveNaN) {
  const Tensor x = at::tensor({0.3, 1e4, -0.5, -1e4, 1e4, 0.1, -1e4}, at::kDouble),
               offsets = at::tensor({0, 7}, at::kLong);
  for (const double forbidden : {-kInfinity, -2000., -3.}) {
    // state 1 never goes back where that is forbidden: the last outlier can not be explained by state 0 any more
    const Tensor a = at::tensor({-0.1, -2.3, forbidden, -0.05}, at::kDouble).view({2, 2});
    const Chain chain{two_normals(x), at::tensor({-0.7, -0.7}, at::kDouble), a, offsets};
    const ChainCounts counts = forward_backward(chain, ones(1)), paths = enumerated_counts(chain);
    // log joints of 2e8 have roundings of 3e-8 each, which is what the enumeration is exact to
    EXPECT_NEAR(counts.log_norm.item<double>(), paths.log_norm.item<double>(), 1e-6) << forbidden;
    EXPECT_TRUE(at::allclose(counts.marginals, paths.marginals, 0, 1e-6)) << forbidden;
    EXPECT_TRUE(at::allclose(counts.transitions, paths.transitions, 0, 1e-6)) << forbidden;
    const double best = enumerate_paths(chain).log_joint.max().item<double>();
    EXPECT_NEAR(viterbi(chain).log_joint.item<double>(), best, 1e-6) << forbidden;
  }
}

TEST(ForwardBackward, AnImpossibleItemLeavesTheOthersAlone) {
  Chain chain = random_chain(3, {4, 3, 4}, 3);
  const ChainCounts before = forward_backward(chain, ones(3));
  chain.log_lik[5].fill_(-kInfinity);  // in the second item
  const ChainCounts counts = forward_backward(chain, ones(3));
  EXPECT_EQ(counts.log_norm[1].item<double>(), -kInfinity);
  EXPECT_EQ(counts.marginals.slice(0, 4, 7).abs().sum().item<double>(), 0);
  EXPECT_TRUE(at::equal(counts.marginals.slice(0, 7), before.marginals.slice(0, 7)));
  EXPECT_EQ(counts.log_norm[2].item<double>(), before.log_norm[2].item<double>());
  EXPECT_NEAR(counts.transitions.sum().item<double>(), 6, 1e-12);
}

TEST(ForwardBackward, NotANumberShows) {
  Chain chain = random_chain(3, {4, 3}, 3);
  chain.log_lik[1][2] = std::nan("");
  const ChainCounts counts = forward_backward(chain, ones(2));
  EXPECT_TRUE(std::isnan(counts.log_norm[0].item<double>()));
  EXPECT_TRUE(std::isfinite(counts.log_norm[1].item<double>()));
}

// ---- in autograd ----

TEST(ChainLogNorm, IsDifferentiable) {
  for (const int64_t K : {2, 5}) {
    const Chain chain = random_chain(K, {3, 1, 6}, 1);
    const Tensor weight = at::tensor({0.7, -2., 1.3}, at::kDouble);
    const auto f = [&](const std::vector<Tensor>& in) {
      return (chain_log_norm({in[0], in[1], in[2], chain.offsets}) * weight).sum();
    };
    EXPECT_LT(gradient_error(f, {chain.log_lik, chain.log_start, chain.log_transition}), 1e-8);
  }
}

TEST(ChainLogNorm, RefusesASecondDerivative) {
  Chain chain = random_chain(2, {3}, 1);
  chain.log_lik.requires_grad_();
  const at::AutoGradMode on(true);
  const Tensor norm = chain_log_norm(chain).sum();
  EXPECT_THROW(torch::autograd::grad({norm}, {chain.log_lik}, {}, true, true), std::exception);
}

// ---- filtering, paths ----

TEST(ChainFilter, IsTheLastMarginalOfEachPrefix) {
  const Chain chain = random_chain(3, {6}, 2, true);
  const ChainFilter filter = chain_filter(chain);
  for (int64_t t = 1; t <= 6; ++t) {
    Chain prefix = chain;
    prefix.log_lik = chain.log_lik.slice(0, 0, t);
    prefix.offsets = at::tensor({int64_t{0}, t});
    const ChainCounts counts = enumerated_counts(prefix);
    EXPECT_TRUE(at::allclose(filter.marginals[t - 1], counts.marginals[t - 1], 0, 1e-13));
  }
  EXPECT_NEAR(filter.log_norm.item<double>(), enumerated_counts(chain).log_norm.item<double>(), 1e-12);
}

TEST(Viterbi, IsTheBestOfAllPaths) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Chain chain = random_chain(3, {5}, seed, seed % 2 == 0);
    const Paths all = enumerate_paths(chain);
    const auto [value, place] = all.log_joint.max(0);
    const ChainPaths best = viterbi(chain);
    EXPECT_TRUE(at::equal(best.states, all.states[place.item<int64_t>()]));
    EXPECT_NEAR(best.log_joint.item<double>(), value.item<double>(), 1e-13 * 100);
  }
}

TEST(Viterbi, RaggedItemsAndTies) {
  const Chain chain = random_chain(4, kRagged, 5);
  const ChainPaths best = viterbi(chain);
  EXPECT_EQ(best.log_joint[0].item<double>(), 0);
  Chain one = chain;
  one.log_lik = chain.log_lik.slice(0, 1, 6);
  one.offsets = at::tensor({0, 5}, at::kLong);
  EXPECT_TRUE(at::equal(viterbi(one).states, best.states.slice(0, 1, 6)));
  const Chain flat{at::zeros({3, 2}, at::kDouble), at::zeros({2}, at::kDouble), at::zeros({2, 2}, at::kDouble),
                   at::tensor({0, 3}, at::kLong)};
  EXPECT_TRUE(at::equal(viterbi(flat).states, at::zeros({3}, at::kLong)));
}

// Step 2 of the second item asks for a state that only a forbidden transition leads to; step 0 of the third explains
// nothing.
TEST(Viterbi, OfAnImpossibleItemIsThePathOfItsPossibleSteps) {
  Chain chain = random_chain(3, {4, 5, 3, 4}, 3);
  chain.log_transition.select(1, 2).fill_(-kInfinity);
  chain.log_lik[6].slice(0, 0, 2).fill_(-kInfinity);
  chain.log_lik[9].fill_(-kInfinity);
  const ChainPaths paths = viterbi(chain);
  EXPECT_TRUE(at::equal(paths.log_joint.eq(-kInfinity), at::tensor({0, 1, 1, 0}, at::kLong).to(at::kBool)));
  Chain prefix = chain;
  prefix.log_lik = chain.log_lik.slice(0, 4, 6);
  prefix.offsets = at::tensor({0, 2}, at::kLong);
  EXPECT_TRUE(at::equal(paths.states.slice(0, 4, 6), viterbi(prefix).states));
  EXPECT_TRUE(at::equal(paths.states.slice(0, 6, 12), at::full({6}, -1, at::kLong)));
  EXPECT_GE(paths.states.slice(0, 0, 4).min().item<int64_t>(), 0);
  EXPECT_GE(paths.states.slice(0, 12).min().item<int64_t>(), 0);
  const Tensor filtered = chain_filter(chain).marginals.sum(1);
  EXPECT_TRUE(at::equal(filtered.lt(0.5), paths.states.lt(0)));
}

// 20,000 draws: each path's share within five standard errors.
TEST(SamplePaths, FollowThePosteriorOfPaths) {
  const Chain one = random_chain(2, {4}, 11, false);
  const Paths all = enumerate_paths(one);
  const Tensor p = at::softmax(all.log_joint, 0);
  const int64_t n = 20000;
  Chain many = one;
  many.log_lik = one.log_lik.repeat({n, 1});
  many.offsets = at::arange(n + 1, at::kLong) * 4;
  const Tensor u = Rng(1).uniform(at::arange(4 * n, at::kLong), {}, "u");
  const Tensor states = sample_paths(many, u).view({n, 4});
  const Tensor code = (states * at::tensor({8, 4, 2, 1}, at::kLong)).sum(-1);
  const Tensor share = at::bincount(code, {}, 16).to(at::kDouble) / n;
  EXPECT_LT(((share - p).abs() / (p * (1 - p) / n).sqrt()).max().item<double>(), 5);
}

TEST(SamplePaths, NeverTakeAForbiddenStep) {
  const Chain chain = random_chain(4, {50, 1, 200}, 4, true);
  const Tensor states = sample_paths(chain, Rng(2).uniform(at::arange(251, at::kLong), {}, "u"));
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 50}, {51, 251}})
    for (int64_t t = begin + 1; t < end; ++t) EXPECT_NE(states[t].item<int64_t>() + 1, states[t - 1].item<int64_t>());
}

// Russell and Norvig, "Artificial intelligence", the umbrella world: five days with umbrella, umbrella, none, ...
TEST(ForwardBackward, UmbrellaWorld) {
  const Tensor rain = at::tensor({0.9, 0.2}, at::kDouble), umbrella = at::tensor({1., 1., 0., 1., 1.}, at::kDouble);
  const Tensor p = umbrella.unsqueeze(1) * rain + (1 - umbrella).unsqueeze(1) * (1 - rain);
  const Chain chain{p.log(), at::tensor({0.5, 0.5}, at::kDouble).log(),
                    at::tensor({0.7, 0.3, 0.3, 0.7}, at::kDouble).view({2, 2}).log(), at::tensor({0, 5}, at::kLong)};
  const ChainCounts counts = forward_backward(chain, ones(1));
  EXPECT_NEAR(counts.log_norm.item<double>(), -3.3725, 5e-5);  // digits as published
  const Tensor smoothed = at::tensor({.8673, .8204, .3075, .8204, .8673}, at::kDouble);
  EXPECT_TRUE(at::allclose(counts.marginals.select(1, 0), smoothed, 0, 5e-5));
  const ChainPaths best = viterbi(chain);
  EXPECT_TRUE(at::equal(best.states, at::tensor({0, 0, 1, 0, 0}, at::kLong)));
  EXPECT_NEAR(best.log_joint.item<double>(), -4.4590, 5e-5);
}

TEST(Chain, ErrorsSayWhatDoesNotFit) {
  const auto message = [](const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  Chain chain = random_chain(3, {4}, 1);
  EXPECT_EQ(message([&] { forward_backward(chain, ones(2)); }),
            "forward_backward: weight has shape [2] but [1] is expected");
  chain.offsets = at::tensor({0, 5}, at::kLong);
  EXPECT_EQ(message([&] { viterbi(chain); }), "chain: offsets end at row 5 but log_lik has 4 rows");
  chain.log_start = ones(2);
  EXPECT_EQ(message([&] { chain_filter(chain); }),
            "chain: log_start [2] and log_transition [3, 3] do not fit log_lik [4, 3]");
}

}  // namespace forward_backward_test
}  // namespace vem
