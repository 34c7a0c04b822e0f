// What information criteria are made of: free parameters counted by hand, equivalent labelings, entropies of paths.
#include <gtest/gtest.h>

#include "../models/factored/model.h"
#include "support/amortised.h"
#include "support/chain_reference.h"
#include "support/models.h"

namespace vem {
namespace criteria_test {

struct Count {
  std::string allocation, observation;
  int64_t columns, expected;  // free parameters of three components
};

std::shared_ptr<FactoredModel> model_of(const std::string& estimate, const std::string& allocation,
                                        const std::string& observation, int64_t columns) {
  Dataset data;
  data.schema.item_shape = {columns};
  for (int64_t d = 0; d < columns; ++d) data.schema.feature_names.push_back(fmt::format("x{}", d));
  const auto model =
      make_model("[model]\nkind = \"mixture\"\nnum_components = 3\nestimate = \"" + estimate +
                     "\"\nallocation = {kind = " + allocation + "}\nobservation = {kind = " + observation + "}\n",
                 data);
  return std::dynamic_pointer_cast<FactoredModel>(model);
}

// Weights of a mixture: 2. Observations: three times what one component has.
TEST(FreeParameters, OfEveryFamilyAreThoseCountedByHand) {
  const std::string mixture = "\"mixture-weights\"", chain = "\"markov-chain\"";
  const std::vector<Count> table{
      {mixture, "\"normal\", covariance = \"full\"", 4, 2 + 3 * (4 + 10)},
      {mixture, "\"normal\", covariance = \"diagonal\"", 4, 2 + 3 * (4 + 4)},
      {mixture, "\"normal\", covariance = \"spherical\"", 4, 2 + 3 * (4 + 1)},
      {mixture, "\"normal\", covariance = \"tied\"", 4, 2 + 3 * 4 + 10},
      // loadings up to a rotation of the latents: D L - L (L - 1) / 2
      {mixture, "\"normal\", covariance = \"ppca\", rank = 1", 4, 2 + 3 * (4 + 4 + 1)},
      {mixture, "\"normal\", covariance = \"ppca\", rank = 2", 4, 2 + 3 * (4 + 8 - 1 + 1)},
      {mixture, "\"normal\", covariance = \"ppca\", rank = 3", 4, 2 + 3 * (4 + 10)},  // any covariance
      {mixture, "\"normal\", covariance = \"factor\", rank = 1", 4, 2 + 3 * (4 + 4 + 4)},
      {mixture, "\"normal\", covariance = \"factor\", rank = 2", 4, 2 + 3 * (4 + 10)},  // 11 numbers, any covariance
      {mixture, "\"bernoulli\"", 4, 2 + 3 * 4},
      {mixture, "\"categorical\", num_symbols = 3", 4, 2 + 3 * 8},
      {mixture, "\"multinomial\"", 4, 2 + 3 * 3},
      {mixture, "\"poisson\"", 4, 2 + 3 * 4},
      {mixture, "\"exponential\"", 4, 2 + 3 * 4},
      {mixture,
       "\"product\", normal_columns = \"x0,x1\", poisson_columns = \"x2\", categorical_columns = \"x3\", categorical = "
       "{num_symbols = 3}",
       4, 2 + 3 * (2 + 3 + 1 + 2)},
      {"\"stick-breaking\"", "\"poisson\"", 1, 2 + 3},
      {chain, "\"normal\"", 1, 2 + 3 * 2 + 3 * 2},
      {chain + ", start = \"uniform\"", "\"poisson\"", 1, 3 * 2 + 3},
      {chain + ", start = \"first\"", "\"poisson\"", 1, 3 * 2 + 3},
      {chain + ", topology = \"left-right\"", "\"poisson\"", 1, 2 + (2 + 1) + 3},
      {chain + ", topology = \"left-right\", max_step = 1, start = \"first\"", "\"poisson\"", 1, (1 + 1) + 3},
      {chain + ", state_components = 2", "\"poisson\"", 1, 2 + 3 * 2 + 3 * 1 + 3 * 2},
      {chain, "\"autoregressive\", order = 2", 2, 2 + 3 * 2 + 3 * (2 * 5 + 3)}};
  for (const Count& row : table)
    EXPECT_EQ(model_of("ml", row.allocation, row.observation, row.columns)->num_free(), row.expected)
        << row.allocation << " " << row.observation;
  EXPECT_EQ(model_of("ml", chain, "\"autoregressive\", order = 2", 2)->lags(), 2);
}

TEST(Labelings, AreThoseThatThePriorTreatsAlike) {
  const std::vector<std::tuple<std::string, double, std::string>> table{
      {"\"mixture-weights\"", std::log(6), "ln K!"},
      {"\"stick-breaking\"", 0, ""},
      {"\"markov-chain\", stickiness = 2.0", std::log(6), "ln K!"},
      {"\"markov-chain\", start = \"uniform\"", std::log(6), "ln K!"},
      {"\"markov-chain\", start = \"first\"", std::log(2), "ln (K-1)!"},
      {"\"markov-chain\", topology = \"left-right\"", 0, ""},
      {"\"markov-chain\", state_components = 4", std::log(6) + 3 * std::log(24), "ln K! + K ln M!"}};
  for (const auto& [allocation, log_count, formula] : table) {
    const Labelings labelings = model_of("posterior", allocation, "\"poisson\"", 1)->labelings();
    EXPECT_NEAR(labelings.log_count, log_count, 1e-12) << allocation;
    EXPECT_EQ(labelings.formula, formula) << allocation;
  }
}

/// The readout "entropy" of an allocation of three states whose blocks have seen some sums.
Tensor entropy_of(const Allocation& allocation, const Tensor& log_lik, const Tensor& offsets, TensorMap& globals) {
  Batch batch;
  batch.offsets = offsets;
  const int64_t items = offsets.defined() ? offsets.size(0) - 1 : log_lik.size(0);
  batch.index = at::arange(items, at::kLong);
  batch.weight = at::ones({items}, at::kDouble);
  for (const auto& block : allocation.blocks()) globals.merge(block->globals());
  for (const auto& readout : allocation.readouts())
    if (readout.name == "entropy") return readout.call(log_lik, batch, globals)[0];
  return {};
}

// Against -sum_z p(z | x) log p(z | x) over all paths.
TEST(PathEntropy, IsThatOfTheEnumeratedPaths) {
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor log_lik = 2 * Rng(1).normal(at::arange(9, at::kLong), {3}, "log_lik");
  const Tensor offsets = at::tensor({0, 4, 4, 9}, at::kLong);
  for (const std::string topology : {"", "topology = \"left-right\"\n"}) {
    const auto chain = plugins().create<Allocation>(chosen("allocation", "kind = \"markov-chain\"\n" + topology),
                                                    {"", 3, Estimate::posterior});
    chain->set_priors();
    TensorMap globals;
    const Tensor entropy = entropy_of(*chain, log_lik, offsets, globals);
    const Tensor allowed = topology.empty() ? at::ones({3, 3}, at::kBool) : at::ones({3, 3}, at::kBool).triu();
    const Tensor log_transition = globals.at("transition.t").detach().masked_fill(allowed.logical_not(), -inf);
    for (const auto& [item, begin, end] : {std::tuple<int64_t, int64_t, int64_t>{0, 0, 4}, {2, 4, 9}}) {
      const Paths paths =
          enumerate_paths({log_lik.slice(0, begin, end), globals.at("start.t").detach()[0], log_transition, {}});
      const Tensor p = at::softmax(paths.log_joint, 0);
      EXPECT_NEAR(entropy[item].item<double>(), -at::xlogy(p, p).sum().item<double>(), 1e-12) << topology << item;
    }
    EXPECT_EQ(entropy[1].item<double>(), 0);  // a sequence without rows has one path
  }
}

TEST(PathEntropy, OfIndependentRowsIsThatOfTheirComponents) {
  const auto weights =
      plugins().create<Allocation>(chosen("allocation", "kind = \"mixture-weights\"\n"), {"", 3, Estimate::posterior});
  weights->set_priors();
  TensorMap globals;
  const Tensor log_lik = at::tensor({0., 0., 0., 0., std::log(3), -1e4}, at::kDouble).view({2, 3});
  const Tensor entropy = entropy_of(*weights, log_lik, {}, globals);
  EXPECT_NEAR(entropy[0].item<double>(), std::log(3), 1e-13);
  EXPECT_NEAR(entropy[1].item<double>(), -0.25 * std::log(0.25) - 0.75 * std::log(0.75), 1e-13);
}

}  // namespace criteria_test
}  // namespace vem
