// The loops of exported files against the program's own, number by number.
#include "vem/infer/torchscript_library.h"

#include <gtest/gtest.h>

#include "support/amortised.h"
#include "support/gaussian_reference.h"
#include "vem/core/infinity.h"
#include "vem/infer/forward_backward.h"

namespace vem {
namespace torchscript_library_test {

Tensor noise(int64_t n, const Shape& shape, const char* name) { return Rng(5).normal(items(n), shape, name); }

/// Sequences of 3, 0, 1, 5 and 2 rows, in a chain that may not go back.
Chain chain_of(int64_t K) {
  const Tensor forbidden = at::ones({K, K}, at::kBool).tril(-1);
  return {noise(11, {K}, "rows"), at::log_softmax(noise(K, {}, "start"), 0),
          at::log_softmax(noise(K, {K}, "transition").masked_fill(forbidden, -kInfinity), 1),
          at::tensor({0, 3, 3, 4, 9, 11}, at::kLong)};
}

/// With the second and fourth of its items impossible from a row in the middle on, or from the first.
Chain impossible_chain(int64_t K) {
  Chain chain = chain_of(K);
  chain.log_lik[6].fill_(-kInfinity);
  chain.log_lik[3].fill_(-kInfinity);
  return chain;
}

TEST(TorchscriptLibrary, ChainsHaveTheSameDensity) {
  for (const Chain& chain : {chain_of(4), chain_of(1), impossible_chain(4)}) {
    const Tensor ours = chain_filter(chain).log_norm,
                 theirs =
                     torchscript::chain_log_norm(chain.log_lik, chain.log_start, chain.log_transition, chain.offsets);
    EXPECT_TRUE(at::allclose(ours, theirs, 1e-12, 1e-12)) << ours << theirs;
  }
}

TEST(TorchscriptLibrary, ChainsHaveTheSameBestPaths) {
  for (const Chain& chain : {chain_of(4), chain_of(1), impossible_chain(4)})
    EXPECT_TRUE(at::equal(viterbi(chain).states, torchscript::chain_best_paths(chain.log_lik, chain.log_start,
                                                                               chain.log_transition, chain.offsets)));
}

TEST(TorchscriptLibrary, ChainsGoThroughTheSameStates) {
  for (const std::string options : {"", "topology = \"left-right\"\nstart = \"first\"\n"}) {
    const auto chain = make_allocation(options, {"", 3, Estimate::map}, "markov-chain");
    chain->set_priors();
    const Tensor counts = at::tensor({9., 1., 2., 3., 7., 4., 0., 5., 1.}, at::kDouble).view({3, 3});
    Expectation total;
    total.sums["start.t"] = at::tensor({1., 3., 2.}, at::kDouble).view({1, 3});
    total.sums["transition.t"] = options.empty() ? counts : counts.triu();
    for (const auto& block : chain->blocks()) block->m_step(total, Step(), Rng(0));
    const auto parameters = chain->describe();
    for (const int64_t n : {0, 1, 500})
      EXPECT_TRUE(at::equal(chain->sample(items(n), Rng(3)),
                            torchscript::chain_states(parameters[0].second, 7 * parameters[1].second,
                                                      Rng(3).uniform(items(n), {}, "component"))));
  }
}

TEST(TorchscriptLibrary, NormalRowsAreThoseOfTheirComponents) {
  constexpr int64_t D = 2, K = 3, n = 20;
  const Tensor mean = noise(K, {D}, "mean"), root = noise(K, {D, D}, "root"), e = noise(n, {D}, "rows");
  const Tensor component = 2 * items(n).remainder(2);  // none of the second
  const Tensor rows = torchscript::normal_rows(component, e, mean, root);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t k = component[i].item<int64_t>();
    EXPECT_TRUE(at::allclose(rows[i], mean[k] + at::mv(root[k].t(), e[i]), 1e-12, 1e-12));
  }
}

TEST(TorchscriptLibrary, RegressionsGoOnFromTheirPast) {
  constexpr int64_t D = 2, K = 3, order = 2, R = 1 + order * D, n = 40;
  const Tensor A = 0.3 * noise(K, {D, R}, "coefficients"), root = noise(K, {D, D}, "root").tril(),
               half = noise(K, {R, R}, "growth"), growth = at::matmul(half, half.transpose(1, 2)),
               e = noise(n, {D}, "rows"), component = items(n).remainder(K);
  Tensor rows = at::zeros({n, D}, at::kDouble);
  for (int64_t t = order; t < n; ++t) {
    const int64_t k = component[t].item<int64_t>();
    const Tensor u = at::cat({at::ones({1}, at::kDouble), rows[t - 1], rows[t - 2]});
    const Tensor width = (1 + u.dot(growth[k].mv(u))).sqrt();
    rows[t].copy_(A[k].mv(u) + width * root[k].mv(e[t]));
  }
  EXPECT_TRUE(at::allclose(torchscript::regression_rows(component, e, A, root, growth), rows, 1e-10, 1e-10));
  EXPECT_TRUE(at::equal(torchscript::regression_rows(component.slice(0, 0, 1), e.slice(0, 0, 1), A, root, growth),
                        at::zeros({1, D}, at::kDouble)));
}

TEST(TorchscriptLibrary, NothingIsRecordedWithoutAnExport) { EXPECT_FALSE(torchscript::recording()); }

}  // namespace torchscript_library_test
}  // namespace vem
